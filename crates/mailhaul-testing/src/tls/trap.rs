//! A server that wants credentials: it keeps every octet that is said to it, in plain text or inside TLS.
//!
//! What it does with a connection is a closure over a [`Visit`]. [`Visit::lure`] is the friendliest server there is: it
//! offers every way to sign in and answers everything else with OK, so that whoever can be led to say a password says it.

use rcgen::KeyPair;
pub use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConnection, StreamOwned};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a visitor may say nothing; then it is thrown out.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What a trap offers once somebody is listening.
const CAPABILITIES: &str = "IMAP4rev1 AUTH=PLAIN AUTH=LOGIN SASL-IR LITERAL+ UIDPLUS";

/// A certificate chain and a key, which need not fit together.
#[derive(Debug)]
pub struct Presented {
    /// The server's certificate, then its issuers.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key that signs the handshake.
    pub key: PrivateKeyDer<'static>,
}

impl Presented {
    pub(super) fn of(chain: Vec<CertificateDer<'static>>, key: KeyPair) -> Presented {
        Presented { chain, key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())) }
    }

    /// SHA-256 of the server's certificate: what a pin names.
    ///
    /// # Panics
    /// When there is no certificate.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.chain.first().expect("a certificate")).into()
    }

    /// A server that presents it.
    ///
    /// # Panics
    /// When the key is none that can sign.
    #[must_use]
    pub fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = rustls::crypto::ring::sign::any_supported_type(&self.key).expect("a key that can sign");
        let always = Always(Arc::new(CertifiedKey::new(self.chain.clone(), key)));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what TLS 1.2 and 1.3 need");
        Arc::new(config.with_no_client_auth().with_cert_resolver(Arc::new(always)))
    }
}

/// Presents one chain to everybody, whether or not the key belongs to it.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[derive(Debug, Default)]
struct Heard {
    octets: Vec<u8>,
    visits: usize,
    ended: usize,
}

type Shared = Arc<(Mutex<Heard>, Condvar)>;

fn heard(shared: &Shared) -> MutexGuard<'_, Heard> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A trap on a loopback port. It stands until the process ends.
#[derive(Debug)]
pub struct Trap {
    address: SocketAddr,
    shared: Shared,
}

impl Trap {
    /// Sets a trap. What the closure leaves unsaid when it ends is drained: nothing that is said to a trap gets lost.
    ///
    /// # Panics
    /// When no loopback port can be bound.
    #[must_use]
    pub fn set(act: impl Fn(&mut Visit) + Send + Sync + 'static) -> Trap {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Shared::default();
        let (ours, act) = (Arc::clone(&shared), Arc::new(act));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                heard(&ours).visits += 1;
                ours.1.notify_all();
                let (shared, act) = (Arc::clone(&ours), Arc::clone(&act));
                std::thread::spawn(move || {
                    let _leaves = Leaves(Arc::clone(&shared));
                    let mut visit = Visit::of(stream, shared);
                    act(&mut visit);
                    visit.drain();
                });
            }
        });
        Trap { address, shared }
    }

    /// Where it stands.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that was said to it by visitors who have left, as it came over the wire and as it was inside TLS. Waits for
    /// those who are still there.
    #[must_use]
    pub fn heard(&self) -> Vec<u8> {
        let all = heard(&self.shared);
        let all = self.shared.1.wait_while(all, |all| all.ended < all.visits).unwrap_or_else(PoisonError::into_inner);
        all.octets.clone()
    }

    /// Waits until so many have come; false when they have not within this time.
    #[must_use]
    pub fn wait_for_visits(&self, visits: usize, at_most: Duration) -> bool {
        let all = heard(&self.shared);
        let waited = self.shared.1.wait_timeout_while(all, at_most, |all| all.visits < visits);
        waited.unwrap_or_else(PoisonError::into_inner).0.visits >= visits
    }

    /// How many have come.
    #[must_use]
    pub fn visits(&self) -> usize {
        heard(&self.shared).visits
    }
}

/// Counts a visit as ended, however it ends.
struct Leaves(Shared);

impl Drop for Leaves {
    fn drop(&mut self) {
        heard(&self.0).ended += 1;
        self.0.1.notify_all();
    }
}

/// The socket; what comes over it is kept.
#[derive(Debug)]
struct Tapped {
    stream: TcpStream,
    shared: Shared,
}

