//! One connection through the proxy: four threads, two that read and decide ([`super::pump`]), two that write when octets are due.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lane::{Lane, Parcel};
use super::plan::{Cut, Direction, Fault, Moment, Plan, Reply, Which};
use super::pump::Pump;
use super::stats::Watched;
use super::user::Users;

/// How often a writer whose far end does not read looks whether the connection was cut.
const WRITE_PATIENCE: Duration = Duration::from_millis(50);

/// What a writer does between octets.
#[derive(Debug)]
pub(crate) enum Task {
    /// Count a command whose last octet was written.
    Forwarded(String),
    /// Count a tagged answer that was written.
    Answered(String),
    Cut(Cut),
    Fin,
    Stall,
    Hold,
}

/// A command that was not answered yet.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) name: String,
    pub(crate) number: u32,
    /// The how manieth command of the connection it is.
    pub(crate) turn: u32,
    /// What to answer in the server's place.
    pub(crate) reply: Option<Reply>,
}

/// What both directions know of each other.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Faults that have not struck yet.
    pub(crate) faults: Vec<(Moment, Fault)>,
    pub(crate) replies: Vec<(String, Which, Reply)>,
    /// Commands that were begun, by name.
    pub(crate) begun: BTreeMap<String, u32>,
    pub(crate) open: BTreeMap<Vec<u8>, Open>,
    /// The command that waits for `+`, and whether it was answered instead.
    pub(crate) waiting: Option<(Vec<u8>, bool)>,
    /// Octets handed to each lane.
    pub(crate) bytes: [u64; 2],
    /// Directions that are black holes.
    pub(crate) swallowed: [bool; 2],
    /// The server is inside of a response: nothing can be slipped in.
    pub(crate) inside_response: bool,
    /// What is to be slipped in after it.
    pub(crate) injections: Vec<Vec<u8>>,
    /// Encrypted or compressed from here on.
    pub(crate) opaque: bool,
    /// Who signs in here.
    pub(crate) user: Option<String>,
    /// The tag of an AUTHENTICATE PLAIN whose response is still to come.
    pub(crate) authenticating: Option<Vec<u8>>,
}

impl Session {
    /// The command that a response line belongs to, by its first word: its own tag's, else the one that has waited longest.
    pub(crate) fn answered_by(&self, first: &[u8]) -> Option<String> {
        let own = self.open.get(first);
        let oldest = || self.open.values().min_by_key(|open| open.turn);
        own.or_else(oldest).map(|open| open.name.clone())
    }
}

/// A connection pair.
#[derive(Debug)]
pub(crate) struct Connection {
    client: TcpStream,
    server: TcpStream,
    lanes: [Lane<Task>; 2],
    session: Mutex<Session>,
    dead: AtomicBool,
    pub(crate) watched: Arc<Watched>,
    pub(crate) users: Arc<Users>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let user = self.session().user.take();
        self.watched.change(|statistics| statistics.end_connection(user.as_deref()));
    }
}

impl Connection {
    /// Starts the threads of a connection pair.
    pub(crate) fn start(
        client: TcpStream,
        server: TcpStream,
        plan: Plan,
        watched: &Arc<Watched>,
        users: &Arc<Users>,
    ) -> io::Result<Arc<Connection>> {
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(WRITE_PATIENCE))?;
        }
        let lane = |at: usize| Lane::new(plan.delay[at], plan.bytes_per_sec[at]);
        let lanes = [lane(0), lane(1)];
        let session = Session { faults: plan.faults, replies: plan.replies, opaque: plan.opaque, ..Session::default() };
        let session = Mutex::new(session);
        let (watched, users) = (Arc::clone(watched), Arc::clone(users));
        let dead = AtomicBool::new(false);
        let connection = Arc::new(Connection { client, server, lanes, session, dead, watched, users });
        for direction in [Direction::ToServer, Direction::ToClient] {
            let reader = Arc::clone(&connection);
            std::thread::spawn(move || reader.read(direction));
            let writer = Arc::clone(&connection);
            std::thread::spawn(move || writer.write(direction));
        }
        Ok(connection)
    }

    /// Ends the connection at once.
    pub(crate) fn cut(&self, cut: Cut) {
        if self.dead.swap(true, Ordering::SeqCst) && cut == Cut::Fin {
            return;
        }
        for lane in &self.lanes {
            lane.close();
        }
        for stream in [&self.client, &self.server] {
            match cut {
                // The readers go on and throw away, because closing with unread octets would send RST after all.
                Cut::Fin => drop(stream.shutdown(Shutdown::Write)),
                // Linger 0 makes the close, by the last of the threads, a reset. The shutdown wakes the readers; it sends
                // nothing.
                Cut::Rst => {
                    drop(socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)));
                    drop(stream.shutdown(Shutdown::Read));
                }
            }
        }
    }

    /// Nothing goes through any more.
    pub(crate) fn stall(&self) {
        for lane in &self.lanes {
            lane.pause();
        }
    }

    /// What was held goes through again.
    pub(crate) fn release(&self) {
        for lane in &self.lanes {
            lane.resume();
        }
    }

    /// True when this user has signed in here, or tried to.
    pub(crate) fn is_of(&self, user: &str) -> bool {
        self.session().user.as_deref() == Some(user)
    }

    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lane(&self, direction: Direction) -> &Lane<Task> {
        &self.lanes[direction as usize]
    }

    /// The end that this direction comes from, and the one that it goes to.
    fn ends(&self, direction: Direction) -> (&TcpStream, &TcpStream) {
        match direction {
            Direction::ToServer => (&self.client, &self.server),
            Direction::ToClient => (&self.server, &self.client),
        }
    }

    fn write(&self, direction: Direction) {
        let (_, stream) = self.ends(direction);
        let written = |octets| self.watched.change(|statistics| statistics.add_bytes(direction, octets));
        self.lane(direction).write_out(stream, written, |task| self.run(task, stream));
        // Whoever still reads for this direction must not be held up.
        self.lane(direction).close();
    }

    /// False when the writer has nothing more to do.
    fn run(&self, task: Task, stream: &TcpStream) -> bool {
        match task {
            Task::Forwarded(name) => {
                self.watched.change(|statistics| *statistics.forwarded.entry(name).or_default() += 1);
            }
            Task::Answered(name) => {
                self.watched.change(|statistics| *statistics.answers.entry(name).or_default() += 1);
            }
            Task::Cut(cut) => {
                self.cut(cut);
                self.watched.change(|statistics| statistics.faults += 1);
                return false;
            }
            Task::Stall | Task::Hold => {
                self.stall();
                self.watched.change(|statistics| statistics.faults += 1);
            }
            Task::Fin => {
                drop(stream.shutdown(Shutdown::Write));
                return false;
            }
        }
        true
    }

    fn read(&self, direction: Direction) {
        let (mut stream, _) = self.ends(direction);
        let mut pump = Pump::new(self, direction);
        let mut buffer = vec![0_u8; 1 << 16];
        pump.begin();
        loop {
            self.lane(direction).wait_for_room();
            match stream.read(&mut buffer) {
                Ok(0) => return pump.end(),
                Ok(count) => pump.take(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.cut(Cut::Rst),
            }
        }
    }

    /// Hands octets to a lane.
    pub(crate) fn push(&self, direction: Direction, octets: &[u8]) {
        if !octets.is_empty() {
            self.lane(direction).push(Parcel::Octets(octets.to_vec()));
        }
    }

    /// Has something done after everything before it was written.
    pub(crate) fn push_task(&self, direction: Direction, task: Task) {
        self.lane(direction).push(Parcel::Task(task));
    }
}
