//! What was sent to a target and not answered, and the task that reads the answers.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::wire::{Input, unexpected};

/// Sent and unanswered on the target, as the product has it.
const WINDOW_BYTES: u64 = 16 << 20;
const WINDOW_MESSAGES: u64 = 5_000;

#[derive(Default)]
struct Open {
    /// Octets and messages of each APPEND, the oldest first.
    appends: VecDeque<(u64, u64)>,
    bytes: u64,
    messages: u64,
    /// All commands answered OK.
    answered: u64,
    /// Continuations that came and were not used.
    granted: u64,
    failed: Option<String>,
}

/// The account of it, shared with the task that reads. Tags of APPEND begin with `M`.
#[derive(Clone)]
pub(super) struct Answers {
    open: Arc<Mutex<Open>>,
    changed: Arc<Notify>,
}

impl Answers {
    /// Begins to read.
    pub(super) fn read(mut input: Input) -> Answers {
        let answers = Answers { open: Arc::default(), changed: Arc::default() };
        let told = answers.clone();
        tokio::spawn(async move {
            loop {
                let outcome = match input.line().await {
                    Ok(range) => told.take(input.octets(range)),
                    Err(error) => Err(error),
                };
                let failed = outcome.is_err();
                if let Err(error) = outcome {
                    told.lock().failed = Some(error.to_string());
                }
                told.changed.notify_one();
                if failed {
                    return;
                }
            }
        });
        answers
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, line: &[u8]) -> io::Result<()> {
        let mut words = line.split(|octet| matches!(octet, b' ' | b'\r'));
        let (tag, verdict) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut open = self.lock();
        match tag {
            b"*" => {}
            b"+" => open.granted += 1,
            _ if verdict != b"OK" => return Err(unexpected(line)),
            _ => {
                open.answered += 1;
                if tag.starts_with(b"M")
                    && let Some((bytes, messages)) = open.appends.pop_front()
                {
                    open.bytes -= bytes;
                    open.messages -= messages;
                }
            }
        }
        Ok(())
    }

    /// Waits for something to become true.
    async fn until(&self, mut holds: impl FnMut(&mut Open) -> bool) -> io::Result<()> {
        loop {
            {
                let mut open = self.lock();
                if let Some(words) = &open.failed {
                    return Err(io::Error::other(words.clone()));
                }
                if holds(&mut open) {
                    return Ok(());
                }
            }
            self.changed.notified().await;
        }
    }

    /// Whether another APPEND may begin now.
    pub(super) fn has_room(&self) -> bool {
        let open = self.lock();
        open.bytes < WINDOW_BYTES && open.messages < WINDOW_MESSAGES
    }

    /// Waits for room.
    pub(super) async fn room(&self) -> io::Result<()> {
        self.until(|open| open.bytes < WINDOW_BYTES && open.messages < WINDOW_MESSAGES).await
    }

    /// Begins an empty APPEND.
    pub(super) fn begin(&self) {
        self.lock().appends.push_back((0, 0));
    }

    /// Adds to the newest one.
    pub(super) fn add(&self, bytes: u64, messages: u64) {
        let mut open = self.lock();
        open.bytes += bytes;
        open.messages += messages;
        if let Some(newest) = open.appends.back_mut() {
            *newest = (newest.0 + bytes, newest.1 + messages);
        }
    }

    /// Waits until the server says `+`.
    pub(super) async fn granted(&self) -> io::Result<()> {
        self.until(|open| {
            let granted = open.granted > 0;
            open.granted -= u64::from(granted);
            granted
        })
        .await
    }

    /// Waits until so many commands have been answered OK.
    pub(super) async fn all(&self, commands: u64) -> io::Result<()> {
        self.until(|open| open.answered >= commands).await
    }
}
