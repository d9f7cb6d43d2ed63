//! A model behind a real port: threads, sockets and a clock, none of which the model has.

use super::{ModelConnection, ModelServer};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a connection looks whether something has come up without being asked for.
const TICK: Duration = Duration::from_millis(10);

/// A model that is served on a loopback port. Dropping it ends its connections; the model stays.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    model: ModelServer,
    ends: AtomicBool,
    /// Up to when the model's time has been advanced.
    clock: Mutex<Instant>,
    live: Mutex<BTreeMap<usize, TcpStream>>,
}

/// Puts a model behind a free loopback port. Its time passes with the real one from here on.
///
/// # Panics
/// When no loopback port can be bound.
#[must_use]
pub fn serve(model: &ModelServer) -> Served {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    let address = listener.local_addr().expect("a bound socket has an address");
    let shared = Arc::new(Shared {
        model: model.clone(),
        ends: AtomicBool::new(false),
        clock: Mutex::new(Instant::now()),
        live: Mutex::new(BTreeMap::new()),
    });
    let accepts = Arc::clone(&shared);
    let acceptor = std::thread::spawn(move || accept(&listener, &accepts));
    Served { address, shared, acceptor: Some(acceptor) }
}

impl Served {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        for socket in self.shared.live.lock().unwrap_or_else(PoisonError::into_inner).values() {
            drop(socket.shutdown(Shutdown::Both));
        }
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for (number, socket) in listener.incoming().enumerate() {
        if shared.ends.load(Ordering::SeqCst) {
            break;
        }
        let Ok(socket) = socket else { continue };
        if let Ok(handle) = socket.try_clone() {
            shared.live.lock().unwrap_or_else(PoisonError::into_inner).insert(number, handle);
        }
        let serves = Arc::clone(shared);
        threads.push(std::thread::spawn(move || {
            let mut connection = serves.model.connect();
            // However the conversation ends, the model hears of it.
            let _ = converse(&mut connection, socket, &serves);
            connection.close();
            serves.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        }));
    }
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

fn converse(connection: &mut ModelConnection, mut socket: TcpStream, shared: &Shared) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(TICK))?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        shared.let_time_pass();
        let output = connection.output();
        socket.write_all(&output)?;
        if connection.ended() {
            return socket.shutdown(Shutdown::Both);
        }
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(octets) => connection.receive(&buffer[..octets]),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
}

impl Shared {
    fn let_time_pass(&self) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = clock.elapsed().as_millis();
        if millis > 0 {
            *clock += Duration::from_millis(u64::try_from(millis).unwrap_or(0));
            self.model.advance(u64::try_from(millis).unwrap_or(u64::MAX));
        }
    }
}
