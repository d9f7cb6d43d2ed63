//! Time that stands still while SQLite works, for whoever simulates time.
//!
//! A paused clock of tokio's jumps to the next timer as soon as every task waits. SQLite works on a thread of its own,
//! so while it does, every task waits, and timers would fire that have nothing to do with the disk. On a thread that
//! has asked for it, waiting for SQLite therefore keeps the thread: to everything that runs on it, a commit takes no
//! time at all, and what happens is the same each time.
//!
//! Only under debug assertions. What is shipped has no trace of this.

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
#[cfg(debug_assertions)]
use std::cell::Cell;
use std::future::Future;

#[cfg(debug_assertions)]
thread_local! {
    static STANDS_STILL: Cell<bool> = const { Cell::new(false) };
}

/// From now on, time stands still on this thread while SQLite works. For a current-thread runtime with a paused clock,
/// and nothing else. Without debug assertions it is not heard.
pub fn let_time_stand_still() {
    #[cfg(debug_assertions)]
    STANDS_STILL.set(true);
}

/// Waits for something that waits for nothing but SQLite.
#[cfg(not(debug_assertions))]
pub(crate) fn still<F: Future>(work: F) -> F {
    work
}

/// Waits for something that waits for nothing but SQLite.
#[cfg(debug_assertions)]
pub(crate) async fn still<F: Future>(work: F) -> F::Output {
    if STANDS_STILL.get() { simulated::Still::new(work).await } else { work.await }
}

/// Gives a connection back to its pool, before anything else is done on a thread where time stands still: who would
/// otherwise give it back is another task, and how soon SQLite's thread lets it would decide what comes first.
#[cfg(debug_assertions)]
pub(crate) fn give_back(connection: &mut PoolConnection<Sqlite>) {
    if STANDS_STILL.get() {
        simulated::finish(connection.return_to_pool());
    }
}

/// Its pool takes the connection back by itself.
#[cfg(not(debug_assertions))]
pub(crate) fn give_back(_: &mut PoolConnection<Sqlite>) {}

#[cfg(debug_assertions)]
mod simulated {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};
    use std::time::{Duration, Instant};

    /// After this the other tasks are let in, in case one of them is waited for after all. That has never been so: it is
    /// long, because on a busy machine SQLite's thread may wait for its turn, and what the others do meanwhile would
    /// not be the same the next time.
    const PATIENCE: Duration = Duration::from_secs(30);

    struct Bell(Thread);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Keeps the thread until the work is done.
    pub(super) struct Still<F> {
        // Boxed, because it is pinned without unsafe code; without tokio's own rationing, which would have the work
        // wait for a turn that never comes.
        work: Pin<Box<tokio::task::coop::Unconstrained<F>>>,
    }

    impl<F: Future> Still<F> {
        pub(super) fn new(work: F) -> Self {
            Self { work: Box::pin(tokio::task::coop::unconstrained(work)) }
        }
    }

    impl<F: Future> Still<F> {
        /// The outcome, waited for on this thread; `None` if it is not there after [`PATIENCE`].
        fn wait(&mut self) -> Option<F::Output> {
            let bell = Waker::from(Arc::new(Bell(thread::current())));
            let until = Instant::now() + PATIENCE;
            loop {
                if let Poll::Ready(done) = self.work.as_mut().poll(&mut Context::from_waker(&bell)) {
                    return Some(done);
                }
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::park_timeout(left);
            }
        }
    }

    impl<F: Future> Future for Still<F> {
        type Output = F::Output;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            let outcome = self.wait();
            if outcome.is_none() {
                cx.waker().wake_by_ref();
            }
            outcome.map_or(Poll::Pending, Poll::Ready)
        }
    }

    /// Waits for the end of something for which nobody else waits.
    pub(super) fn finish(work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Still::new(work);
        if work.wait().is_none() {
            tokio::spawn(work);
        }
    }
}
