//! One direction's delay line: octets wait here until they are due, then a thread of its own writes them.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Octets that may wait in a lane before its reader pauses. Large enough for 1 Gbit/s over half a second.
const QUEUED_BYTES_MAX: usize = 64 << 20;

/// The most that is written at once when the bandwidth is limited.
const PACED_BYTES: usize = 8 << 10;

/// Something that travels through the lane.
#[derive(Debug)]
pub(crate) enum Parcel<T> {
    /// Octets for the far end.
    Octets(Vec<u8>),
    /// Something to do when everything before it was written.
    Task(T),
}

#[derive(Debug)]
struct Inner<T> {
    parcels: VecDeque<(Instant, Parcel<T>)>,
    queued_bytes: usize,
    closed: bool,
    paused: bool,
}

/// A delay line.
#[derive(Debug)]
pub(crate) struct Lane<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
    delay: Duration,
    bytes_per_sec: Option<u64>,
}

impl<T> Lane<T> {
    pub(crate) fn new(delay: Duration, bytes_per_sec: Option<u64>) -> Lane<T> {
        let inner = Inner { parcels: VecDeque::new(), queued_bytes: 0, closed: false, paused: false };
        Lane { inner: Mutex::new(inner), changed: Condvar::new(), delay, bytes_per_sec }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never blocks; [`Lane::wait_for_room`] is what holds a fast sender back.
    pub(crate) fn push(&self, parcel: Parcel<T>) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        if let Parcel::Octets(octets) = &parcel {
            inner.queued_bytes += octets.len();
        }
        inner.parcels.push_back((Instant::now() + self.delay, parcel));
        drop(inner);
        self.changed.notify_all();
    }

    /// Returns when the lane takes octets again, or is closed and takes none any more.
    pub(crate) fn wait_for_room(&self) {
        let mut inner = self.lock();
        while (inner.queued_bytes > QUEUED_BYTES_MAX || inner.paused) && !inner.closed {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What waits is dropped, and the writer ends.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.parcels.clear();
        drop(inner);
        self.changed.notify_all();
    }

    /// Nothing is written any more until the lane is closed or resumed.
    pub(crate) fn pause(&self) {
        self.lock().paused = true;
        self.changed.notify_all();
    }

    /// What waits is written again as it is due.
    pub(crate) fn resume(&self) {
        self.lock().paused = false;
        self.changed.notify_all();
    }

    /// Takes the next parcel when it is due; none when the lane is closed.
    fn pop(&self) -> Option<Parcel<T>> {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return None;
            }
            let due = if inner.paused { None } else { inner.parcels.front().map(|(due, _)| *due) };
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            inner = match left {
                Some(left) if left.is_zero() => break,
                Some(left) => self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
        }
        let parcel = inner.parcels.pop_front().map(|(_, parcel)| parcel)?;
        if let Parcel::Octets(octets) = &parcel {
            inner.queued_bytes -= octets.len();
        }
        drop(inner);
        self.changed.notify_all();
        Some(parcel)
    }

    fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Writes what is due until the lane is closed or the far end is gone. `written` is told of octets after they were
    /// written, `run` does the tasks and says whether to go on.
    pub(crate) fn write_out(&self, stream: &TcpStream, written: impl Fn(usize), run: impl Fn(T) -> bool) {
        let mut free_at = Instant::now();
        while let Some(parcel) = self.pop() {
            let goes_on = match parcel {
                Parcel::Task(task) => run(task),
                Parcel::Octets(octets) => self.write_paced(stream, &octets, &mut free_at, &written).is_ok(),
            };
            if !goes_on {
                return;
            }
        }
    }

    fn write_paced(
        &self,
        stream: &TcpStream,
        octets: &[u8],
        free_at: &mut Instant,
        written: &impl Fn(usize),
    ) -> io::Result<()> {
        let Some(bytes_per_sec) = self.bytes_per_sec else {
            return self.write_all(stream, octets, written);
        };
        for chunk in octets.chunks(PACED_BYTES) {
            self.wait_until(*free_at)?;
            self.write_all(stream, chunk, written)?;
            let micros = u64::try_from(chunk.len()).unwrap_or(u64::MAX).saturating_mul(1_000_000) / bytes_per_sec;
            *free_at = (*free_at).max(Instant::now()) + Duration::from_micros(micros);
        }
        Ok(())
    }

    fn wait_until(&self, moment: Instant) -> io::Result<()> {
        let mut inner = self.lock();
        while !inner.closed {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// The stream has a write time-out, so that a closed lane is noticed although the far end does not read.
    fn write_all(&self, mut stream: &TcpStream, mut octets: &[u8], written: &impl Fn(usize)) -> io::Result<()> {
        while !octets.is_empty() {
            match stream.write(octets) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written(count);
                    octets = &octets[count..];
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.is_closed() {
                        return Err(error);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
