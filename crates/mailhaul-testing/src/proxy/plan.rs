//! What is to go wrong on a connection, and when.

use std::time::Duration;

/// A direction through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// In good order for TCP: FIN both ways.
    Fin,
    /// Reset, both ways; what was under way may be lost.
    Rst,
}

/// A moment in the life of a connection. Everything is counted from 1 and for each connection by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Exactly so many octets went through in this direction (0: before the first one).
    Bytes(Direction, u64),
    /// The first octet of the n-th command of this name is about to be forwarded.
    BeforeCommand(String, u32),
    /// The last octet of the n-th command of this name was forwarded.
    AfterCommand(String, u32),
    /// The last octet of the n-th command of any name was forwarded.
    AfterAnyCommand(u32),
    /// So many octets of the n-th literal in this direction went through.
    InLiteral(Direction, u32, u64),
    /// The tagged answer to the n-th command of this name is about to be forwarded: the server has done what it was told.
    BeforeAnswer(String, u32),
    /// The tagged answer to the n-th command of this name was forwarded.
    AfterAnswer(String, u32),
    /// The n-th `+` is about to be forwarded.
    BeforeContinuation(u32),
}

/// What happens then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends.
    Cut(Cut),
    /// Nothing goes through any more, in either direction, and nothing ends: a black hole.
    Stall,
    /// Nothing goes through, in either direction, until [`super::Proxy::release`]: time for whatever is to happen just then.
    Hold,
    /// This direction ends with FIN, the other one goes on.
    HalfClose(Direction),
    /// This direction becomes a black hole; the other one goes on. With [`Direction::ToClient`] the server does all it is
    /// told and the client never learns.
    Swallow(Direction),
    /// These octets are slipped in towards the client. They should end with CRLF.
    Inject(Vec<u8>),
    /// The command that waits for `+`, else the one that is passing, is answered with these words (`OK done`) before the
    /// server has all of it; what the server says at its end is swallowed.
    AnswerEarly(String),
}

/// What the proxy answers in the server's place. The server does not see the command (it sees NOOP, so that the answer
/// comes in its turn).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Lines without CRLF; `{tag}` stands for the command's tag.
    pub lines: Vec<String>,
    /// How the connection ends after them, if it does.
    pub then: Option<Cut>,
}

impl Reply {
    /// A tagged answer: `Reply::tagged("NO [OVERQUOTA] mailbox is full")`.
    #[must_use]
    pub fn tagged(answer: &str) -> Reply {
        Reply { lines: vec![format!("{{tag}} {answer}")], then: None }
    }

    /// `* BYE text`, then FIN.
    #[must_use]
    pub fn bye(text: &str) -> Reply {
        Reply { lines: vec![format!("* BYE {text}")], then: Some(Cut::Fin) }
    }

    /// Nothing at all, the connection stays open.
    #[must_use]
    pub fn silence() -> Reply {
        Reply { lines: Vec::new(), then: None }
    }

    /// Nothing, and the connection ends.
    #[must_use]
    pub fn cut(cut: Cut) -> Reply {
        Reply { lines: Vec::new(), then: Some(cut) }
    }
}

/// Which of the commands of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Only the n-th.
    Nth(u32),
    /// The n-th and all later ones.
    From(u32),
}

impl Which {
    pub(crate) fn has(self, number: u32) -> bool {
        match self {
            Which::Nth(wanted) => number == wanted,
            Which::From(first) => number >= first,
        }
    }
}

/// What becomes of one connection. The default changes nothing.
///
/// ```
/// use mailhaul_testing::proxy::{Cut, Fault, Moment, Plan, Reply, Which};
/// let swallowed = Plan::new().swallow_answer("APPEND", 3, Cut::Rst);
/// let full = Plan::new().reply("APPEND", Which::From(2), Reply::tagged("NO [OVERQUOTA] mailbox is full"));
/// let noisy = Plan::new().fault(Moment::BeforeContinuation(1), Fault::Inject(b"* OK Still here\r\n".to_vec()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub(crate) faults: Vec<(Moment, Fault)>,
    pub(crate) replies: Vec<(String, Which, Reply)>,
    pub(crate) delay: [Duration; 2],
    pub(crate) bytes_per_sec: [Option<u64>; 2],
    pub(crate) opaque: bool,
}

impl Plan {
    /// A connection on which nothing goes wrong.
    #[must_use]
    pub fn new() -> Plan {
        Plan::default()
    }

    /// A fault at a moment. It strikes once.
    #[must_use]
    pub fn fault(mut self, moment: Moment, fault: Fault) -> Plan {
        self.faults.push((moment, fault));
        self
    }

    /// The connection ends after exactly so many octets in this direction.
    #[must_use]
    pub fn cut_after_bytes(self, direction: Direction, octets: u64, cut: Cut) -> Plan {
        self.fault(Moment::Bytes(direction, octets), Fault::Cut(cut))
    }

    /// The server carries out the n-th command of this name; its tagged answer and all that follows are swallowed and the
    /// connection ends. Answers to earlier commands and `+` still arrive.
    #[must_use]
    pub fn swallow_answer(self, command: &str, nth: u32, cut: Cut) -> Plan {
        self.fault(Moment::BeforeAnswer(command.to_owned(), nth), Fault::Cut(cut))
    }

    /// The proxy answers commands of this name in the server's place. Names are as in the statistics: `UID FETCH`.
    #[must_use]
    pub fn reply(mut self, command: &str, which: Which, reply: Reply) -> Plan {
        self.replies.push((command.to_ascii_uppercase(), which, reply));
        self
    }

    /// The session is not to be understood (TLS from the first octet): only [`Moment::Bytes`] ever comes.
    #[must_use]
    pub fn opaque(mut self) -> Plan {
        self.opaque = true;
        self
    }

    /// True latency: every octet arrives this much later, and octets follow each other as closely as before. One way; the
    /// round trip grows by the sum of both directions.
    #[must_use]
    pub fn delay(mut self, to_server: Duration, to_client: Duration) -> Plan {
        self.delay = [to_server, to_client];
        self
    }

    /// At most so many octets a second in one direction.
    #[must_use]
    pub fn bandwidth(mut self, direction: Direction, bytes_per_sec: u64) -> Plan {
        self.bytes_per_sec[direction as usize] = Some(bytes_per_sec.max(1));
        self
    }
}
