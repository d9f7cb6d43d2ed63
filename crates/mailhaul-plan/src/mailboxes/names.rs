//! Names as text: what counts as the same name, what the target can spell, what to try when it refuses one.

use super::{AccountListing, MailboxEntry, Namespace};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// How names look on the target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetShape {
    /// What the user's own names begin with: `""` or, for example, `INBOX.`.
    pub prefix: String,
    /// What separates the parts; `None` where there is no hierarchy.
    pub delimiter: Option<char>,
    /// Whether the server itself said so (NAMESPACE). If not, a refused name is also tried below INBOX.
    pub declared: bool,
}

impl TargetShape {
    /// Prefix and delimiter of the user's first own namespace; without NAMESPACE what the names themselves show.
    /// Control characters, which a server might announce as either, are not taken over into names.
    pub(super) fn of(listing: &AccountListing) -> Self {
        let personal = listing.namespaces.personal.first();
        let delimiter = personal
            .and_then(|namespace| namespace.delimiter)
            .or_else(|| delimiter_seen(&listing.mailboxes))
            .filter(|delimiter| !delimiter.is_control());
        let declared = listing.namespaces.declared;
        let sendable = |namespace: &&Namespace| !namespace.prefix.chars().any(char::is_control);
        let mut prefix = personal.filter(sendable).map(|namespace| namespace.prefix.clone()).unwrap_or_default();
        if let Some(delimiter) = delimiter {
            if !declared && prefix.is_empty() && all_below_inbox(&listing.mailboxes) {
                "INBOX".clone_into(&mut prefix);
            }
            if !prefix.is_empty() && !prefix.ends_with(delimiter) {
                prefix.push(delimiter);
            }
        }
        Self { prefix, delimiter, declared }
    }

    /// A name at the top: `part` under the prefix.
    pub(super) fn at_top(&self, part: &str) -> String {
        format!("{}{part}", self.prefix)
    }

    /// A name below another.
    pub(super) fn below(&self, parent: &str, part: &str) -> String {
        format!("{parent}{}{part}", self.delimiter.unwrap_or(self.harmless()))
    }

    /// One part of a name as the target can spell it; whether that changed anything. Line ends, NUL and other control
    /// characters never pass, whatever the target thinks of them.
    pub(super) fn spell_part(&self, part: &str) -> (String, bool) {
        let readable = readable(part);
        let mut spelt: String = readable
            .chars()
            .map(|character| {
                let bad = character.is_control() || Some(character) == self.delimiter;
                if bad { self.harmless() } else { character }
            })
            .collect();
        if spelt.is_empty() {
            spelt.push(self.harmless());
        }
        let changed = spelt != part;
        (spelt, changed)
    }

    /// Stands in for what cannot be spelt.
    fn harmless(&self) -> char {
        if self.delimiter == Some('_') { '-' } else { '_' }
    }

    fn parts<'a>(&self, rest: &'a str) -> Vec<&'a str> {
        match self.delimiter {
            Some(delimiter) => rest.split(delimiter).collect(),
            None => vec![rest],
        }
    }

    fn join<S: AsRef<str>>(&self, parts: &[S]) -> String {
        let mut joined = self.prefix.clone();
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                joined.extend(self.delimiter);
            }
            joined.push_str(part.as_ref());
        }
        joined
    }
}

/// Longest part that is sent unshortened once a server has refused a name, in characters.
const PART_MAX: usize = 60;
/// How much of a longer part is kept, in characters.
const PART_KEPT: usize = 40;

/// A name to try instead of `name`, which the target refused: the `attempt`-th (from 0) of a short list that goes
/// from harmless to drastic. `None` when the list is at its end. The same name always leads to the same list.
///
/// The list: blanks tidied and characters replaced that common servers refuse; below INBOX, where the server did not
/// declare its namespaces; beside INBOX instead of below it; plain ASCII; parts shortened; the last part with `_`
/// after it, where it is a reserved word; everything in one part.
#[must_use]
pub fn safer_name(name: &str, shape: &TargetShape, attempt: u32) -> Option<String> {
    let place = usize::try_from(attempt).ok()?;
    safer_names(name, shape).into_iter().nth(place)
}

