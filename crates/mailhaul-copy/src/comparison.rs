//! Pure: two lists of messages, and what differs between them. Shared by both levels of verify that look at messages.

use std::collections::BTreeMap;

/// A message as far as verify has looked at it. What was not looked at is `None` on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen<I> {
    pub(crate) uid: u32,
    /// What makes it this message: a digest of its octets, or its key.
    pub(crate) identity: I,
    pub(crate) size: Option<u64>,
    /// Unix seconds.
    pub(crate) date: Option<i64>,
    pub(crate) flags: Option<String>,
}

/// What a comparison found. Positions are indices into the two lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Same identity, and everything else the same too.
    pub(crate) equal: u64,
    /// Same identity, something else differs: source, target, what.
    pub(crate) altered: Vec<(usize, usize, String)>,
    /// Source messages without a partner.
    pub(crate) missing: Vec<usize>,
    /// Target messages without a partner whose identity the source knows.
    pub(crate) doubled: Vec<usize>,
    /// Target messages without a partner that are otherwise unknown.
    pub(crate) extra: Vec<usize>,
}

/// Pairs messages one to one. Within one identity, those that agree in everything are paired first, so that of two
/// twins with different flags each finds its own copy.
pub(crate) fn compare<I: Ord>(source: &[Seen<I>], target: &[Seen<I>]) -> Comparison {
    let mut groups: BTreeMap<&I, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (place, seen) in source.iter().enumerate() {
        groups.entry(&seen.identity).or_default().0.push(place);
    }
    for (place, seen) in target.iter().enumerate() {
        groups.entry(&seen.identity).or_default().1.push(place);
    }
    let mut found = Comparison::default();
    for (ours, mut theirs) in groups.into_values() {
        let known_at_source = !ours.is_empty();
        let mut left = Vec::new();
        for place in ours {
            let partner = theirs.iter().position(|other| differs(&source[place], &target[*other]).is_empty());
            match partner {
                Some(partner) => {
                    theirs.remove(partner);
                    found.equal += 1;
                }
                None => left.push(place),
            }
        }
        let pairs = left.len().min(theirs.len());
        for (place, other) in left.iter().zip(&theirs) {
            found.altered.push((*place, *other, differs(&source[*place], &target[*other])));
        }
        found.missing.extend(&left[pairs..]);
        let residue = if known_at_source { &mut found.doubled } else { &mut found.extra };
        residue.extend(&theirs[pairs..]);
    }
    found.altered.sort();
    found.missing.sort_unstable();
    found.doubled.sort_unstable();
    found.extra.sort_unstable();
    found
}

/// What differs between two messages of one identity; empty if nothing does.
fn differs<I>(source: &Seen<I>, target: &Seen<I>) -> String {
    let mut parts = Vec::new();
    if source.size != target.size {
        parts.push(format!("size {} became {}", shown(source.size), shown(target.size)));
    }
    if source.date != target.date {
        parts.push(format!("internal date {} became {}", shown_date(source.date), shown_date(target.date)));
    }
    if source.flags != target.flags {
        let flags = |flags: &Option<String>| flags.clone().filter(|text| !text.is_empty()).unwrap_or("none".into());
        parts.push(format!("flags {} became {}", flags(&source.flags), flags(&target.flags)));
    }
    parts.join("; ")
}

fn shown(number: Option<u64>) -> String {
    number.map_or_else(|| "unknown".to_owned(), |number| number.to_string())
}

fn shown_date(date: Option<i64>) -> String {
    let shown = |secs| mailhaul_types::InternalDate::from_unix_secs(secs).to_string();
    date.map_or_else(|| "unknown".to_owned(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(uid: u32, identity: &'static str, flags: &str) -> Seen<&'static str> {
        Seen { uid, identity, size: Some(1), date: Some(0), flags: Some(flags.to_owned()) }
    }

    #[test]
    fn names_exactly_what_is_missing_doubled_altered_and_extra() {
        let source = [seen(1, "a", ""), seen(2, "b", ""), seen(3, "b", "\\Seen"), seen(4, "c", ""), seen(5, "d", "")];
        let target = [
            seen(11, "b", "\\Seen"),
            seen(12, "b", ""),
            seen(13, "a", ""),
            seen(14, "a", ""),
            seen(15, "x", ""),
            seen(16, "c", "\\Flagged"),
        ];
        let found = compare(&source, &target);
        assert_eq!(found.equal, 3);
        assert_eq!(found.missing, [4]);
        assert_eq!(found.doubled, [3]);
        assert_eq!(found.extra, [4]);
        assert_eq!(found.altered, [(3, 5, "flags none became \\Flagged".to_owned())]);
    }

    #[test]
    fn equal_lists_in_any_order_are_equal() {
        let source: Vec<_> = (0..50).map(|uid| seen(uid, if uid % 3 == 0 { "a" } else { "b" }, "")).collect();
        let target: Vec<_> = source.iter().rev().cloned().collect();
        assert_eq!(compare(&source, &target), Comparison { equal: 50, ..Comparison::default() });
    }
}
