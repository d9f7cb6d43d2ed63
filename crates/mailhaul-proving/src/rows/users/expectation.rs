//! What the target must hold, from what its owner and the user at the source have done. Each message is told from all others
//! by what it says, so that whatever is not as it should be has a name.

use crate::Outcome;
use mailhaul_testing::histories::{Content, FlagSet, Message, View};
use std::collections::BTreeMap;

/// Where a message is to be on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It was not copied yet, and goes here.
    ToCome { mailbox: String, flags: FlagSet },
    /// It stands here.
    Here { mailbox: String, flags: FlagSet },
    /// Its owner has removed it.
    Removed,
}

/// What the target must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectation(pub(super) BTreeMap<Content, Place>);

impl Expectation {
    /// A pass has ended that brought everything over.
    pub(super) fn all_came(&mut self) {
        for place in self.0.values_mut() {
            if let Place::ToCome { mailbox, flags } = place {
                *place = Place::Here { mailbox: std::mem::take(mailbox), flags: *flags };
            }
        }
    }

    /// While a pass is at work: what is there has come.
    pub(super) fn came(&mut self, view: &View) {
        for (content, _) in every(view) {
            if let Some(place) = self.0.get_mut(&content)
                && let Place::ToCome { mailbox, flags } = place
            {
                *place = Place::Here { mailbox: std::mem::take(mailbox), flags: *flags };
            }
        }
    }

    /// Compares with what is seen, and notes every difference.
    pub(super) fn judge(&self, view: &View, when: &str, repeat: &str, outcome: &mut Outcome) {
        let mut seen: BTreeMap<Content, Vec<(String, FlagSet)>> = BTreeMap::new();
        for (content, at) in every(view) {
            seen.entry(content).or_default().push(at);
        }
        let mut wrong = Vec::new();
        for (content, place) in &self.0 {
            let found = seen.remove(content).unwrap_or_default();
            match place {
                Place::Removed | Place::ToCome { .. } if found.is_empty() => {}
                Place::Removed | Place::ToCome { .. } => wrong.push(format!("{content:?} came back: {found:?}")),
                Place::Here { mailbox, flags } => match found.as_slice() {
                    [] => {
                        outcome.lost += 1;
                        wrong.push(format!("{content:?} is lost, which was in `{mailbox}`"));
                    }
                    [(is_in, has)] if is_in == mailbox && has == flags => {}
                    [(is_in, has)] => wrong
                        .push(format!("{content:?} should be in `{mailbox}` {flags:?} and is in `{is_in}` {has:?}")),
                    more => {
                        outcome.doubled += more.len() as u64 - 1;
                        wrong.push(format!("{content:?} is there {} times: {more:?}", more.len()));
                    }
                },
            }
        }
        wrong.extend(seen.keys().map(|content| format!("{content:?} is there, and nobody has written it")));
        if !wrong.is_empty() {
            let shown = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
            outcome.fail(repeat, format!("{when}, {} messages are not as they should be:\n{shown}", wrong.len()));
        }
    }
}

/// Every message with its mailbox and flags.
fn every(view: &View) -> impl Iterator<Item = (Content, (String, FlagSet))> {
    view.iter().flat_map(|(name, mailbox)| {
        mailbox.messages.values().map(move |Message { content, flags }| (*content, (name.clone(), *flags)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_testing::histories::MailboxView;

    fn content(serial: u16) -> Content {
        Content { serial, edition: 0, named: true }
    }

    fn view(mails: &[(&str, u16, u8)]) -> View {
        let mut view = View::new();
        for (uid, (mailbox, serial, flags)) in (1..).zip(mails) {
            let mailbox: &mut MailboxView = view.entry((*mailbox).to_owned()).or_default();
            mailbox.messages.insert(uid, Message { content: content(*serial), flags: FlagSet(*flags) });
        }
        view
    }

    #[test]
    fn whatever_is_not_as_it_should_be_is_told_apart() {
        let here = |mailbox: &str| Place::Here { mailbox: mailbox.to_owned(), flags: FlagSet(1) };
        let expected = Expectation(BTreeMap::from([
            (content(1), here("INBOX")),
            (content(2), here("Filed")),
            (content(3), Place::Removed),
            (content(4), here("INBOX")),
        ]));
        let judged = |mails: &[(&str, u16, u8)]| {
            let mut outcome = Outcome::default();
            expected.judge(&view(mails), "then", "--seed 1", &mut outcome);
            (outcome.lost, outcome.doubled, outcome.failures.len())
        };
        let right = [("INBOX", 1, 1), ("Filed", 2, 1), ("INBOX", 4, 1)];
        assert_eq!(judged(&right), (0, 0, 0));
        assert_eq!(judged(&right[..2]), (1, 0, 1));
        assert_eq!(judged(&[&right[..], &[("INBOX", 2, 1)]].concat()), (0, 1, 1));
        assert_eq!(judged(&[&right[..], &[("INBOX", 3, 1)]].concat()), (0, 0, 1));
        assert_eq!(judged(&[("INBOX", 1, 1), ("INBOX", 2, 1), ("INBOX", 4, 1)]), (0, 0, 1));
        assert_eq!(judged(&[("INBOX", 1, 1), ("Filed", 2, 1), ("INBOX", 4, 0)]), (0, 0, 1));
    }
}
