//! Which of the listed mailboxes can be copied at all.

use super::names;
use super::{AccountListing, LeftOut, LeftOutReason, MailboxEntry, MappingRules, Namespace};

/// A mailbox that gets a target name.
pub(super) struct Candidate<'a> {
    pub(super) entry: &'a MailboxEntry,
    /// From a namespace that is not the user's own.
    pub(super) foreign: bool,
}

/// Those that can be copied at all, by text, and those that cannot.
pub(super) fn candidates<'a>(source: &'a AccountListing, rules: &MappingRules) -> (Vec<Candidate<'a>>, Vec<LeftOut>) {
    let mut listed: Vec<&MailboxEntry> = source.mailboxes.iter().collect();
    // Of entries for one name the most telling comes first and the others are dropped, whatever their order.
    let rank =
        |entry: &MailboxEntry| (!entry.selectable, entry.special_use.is_none(), entry.special_use, !entry.subscribed);
    listed.sort_by(|one, other| one.name.cmp(&other.name).then_with(|| rank(one).cmp(&rank(other))));
    let (mut candidates, mut left_out): (Vec<Candidate<'a>>, Vec<LeftOut>) = (Vec::new(), Vec::new());
    let mut seen: Option<&MailboxEntry> = None;
    for entry in listed {
        let same_text = seen.is_some_and(|seen| seen.name.text() == entry.name.text());
        if same_text && seen.is_some_and(|seen| seen.name == entry.name) {
            continue;
        }
        seen = Some(entry);
        let foreign = is_foreign(entry, source);
        let reason = match () {
            () if !entry.selectable => LeftOutReason::NotSelectable,
            () if foreign && !rules.all_namespaces => LeftOutReason::OtherNamespace,
            () if same_text => LeftOutReason::SameText,
            () => {
                candidates.push(Candidate { entry, foreign });
                continue;
            }
        };
        left_out.push(LeftOut { source: entry.name.clone(), reason });
    }
    (candidates, left_out)
}

/// Whether the longest prefix that fits belongs to other users or to all. A name that no namespace fits is the
/// user's own: leaving it out needs a reason.
pub(super) fn is_foreign(entry: &MailboxEntry, source: &AccountListing) -> bool {
    if entry.name.is_inbox() {
        return false;
    }
    let longest = |namespaces: &[Namespace]| {
        let fitting = namespaces.iter().filter(|namespace| lies_in(entry.name.text(), namespace));
        fitting.map(|namespace| namespace.prefix.len()).max()
    };
    let spaces = &source.namespaces;
    let foreign = longest(&spaces.other).max(longest(&spaces.shared));
    foreign > longest(&spaces.personal)
}

/// Below the prefix, or the mailbox that the prefix without its delimiter names.
fn lies_in(name: &str, namespace: &Namespace) -> bool {
    let bare = namespace.delimiter.and_then(|delimiter| namespace.prefix.strip_suffix(delimiter));
    names::strip_prefix(name, &namespace.prefix).is_some() || bare == Some(name)
}
