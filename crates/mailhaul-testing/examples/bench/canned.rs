//! A source that costs next to nothing: an IMAP server with one mailbox, all of whose answers lie ready in memory.
//!
//! It knows what a copy asks for and answers everything else with OK. UIDs are 1, 2, 3 and so on.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;

use crate::mail::Mail;

/// Listens until the process ends.
pub(crate) struct CannedSource {
    pub(crate) address: SocketAddr,
}

struct Mailbox {
    /// All answers to FETCH with bodies, one behind the other.
    answers: Vec<u8>,
    /// Where each begins, and the end of the last.
    starts: Vec<usize>,
    /// The row of a scan, for each.
    rows: Vec<String>,
}

impl CannedSource {
    pub(crate) fn start(mails: &[Mail]) -> io::Result<CannedSource> {
        let mailbox = Arc::new(Mailbox::new(mails));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mailbox = Arc::clone(&mailbox);
                // A client that goes away ends its conversation.
                std::thread::spawn(move || drop(mailbox.converse(stream)));
            }
        });
        Ok(CannedSource { address })
    }
}

impl Mailbox {
    fn new(mails: &[Mail]) -> Mailbox {
        let mut mailbox = Mailbox { answers: Vec::new(), starts: vec![0], rows: Vec::new() };
        for (number, Mail { flags, date, octets }) in (1..).zip(mails) {
            let size = octets.len();
            let head =
                format!("* {number} FETCH (UID {number} FLAGS ({flags}) INTERNALDATE \"{date}\" BODY[] {{{size}}}\r\n");
            mailbox.answers.extend_from_slice(head.as_bytes());
            mailbox.answers.extend_from_slice(octets);
            mailbox.answers.extend_from_slice(b")\r\n");
            mailbox.starts.push(mailbox.answers.len());
            mailbox.rows.push(format!(
                "* {number} FETCH (UID {number} FLAGS ({flags}) INTERNALDATE \"{date}\" RFC822.SIZE {size})\r\n"
            ));
        }
        mailbox
    }

    fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut lines = BufReader::new(stream.try_clone()?);
        stream.write_all(b"* OK ready\r\n")?;
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let mut words = line.split_ascii_whitespace();
            let (tag, verb) = (words.next().unwrap_or("*"), words.next().unwrap_or_default());
            let verb = verb.to_ascii_uppercase();
            match (verb.as_str(), words.next()) {
                ("UID", Some("FETCH")) => self.fetch(&mut stream, words.next().unwrap_or_default(), &line)?,
                (verb, _) => stream.write_all(self.untagged(verb).as_bytes())?,
            }
            stream.write_all(format!("{tag} OK done\r\n").as_bytes())?;
            if verb == "LOGOUT" {
                return Ok(());
            }
            line.clear();
        }
        Ok(())
    }

    fn untagged(&self, verb: &str) -> String {
        let count = self.rows.len();
        match verb {
            "CAPABILITY" => "* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ NAMESPACE UNSELECT\r\n".to_owned(),
            "NAMESPACE" => "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n".to_owned(),
            "LIST" | "LSUB" => format!("* {verb} () \"/\" INBOX\r\n"),
            "STATUS" => {
                format!("* STATUS INBOX (MESSAGES {count} UIDNEXT {} UIDVALIDITY 1)\r\n", count + 1)
            }
            "SELECT" | "EXAMINE" => format!(
                "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* {count} EXISTS\r\n* 0 RECENT\r\n\
                 * OK [UIDVALIDITY 1] valid\r\n* OK [UIDNEXT {}] next\r\n",
                count + 1
            ),
            "LOGOUT" => "* BYE so long\r\n".to_owned(),
            _ => String::new(),
        }
    }

    fn fetch(&self, stream: &mut TcpStream, set: &str, line: &str) -> io::Result<()> {
        let bodies = line.contains("BODY.PEEK[]");
        for part in set.split(',') {
            let range = self.range(part);
            if bodies {
                stream.write_all(&self.answers[self.starts[range.start]..self.starts[range.end]])?;
            } else {
                let mut rows = String::new();
                for row in &self.rows[range] {
                    let _ = rows.write_str(row);
                }
                stream.write_all(rows.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Messages from 0, of one part of a sequence set.
    fn range(&self, part: &str) -> Range<usize> {
        let count = self.rows.len();
        let number = |text: &str| text.parse::<usize>().unwrap_or(count).min(count);
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let first = number(first).max(1) - 1;
        first.min(count)..number(last).max(first)
    }
}
