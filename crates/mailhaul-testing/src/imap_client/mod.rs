//! A small blocking IMAP client, for filling servers and for judging them.
//!
//! It speaks plain text on loopback and knows just enough: sign-in, LIST, SELECT, CREATE, APPEND, FETCH, STORE, EXPUNGE, what
//! owners do with their mail (`owner`), and [`Client::command`] for the rest. It shares no code with the product, down to its own modified UTF-7.

mod date;
mod owner;
pub mod utf7;
mod value;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub use date::{format_date, parse_date};
pub use owner::{CopyUid, MailboxStatus};
pub use value::Value;
pub(crate) use value::literal_length;

/// No answer of a test server takes longer than this.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection could not be made or was lost.
    #[error("connection: {0}")]
    Io(#[from] io::Error),
    /// The server said NO or BAD.
    #[error("{command}: {answer}")]
    Refused {
        /// The command's name.
        command: String,
        /// The server's tagged line without its tag.
        answer: String,
    },
    /// The server sent what this client cannot read.
    #[error("unexpected from the server: {0}")]
    Unexpected(String),
}

/// A signed-in or fresh connection.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<TcpStream>,
    greeting: String,
    capabilities: String,
    turn: u32,
}

/// A command's tagged answer and what came before it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The untagged responses, taken apart; each begins with `*`.
    pub untagged: Vec<Vec<Value>>,
    /// `OK`, `NO` or `BAD`.
    pub status: String,
    /// What followed the status.
    pub text: String,
}

/// A mailbox as LIST tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMailbox {
    /// The name, decoded from modified UTF-7.
    pub name: String,
    /// Its hierarchy delimiter.
    pub delimiter: Option<char>,
    /// Its attributes, such as `\Noselect`.
    pub attributes: Vec<String>,
}

impl ListedMailbox {
    /// False for `\Noselect` and `\NonExistent`.
    #[must_use]
    pub fn is_selectable(&self) -> bool {
        let has = |name: &str| self.attributes.iter().any(|attribute| attribute.eq_ignore_ascii_case(name));
        !has("\\Noselect") && !has("\\NonExistent")
    }
}

/// What SELECT or EXAMINE tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Messages in the mailbox.
    pub exists: u32,
    /// UIDVALIDITY, when told.
    pub uid_validity: Option<u32>,
    /// UIDNEXT, when told.
    pub uid_next: Option<u32>,
}

/// One message as FETCH delivers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Its UID.
    pub uid: u32,
    /// Flags and keywords as the server writes them, without `\Recent`.
    pub flags: Vec<String>,
    /// Internal date as the server writes it.
    pub internal_date: String,
    /// The octets of the whole message, when asked for.
    pub octets: Vec<u8>,
}

impl Fetched {
    /// Internal date in seconds since 1970.
    #[must_use]
    pub fn unix_secs(&self) -> Option<i64> {
        parse_date(&self.internal_date)
    }
}

/// A message to be appended.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Flags and keywords.
    pub flags: &'a [String],
    /// Internal date; the server's clock decides when there is none.
    pub date: Option<&'a str>,
    /// The octets.
    pub octets: &'a [u8],
}

/// The UIDs that APPENDUID names, in order of transmission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendUid {
    /// The target's UIDVALIDITY.
    pub uid_validity: u32,
    /// One UID for each message.
    pub uids: Vec<u32>,
}