impl Read for Tapped {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let octets = self.stream.read(into)?;
        heard(&self.shared).octets.extend_from_slice(&into[..octets]);
        Ok(octets)
    }
}

impl Write for Tapped {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[derive(Debug)]
enum Io {
    Plain(Tapped),
    Secured(Box<StreamOwned<ServerConnection, Tapped>>),
    Gone,
}

/// One connection to a trap.
#[derive(Debug)]
pub struct Visit {
    io: Io,
    shared: Shared,
    unread: Vec<u8>,
}

impl Visit {
    fn of(stream: TcpStream, shared: Shared) -> Visit {
        // A socket that refuses these is one that has gone; the first read says so.
        drop(stream.set_read_timeout(Some(SILENCE_MAX)));
        drop(stream.set_nodelay(true));
        Visit { io: Io::Plain(Tapped { stream, shared: Arc::clone(&shared) }), shared, unread: Vec::new() }
    }

    /// Says something, in one segment. Somebody who has left does not hear it.
    pub fn say(&mut self, octets: &[u8]) {
        let said = match &mut self.io {
            Io::Plain(io) => io.write_all(octets),
            Io::Secured(io) => io.write_all(octets).and_then(|()| io.flush()),
            Io::Gone => return,
        };
        if said.is_err() {
            self.io = Io::Gone;
        }
    }

    /// The visitor's next line without its end; none when it has left.
    pub fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut octets = [0; 4096];
            let read = match &mut self.io {
                Io::Plain(io) => io.read(&mut octets),
                Io::Secured(io) => {
                    let read = io.read(&mut octets);
                    if let Ok(read) = &read {
                        heard(&self.shared).octets.extend_from_slice(&octets[..*read]);
                    }
                    read
                }
                Io::Gone => return None,
            };
            match read {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.unread.extend_from_slice(&octets[..read]),
            }
        }
    }

    /// Waits until something has arrived, without reading it: a ClientHello, after the OK to STARTTLS.
    pub fn wait_for_octets(&mut self) {
        if let Io::Plain(io) = &self.io {
            drop(io.stream.peek(&mut [0]));
        }
    }

    /// The server's side of the handshake; what is said from here on is said inside. False when it did not come about.
    ///
    /// # Panics
    /// When the configuration can serve nobody.
    pub fn secure(&mut self, config: &Arc<ServerConfig>) -> bool {
        let Io::Plain(mut io) = std::mem::replace(&mut self.io, Io::Gone) else { return false };
        let mut connection = ServerConnection::new(Arc::clone(config)).expect("a configuration that can serve");
        while connection.is_handshaking() {
            if connection.complete_io(&mut io).is_err() {
                // The alert may still be on its way; and what is said in plain text now must be heard as well.
                drop(connection.complete_io(&mut io));
                self.io = Io::Plain(io);
                return false;
            }
        }
        self.io = Io::Secured(Box::new(StreamOwned::new(connection, io)));
        true
    }

    /// Answers every line as the friendliest server, until the visitor leaves.
    pub fn lure(&mut self, capabilities: &str) {
        let capabilities = if capabilities.is_empty() { CAPABILITIES } else { capabilities };
        while let Some(line) = self.line() {
            let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
            let word = command.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            if word == "CAPABILITY" {
                self.say(format!("* CAPABILITY {capabilities}\r\n").as_bytes());
            }
            // A literal is to come, or a step of AUTHENTICATE.
            let waits = line.ends_with('}') && !line.ends_with("+}");
            if waits || (word == "AUTHENTICATE" && command.split(' ').count() == 2) {
                self.say(b"+ \r\n");
                let _rest = self.line();
            }
            // Once it has heard the password there is nothing more to be had.
            let answer =
                if matches!(word.as_str(), "AUTHENTICATE" | "LOGIN") { "NO thank you" } else { "OK as you like" };
            self.say(format!("{tag} {answer}\r\n").as_bytes());
        }
    }

    /// Leaves without a word.
    pub fn leave(&mut self) {
        if let Io::Plain(io) = &self.io {
            drop(io.stream.shutdown(std::net::Shutdown::Write));
        }
    }

    fn drain(&mut self) {
        self.unread.clear();
        while self.line().is_some() {}
    }
}
