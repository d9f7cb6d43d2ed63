//! A proxy for real TCP connections that goes wrong on demand.
//!
//! It stands between the program under test and a real server, understands just enough IMAP to count commands, literals
//! and answers, and follows a [`Plan`] for each connection: cut at an exact octet, swallow an answer, stall, slip a line in,
//! answer in the server's place, delay, throttle. Whatever the plan does not name passes unchanged, octet for octet.
//!
//! What a [`UserPlan`] names goes wrong for one user only, whichever connection it is, until it is taken back.
//!
//! Plain text is understood; after STARTTLS or COMPRESS, or with [`Plan::opaque`], only octets are counted.
//!
//! Tests never sleep: [`Proxy::wait_for`] returns when something has happened.

mod connection;
mod lane;
mod plan;
mod program;
mod pump;
mod pump_user;
mod scanner;
mod stats;
mod user;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use connection::Connection;
pub use plan::{Cut, Direction, Fault, Moment, Plan, Reply, Which};
pub use program::{Setup, setup};
use stats::Watched;
pub use stats::{Event, Statistics, UserStatistics, WRITING_COMMANDS};
pub use user::UserPlan;
use user::Users;

/// How long [`Proxy::wait_for`] waits before it gives up.
const EVENT_MAX: Duration = Duration::from_secs(60);

/// What the accepting thread and the test share.
#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    /// Plans of the next connections, in order.
    next: Mutex<VecDeque<Plan>>,
    /// The plan of every connection after those.
    otherwise: Mutex<Plan>,
    refuses: AtomicBool,
    ends: AtomicBool,
    connections: Mutex<Vec<Weak<Connection>>>,
    watched: Arc<Watched>,
    users: Arc<Users>,
}

/// A running proxy. Dropping it resets all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy in front of `target` on which nothing goes wrong yet.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    #[must_use]
    pub fn start(target: SocketAddr) -> Proxy {
        Proxy::with_plan(target, Plan::new())
    }

    /// A proxy all of whose connections follow this plan.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    #[must_use]
    pub fn with_plan(target: SocketAddr, plan: Plan) -> Proxy {
        Proxy::listen((Ipv4Addr::LOCALHOST, 0).into(), target, plan).expect("a loopback port is free")
    }

    /// The same at an address of one's own; port 0 takes one that is free.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn listen(at: SocketAddr, target: SocketAddr, plan: Plan) -> io::Result<Proxy> {
        let listener = TcpListener::bind(at)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            next: Mutex::default(),
            otherwise: Mutex::new(plan),
            refuses: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            connections: Mutex::default(),
            watched: Arc::default(),
            users: Arc::default(),
        });
        let accepts = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accepts.accept_all(&listener));
        Ok(Proxy { address, shared, acceptor: Some(acceptor) })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The plan of all later connections; plans for the next ones are forgotten.
    pub fn set_plan(&self, plan: Plan) {
        lock(&self.shared.next).clear();
        *lock(&self.shared.otherwise) = plan;
    }

    /// Plans for the next connections, in order; later ones follow the plan for all.
    pub fn set_next_plans(&self, plans: impl IntoIterator<Item = Plan>) {
        *lock(&self.shared.next) = plans.into_iter().collect();
    }

    /// What is to go wrong for this user from now on, on open connections and on later ones. It takes the place of an earlier
    /// plan for the same user.
    pub fn set_user_plan(&self, user: &str, plan: UserPlan) {
        self.shared.users.set(user, plan);
    }

    /// Nothing goes wrong for this user any more, save what is planned for everybody.
    pub fn clear_user_plan(&self, user: &str) {
        self.shared.users.forget(user);
    }

    /// Ends all connections that have signed in as this user.
    pub fn cut_user(&self, user: &str, cut: Cut) {
        self.shared.each(|connection| {
            if connection.is_of(user) {
                connection.cut(cut);
            }
        });
    }

    /// Sends later connections elsewhere.
    pub fn set_target(&self, target: SocketAddr) {
        *lock(&self.shared.target) = target;
    }

    /// While true, connections are reset as soon as they are made.
    pub fn refuse_connections(&self, refuse: bool) {
        self.shared.refuses.store(refuse, Ordering::SeqCst);
    }

    /// Ends all connections now.
    pub fn cut_all(&self, cut: Cut) {
        self.shared.each(|connection| connection.cut(cut));
    }

    /// Makes all connections black holes now.
    pub fn stall_all(&self) {
        self.shared.each(Connection::stall);
    }

    /// Lets everything go on that [`Fault::Hold`] keeps.
    pub fn release(&self) {
        self.shared.each(Connection::release);
    }

    /// What went through so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.watched.now()
    }

    /// The first lines of all commands in the order they came, without their tags; LOGIN and AUTHENTICATE without arguments.
    #[must_use]
    pub fn command_lines(&self) -> Vec<String> {
        self.shared.watched.command_lines()
    }

    /// Waits until something has happened.
    ///
    /// # Panics
    /// When it has not within a minute.
    pub fn wait_for(&self, event: &Event) {
        assert!(self.wait_at_most(event, EVENT_MAX), "{event:?} did not happen: {:?}", self.statistics());
    }

    /// Waits until something has happened; false when it has not within this time.
    #[must_use]
    pub fn wait_at_most(&self, event: &Event, at_most: Duration) -> bool {
        self.wait_until(|statistics| event.has_happened(statistics), at_most)
    }

    /// Waits until the statistics are as wanted; false when they are not within this time.
    #[must_use]
    pub fn wait_until(&self, holds: impl Fn(&Statistics) -> bool, at_most: Duration) -> bool {
        self.shared.watched.wait_until(holds, at_most)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
        self.cut_all(Cut::Rst);
    }
}

impl Shared {
    fn accept_all(&self, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.ends.load(Ordering::SeqCst) {
                return;
            }
            if let Ok(client) = client {
                self.accept(client);
            }
        }
    }

    fn accept(&self, client: TcpStream) {
        self.watched.change(Statistics::add_connection);
        let target = *lock(&self.target);
        let server = if self.refuses.load(Ordering::SeqCst) { None } else { TcpStream::connect(target).ok() };
        let Some(server) = server else {
            drop(socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)));
            drop(client);
            self.watched.change(|statistics| statistics.ended += 1);
            return;
        };
        let plan = lock(&self.next).pop_front().unwrap_or_else(|| lock(&self.otherwise).clone());
        // An error here means that the client is gone already.
        if let Ok(connection) = Connection::start(client, server, plan, &self.watched, &self.users) {
            let mut connections = lock(&self.connections);
            connections.retain(|known| known.strong_count() > 0);
            connections.push(Arc::downgrade(&connection));
        }
    }

    fn each(&self, act: impl Fn(&Connection)) {
        let connections: Vec<_> = lock(&self.connections).iter().filter_map(Weak::upgrade).collect();
        for connection in connections {
            act(&connection);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