impl Client {
    /// Connects and reads the greeting.
    ///
    /// # Errors
    /// No connection, or no greeting.
    pub fn connect(address: SocketAddr) -> Result<Client, ClientError> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        let mut client = Client {
            reader: BufReader::with_capacity(1 << 17, stream),
            greeting: String::new(),
            capabilities: String::new(),
            turn: 0,
        };
        client.greeting = String::from_utf8_lossy(&client.response()?).trim_end().to_owned();
        Ok(client)
    }

    /// Connects and signs in by LOGIN.
    ///
    /// # Errors
    /// No connection, or the sign-in was refused.
    pub fn sign_in(address: SocketAddr, user: &str, password: &str) -> Result<Client, ClientError> {
        let mut client = Client::connect(address)?;
        client.login(user, password)?;
        Ok(client)
    }

    /// Signs in by LOGIN and asks for the capabilities.
    ///
    /// # Errors
    /// The server refuses.
    pub fn login(&mut self, user: &str, password: &str) -> Result<(), ClientError> {
        self.command(&format!("LOGIN {} {}", quote(user), quote(password)))?;
        let answer = self.command("CAPABILITY")?;
        let words = answer.untagged.iter().filter(|line| is(line.get(1), "CAPABILITY"));
        self.capabilities = words.flat_map(|line| &line[2..]).filter_map(Value::text).collect::<Vec<_>>().join(" ");
        Ok(())
    }

    /// The greeting line.
    #[must_use]
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// True when the server announced this capability after sign-in.
    #[must_use]
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.split(' ').any(|word| word.eq_ignore_ascii_case(capability))
    }

    /// All capabilities announced after sign-in.
    #[must_use]
    pub fn capabilities(&self) -> &str {
        &self.capabilities
    }

    /// Sends one command and reads its answer.
    ///
    /// # Errors
    /// NO, BAD, a lost connection.
    pub fn command(&mut self, line: &str) -> Result<Answer, ClientError> {
        let mut untagged = Vec::new();
        let tag = self.send(line.as_bytes())?;
        let mut answer = self.answer(&tag, line, &mut |response| untagged.push(value::parse(response)))?;
        answer.untagged = untagged;
        Ok(answer)
    }

    /// Creates a mailbox.
    ///
    /// # Errors
    /// The server refuses.
    pub fn create(&mut self, mailbox: &str) -> Result<(), ClientError> {
        self.command(&format!("CREATE {}", name(mailbox))).map(drop)
    }

    /// Deletes a mailbox.
    ///
    /// # Errors
    /// The server refuses.
    pub fn delete(&mut self, mailbox: &str) -> Result<(), ClientError> {
        self.command(&format!("DELETE {}", name(mailbox))).map(drop)
    }

    /// Subscribes to a mailbox.
    ///
    /// # Errors
    /// The server refuses.
    pub fn subscribe(&mut self, mailbox: &str) -> Result<(), ClientError> {
        self.command(&format!("SUBSCRIBE {}", name(mailbox))).map(drop)
    }

    /// All mailboxes of the account, in the server's order.
    ///
    /// # Errors
    /// The server refuses.
    pub fn list(&mut self) -> Result<Vec<ListedMailbox>, ClientError> {
        let answer = self.command("LIST \"\" \"*\"")?;
        Ok(listed(&answer, "LIST"))
    }

    /// The names that the account is subscribed to.
    ///
    /// # Errors
    /// The server refuses.
    pub fn subscriptions(&mut self) -> Result<Vec<String>, ClientError> {
        let answer = self.command("LSUB \"\" \"*\"")?;
        let names = listed(&answer, "LSUB").into_iter();
        Ok(names.filter(ListedMailbox::is_selectable).map(|mailbox| mailbox.name).collect())
    }

    /// Prefix and delimiter of the personal namespace; without NAMESPACE no prefix and LIST's delimiter.
    ///
    /// # Errors
    /// The server refuses.
    pub fn personal_namespace(&mut self) -> Result<(String, Option<char>), ClientError> {
        if !self.has("NAMESPACE") {
            let answer = self.command("LIST \"\" \"\"")?;
            return Ok((String::new(), listed(&answer, "LIST").first().and_then(|mailbox| mailbox.delimiter)));
        }
        let answer = self.command("NAMESPACE")?;
        let line = answer.untagged.iter().find(|line| is(line.get(1), "NAMESPACE"));
        let personal = line.and_then(|line| line.get(2)).and_then(|value| value.list().first());
        let parts = personal.map(Value::list).unwrap_or_default();
        let prefix = parts.first().and_then(Value::text).unwrap_or_default();
        let delimiter = parts.get(1).and_then(Value::text).and_then(|text| text.chars().next());
        Ok((utf7::decode(&prefix).unwrap_or(prefix), delimiter))
    }

    /// Opens a mailbox for writing.
    ///
    /// # Errors
    /// The server refuses.
    pub fn select(&mut self, mailbox: &str) -> Result<Selected, ClientError> {
        let answer = self.command(&format!("SELECT {}", name(mailbox)))?;
        Ok(selected(&answer))
    }

    /// Opens a mailbox for reading only.
    ///
    /// # Errors
    /// The server refuses.
    pub fn examine(&mut self, mailbox: &str) -> Result<Selected, ClientError> {
        let answer = self.command(&format!("EXAMINE {}", name(mailbox)))?;
        Ok(selected(&answer))
    }

    /// MESSAGES of a mailbox.
    ///
    /// # Errors
    /// The server refuses or does not say.
    pub fn count(&mut self, mailbox: &str) -> Result<u32, ClientError> {
        let answer = self.command(&format!("STATUS {} (MESSAGES)", name(mailbox)))?;
        let line = answer.untagged.iter().find(|line| is(line.get(1), "STATUS"));
        let count = line.and_then(|line| line.last()).and_then(|values| values.list().get(1)).and_then(Value::number);
        count.ok_or_else(|| ClientError::Unexpected(format!("STATUS without MESSAGES: {}", answer.text)))
    }

    /// Appends one message.
    ///
    /// # Errors
    /// The server refuses.
    pub fn append(
        &mut self,
        mailbox: &str,
        flags: &[&str],
        date: Option<&str>,
        octets: &[u8],
    ) -> Result<Option<AppendUid>, ClientError> {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.append_all(mailbox, &[Outgoing { flags: &flags, date, octets }])
    }

    /// Appends several messages in one command (MULTIAPPEND; the server must have it when there is more than one).
    ///
    /// # Errors
    /// The server refuses; it then stored none of them.
    pub fn append_all(&mut self, mailbox: &str, messages: &[Outgoing<'_>]) -> Result<Option<AppendUid>, ClientError> {
        let plus = self.has("LITERAL+");
        let tag = self.next_tag();
        let mut out = format!("{tag} APPEND {}", name(mailbox)).into_bytes();
        for message in messages {
            let date = message.date.map_or_else(String::new, |date| format!(" \"{date}\""));
            let sign = if plus { "+" } else { "" };
            let length = message.octets.len();
            let head = format!(" ({}){date} {{{length}{sign}}}\r\n", message.flags.join(" "));
            out.extend_from_slice(head.as_bytes());
            if !plus {
                self.reader.get_mut().write_all(&out)?;
                out.clear();
                if let Some(early) = self.continuation(&tag)? {
                    return Err(early);
                }
            }
            out.extend_from_slice(message.octets);
        }
        out.extend_from_slice(b"\r\n");
        self.reader.get_mut().write_all(&out)?;
        let answer = self.answer(&tag, "APPEND", &mut |_| ())?;
        Ok(append_uid(&answer.text))
    }

    /// Fetches whole messages of the open mailbox, one after the other, each handed to `each`.
    ///
    /// # Errors
    /// The server refuses.
    pub fn fetch_each(&mut self, uids: &str, each: &mut dyn FnMut(Fetched)) -> Result<(), ClientError> {
        self.fetch(uids, "UID FLAGS INTERNALDATE BODY.PEEK[]", each)
    }

    /// Fetches all messages of the open mailbox.
    ///
    /// # Errors
    /// The server refuses.
    pub fn fetch_all(&mut self) -> Result<Vec<Fetched>, ClientError> {
        let mut messages = Vec::new();
        self.fetch_each("1:*", &mut |message| messages.push(message))?;
        Ok(messages)
    }

    /// UIDs and flags of all messages of the open mailbox.
    ///
    /// # Errors
    /// The server refuses.
    pub fn fetch_flags(&mut self) -> Result<Vec<Fetched>, ClientError> {
        let mut messages = Vec::new();
        self.fetch("1:*", "UID FLAGS INTERNALDATE", &mut |message| messages.push(message))?;
        Ok(messages)
    }

    fn fetch(&mut self, uids: &str, items: &str, each: &mut dyn FnMut(Fetched)) -> Result<(), ClientError> {
        let line = format!("UID FETCH {uids} ({items})");
        let tag = self.send(line.as_bytes())?;
        self.answer(&tag, &line, &mut |response| {
            // Lines without a UID are about changes that somebody else makes.
            if let Some(message) = fetched(&value::parse(response)) {
                each(message);
            }
        })
        .map(drop)
    }

    /// Changes flags: `client.store("1:3", "+FLAGS", &["\\Seen"])`.
    ///
    /// # Errors
    /// The server refuses.
    pub fn store(&mut self, uids: &str, action: &str, flags: &[&str]) -> Result<(), ClientError> {
        self.command(&format!("UID STORE {uids} {action} ({})", flags.join(" "))).map(drop)
    }

    /// Marks messages as deleted and expunges.
    ///
    /// # Errors
    /// The server refuses.
    pub fn expunge(&mut self, uids: &str) -> Result<(), ClientError> {
        self.store(uids, "+FLAGS.SILENT", &["\\Deleted"])?;
        self.command("EXPUNGE").map(drop)
    }

    /// Ends the session in good order.
    pub fn logout(mut self) {
        let _ = self.command("LOGOUT");
    }

    fn next_tag(&mut self) -> String {
        self.turn += 1;
        format!("J{}", self.turn)
    }

    fn send(&mut self, line: &[u8]) -> Result<String, ClientError> {
        let tag = self.next_tag();
        let mut octets = tag.clone().into_bytes();
        octets.push(b' ');
        octets.extend_from_slice(line);
        octets.extend_from_slice(b"\r\n");
        self.reader.get_mut().write_all(&octets)?;
        Ok(tag)
    }

    /// Reads responses up to the tagged one.
    fn answer(&mut self, tag: &str, line: &str, untagged: &mut dyn FnMut(&[u8])) -> Result<Answer, ClientError> {
        loop {
            let response = self.response()?;
            let Some(text) = tagged(&response, tag) else {
                untagged(&response);
                continue;
            };
            let (status, text) = text.split_once(' ').unwrap_or((&text, ""));
            if status.eq_ignore_ascii_case("OK") {
                return Ok(Answer { untagged: Vec::new(), status: status.to_owned(), text: text.to_owned() });
            }
            return Err(refused(line, &format!("{status} {text}")));
        }
    }

    /// Waits for `+`; an early tagged answer is returned as the refusal that it is.
    fn continuation(&mut self, tag: &str) -> Result<Option<ClientError>, ClientError> {
        loop {
            let response = self.response()?;
            if response.starts_with(b"+") {
                return Ok(None);
            }
            if let Some(answer) = tagged(&response, tag) {
                return Ok(Some(refused("APPEND", &answer)));
            }
        }
    }

    /// One whole response with its literals.
    fn response(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut response = Vec::new();
        loop {
            let start = response.len();
            if self.reader.read_until(b'\n', &mut response)? == 0 || !response.ends_with(b"\n") {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection").into());
            }
            let Some(length) = literal_length(&response[start..]) else { return Ok(response) };
            let announced = u64::try_from(length).map_err(|error| ClientError::Unexpected(error.to_string()))?;
            let got = (&mut self.reader).take(announced).read_to_end(&mut response)?;
            if got < length {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed inside a literal").into());
            }
        }
    }
}

