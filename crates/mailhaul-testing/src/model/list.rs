//! LIST, LSUB and NAMESPACE (RFC 9051 §6.3.9, RFC 3501 §6.3.9, RFC 5258, RFC 5819, RFC 6154).

use super::parse::Arguments;
use super::reply::{Handled, Output, Verdict, mailbox_name, quoted};
use super::world::World;
use super::{Traits, status};
use crate::imap_client::utf7;
use std::collections::BTreeSet;

/// What LIST with LIST-EXTENDED is asked for besides.
#[derive(Debug, Default)]
struct Wishes {
    only_subscribed: bool,
    /// RFC 5258 §4: with RETURN only what is asked for is told.
    no_children: bool,
    subscribed: bool,
    status_items: Option<Vec<String>>,
}

pub(super) fn list(world: &World, arguments: &mut Arguments<'_>, output: &mut Output) -> Handled {
    let mut wishes = Wishes::default();
    arguments.space()?;
    if arguments.peek() == Some(b'(') {
        read_selection(arguments, &world.traits, &mut wishes)?;
        arguments.space()?;
    }
    let reference = decoded(arguments.pattern()?)?;
    arguments.space()?;
    let pattern = decoded(arguments.pattern()?)?;
    if arguments.take(b' ') {
        read_returned(arguments, &world.traits, &mut wishes)?;
    }
    arguments.end()?;
    let delimiter = quoted(&world.traits.delimiter.to_string());
    if pattern.is_empty() {
        output.untagged(&format!("LIST (\\Noselect) {delimiter} \"\""));
        return Ok(Verdict::ok("listed"));
    }
    let pattern: Vec<char> = format!("{reference}{pattern}").chars().collect();
    let names = if wishes.only_subscribed { world.holdings.subscriptions.clone() } else { all_names(world) };
    for name in names.iter().filter(|name| matches(&pattern, name, world.traits.delimiter)) {
        let attributes = attributes(world, name, &wishes);
        output.untagged(&format!("LIST ({}) {delimiter} {}", attributes.join(" "), mailbox_name(name)));
        if let Some((items, mailbox)) = wishes.status_items.as_ref().zip(world.mailbox(name)) {
            output.untagged(&status::line(name, mailbox, items, &world.traits));
        }
    }
    Ok(Verdict::ok("listed"))
}

pub(super) fn lsub(world: &World, arguments: &mut Arguments<'_>, output: &mut Output) -> Handled {
    arguments.space()?;
    let reference = decoded(arguments.pattern()?)?;
    arguments.space()?;
    let pattern = decoded(arguments.pattern()?)?;
    arguments.end()?;
    let delimiter = quoted(&world.traits.delimiter.to_string());
    let pattern: Vec<char> = format!("{reference}{pattern}").chars().collect();
    for name in world.holdings.subscriptions.iter().filter(|name| matches(&pattern, name, world.traits.delimiter)) {
        output.untagged(&format!("LSUB () {delimiter} {}", mailbox_name(name)));
    }
    Ok(Verdict::ok("listed"))
}

pub(super) fn namespace(world: &World, arguments: &Arguments<'_>, output: &mut Output) -> Handled {
    if !world.traits.namespace {
        return Err(Verdict::bad("unknown command NAMESPACE"));
    }
    arguments.end()?;
    let (prefix, delimiter) = (mailbox_name(&world.traits.prefix), quoted(&world.traits.delimiter.to_string()));
    output.untagged(&format!("NAMESPACE (({prefix} {delimiter})) NIL NIL"));
    Ok(Verdict::ok("told"))
}

fn decoded(pattern: String) -> Result<String, Verdict> {
    utf7::decode(&pattern).ok_or_else(|| Verdict::no("CANNOT", "the pattern is no modified UTF-7"))
}

fn read_selection(arguments: &mut Arguments<'_>, traits: &Traits, wishes: &mut Wishes) -> Result<(), Verdict> {
    for (name, inner) in arguments.options()? {
        match name.as_str() {
            "SUBSCRIBED" if traits.list_extended && inner.is_none() => wishes.only_subscribed = true,
            _ => return Err(Verdict::bad("an unknown selection option")),
        }
    }
    Ok(())
}

