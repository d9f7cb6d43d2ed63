//! Scripted IMAP servers, for everything that a real one does not do on demand.
//!
//! [`ScriptedServer::play`] plays a [`Transcript`] and reports where the client said something else;
//! [`ScriptedServer::program`] asks a closure what to do about each command, with sensible answers to whatever the closure
//! leaves alone.

mod program;
pub mod transcript;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use program::{Command, Handled, Program, Session};
pub use transcript::Transcript;
use transcript::{Line, Step, matches};
use wire::Wire;

/// How long [`ScriptedServer::finish`] waits for the client to come to the end of the transcript.
const FINISH_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct State {
    connections: usize,
    ended: usize,
    mismatch: Option<String>,
    commands: Vec<String>,
    /// A second handle of each open connection, to end it when the server is dropped.
    live: BTreeMap<usize, TcpStream>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    ends: AtomicBool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn wait_until(&self, holds: impl Fn(&State) -> bool, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        let mut state = self.state();
        while !holds(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// What serves one connection; the number counts connections from 0.
type Serve = dyn Fn(&mut Wire, usize, &Shared) -> Result<(), String> + Send + Sync;

/// A scripted server on a loopback port. Dropping it closes everything.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    expected_connections: usize,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl ScriptedServer {
    /// Plays a transcript, one connection after the other.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    #[must_use]
    pub fn play(transcript: Transcript) -> ScriptedServer {
        let expected = transcript.connections.len();
        let serve = move |wire: &mut Wire, index: usize, _: &Shared| match transcript.connections.get(index) {
            Some(steps) => play_steps(wire, steps),
            None => Err(format!("connection {} was not expected", index + 1)),
        };
        ScriptedServer::start(expected, Arc::new(serve))
    }

    /// Plays a transcript given as text.
    ///
    /// # Panics
    /// When the text is no transcript.
    #[must_use]
    pub fn play_text(text: &str) -> ScriptedServer {
        ScriptedServer::play(Transcript::parse(text).unwrap_or_else(|error| panic!("transcript: {error}")))
    }

    /// Asks a program about every command of every connection.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    #[must_use]
    pub fn program(program: Program) -> ScriptedServer {
        let serve = move |wire: &mut Wire, index: usize, shared: &Shared| {
            program.serve(wire, index, &|command| shared.change(|state| state.commands.push(command)))
        };
        ScriptedServer::start(0, Arc::new(serve))
    }

    fn start(expected_connections: usize, serve: Arc<Serve>) -> ScriptedServer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let accepts = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accept_all(&listener, &accepts, &serve));
        ScriptedServer { address, expected_connections, shared, acceptor: Some(acceptor) }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The commands of a programmed server in the order they came, without tags and literals; LOGIN and AUTHENTICATE
    /// without arguments.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.shared.state().commands.clone()
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// Waits until the n-th command with this beginning has come; false when it has not within this time.
    #[must_use]
    pub fn wait_for_command(&self, beginning: &str, nth: usize, at_most: Duration) -> bool {
        let come = |state: &State| state.commands.iter().filter(|command| command.starts_with(beginning)).count();
        self.shared.wait_until(|state| come(state) >= nth, at_most)
    }

    /// Waits for the end of the transcript and says where the client left it.
    ///
    /// # Errors
    /// The first difference, with the transcript's line and the conversation so far.
    pub fn try_finish(&self) -> Result<(), String> {
        let expected = self.expected_connections;
        let over = self.shared.wait_until(|state| state.mismatch.is_some() || state.ended >= expected, FINISH_MAX);
        let state = self.shared.state();
        match &state.mismatch {
            Some(mismatch) => Err(mismatch.clone()),
            None if over => Ok(()),
            None => Err(format!("{} of {expected} connections came to their end", state.ended)),
        }
    }

    /// Waits for the end of the transcript.
    ///
    /// # Panics
    /// When the client said something else; the message shows what.
    pub fn finish(&self) {
        if let Err(mismatch) = self.try_finish() {
            panic!("the client left the transcript: {mismatch}");
        }
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
        for stream in self.shared.state().live.values() {
            drop(stream.shutdown(std::net::Shutdown::Both));
        }
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<Shared>, serve: &Arc<Serve>) {
    for stream in listener.incoming().flatten() {
        if shared.ends.load(Ordering::SeqCst) {
            return;
        }
        let index = shared.state().connections;
        let Ok(twin) = stream.try_clone() else { continue };
        shared.change(|state| {
            state.connections += 1;
            state.live.insert(index, twin);
        });
        let (shared, serve) = (Arc::clone(shared), Arc::clone(serve));
        std::thread::spawn(move || {
            let mismatch = serve_one(stream, index, &shared, serve.as_ref());
            shared.change(|state| {
                // The twin of a connection that is over would keep it open.
                state.live.remove(&index);
                state.mismatch = state.mismatch.take().or(mismatch);
                state.ended += 1;
            });
        });
    }
}

fn serve_one(stream: TcpStream, index: usize, shared: &Shared, serve: &Serve) -> Option<String> {
    let mut wire = match Wire::new(stream) {
        Ok(wire) => wire,
        Err(error) => return Some(error.to_string()),
    };
    let mismatch = serve(&mut wire, index, shared).err()?;
    Some(format!("connection {}: {mismatch}\n{}", index + 1, wire.record()))
}

/// Plays one connection's steps.
fn play_steps(wire: &mut Wire, steps: &[Line]) -> Result<(), String> {
    let mut tags = BTreeMap::new();
    let mut announced = None;
    for Line { number, step } in steps {
        let played = play_step(wire, step, &mut tags, &mut announced);
        match played.map_err(|words| format!("line {number}: {words}"))? {
            Goes::On => {}
            Goes::Nowhere => return Ok(()),
        }
    }
    Ok(())
}

/// Whether the connection goes on.
enum Goes {
    On,
    Nowhere,
}

fn play_step(
    wire: &mut Wire,
    step: &Step,
    tags: &mut BTreeMap<String, String>,
    announced: &mut Option<usize>,
) -> Result<Goes, String> {
    let lost = |error: io::Error| format!("the connection was lost: {error}");
    match step {
        Step::ClientLine { label, pattern } => {
            let line = expect_line(wire, pattern)?;
            let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
            expect(pattern, command)?;
            *announced = crate::imap_client::literal_length(line.as_bytes());
            tags.insert(label.clone(), tag.to_owned());
        }
        Step::ClientRest(pattern) => {
            let line = expect_line(wire, pattern)?;
            expect(pattern, &line)?;
            *announced = crate::imap_client::literal_length(line.as_bytes());
        }
        Step::ClientLiteral(expected) => {
            let length = announced.take().ok_or("the client's last line announced no literal")?;
            let octets = wire.octets(length).map_err(lost)?;
            if let Some(expected) = expected.as_ref().filter(|expected| **expected != octets) {
                let shown = |octets: &[u8]| String::from_utf8_lossy(octets).escape_debug().to_string();
                return Err(format!("expected the literal \"{}\", got \"{}\"", shown(expected), shown(&octets)));
            }
        }
        Step::ClientClose => {
            if let Some(line) = wire.line().map_err(lost)? {
                return Err(format!("expected the client to leave, got {:?}", String::from_utf8_lossy(&line)));
            }
        }
        Step::ServerLine(text) => {
            let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
            let first = tags.get(first).map_or(first, String::as_str);
            let separator = if rest.is_empty() { "" } else { " " };
            wire.send(format!("{first}{separator}{rest}\r\n").as_bytes()).map_err(lost)?;
        }
        Step::ServerOctets(octets) => wire.send(octets).map_err(lost)?,
        Step::Close => {
            wire.close();
            return Ok(Goes::Nowhere);
        }
        Step::Reset => {
            wire.reset();
            return Ok(Goes::Nowhere);
        }
        Step::Silence => {
            wire.wait_for_leave();
            return Ok(Goes::Nowhere);
        }
    }
    Ok(Goes::On)
}

fn expect_line(wire: &mut Wire, pattern: &str) -> Result<String, String> {
    let line = wire.line().map_err(|error| format!("expected {pattern:?}, lost the connection: {error}"))?;
    let line = line.ok_or_else(|| format!("expected {pattern:?}, the client left"))?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn expect(pattern: &str, line: &str) -> Result<(), String> {
    if matches(pattern, line) { Ok(()) } else { Err(format!("expected {pattern:?}, got {line:?}")) }
}