/// The whole list behind [`safer_name`].
pub(super) fn safer_names(name: &str, shape: &TargetShape) -> Vec<String> {
    if name.eq_ignore_ascii_case("INBOX") {
        return Vec::new();
    }
    let rest = strip_prefix(name, &shape.prefix).filter(|rest| !rest.is_empty());
    let shape = &TargetShape { prefix: rest.map_or("", |_| &shape.prefix).to_owned(), ..shape.clone() };
    let parts = shape.parts(rest.unwrap_or(name));
    let tidy: Vec<String> = parts.iter().map(|part| tidy_part(part, shape)).collect();
    let ascii: Vec<String> = tidy.iter().map(|part| tidy_part(&ascii_part(part), shape)).collect();
    let short: Vec<String> = ascii.iter().map(|part| short_part(part)).collect();
    let below_inbox = parts.len() > 1 && parts[0].eq_ignore_ascii_case("INBOX");

    let mut names = vec![shape.join(&tidy)];
    if let (false, "", false, Some(delimiter)) = (shape.declared, shape.prefix.as_str(), below_inbox, shape.delimiter) {
        names.push(format!("INBOX{delimiter}{}", shape.join(&tidy)));
    }
    if below_inbox {
        let beside = format!("{}{}{}", tidy[0], shape.harmless(), tidy[1]);
        names.push(shape.join(&[&[beside], &tidy[2..]].concat()));
    }
    names.push(shape.join(&ascii));
    names.push(shape.join(&short));
    names.push(format!("{}{}", shape.join(&short), shape.harmless()));
    names.push(format!("{}{}", shape.prefix, short.join(&shape.harmless().to_string())));

    let mut list: Vec<String> = Vec::new();
    for candidate in names {
        if candidate != name && !candidate.eq_ignore_ascii_case("INBOX") && !list.contains(&candidate) {
            list.push(candidate);
        }
    }
    list
}

/// How a name is told from its like.
pub(super) fn numbered(name: &str, number: u32) -> String {
    format!("{name}-{number}")
}

/// The name without its number, if it has one as [`numbered`] writes it.
pub(super) fn without_number(name: &str) -> Option<&str> {
    let (base, number) = name.rsplit_once('-')?;
    let plain = !number.starts_with('0') && number.bytes().all(|octet| octet.is_ascii_digit());
    (plain && number.parse::<u32>().is_ok_and(|number| number >= 2)).then_some(base)
}

/// What two names share that some servers cannot tell apart: case and normalisation are taken out. Upper case comes
/// first, so that `ß` meets `SS` and both forms of the Greek sigma meet.
pub(super) fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfd().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

/// INBOX is one name in any case, also as the first part of a name.
pub(super) fn with_plain_inbox(name: &str, delimiter: Option<char>) -> String {
    match name.get(..5) {
        Some(head) if head.eq_ignore_ascii_case("INBOX") => {
            let after = name[5..].chars().next();
            let whole_part = after.is_none() || after == delimiter;
            if whole_part { format!("INBOX{}", &name[5..]) } else { name.to_owned() }
        }
        _ => name.to_owned(),
    }
}

/// What follows the prefix; the INBOX in a prefix is recognised in any case.
pub(super) fn strip_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let head = name.get(..prefix.len())?;
    let equal = match (head.get(..5), prefix.get(..5)) {
        (Some(head_start), Some(prefix_start)) if prefix_start.eq_ignore_ascii_case("INBOX") => {
            head_start.eq_ignore_ascii_case("INBOX") && head[5..] == prefix[5..]
        }
        _ => head == prefix,
    };
    equal.then(|| &name[prefix.len()..])
}

