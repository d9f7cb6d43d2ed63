//! A signed-in connection as two halves: lines and octets in, a buffer out.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;

use super::Account;

const BLOCK: usize = 256 << 10;
const WRITE_BLOCK: usize = 128 << 10;

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What comes from a server, and what was read of it and not used.
pub(super) struct Input {
    half: ReadHalf<Box<dyn Stream>>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// What goes to a server.
pub(super) struct Output {
    half: WriteHalf<Box<dyn Stream>>,
    buffer: Vec<u8>,
}

/// Connects, waits for the greeting and signs in.
pub(super) async fn sign_in(account: &Account) -> io::Result<(Input, Output)> {
    let stream = TcpStream::connect(account.address).await?;
    stream.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match &account.tls {
        None => Box::new(stream),
        Some(connector) => {
            let name = ServerName::IpAddress(account.address.ip().into());
            Box::new(connector.connect(name, stream).await?)
        }
    };
    let (read, write) = tokio::io::split(stream);
    let mut input = Input { half: read, buffer: vec![0; 2 * BLOCK], start: 0, end: 0 };
    let mut output = Output { half: write, buffer: Vec::with_capacity(2 * WRITE_BLOCK) };
    input.line().await?;
    command(&mut input, &mut output, &format!("LOGIN {} \"{}\"", account.user, account.password)).await?;
    Ok((input, output))
}

/// One command whose answer has no literals.
pub(super) async fn command(input: &mut Input, output: &mut Output, command: &str) -> io::Result<()> {
    output.put(format!("C {command}\r\n").as_bytes()).await?;
    output.flush().await?;
    loop {
        let range = input.line().await?;
        let line = input.octets(range);
        if line.starts_with(b"C ") {
            return if line.starts_with(b"C OK") { Ok(()) } else { Err(unexpected(line)) };
        }
    }
}

impl Input {
    /// The next line, CRLF included, as a place in the buffer.
    pub(super) async fn line(&mut self) -> io::Result<Range<usize>> {
        let mut looked_at = 0;
        loop {
            let unseen = &self.buffer[self.start + looked_at..self.end];
            if let Some(at) = memchr(unseen) {
                let range = self.start..self.start + looked_at + at + 1;
                self.start = range.end;
                return Ok(range);
            }
            looked_at = self.end - self.start;
            self.fill().await?;
        }
    }

    /// What was found by [`Input::line`].
    pub(super) fn octets(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// At most so many octets, and at least one.
    pub(super) async fn some(&mut self, most: usize) -> io::Result<Range<usize>> {
        if self.start == self.end {
            self.fill().await?;
        }
        let range = self.start..self.end.min(self.start.saturating_add(most));
        self.start = range.end;
        Ok(range)
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.buffer.len() - self.end < BLOCK {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() == self.end {
            return Err(io::Error::other("a line longer than the buffer"));
        }
        let octets = self.half.read(&mut self.buffer[self.end..]).await?;
        self.end += octets;
        if octets == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

fn memchr(octets: &[u8]) -> Option<usize> {
    octets.iter().position(|octet| *octet == b'\n')
}

impl Output {
    pub(super) async fn put(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.buffer.len() + octets.len() > WRITE_BLOCK {
            self.flush().await?;
        }
        if octets.len() > WRITE_BLOCK {
            return self.half.write_all(octets).await;
        }
        self.buffer.extend_from_slice(octets);
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.half.write_all(&self.buffer).await?;
        self.buffer.clear();
        self.half.flush().await
    }
}

pub(super) fn unexpected(line: &[u8]) -> io::Error {
    io::Error::other(format!("unexpected answer: {}", String::from_utf8_lossy(line).trim_end()))
}

/// Trusts this authority and no other.
pub(crate) fn connector(ca_file: &std::path::Path) -> io::Result<tokio_rustls::TlsConnector> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let certificate = CertificateDer::from_pem_file(ca_file).map_err(io::Error::other)?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    Ok(tokio_rustls::TlsConnector::from(Arc::new(config)))
}
