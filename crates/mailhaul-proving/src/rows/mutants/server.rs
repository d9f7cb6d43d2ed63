//! Answers as they were recorded, one of them spoilt.

use mailhaul_imap::{Dialer, Dialled, Stream};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::mutate::{Mutation, mutate};
use mailhaul_types::Side;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};

const DOVECOT: &str = include_str!("../../../transcripts/dovecot.txt");
const CYRUS: &str = include_str!("../../../transcripts/cyrus.txt");
const GREETING: &str = "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID ENABLE AUTH=PLAIN] ready\r\n";

/// What lies between client and server in memory.
const PIPE_BYTES: usize = 64 << 10;

/// The answers to each kind of command; `TAG` stands for the tag.
#[derive(Clone, Debug)]
pub(super) struct Recording(Arc<BTreeMap<String, Vec<u8>>>);

impl Recording {
    pub(super) fn dovecot() -> Recording {
        Recording::of(DOVECOT)
    }

    /// Both servers that were recorded.
    pub(super) fn all() -> [Recording; 2] {
        [Recording::dovecot(), Recording::of(CYRUS)]
    }

    fn of(transcript: &str) -> Recording {
        let mut answers: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut kind = String::new();
        for line in transcript.lines() {
            if let Some(command) = line.strip_prefix("C: ") {
                command.clone_into(&mut kind);
            } else if let Some(text) = line.strip_prefix("S-raw: ") {
                answers.entry(kind.clone()).or_default().extend(unescape(text.trim_matches('"')));
            }
        }
        Recording(Arc::new(answers))
    }

    /// A server that spoils one of its answers; number 0 is the greeting.
    pub(super) fn spoilt(&self, at: usize, mutation: Mutation, size: usize, dice: Dice) -> Arc<Spoilt> {
        Arc::new(Spoilt { recording: self.clone(), at, mutation, size, dice, said: AtomicUsize::new(0) })
    }

    /// What comes while a client idles: all but the last line.
    fn length_of_news(&self) -> usize {
        let text = self.0.get("IDLE").map(Vec::as_slice).unwrap_or_default();
        memchr::memmem::find(text, b"TAG ").unwrap_or(text.len())
    }

    fn answer(&self, tag: &str, kind: &str) -> Vec<u8> {
        let usual = b"TAG OK done\r\n".to_vec();
        let text = self.0.get(kind).unwrap_or(&usual);
        // Only at the beginning of a line: a message may have the word in it.
        let mut answer = Vec::with_capacity(text.len() + tag.len());
        for line in text.split_inclusive(|octet| *octet == b'\n') {
            match line.strip_prefix(b"TAG ") {
                Some(rest) => answer.extend([tag.as_bytes(), b" ", rest].concat()),
                None => answer.extend(line),
            }
        }
        answer
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match (octet, octet == b'\\') {
            (_, true) => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                    std::str::from_utf8(&digits).ok().and_then(|two| u8::from_str_radix(two, 16).ok()).unwrap_or(0)
                }
                Some(other) => other,
                None => octet,
            },
            (octet, false) => octet,
        });
    }
    octets
}

/// A server of one session.
#[derive(Debug)]
pub(super) struct Spoilt {
    recording: Recording,
    at: usize,
    mutation: Mutation,
    size: usize,
    dice: Dice,
    /// Answers so far, of the connection that has come furthest.
    said: AtomicUsize,
}

/// Hands out connections to it.
pub(super) struct ToSpoilt(pub(super) Arc<Spoilt>);

impl Dialer for ToSpoilt {
    fn dial(&self, _: Side, _: &str, _: u16) -> Dialled {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let server = Arc::clone(&self.0);
        tokio::spawn(async move {
            // The client may leave whenever it likes.
            let _left = server.serve(theirs).await;
        });
        Box::pin(async move { Ok(Stream::new(ours)) })
    }
}

impl Spoilt {
    /// How many answers it gave.
    #[cfg(test)]
    pub(super) fn said(&self) -> usize {
        self.said.load(Ordering::Relaxed)
    }

    async fn serve(&self, stream: DuplexStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut number = 0;
        self.say(&mut stream, &mut number, GREETING.as_bytes().to_vec()).await?;
        let (mut line, mut idle_tag) = (Vec::new(), String::new());
        loop {
            let before = line.len();
            if stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&line[before..]).into_owned();
            if let Some((length, waits)) = literal(&text) {
                if waits {
                    self.say(&mut stream, &mut number, b"+ go on\r\n".to_vec()).await?;
                }
                tokio::io::copy(&mut (&mut stream).take(length), &mut tokio::io::sink()).await?;
                continue;
            }
            let command = String::from_utf8_lossy(&line).to_ascii_uppercase();
            let (tag, command) = command.trim_end().split_once(' ').unwrap_or((command.trim_end(), ""));
            let answer = match (tag, command) {
                // RFC 2177: the verdict comes when the client has said that it is done.
                ("DONE", "") => self.recording.answer(&idle_tag, "IDLE").split_off(self.recording.length_of_news()),
                (tag, "IDLE") => {
                    tag.clone_into(&mut idle_tag);
                    let mut answer = self.recording.answer(tag, "IDLE");
                    answer.truncate(self.recording.length_of_news());
                    answer
                }
                (tag, command) => self.recording.answer(tag, &kind_of(command)),
            };
            self.say(&mut stream, &mut number, answer).await?;
            line.clear();
        }
    }

    async fn say(&self, to: &mut BufReader<DuplexStream>, number: &mut usize, answer: Vec<u8>) -> std::io::Result<()> {
        let spoilt = *number == self.at;
        *number += 1;
        self.said.fetch_max(*number, Ordering::Relaxed);
        if !spoilt {
            return to.write_all(&answer).await;
        }
        let answer = mutate(&answer, self.mutation, self.size, &mut self.dice.clone());
        to.write_all(&answer).await?;
        if self.mutation == Mutation::Truncate && self.dice.clone().once_in(2) {
            // The end of the connection; otherwise silence.
            to.shutdown().await?;
        }
        Ok(())
    }
}

/// A literal at the end of a line, and whether the client waits for leave to send it.
fn literal(line: &str) -> Option<(u64, bool)> {
    let inner = line.trim_end().strip_suffix('}')?.rsplit_once('{')?.1;
    match inner.strip_suffix('+') {
        Some(length) => Some((length.parse().ok()?, false)),
        None => Some((inner.parse().ok()?, true)),
    }
}

/// Under which name the answer was recorded.
fn kind_of(command: &str) -> String {
    let mut words = command.split_whitespace();
    let first = words.next().unwrap_or_default();
    let name = if first == "UID" { format!("UID {}", words.next().unwrap_or_default()) } else { first.to_owned() };
    let has = |part: &str| command.contains(part);
    match name.as_str() {
        "UID FETCH" if has("CHANGEDSINCE") => "UID FETCH CHANGED".to_owned(),
        "UID FETCH" if has("HEADER") => "UID FETCH HEADER".to_owned(),
        "UID FETCH" if has("BODY.PEEK[") => "UID FETCH BODY".to_owned(),
        "UID FETCH" if has("RFC822.SIZE") => "UID FETCH SCAN".to_owned(),
        "UID FETCH" => "UID FETCH FLAGS".to_owned(),
        "UID SEARCH" if !has("RETURN") => "UID SEARCH PLAIN".to_owned(),
        _ => name,
    }
}
