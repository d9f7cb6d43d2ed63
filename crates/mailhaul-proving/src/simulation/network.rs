//! A network in memory between the engine and two model servers, in simulated time.
//!
//! Every connection has a *carrier*, a task of the same runtime: it takes what the client has written, lets it arrive at
//! the model when its time has come, and carries the answers back. What goes wrong stands in [`Weather`].

use super::plan::{Cut, How, Way, Weather, place, place_of};
use super::stream::{ClientEnd, End, Pipe};
use mailhaul_imap::{Dialer, Dialled, Stream};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::model::{ModelConnection, ModelServer};
use mailhaul_types::Side;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// After this a server gives up a connection of which it hears nothing more.
const SERVER_PATIENCE: Duration = Duration::from_secs(30);

/// Octets that passed between the client and each server (source, target), each way (to the server, to the client).
pub type Passed = [[u64; 2]; 2];

struct Shared {
    servers: [ModelServer; 2],
    weather: Weather,
    dice: Dice,
    passed: Passed,
    began: Instant,
    /// Milliseconds that the servers have been told of.
    told: u64,
    open: usize,
    frozen: bool,
}

/// The network of one pass. Clones are the same network.
#[derive(Clone)]
pub struct Network(Arc<Mutex<Shared>>);

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    /// A network to these servers. To be made within the runtime of the pass.
    #[must_use]
    pub fn new(source: &ModelServer, target: &ModelServer, weather: Weather) -> Network {
        let dice = Dice::of(weather.seed);
        Network(Arc::new(Mutex::new(Shared {
            servers: [source.clone(), target.clone()],
            weather,
            dice,
            passed: Passed::default(),
            began: Instant::now(),
            told: 0,
            open: 0,
            frozen: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has passed so far.
    #[must_use]
    pub fn passed(&self) -> Passed {
        self.lock().passed
    }

    /// The client is dead: whatever it still writes never leaves.
    pub fn freeze(&self) {
        self.lock().frozen = true;
    }

    /// Lets the servers' time catch up.
    pub fn catch_up(&self) {
        self.lock().catch_up();
    }

    /// Waits until what was under way has arrived, and every connection is over at both ends.
    pub async fn calm_down(&self) {
        let until = Instant::now() + 2 * SERVER_PATIENCE;
        // A server that waits in vain is waited for in longer and longer steps: each of them is a turn of the clock.
        let mut step = Duration::from_millis(50);
        while self.lock().open > 0 && Instant::now() < until {
            tokio::time::sleep(step).await;
            step = (2 * step).min(Duration::from_secs(2));
        }
        self.catch_up();
    }
}

impl Shared {
    fn catch_up(&mut self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        for server in &self.servers {
            server.advance(now - self.told);
        }
        self.told = now;
    }

    /// Counts octets that are about to arrive. If a cut lies among them: how many arrive before it, and how it is done.
    fn count(&mut self, side: Side, way: Way, octets: usize) -> Option<(usize, How)> {
        let passed = &mut self.passed[place(side)][place_of(way)];
        let before = *passed;
        *passed += octets as u64;
        let after = *passed;
        let due = |cut: &Cut| cut.side == side && cut.way == way && (before..after).contains(&cut.at);
        let found = self.weather.cuts.iter().position(due)?;
        let cut = self.weather.cuts.remove(found);
        let arrive = usize::try_from(cut.at - before).unwrap_or(octets);
        self.passed[place(side)][place_of(way)] = cut.at;
        Some((arrive, cut.how))
    }

    fn pieces(&mut self, octets: Vec<u8>) -> Vec<Vec<u8>> {
        let most = self.weather.pieces_max;
        if most == 0 {
            return vec![octets];
        }
        let (mut pieces, mut rest) = (Vec::new(), octets.as_slice());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(1 + self.dice.below(most)));
            pieces.push(piece.to_vec());
            rest = behind;
        }
        pieces
    }

    fn latency(&mut self, side: Side) -> Duration {
        let jitter = if self.weather.pieces_max == 0 { 0 } else { self.dice.below(3) as u64 };
        Duration::from_millis(self.weather.latency_millis[place(side)] + jitter)
    }

    /// How long a connection from this server takes for so many octets.
    fn carried_in(&self, side: Side, octets: usize) -> Duration {
        match (side, self.weather.source_octets_per_sec) {
            (Side::Target, _) | (_, 0) => Duration::ZERO,
            (Side::Source, per_sec) => Duration::from_millis(1_000 * octets as u64 / per_sec),
        }
    }
}

impl Dialer for Network {
    fn dial(&self, side: Side, _: &str, _: u16) -> Dialled {
        let network = self.clone();
        Box::pin(async move {
            let mut shared = network.lock();
            let refusals = &mut shared.weather.refusals[place(side)];
            if *refusals > 0 {
                *refusals -= 1;
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            shared.open += 1;
            shared.catch_up();
            let server = shared.servers[place(side)].connect();
            drop(shared);
            let pipe = Arc::new(Pipe::default());
            tokio::spawn(Carrier::new(network.clone(), side, server, Arc::clone(&pipe)).run());
            Ok(Stream::new(ClientEnd(pipe)))
        })
    }
}

/// Pieces on their way, each with the moment of its arrival.
type Lane = VecDeque<(Instant, Vec<u8>)>;

/// Carries one connection.
struct Carrier {
    network: Network,
    side: Side,
    server: ModelConnection,
    pipe: Arc<Pipe>,
    up: Lane,
    down: Lane,
    /// Whether what goes this way is swallowed.
    swallows: [bool; 2],
    /// When the server will have thought about what it has received.
    answers_at: Option<Instant>,
    /// When the server gives the connection up.
    given_up_at: Option<Instant>,
    /// Whether the server's end is closed.
    closed: bool,
}

impl Carrier {
    fn new(network: Network, side: Side, server: ModelConnection, pipe: Arc<Pipe>) -> Carrier {
        Carrier {
            network,
            side,
            server,
            pipe,
            up: Lane::new(),
            down: Lane::new(),
            swallows: [false; 2],
            answers_at: Some(Instant::now()),
            given_up_at: None,
            closed: false,
        }
    }

    async fn run(mut self) {
        loop {
            let gone = self.pipe.is_gone();
            self.take_up();
            self.bring_up();
            self.answer();
            self.bring_down();
            if gone && self.up.is_empty() && !self.swallows[0] {
                // The farewell of the client's system has arrived.
                break;
            }
            if self.closed && self.down.is_empty() {
                // Whoever stands behind a hole in the network is not told that it is over.
                if !self.swallows[1] {
                    self.pipe.end(End::Closed);
                }
                if gone || !self.swallows[1] {
                    break;
                }
            }
            if self.given_up_at.is_some_and(|moment| moment <= Instant::now()) {
                self.close();
            }
            if !self.closed || !self.down.is_empty() || !gone {
                self.wait(gone).await;
            }
        }
    }

    /// What the client has written sets out.
    fn take_up(&mut self) {
        let octets = self.pipe.take();
        if octets.is_empty() || self.closed {
            return;
        }
        let mut shared = self.network.lock();
        if shared.frozen {
            return;
        }
        for piece in shared.pieces(octets) {
            let arrives = later(&self.up, Instant::now() + shared.latency(self.side));
            self.up.push_back((arrives, piece));
        }
    }

    /// What has come to the server.
    fn bring_up(&mut self) {
        while self.up.front().is_some_and(|(moment, _)| *moment <= Instant::now()) {
            let Some((_, mut piece)) = self.up.pop_front() else { break };
            if self.swallows[0] || self.closed {
                continue;
            }
            let (cut, thinks) = {
                let mut shared = self.network.lock();
                shared.catch_up();
                let most = usize::try_from(shared.weather.thinks_millis_max).unwrap_or(0);
                let thinks = if most == 0 { 0 } else { shared.dice.below(most + 1) as u64 };
                (shared.count(self.side, Way::ToServer, piece.len()), thinks)
            };
            piece.truncate(cut.map_or(piece.len(), |(octets, _)| octets));
            self.server.receive(&piece);
            let answers_at = Instant::now() + Duration::from_millis(thinks);
            self.answers_at = Some(self.answers_at.map_or(answers_at, |known| known.max(answers_at)));
            if let Some((_, how)) = cut {
                self.cut(Way::ToServer, how);
            }
        }
    }

    /// What the server has to say sets out.
    fn answer(&mut self) {
        if self.closed || self.answers_at.is_some_and(|moment| moment > Instant::now()) {
            return;
        }
        self.answers_at = None;
        let mut shared = self.network.lock();
        shared.catch_up();
        let octets = self.server.output();
        if !octets.is_empty() {
            for piece in shared.pieces(octets) {
                let carried = shared.carried_in(self.side, piece.len());
                let arrives = later(&self.down, Instant::now() + shared.latency(self.side)) + carried;
                self.down.push_back((arrives, piece));
            }
        }
        drop(shared);
        if self.server.ended() {
            self.closed = true;
        }
    }

    /// What has come to the client.
    fn bring_down(&mut self) {
        while self.down.front().is_some_and(|(moment, _)| *moment <= Instant::now()) {
            let Some((_, mut piece)) = self.down.pop_front() else { break };
            if self.swallows[1] {
                continue;
            }
            let cut = self.network.lock().count(self.side, Way::ToClient, piece.len());
            piece.truncate(cut.map_or(piece.len(), |(octets, _)| octets));
            self.pipe.arrive(&piece);
            if let Some((_, how)) = cut {
                self.down.clear();
                self.cut(Way::ToClient, how);
            }
        }
    }

    fn cut(&mut self, way: Way, how: How) {
        match how {
            How::Fin => {
                self.up.clear();
                self.close();
                if way == Way::ToClient {
                    self.pipe.end(End::Closed);
                }
            }
            How::Rst => {
                self.up.clear();
                self.down.clear();
                self.close();
                self.pipe.end(End::Reset);
            }
            How::BlackHole => self.swallows = [true; 2],
            How::HalfOpen => self.swallows[place_of(way)] = true,
        }
        if self.swallows[0] {
            self.given_up_at = Some(Instant::now() + SERVER_PATIENCE);
        }
    }

    /// The server's end is over.
    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.network.catch_up();
            self.server.close();
        }
    }

    async fn wait(&self, gone: bool) {
        let lands = self.network.lock().servers[place(self.side)].due();
        let lands = lands.filter(|_| !self.closed).map(|millis| Instant::now() + Duration::from_millis(millis.max(1)));
        let given_up = self.given_up_at.filter(|_| !self.closed);
        let moments = [self.up.front().map(|(moment, _)| *moment), self.down.front().map(|(moment, _)| *moment)];
        let next =
            moments.into_iter().chain([self.answers_at.filter(|_| !self.closed), lands, given_up]).flatten().min();
        let mut timer = std::pin::pin!(sleep_until(next.unwrap_or_else(Instant::now)));
        poll_fn(|cx| {
            if !gone && self.pipe.poll_news(cx).is_ready() {
                return Poll::Ready(());
            }
            if next.is_some() { timer.as_mut().poll(cx) } else { Poll::Pending }
        })
        .await;
    }
}

/// Octets do not overtake one another.
fn later(lane: &Lane, moment: Instant) -> Instant {
    lane.back().map_or(moment, |(last, _)| moment.max(*last))
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.close();
        self.network.lock().open -= 1;
    }
}