/// A quoted string.
#[must_use]
pub fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A mailbox name as a command argument.
fn name(mailbox: &str) -> String {
    quote(&utf7::encode(mailbox))
}

fn is(value: Option<&Value>, word: &str) -> bool {
    value.and_then(Value::octets).is_some_and(|octets| octets.eq_ignore_ascii_case(word.as_bytes()))
}

fn tagged(response: &[u8], tag: &str) -> Option<String> {
    let rest = response.strip_prefix(tag.as_bytes())?.strip_prefix(b" ")?;
    Some(String::from_utf8_lossy(rest).trim_end().to_owned())
}

fn refused(line: &str, answer: &str) -> ClientError {
    // Arguments of LOGIN are nobody's business.
    let shown = if line.starts_with("LOGIN") { "LOGIN" } else { line };
    ClientError::Refused { command: shown.to_owned(), answer: answer.to_owned() }
}

fn listed(answer: &Answer, word: &str) -> Vec<ListedMailbox> {
    let lines = answer.untagged.iter().filter(|line| is(line.get(1), word));
    lines
        .filter_map(|line| {
            let wire = line.get(4)?.text()?;
            Some(ListedMailbox {
                name: utf7::decode(&wire).unwrap_or(wire),
                delimiter: line.get(3)?.text().and_then(|text| text.chars().next()),
                attributes: line.get(2)?.list().iter().filter_map(Value::text).collect(),
            })
        })
        .collect()
}

