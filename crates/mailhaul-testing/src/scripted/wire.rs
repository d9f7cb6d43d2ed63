//! The scripted servers' end of a connection.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Lines of a conversation that are kept for the report.
const KEPT_LINES: usize = 200;
const KEPT_LINE_BYTES: usize = 300;

/// A connection with a record of what was said.
#[derive(Debug)]
pub(crate) struct Wire {
    reader: BufReader<TcpStream>,
    record: Vec<String>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        Ok(Wire { reader: BufReader::new(stream), record: Vec::new() })
    }

    fn note(&mut self, who: &str, octets: &[u8]) {
        if self.record.len() == KEPT_LINES {
            self.record.remove(0);
        }
        let shown = &octets[..octets.len().min(KEPT_LINE_BYTES)];
        self.record.push(format!("{who}: {}", String::from_utf8_lossy(shown).trim_end_matches(['\r', '\n'])));
    }

    /// What was said so far.
    pub(crate) fn record(&self) -> String {
        self.record.join("\n")
    }

    /// The client's next line without its CRLF; none when it has left.
    pub(crate) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error),
        }
        self.note("C", &line);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
    }

    pub(crate) fn octets(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        let announced = u64::try_from(length).unwrap_or(u64::MAX);
        if (&mut self.reader).take(announced).read_to_end(&mut octets)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.note("C", &octets);
        Ok(octets)
    }

    pub(crate) fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.note("S", octets);
        self.reader.get_mut().write_all(octets)
    }

    /// FIN; what the client still says is read and thrown away, so that no RST follows.
    pub(crate) fn close(&mut self) {
        drop(self.reader.get_ref().shutdown(Shutdown::Write));
        self.wait_for_leave();
    }

    pub(crate) fn reset(&mut self) {
        drop(socket2::SockRef::from(self.reader.get_ref()).set_linger(Some(Duration::ZERO)));
    }

    /// Says nothing until the client leaves.
    pub(crate) fn wait_for_leave(&mut self) {
        drop(io::copy(&mut self.reader, &mut io::sink()));
    }
}
