//! Transcripts: what a client says and a server answers, as a text file.
//!
//! ```text
//! # A comment. Empty lines are skipped.
//! S: * OK [CAPABILITY IMAP4rev1] ready
//! C: a LOGIN <any>
//! S: a OK signed in
//! C: b UID FETCH <word> (UID BODY.PEEK[])
//! S: * 1 FETCH (UID 7 BODY[] {literal}
//! S-literal: "Subject: x\r\n\r\nbody\r\n"
//! S: )
//! S: b NO [LIMIT] enough for today
//! C: c APPEND "INBOX" () {<word>
//! S: + go on
//! C-literal: <any>
//! C:
//! S: c OK [APPENDUID 1 8] done
//! S-close
//! ```
//!
//! * `C: LABEL command`: the client's next line. Its tag may be anything; the label stands for it from there on. A `C:` line after a
//!   `C-literal:` continues the command and has no label. `<any>` stands for the rest of the line, `<word>` for anything without blanks.
//! * `C-literal: "…"` or `<any>`: the octets that the line before announced. `C-idle: DONE`: a line without a tag.
//! * `S: …`: a line to send; a label at its beginning becomes the client's tag. `{literal}` becomes the length of the `S-literal:` that
//!   follows; a number written out may lie.
//! * `S-literal: "…"` and `S-raw: "…"`: octets as they are. `S-repeat: n "…"`: the same octets n times.
//!   Escapes: `\r \n \t \0 \" \\ \xNN`.
//! * `S-close` sends FIN, `S-reset` RST. `S-silence`: nothing more is said, until the client leaves.
//! * `C-close`: the client is expected to leave. `---`: what follows is for the next connection.

/// A step of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    ClientLine {
        label: String,
        pattern: String,
    },
    /// A line that has no tag: the rest of a command, `DONE`, a step of AUTHENTICATE.
    ClientRest(String),
    ClientLiteral(Option<Vec<u8>>),
    ClientClose,
    ServerLine(String),
    ServerOctets(Vec<u8>),
    Close,
    Reset,
    Silence,
}

/// A step and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) step: Step,
}

/// A whole transcript: one list of steps for each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    pub(crate) connections: Vec<Vec<Line>>,
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// A line that is none of the known ones, with its number.
    pub fn parse(text: &str) -> Result<Transcript, String> {
        let mut connections = vec![Vec::new()];
        let mut in_command = false;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with("---") {
                connections.push(Vec::new());
                in_command = false;
                continue;
            }
            let step = parse_step(line, in_command).map_err(|error| format!("line {number}: {error}"))?;
            in_command = match &step {
                Step::ClientLiteral(_) => true,
                Step::ClientLine { .. } | Step::ClientRest(_) => false,
                _ => in_command,
            };
            if let Some(steps) = connections.last_mut() {
                steps.push(Line { number, step });
            }
        }
        for steps in &mut connections {
            fill_lengths(steps)?;
        }
        Ok(Transcript { connections })
    }

    /// Reads a transcript from a file.
    ///
    /// # Errors
    /// The file cannot be read, or as [`Transcript::parse`]; both name the file.
    pub fn load(path: &std::path::Path) -> Result<Transcript, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Transcript::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn parse_step(line: &str, in_command: bool) -> Result<Step, String> {
    let (word, rest) = line.split_once(':').map_or((line.trim_end(), ""), |(word, rest)| (word, rest));
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    match word {
        "C" if in_command => Ok(Step::ClientRest(rest.to_owned())),
        "C" => {
            let (label, pattern) = rest.split_once(' ').ok_or("a command needs a label and a name")?;
            Ok(Step::ClientLine { label: label.to_owned(), pattern: pattern.to_owned() })
        }
        "C-idle" => Ok(Step::ClientRest(rest.to_owned())),
        "C-literal" if rest.trim() == "<any>" => Ok(Step::ClientLiteral(None)),
        "C-literal" => Ok(Step::ClientLiteral(Some(unquote(rest)?))),
        "C-close" => Ok(Step::ClientClose),
        "S" => Ok(Step::ServerLine(rest.to_owned())),
        "S-literal" | "S-raw" => Ok(Step::ServerOctets(unquote(rest)?)),
        "S-repeat" => {
            let (times, octets) = rest.split_once(' ').ok_or("S-repeat needs a number and octets")?;
            let times: usize = times.parse().map_err(|_| format!("no number: {times}"))?;
            Ok(Step::ServerOctets(unquote(octets)?.repeat(times)))
        }
        "S-close" => Ok(Step::Close),
        "S-reset" => Ok(Step::Reset),
        "S-silence" => Ok(Step::Silence),
        other => Err(format!("no such step: {other}")),
    }
}

