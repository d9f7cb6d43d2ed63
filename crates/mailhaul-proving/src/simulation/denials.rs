//! Which messages a source has left out of what it was asked for, by mailbox and UID.

use mailhaul_testing::model::Seen;
use std::collections::BTreeMap;

/// What was asked for by commands that the source said OK to and answered without messages. Empty unless it has done so for
/// UID FETCH and for UID SEARCH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denials {
    /// The mailbox that each connection has opened last.
    selected: BTreeMap<u64, String>,
    /// Ranges of UIDs, by mailbox and command.
    asked: BTreeMap<(String, String), Vec<(u32, u32)>>,
}

impl Denials {
    /// Notes which mailbox is opened.
    pub(super) fn hear(&mut self, seen: &Seen) {
        if matches!(seen.name.as_str(), "EXAMINE" | "SELECT") {
            let text = String::from_utf8_lossy(&seen.arguments).trim().to_owned();
            let name = match text.strip_prefix('"') {
                Some(rest) => rest.split('"').next(),
                None => text.split(' ').next(),
            };
            self.selected.insert(seen.connection, name.unwrap_or_default().to_owned());
        }
    }

    /// A reading command was answered without messages.
    pub(super) fn deny(&mut self, seen: &Seen) {
        let Some(mailbox) = self.selected.get(&seen.connection) else { return };
        let asked = self.asked.entry((mailbox.clone(), seen.name.clone())).or_default();
        asked.extend(uids(&seen.name, &String::from_utf8_lossy(&seen.arguments)));
    }

    /// Whether nothing was denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Whether this message of this mailbox was denied to UID FETCH and to UID SEARCH alike.
    #[must_use]
    pub fn cover(&self, mailbox: &str, uid: u32) -> bool {
        ["UID FETCH", "UID SEARCH"].iter().all(|name| {
            let asked = self.asked.get(&(mailbox.to_owned(), (*name).to_owned()));
            asked.is_some_and(|ranges| ranges.iter().any(|(first, last)| (*first..=*last).contains(&uid)))
        })
    }
}

/// The UIDs that a command asks for; a search that names none asks for all.
fn uids(name: &str, arguments: &str) -> Vec<(u32, u32)> {
    let mut words = arguments.split_whitespace();
    let set = if name == "UID FETCH" { words.next() } else { words.by_ref().skip_while(|word| *word != "UID").nth(1) };
    let Some(set) = set else { return vec![(1, u32::MAX)] };
    let number = |text: &str| if text == "*" { Some(u32::MAX) } else { text.parse().ok() };
    let range = |part: &str| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (first, last): (u32, u32) = (number(first)?, number(last)?);
        Some((first.min(last), first.max(last)))
    };
    set.split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, arguments: &str) -> Seen {
        Seen { name: name.to_owned(), nth: 1, total: 1, connection: 1, arguments: arguments.as_bytes().to_vec() }
    }

    #[test]
    fn only_what_both_commands_have_asked_for_in_this_mailbox_is_denied() {
        let mut denials = Denials::default();
        denials.hear(&seen("EXAMINE", "\"Work\" (CONDSTORE)"));
        denials.deny(&seen("UID FETCH", "1:4,7 (UID FLAGS)"));
        assert!(!denials.cover("Work", 3), "UID SEARCH was not asked");
        denials.deny(&seen("UID SEARCH", "RETURN (ALL) UID 3:8"));
        let covered: Vec<u32> = (1..10).filter(|uid| denials.cover("Work", *uid)).collect();
        assert_eq!(covered, [3, 4, 7]);
        assert!(!denials.cover("INBOX", 3), "another mailbox");
    }
}
