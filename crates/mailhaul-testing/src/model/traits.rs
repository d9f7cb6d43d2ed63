//! What kind of server a model is: what it announces, and in what it is odd.

/// The properties of a model server. The default announces everything and is honest in everything.
///
/// What is not announced is answered with BAD, so that a client that uses it all the same is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The greeting and the answer to the sign-in tell the capabilities along, as with Dovecot.
    pub tells_capabilities: bool,
    /// SASL PLAIN (RFC 4616) besides LOGIN.
    pub auth_plain: bool,
    /// SASL-IR (RFC 4959): AUTHENTICATE may bring its response along.
    pub sasl_ir: bool,
    /// UIDPLUS (RFC 4315): APPENDUID, COPYUID and UID EXPUNGE.
    pub uidplus: bool,
    /// MULTIAPPEND (RFC 3502).
    pub multiappend: bool,
    /// How literals may be sent (RFC 7888).
    pub literals: Literals,
    /// CONDSTORE (RFC 7162).
    pub condstore: bool,
    /// QRESYNC (RFC 7162), which needs CONDSTORE and is not announced without it.
    pub qresync: bool,
    /// LIST-EXTENDED (RFC 5258).
    pub list_extended: bool,
    /// LIST-STATUS (RFC 5819), which needs LIST-EXTENDED and is not announced without it.
    pub list_status: bool,
    /// ESEARCH (RFC 4731).
    pub esearch: bool,
    /// MOVE (RFC 6851).
    pub move_: bool,
    /// OBJECTID (RFC 8474): MAILBOXID only.
    pub object_id: bool,
    /// NAMESPACE (RFC 2342).
    pub namespace: bool,
    /// SPECIAL-USE (RFC 6154).
    pub special_use: bool,
    /// STATUS=SIZE (RFC 8438).
    pub status_size: bool,
    /// IDLE (RFC 2177).
    pub idle: bool,
    /// UNSELECT (RFC 3691).
    pub unselect: bool,
    /// The hierarchy delimiter.
    pub delimiter: char,
    /// What the name of every mailbox but INBOX begins with: empty, or `INBOX.` with the delimiter `.`.
    pub prefix: String,
    /// CREATE and RENAME refuse names in which this character stands.
    pub not_in_names: Option<char>,
    /// A connection whose mailbox is deleted or numbered anew stays, with no mailbox selected; else it ends with a good-bye.
    pub outlives_mailbox: bool,
    /// When what APPEND has brought is stored.
    pub landing: Landing,
    /// What becomes of messages that are appended.
    pub alters: Alters,
    /// What becomes of an APPEND of octets that the mailbox holds already.
    pub duplicates: Duplicates,
    /// UIDs skip: between one message and the next up to three are never given to anybody.
    pub holes: bool,
    /// What RFC822.SIZE says beyond the truth, in octets; it is never said to be less than 0.
    pub size_lies: i64,
    /// The largest message that APPEND takes, in octets (APPENDLIMIT, RFC 7889).
    pub append_limit: Option<u64>,
    /// How many messages the account may hold (QUOTA, RFC 9208).
    pub quota_messages: Option<u64>,
}

/// How literals may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literals {
    /// Every literal waits for `+`.
    Synchronising,
    /// LITERAL-: up to 4,096 octets without waiting.
    Minus,
    /// LITERAL+: without waiting.
    Plus,
}

/// When what APPEND has brought is stored. It always is stored, once the CRLF that ends the command was received, whatever
/// becomes of the connection; until then it never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// At once.
    AtOnce,
    /// At the moment when the answer is taken from the connection's output. If the connection dies before that, it is stored
    /// so much simulated time after its death, and nobody sees it earlier.
    Late {
        /// From the connection's death to the moment when it is stored, in simulated milliseconds.
        millis: u64,
    },
    /// Every APPEND takes so long, whether or not somebody waits for the answer; a connection's commands wait for one another.
    Slow {
        /// From the end of the command to its answer, in simulated milliseconds.
        millis: u64,
    },
}