fn read_returned(arguments: &mut Arguments<'_>, traits: &Traits, wishes: &mut Wishes) -> Result<(), Verdict> {
    if arguments.keyword()? != "RETURN" || !traits.list_extended {
        return Err(Verdict::bad("too many arguments"));
    }
    arguments.space()?;
    wishes.no_children = true;
    for (name, inner) in arguments.options()? {
        match (name.as_str(), inner) {
            ("SUBSCRIBED", None) => wishes.subscribed = true,
            ("CHILDREN", None) => wishes.no_children = false,
            ("SPECIAL-USE", None) if traits.special_use => {}
            ("STATUS", Some(items)) if traits.has_list_status() => {
                let mut items_read = Arguments::new(items.as_bytes());
                wishes.status_items = Some(status::items(&mut items_read, traits)?);
            }
            _ => return Err(Verdict::bad("an unknown return option")),
        }
    }
    Ok(())
}

/// Every mailbox, and what stands above one and is none itself.
fn all_names(world: &World) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for name in world.holdings.mailboxes.keys() {
        names.insert(name.clone());
        let mut above = name.as_str();
        while let Some((parent, _)) = above.rsplit_once(world.traits.delimiter) {
            if !parent.is_empty() {
                names.insert(parent.to_owned());
            }
            above = parent;
        }
    }
    names
}

fn attributes(world: &World, name: &str, wishes: &Wishes) -> Vec<String> {
    let mut attributes = Vec::new();
    let mailbox = world.mailbox(name);
    if mailbox.is_none() {
        let is_above = world.is_name_taken(name);
        attributes.push(if is_above { "\\Noselect" } else { "\\NonExistent" }.to_owned());
    }
    if (wishes.subscribed || wishes.only_subscribed) && world.holdings.subscriptions.contains(name) {
        attributes.push("\\Subscribed".to_owned());
    }
    if !wishes.no_children {
        let beneath = format!("{name}{}", world.traits.delimiter);
        let has_children = world.holdings.mailboxes.keys().any(|known| known.starts_with(&beneath));
        attributes.push(if has_children { "\\HasChildren" } else { "\\HasNoChildren" }.to_owned());
    }
    attributes.extend(mailbox.and_then(|mailbox| mailbox.special_use.clone()).filter(|_| world.traits.special_use));
    attributes
}

/// Whether a name fits: `*` is anything, `%` anything but the delimiter, and INBOX is INBOX in every spelling.
fn matches(pattern: &[char], name: &str, delimiter: char) -> bool {
    let name_chars: Vec<char> = name.chars().collect();
    let pattern_text: String = pattern.iter().collect();
    (name == "INBOX" && pattern_text.eq_ignore_ascii_case("INBOX")) || matches_from(pattern, &name_chars, delimiter)
}

/// Without recursion, so that no pattern can cost more than its length times the name's.
fn matches_from(pattern: &[char], name: &[char], delimiter: char) -> bool {
    // Places in the pattern that may be reached after so much of the name.
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    let spread = |reached: &mut Vec<bool>| {
        for (place, wanted) in pattern.iter().enumerate() {
            if reached[place] && matches!(wanted, '*' | '%') {
                reached[place + 1] = true;
            }
        }
    };
    spread(&mut reached);
    for character in name {
        let mut next = vec![false; pattern.len() + 1];
        for (place, wanted) in pattern.iter().enumerate().filter(|(place, _)| reached[*place]) {
            match wanted {
                '*' => next[place] = true,
                '%' if *character != delimiter => next[place] = true,
                wanted if wanted == character => next[place + 1] = true,
                _ => {}
            }
        }
        spread(&mut next);
        reached = next;
    }
    reached[pattern.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_rfc_says() {
        let fits = |pattern: &str, name: &str| matches(&pattern.chars().collect::<Vec<_>>(), name, '/');
        for (pattern, name) in
            [("*", "A/B"), ("%", "A"), ("A/%", "A/B"), ("inbox", "INBOX"), ("*b*", "a/b/c"), ("%/%", "a/b")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("%", "A/B"), ("A", "AB"), ("A/%", "A"), ("Inboy", "INBOX"), ("a*%x", "ab")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        assert!(!fits(&"*a".repeat(500), &"b".repeat(500)));
    }
}
