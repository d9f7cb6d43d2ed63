//! Patterns for mailbox names, as IMAP's LIST knows them.

use super::names::with_plain_inbox;

/// A pattern over full mailbox names: `*` stands for anything, the hierarchy delimiter included; `%` for anything
/// without it (RFC 9051 §6.3.9); every other character, `?` and `[` too, for itself. Case counts, except that INBOX
/// is one name in any case, alone or as the first part. `Trash` means that mailbox alone, `Trash*` also what lies
/// below it and whatever else begins so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    pattern: String,
}

impl Glob {
    /// Every text is a pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self { pattern: pattern.to_owned() }
    }

    /// Whether the pattern fits the whole of `name`, whose hierarchy delimiter is given. Takes time in proportion to
    /// the product of the two lengths, whatever they hold.
    #[must_use]
    pub fn matches(&self, name: &str, delimiter: Option<char>) -> bool {
        if name.eq_ignore_ascii_case("INBOX") {
            return fits(&self.pattern.to_ascii_lowercase(), "inbox", delimiter);
        }
        fits(&with_plain_inbox(&self.pattern, delimiter), &with_plain_inbox(name, delimiter), delimiter)
    }
}

/// Follows all places of the pattern that may be reached at once: `reached[i]` means that the first `i` characters of
/// the pattern fit what was read of the name.
fn fits(pattern: &str, name: &str, delimiter: Option<char>) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    pass_wildcards(&pattern, &mut reached);
    for character in name.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (place, expected) in pattern.iter().enumerate().filter(|(place, _)| reached[*place]) {
            match expected {
                '*' => next[place] = true,
                '%' if Some(character) != delimiter => next[place] = true,
                '%' => {}
                _ if *expected == character => next[place + 1] = true,
                _ => {}
            }
        }
        pass_wildcards(&pattern, &mut next);
        reached = next;
    }
    reached[pattern.len()]
}

/// A wildcard may also stand for nothing.
fn pass_wildcards(pattern: &[char], reached: &mut [bool]) {
    for (place, character) in pattern.iter().enumerate() {
        if reached[place] && matches!(character, '*' | '%') {
            reached[place + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::new(pattern).matches(name, Some('/'))
    }

    #[test]
    fn star_crosses_the_delimiter_and_percent_does_not() {
        let cases = [
            ("*", "a/b/c", true),
            ("*", "", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("%/%", "a/b", true),
            ("a/*", "a/b/c", true),
            ("a/*", "a", false),
            ("a*", "a/b", true),
            ("a*", "ab", true),
            ("*/c", "a/b/c", true),
            ("%/c", "a/b/c", false),
            ("*b%c*", "xxb-c/yy", true),
            ("*b%c*", "xxb/c/yy", false),
            ("a**b", "ab", true),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn other_characters_stand_for_themselves() {
        assert!(!matches("a?c", "abc"));
        assert!(matches("a?c", "a?c"));
        assert!(matches("[Gmail]/*", "[Gmail]/Sent Mail"));
        assert!(!matches("{a,b}", "a"));
        assert!(matches("Entwürfe*", "Entwürfe/日本"));
    }

    #[test]
    fn case_counts_except_for_inbox() {
        let cases = [
            ("inbox", "INBOX", true),
            ("In*", "INBOX", true),
            ("Inbox/x", "INBOX/x", true),
            ("INBOX/%", "Inbox/x", true),
            ("inbox/X", "INBOX/x", false),
            ("sent", "Sent", false),
            ("inboxes", "Inboxes", false),
            ("INBOXES", "Inboxes", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn without_a_delimiter_percent_is_like_star() {
        assert!(Glob::new("%").matches("a/b.c", None));
    }

    /// The obvious definition, exponential and therefore only for short texts.
    fn by_definition(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((wild @ ('*' | '%'), rest)) => {
                by_definition(rest, name)
                    || name.split_first().is_some_and(|(first, others)| {
                        (*wild == '*' || *first != '/') && by_definition(pattern, others)
                    })
            }
            Some((first, rest)) => {
                name.split_first().is_some_and(|(found, others)| found == first && by_definition(rest, others))
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab/*%]{0,7}", name in "[ab/]{0,7}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), by_definition(&characters(&pattern), &characters(&name)));
        }

        #[test]
        fn takes_any_text(pattern in ".{0,60}", name in ".{0,60}", delimiter in proptest::option::of(any::<char>())) {
            let literal: String = name.chars().filter(|character| !matches!(character, '*' | '%')).collect();
            prop_assert!(Glob::new(&literal).matches(&literal, delimiter));
            let _ = Glob::new(&pattern).matches(&name, delimiter);
        }
    }
}
