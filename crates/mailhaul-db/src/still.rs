//! Time that stands still while SQLite works, for whoever simulates time.
//!
//! A paused clock of tokio's jumps to the next timer as soon as every task waits. SQLite works on a thread of its own,
//! so while it does, every task waits, and timers would fire that have nothing to do with the disk. On a thread that
//! has asked for it, waiting for SQLite therefore keeps the thread: to everything that runs on it, a commit takes no
//! time at all, and what happens is the same each time.
//!
//! Only under debug assertions. What is shipped has no trace of this.

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

/// As many looks as it takes until connections that were given back are there again.
#[cfg(not(debug_assertions))]
pub(crate) async fn settle(_: impl Fn() -> bool) {}

/// Waits for something that waits for nothing but SQLite.
#[cfg(debug_assertions)]
pub(crate) async fn still<F: Future>(work: F) -> F::Output {
    if STANDS_STILL.get() { simulated::Still::new(work).await } else { work.await }
}

/// As many looks as it takes until connections that were given back are there again: who gives them back is another
/// task of this thread, and would not come to it while the thread is kept.
#[cfg(debug_assertions)]
pub(crate) async fn settle(settled: impl Fn() -> bool) {
    while STANDS_STILL.get() && !settled() {
        // A task that is always ready keeps the clock from jumping.
        tokio::task::yield_now().await;
    }
}

#[cfg(debug_assertions)]
mod simulated {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};
    use std::time::{Duration, Instant};

    /// After this the other tasks are let in, in case one of them is waited for after all.
    const PATIENCE: Duration = Duration::from_millis(50);

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

    impl<F: Future> Future for Still<F> {
        type Output = F::Output;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            let bell = Waker::from(Arc::new(Bell(thread::current())));
            let until = Instant::now() + PATIENCE;
            loop {
                if let Poll::Ready(done) = self.work.as_mut().poll(&mut Context::from_waker(&bell)) {
                    return Poll::Ready(done);
                }
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                thread::park_timeout(left);
            }
        }
    }
}