/// What becomes of messages that are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alters {
    /// They stay as they are.
    Nothing,
    /// A line is put before the first one, another for every message.
    AddsHeader,
    /// 8-bit octets in the header become `X`, as with Cyrus (`munge8bit`).
    EightBitHeaders,
    /// Keywords are dropped, and PERMANENTFLAGS says so; system flags stay.
    DropsKeywords,
    /// The internal date is the moment of storing, whatever was said.
    IgnoresDates,
    /// Of the header only From, To, Date, Subject, Message-ID and what describes the content stay.
    DropsHeaders,
    /// A Message-ID is put before the first line of mail that has none.
    NamesMail,
    /// A line is put before the first one of the body, another for every message, as if it had been taken apart and put
    /// together again.
    RebuildsBody,
}

/// What becomes of an APPEND of octets that the mailbox holds already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// It is one more message.
    Kept,
    /// It is answered OK without a UID, and nothing is stored.
    MergedInSilence,
    /// It is answered OK with the UID of the message that is there, and nothing is stored.
    MergedUnderOldUid,
}

impl Default for Traits {
    fn default() -> Self {
        Self {
            tells_capabilities: true,
            auth_plain: true,
            sasl_ir: true,
            uidplus: true,
            multiappend: true,
            literals: Literals::Plus,
            condstore: true,
            qresync: true,
            list_extended: true,
            list_status: true,
            esearch: true,
            move_: true,
            object_id: true,
            namespace: true,
            special_use: true,
            status_size: true,
            idle: true,
            unselect: true,
            delimiter: '/',
            prefix: String::new(),
            not_in_names: None,
            outlives_mailbox: false,
            landing: Landing::AtOnce,
            alters: Alters::Nothing,
            duplicates: Duplicates::Kept,
            holes: false,
            size_lies: 0,
            append_limit: None,
            quota_messages: None,
        }
    }
}

impl Traits {
    /// Plain IMAP4rev1 with LOGIN: not one extension.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            tells_capabilities: false,
            auth_plain: false,
            sasl_ir: false,
            uidplus: false,
            multiappend: false,
            literals: Literals::Synchronising,
            condstore: false,
            qresync: false,
            list_extended: false,
            list_status: false,
            esearch: false,
            move_: false,
            object_id: false,
            namespace: false,
            special_use: false,
            status_size: false,
            idle: false,
            unselect: false,
            ..Self::default()
        }
    }

    /// What the CAPABILITY response names.
    #[must_use]
    pub fn capabilities(&self) -> String {
        let mut words = vec!["IMAP4rev1".to_owned(), "ID".to_owned(), "ENABLE".to_owned()];
        let switches = [
            (self.auth_plain, "AUTH=PLAIN"),
            (self.sasl_ir, "SASL-IR"),
            (self.uidplus, "UIDPLUS"),
            (self.multiappend, "MULTIAPPEND"),
            (self.literals == Literals::Plus, "LITERAL+"),
            (self.literals == Literals::Minus, "LITERAL-"),
            (self.condstore, "CONDSTORE"),
            (self.has_qresync(), "QRESYNC"),
            (self.list_extended, "LIST-EXTENDED"),
            (self.has_list_status(), "LIST-STATUS"),
            (self.esearch, "ESEARCH"),
            (self.move_, "MOVE"),
            (self.object_id, "OBJECTID"),
            (self.namespace, "NAMESPACE"),
            (self.special_use, "SPECIAL-USE"),
            (self.status_size, "STATUS=SIZE"),
            (self.idle, "IDLE"),
            (self.unselect, "UNSELECT"),
            (self.quota_messages.is_some(), "QUOTA"),
        ];
        words.extend(switches.into_iter().filter(|(on, _)| *on).map(|(_, word)| word.to_owned()));
        words.extend(self.append_limit.map(|limit| format!("APPENDLIMIT={limit}")));
        words.join(" ")
    }

    pub(super) fn has_list_status(&self) -> bool {
        self.list_status && self.list_extended
    }

    pub(super) fn has_qresync(&self) -> bool {
        self.qresync && self.condstore
    }
}
