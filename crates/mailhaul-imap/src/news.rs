//! What a server tells unasked: that something is new, and where.

use crate::list::read_listed;
use crate::response::Response;
use crate::status::read_status;
use mailhaul_types::{MailboxName, NameEncoding};
use std::collections::BTreeSet;

/// Mailboxes that are kept by name; beyond that all of them may have news.
const NAMES_MAX: usize = 10_000;

/// What is new, as far as the server said it. It is a hint where to look, never a fact to act on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Something in the mailbox that is selected: EXISTS, EXPUNGE, VANISHED or FETCH.
    pub selected: bool,
    /// Mailboxes that the server named: their figures have changed, or they came, went or were renamed.
    pub mailboxes: Vec<MailboxName>,
    /// Mailboxes came, went, were renamed, subscribed to or unsubscribed from.
    pub list: bool,
    /// The server does not tell everything any more (NOTIFICATIONOVERFLOW, RFC 5465 §5.8): look everywhere.
    pub overflow: bool,
}

impl News {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.selected && !self.list && !self.overflow && self.mailboxes.is_empty()
    }
}

/// News that have been heard and not been told.
#[derive(Debug, Default)]
pub(crate) struct Overheard {
    selected: bool,
    names: BTreeSet<Vec<u8>>,
    list: bool,
    overflow: bool,
}

impl Overheard {
    pub(crate) fn is_empty(&self) -> bool {
        !self.selected && !self.list && !self.overflow && self.names.is_empty()
    }

    /// A response that came while nothing was asked.
    pub(crate) fn take(&mut self, response: &Response<'_>) {
        match response {
            Response::Data { number: Some(_), word, .. } => {
                // RECENT comes along with EXISTS, and alone says only who looked first.
                self.selected |= is_one_of(word, &["EXISTS", "EXPUNGE", "FETCH"]);
            }
            Response::Data { number: None, word, rest } if is_one_of(word, &["VANISHED"]) => {
                self.selected |= !rest.rest().trim_ascii().starts_with(b"(");
            }
            Response::Data { number: None, word, rest } if is_one_of(word, &["STATUS"]) => {
                self.name(read_status(rest.clone()).map(|(name, _)| name));
            }
            Response::Data { number: None, word, rest } if is_one_of(word, &["LIST", "LSUB"]) => {
                self.list = true;
                let listed = read_listed(rest.clone(), NameEncoding::ModifiedUtf7);
                self.name(listed.map(|mailbox| mailbox.name.wire().to_vec()));
            }
            Response::Status(line) => self.overflow |= line.code_arguments("NOTIFICATIONOVERFLOW").is_some(),
            _ => {}
        }
    }

    /// A response that came in the middle of a command. What the command itself brings about is no news; so the
    /// answers that a command of this name asks for are passed over, and flags always, because a FETCH may be either.
    pub(crate) fn take_during(&mut self, command: &str, response: &Response<'_>) {
        let word = match response {
            Response::Data { word, .. } => *word,
            Response::Status(_) => b"",
            _ => return,
        };
        let own: &[&str] = match command {
            "SELECT" | "EXAMINE" => {
                // Whatever was new in the mailbox that was selected until now, this one is seen as it is.
                self.selected = false;
                &["EXISTS", "EXPUNGE", "VANISHED", "FETCH", "LIST"]
            }
            "STATUS" => &["STATUS", "FETCH"],
            "LIST" | "LSUB" => &["STATUS", "LIST", "LSUB", "FETCH"],
            "NOTIFY" => &["STATUS", "FETCH"],
            "UID EXPUNGE" | "UID MOVE" => &["EXPUNGE", "VANISHED", "FETCH"],
            _ => &["FETCH"],
        };
        if !is_one_of(word, own) {
            self.take(response);
        }
    }

    fn name(&mut self, name: Option<Vec<u8>>) {
        match name {
            Some(name) if self.names.len() < NAMES_MAX => drop(self.names.insert(name)),
            _ => self.overflow = true,
        }
    }

    /// Everything heard so far.
    pub(crate) fn tell(&mut self, encoding: NameEncoding) -> News {
        let heard = std::mem::take(self);
        News {
            selected: heard.selected,
            mailboxes: heard.names.iter().map(|name| MailboxName::from_wire(name, encoding)).collect(),
            list: heard.list,
            overflow: heard.overflow,
        }
    }
}

fn is_one_of(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> News {
        let mut overheard = Overheard::default();
        for line in lines {
            overheard.take(&Response::of(format!("{line}\r\n").as_bytes()));
        }
        overheard.tell(NameEncoding::ModifiedUtf7)
    }

    #[test]
    fn what_is_new_is_told_from_what_keeps_the_line_warm() {
        for line in ["* 4 EXISTS", "* 2 EXPUNGE", "* 1 FETCH (FLAGS ())", "* VANISHED 7:9"] {
            assert_eq!(heard(&[line]), News { selected: true, ..News::default() }, "{line}");
        }
        for line in [
            "* OK Still here",
            "* 3 RECENT",
            "* VANISHED (EARLIER) 1:5",
            "* FLAGS (\\Seen)",
            "* CAPABILITY X",
            "+ idling",
        ] {
            assert!(heard(&[line]).is_empty(), "{line}");
        }
        assert!(heard(&["* OK [NOTIFICATIONOVERFLOW] too much"]).overflow);
    }

    #[test]
    fn mailboxes_are_named_once_each() {
        let news = heard(&["* STATUS b (HIGHESTMODSEQ 9)", "* STATUS \"b\" (MESSAGES 1)", "* LIST () \"/\" &AOk-"]);
        assert_eq!(news.mailboxes.iter().map(|name| name.text()).collect::<Vec<_>>(), ["é", "b"]);
        assert!(news.list && !news.selected);
        assert!(heard(&["* STATUS nonsense"]).overflow);
    }

    #[test]
    fn what_a_command_asks_for_is_no_news() {
        let mut overheard = Overheard::default();
        let mut during = |command: &str, line: &str| {
            overheard.take_during(command, &Response::of(format!("{line}\r\n").as_bytes()));
            overheard.tell(NameEncoding::ModifiedUtf7)
        };
        assert!(during("EXAMINE", "* 4 EXISTS").is_empty());
        assert!(during("LIST", "* STATUS a (MESSAGES 3)").is_empty());
        assert!(during("UID FETCH", "* 4 FETCH (FLAGS ())").is_empty());
        assert!(during("UID FETCH", "* 4 EXISTS").selected);
        assert_eq!(during("UID SEARCH", "* STATUS a (MESSAGES 3)").mailboxes.len(), 1);
        assert!(during("EXAMINE", "* OK [NOTIFICATIONOVERFLOW] too much").overflow);
    }
}