fn selected(answer: &Answer) -> Selected {
    let mut selected = Selected::default();
    for line in &answer.untagged {
        if is(line.get(2), "EXISTS") {
            selected.exists = line[1].number().unwrap_or(0);
        }
        let Some(code) = line.get(2).and_then(Value::text) else { continue };
        selected.uid_validity = code_number(&code, "UIDVALIDITY").or(selected.uid_validity);
        selected.uid_next = code_number(&code, "UIDNEXT").or(selected.uid_next);
    }
    selected
}

/// The number in a response code such as `[UIDNEXT 5]`.
fn code_number(code: &str, word: &str) -> Option<u32> {
    code.strip_prefix('[')?.strip_suffix(']')?.strip_prefix(word)?.trim().parse().ok()
}

fn fetched(line: &[Value]) -> Option<Fetched> {
    if !is(line.get(2), "FETCH") {
        return None;
    }
    let mut message = Fetched::default();
    for pair in line.get(3)?.list().chunks(2) {
        let [item, value] = pair else { continue };
        match item.text()?.to_ascii_uppercase().as_str() {
            "UID" => message.uid = value.number()?,
            "FLAGS" => message.flags = value.list().iter().filter_map(Value::text).collect(),
            "INTERNALDATE" => message.internal_date = value.text()?,
            "BODY[]" => message.octets = value.octets().unwrap_or_default().to_vec(),
            _ => {}
        }
    }
    message.flags.retain(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
    (message.uid > 0).then_some(message)
}

/// `[APPENDUID validity set]` at the beginning of an answer's text.
fn append_uid(text: &str) -> Option<AppendUid> {
    let code = text.strip_prefix("[APPENDUID ")?.split_once(']')?.0;
    let (uid_validity, set) = code.split_once(' ')?;
    Some(AppendUid { uid_validity: uid_validity.parse().ok()?, uids: uids_of(set)? })
}

/// The UIDs of a set such as `3,5:7`, in its order.
fn uids_of(set: &str) -> Option<Vec<u32>> {
    let mut uids = Vec::new();
    for part in set.split(',') {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        uids.extend(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
    }
    Some(uids)
}
