//! Good answers made bad: what a broken, lying or hostile server could say instead. Pure: the same seed, the same octets.

use crate::histories::Dice;

/// In which way an answer is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// One octet becomes another one.
    FlipOctet,
    /// One octet is gone.
    DropOctet,
    /// Some octets are put in that no server sends.
    InsertOctets,
    /// A line is gone.
    DropLine,
    /// A line comes twice.
    DoubleLine,
    /// Two lines have changed places.
    SwapLines,
    /// A word is gone.
    DropWord,
    /// Two words have changed places.
    SwapWords,
    /// A word becomes one of those that stand for something else.
    OtherWord,
    /// A number becomes one that no counter holds, or none.
    OtherNumber,
    /// The end is missing.
    Truncate,
    /// A literal is announced that is far too large.
    GiantLiteral,
    /// Parentheses that are opened, and opened again.
    DeepNesting,
    /// A line that does not end.
    EndlessLine,
    /// Lines that were not asked for, without end.
    EndlessUntagged,
}

/// All of them; the last four grow with the size that is asked for.
pub const ALL: [Mutation; 15] = [
    Mutation::FlipOctet,
    Mutation::DropOctet,
    Mutation::InsertOctets,
    Mutation::DropLine,
    Mutation::DoubleLine,
    Mutation::SwapLines,
    Mutation::DropWord,
    Mutation::SwapWords,
    Mutation::OtherWord,
    Mutation::OtherNumber,
    Mutation::Truncate,
    Mutation::GiantLiteral,
    Mutation::DeepNesting,
    Mutation::EndlessLine,
    Mutation::EndlessUntagged,
];

/// Those whose size can be chosen.
pub const GROWING: [Mutation; 3] = [Mutation::DeepNesting, Mutation::EndlessLine, Mutation::EndlessUntagged];

const WORDS: [&str; 22] = [
    "NIL",
    "()",
    "((",
    "))",
    "\"",
    "{0}",
    "{1}",
    "{7+}",
    "~{3}",
    "*",
    "+",
    "OK",
    "NO",
    "BAD",
    "BYE",
    "PREAUTH",
    "[UIDVALIDITY 0]",
    "[APPENDUID 1 1:4294967295]",
    "BODY[]<0>",
    "4294967295:1",
    "1:*",
    "&AOQ-&",
];

const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "1e9",
    "00000000000000000007",
    "99999999999999999999999999",
    "",
];

/// An answer after one mutation. `size` is how many octets those that grow may add.
#[must_use]
pub fn mutate(answer: &[u8], mutation: Mutation, size: usize, dice: &mut Dice) -> Vec<u8> {
    let mut octets = answer.to_vec();
    let at = dice.below(octets.len() + 1);
    match mutation {
        Mutation::FlipOctet => {
            if let Some(octet) = octets.get_mut(at) {
                *octet = dice.one_of(&[0, b'\r', b'\n', b'(', b')', b'"', b'{', b' ', 0x80, 0xff, *octet ^ 1]);
            }
        }
        Mutation::DropOctet => drop((at < octets.len()).then(|| octets.remove(at))),
        Mutation::InsertOctets => {
            let strange: Vec<u8> = (0..=dice.below(8)).map(|_| dice.roll().to_be_bytes()[0]).collect();
            octets.splice(at..at, strange);
        }
        Mutation::DropLine | Mutation::DoubleLine | Mutation::SwapLines => return lines(answer, mutation, dice),
        Mutation::DropWord | Mutation::SwapWords | Mutation::OtherWord => return words(answer, mutation, dice),
        Mutation::OtherNumber => return number(answer, dice),
        Mutation::Truncate => octets.truncate(at),
        Mutation::GiantLiteral => {
            let length = dice.one_of(&["500000000", "4294967295", "9223372036854775807", "99999999999999999999"]);
            octets.splice(at..at, format!(" {{{length}}}\r\n").into_bytes());
        }
        Mutation::DeepNesting => drop(octets.splice(at..at, "(".repeat(size).into_bytes())),
        Mutation::EndlessLine => drop(octets.splice(at..at, b"A".repeat(size))),
        Mutation::EndlessUntagged => {
            let line = dice.one_of(&[
                "* OK still here\r\n",
                "* 1 EXPUNGE\r\n",
                "* 7 EXISTS\r\n",
                "* 3 FETCH (FLAGS ())\r\n",
                "* SEARCH 1 2 3 4 5\r\n",
                "* LIST () \"/\" more\r\n",
                "* VANISHED 1:4294967295\r\n",
                "* x\r\n",
            ]);
            // Between two lines, or it would be one line.
            let start = octets[..at].iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
            octets.splice(start..start, line.repeat(size / line.len()).into_bytes());
        }
    }
    octets
}

fn lines(answer: &[u8], mutation: Mutation, dice: &mut Dice) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = answer.split_inclusive(|octet| *octet == b'\n').collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let (one, other) = (dice.below(lines.len()), dice.below(lines.len()));
    match mutation {
        Mutation::DropLine => drop(lines.remove(one)),
        Mutation::DoubleLine => lines.insert(other, lines[one]),
        _ => lines.swap(one, other),
    }
    lines.concat()
}

fn words(answer: &[u8], mutation: Mutation, dice: &mut Dice) -> Vec<u8> {
    let mut words: Vec<&[u8]> = answer.split_inclusive(|octet| b" \n()".contains(octet)).collect();
    if words.is_empty() {
        return Vec::new();
    }
    let (one, other) = (dice.below(words.len()), dice.below(words.len()));
    match mutation {
        Mutation::DropWord => drop(words.remove(one)),
        Mutation::SwapWords => words.swap(one, other),
        _ => words[one] = dice.one_of(&WORDS).as_bytes(),
    }
    words.concat()
}

/// One of the numbers becomes another.
fn number(answer: &[u8], dice: &mut Dice) -> Vec<u8> {
    let digit = |at: &usize| answer[*at].is_ascii_digit();
    let starts: Vec<usize> = (0..answer.len()).filter(|at| digit(at) && (*at == 0 || !digit(&(at - 1)))).collect();
    if starts.is_empty() {
        return answer.to_vec();
    }
    let start = starts[dice.below(starts.len())];
    let end = (start..answer.len()).find(|at| !digit(at)).unwrap_or(answer.len());
    [&answer[..start], dice.one_of(&NUMBERS).as_bytes(), &answer[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"* 3 FETCH (UID 7 FLAGS (\\Seen))\r\nTAG OK done\r\n";

    #[test]
    fn a_seed_makes_the_same_octets_each_time() {
        for mutation in ALL {
            let made = |seed| mutate(ANSWER, mutation, 100, &mut Dice::of(seed));
            assert_eq!(made(7), made(7), "{mutation:?}");
        }
    }

    #[test]
    fn every_mutation_spoils_something_and_copes_with_nothing() {
        for mutation in ALL {
            let spoilt = (0..50).any(|seed| mutate(ANSWER, mutation, 100, &mut Dice::of(seed)) != ANSWER);
            assert!(spoilt, "{mutation:?}");
            let _ = mutate(b"", mutation, 100, &mut Dice::of(1));
        }
    }

    #[test]
    fn what_grows_is_as_large_as_was_asked_for() {
        for mutation in GROWING {
            let length = mutate(ANSWER, mutation, 100_000, &mut Dice::of(3)).len();
            assert!((90_000..110_000).contains(&length), "{mutation:?}: {length}");
        }
    }
}