/// Puts the lengths of the octets that follow in the place of `{literal}`.
fn fill_lengths(steps: &mut [Line]) -> Result<(), String> {
    for at in 0..steps.len() {
        let length = match steps.get(at + 1).map(|line| &line.step) {
            Some(Step::ServerOctets(octets)) => Some(octets.len()),
            _ => None,
        };
        let Line { number, step: Step::ServerLine(text) } = &mut steps[at] else { continue };
        if text.contains("{literal}") {
            let length = length.ok_or(format!("line {number}: no S-literal follows"))?;
            *text = text.replace("{literal}", &format!("{{{length}}}"));
        }
    }
    Ok(())
}

/// The octets of a quoted string with escapes.
fn unquote(text: &str) -> Result<Vec<u8>, String> {
    let inner = text.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let inner = inner.ok_or(format!("not in quotes: {text}"))?;
    let mut octets = Vec::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        octets.push(match characters.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('"') => b'"',
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).map_err(|_| format!("no hexadecimal number: {digits}"))?
            }
            other => return Err(format!("no such escape: {other:?}")),
        });
    }
    Ok(octets)
}

/// True when a client's line is as the pattern says.
pub(crate) fn matches(pattern: &str, line: &str) -> bool {
    let any = pattern.find("<any>");
    let word = pattern.find("<word>");
    match (any, word) {
        (Some(at), word) if word.is_none_or(|word| at < word) => line.starts_with(&pattern[..at]),
        (_, Some(at)) => {
            let Some(rest) = line.strip_prefix(&pattern[..at]) else { return false };
            let end = rest.find(' ').unwrap_or(rest.len());
            let after = &pattern[at + "<word>".len()..];
            // A word may be followed by more than a blank: `{<word>}`, `<word>)`.
            let literal = after.split(' ').next().unwrap_or_default();
            let Some(word) = rest[..end].strip_suffix(literal) else { return false };
            !word.is_empty() && matches(&after[literal.len()..], &rest[end..])
        }
        _ => pattern == line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_lines() {
        for (pattern, line, expected) in [
            ("NOOP", "NOOP", true),
            ("NOOP", "NOOP ", false),
            ("LOGIN <any>", "LOGIN a b", true),
            ("LOGIN <any>", "LOGOUT", false),
            ("UID FETCH <word> (FLAGS)", "UID FETCH 1:5 (FLAGS)", true),
            ("UID FETCH <word> (FLAGS)", "UID FETCH 1:5 (UID)", false),
            ("APPEND x {<word>}", "APPEND x {12+}", true),
            ("APPEND x {<word>}", "APPEND x {}", false),
            ("A <word> <any>", "A b c d", true),
        ] {
            assert_eq!(matches(pattern, line), expected, "{pattern:?} and {line:?}");
        }
    }

    #[test]
    fn a_mistake_in_a_transcript_is_named_with_its_line() {
        for (text, mistake) in [
            ("S: ok\nX: what", "line 2: no such step: X"),
            ("S-raw: \"\\q\"", "line 1: no such escape: Some('q')"),
            ("S: * {literal}\nS: x", "line 1: no S-literal follows"),
        ] {
            assert_eq!(Transcript::parse(text), Err(mistake.to_owned()));
        }
    }

    #[test]
    fn lengths_are_filled_in_and_octets_unescaped() {
        let transcript =
            Transcript::parse("S: * {literal}\nS-literal: \"a\\r\\n\\x00\\\"\\\\é\"\n---\nS-repeat: 3 \"ab\"\n");
        let connections = transcript.expect("a good transcript").connections;
        assert_eq!(connections[0][0].step, Step::ServerLine("* {8}".into()));
        assert_eq!(connections[0][1].step, Step::ServerOctets("a\r\n\0\"\\é".into()));
        assert_eq!(connections[1][0].step, Step::ServerOctets(b"ababab".to_vec()));
    }
}