/// The delimiter that most likely holds for an account: INBOX's, or the first that any name has.
fn delimiter_seen(mailboxes: &[MailboxEntry]) -> Option<char> {
    let inbox = mailboxes.iter().find(|entry| entry.name.is_inbox()).and_then(|entry| entry.delimiter);
    inbox.or_else(|| {
        let first = mailboxes.iter().filter(|entry| entry.delimiter.is_some()).min_by_key(|entry| entry.name.text());
        first.and_then(|entry| entry.delimiter)
    })
}

/// Whether there are mailboxes besides INBOX and all of them lie below it.
fn all_below_inbox(mailboxes: &[MailboxEntry]) -> bool {
    let mut others = mailboxes.iter().filter(|entry| !entry.name.is_inbox()).peekable();
    others.peek().is_some()
        && others.all(|entry| {
            let plain = with_plain_inbox(entry.name.text(), entry.delimiter);
            plain.strip_prefix("INBOX").is_some_and(|rest| {
                let mut rest = rest.chars();
                rest.next() == entry.delimiter && rest.next().is_some()
            })
        })
}

/// A part in which octets stand that were no text: they are read as UTF-8, which servers often hand out raw, or else
/// as Latin-1, in which every octet is something.
fn readable(part: &str) -> String {
    let octet = |character: char| match u32::from(character) {
        raw @ 0xF780..=0xF7FF => u8::try_from(raw - 0xF700).ok(),
        _ => None,
    };
    if !part.chars().any(|character| octet(character).is_some()) {
        return part.to_owned();
    }
    let mut octets = Vec::with_capacity(part.len());
    for character in part.chars() {
        match octet(character) {
            Some(octet) => octets.push(octet),
            None => octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    String::from_utf8(octets)
        .unwrap_or_else(|_| part.chars().map(|character| octet(character).map_or(character, char::from)).collect())
}

/// Refused by Cyrus, Exchange, Gmail or Zimbra, or special to LIST.
const REFUSED: &str = "!\"%&*/:;<>?\\^`{|}";

fn tidy_part(part: &str, shape: &TargetShape) -> String {
    let harmless = shape.harmless();
    let bad =
        |character: char| character.is_control() || REFUSED.contains(character) || Some(character) == shape.delimiter;
    let words: Vec<&str> = part.split_whitespace().collect();
    let mut tidy: String =
        words.join(" ").chars().map(|character| if bad(character) { harmless } else { character }).collect();
    // Dovecot refuses a leading `~`, `#` announces a namespace, dots at the ends are special to file systems.
    if tidy.starts_with(['~', '#', '.']) {
        tidy.replace_range(..1, &harmless.to_string());
    }
    if tidy.ends_with('.') {
        tidy.replace_range(tidy.len() - 1.., &harmless.to_string());
    }
    if tidy.is_empty() {
        tidy.push(harmless);
    }
    tidy
}

/// Letters without their marks. A part of which less than half survives gets a name made of its digest instead, so
/// that two such parts stay two.
fn ascii_part(part: &str) -> String {
    if part.is_ascii() {
        return part.to_owned();
    }
    let letters = part.nfkd().filter(|character| !is_combining_mark(*character));
    let plain: String = letters.map(|character| if character.is_ascii() { character } else { '_' }).collect();
    let lost = plain.chars().filter(|character| *character == '_').count();
    if lost * 2 > plain.chars().count() { format!("mailbox-{}", digest(part)) } else { plain }
}

fn short_part(part: &str) -> String {
    if part.chars().count() <= PART_MAX {
        return part.to_owned();
    }
    let kept: String = part.chars().take(PART_KEPT).collect();
    format!("{}-{}", kept.trim_end(), digest(part))
}

/// FNV-1a, 32 bits, in hex: only to tell names apart, the collision check comes after it.
fn digest(text: &str) -> String {
    let value = text.bytes().fold(0x811c_9dc5_u32, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193));
    format!("{value:08x}")
}
