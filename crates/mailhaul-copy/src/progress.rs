//! What a run is doing right now, for whoever draws it. Numbers only: the report is computed elsewhere, from the ledger.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared between the walker, which counts, and a display, which reads at its own pace.
#[derive(Debug, Default)]
pub struct Progress {
    messages_expected: AtomicU64,
    bytes_expected: AtomicU64,
    messages_settled: AtomicU64,
    bytes_settled: AtomicU64,
    mailboxes_expected: AtomicU64,
    mailboxes_finished: AtomicU64,
    activity: Mutex<String>,
}

/// The numbers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Messages that this run has to look after, as far as is known.
    pub messages_expected: u64,
    /// Their octets, as the source announces them.
    pub bytes_expected: u64,
    /// Messages settled so far: already there, copied, adopted, or set aside.
    pub messages_settled: u64,
    /// Their octets.
    pub bytes_settled: u64,
    /// Mailboxes to be visited.
    pub mailboxes_expected: u64,
    /// Mailboxes finished.
    pub mailboxes_finished: u64,
    /// What is being done, for people, already escaped.
    pub activity: String,
}

impl Progress {
    /// The numbers at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Snapshot {
            messages_expected: load(&self.messages_expected),
            bytes_expected: load(&self.bytes_expected),
            messages_settled: load(&self.messages_settled),
            bytes_settled: load(&self.bytes_settled),
            mailboxes_expected: load(&self.mailboxes_expected),
            mailboxes_finished: load(&self.mailboxes_finished),
            activity: self.activity.lock().map(|text| text.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn expect_mailboxes(&self, mailboxes: u64) {
        self.mailboxes_expected.store(mailboxes, Ordering::Relaxed);
    }

    pub(crate) fn expect(&self, messages: u64, bytes: u64) {
        self.messages_expected.fetch_add(messages, Ordering::Relaxed);
        self.bytes_expected.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn settle(&self, messages: u64, bytes: u64) {
        self.messages_settled.fetch_add(messages, Ordering::Relaxed);
        self.bytes_settled.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn finish_mailbox(&self) {
        self.mailboxes_finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn doing(&self, activity: String) {
        if let Ok(mut text) = self.activity.lock() {
            *text = activity;
        }
    }
}
