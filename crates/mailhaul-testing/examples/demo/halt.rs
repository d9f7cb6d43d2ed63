//! Ctrl-C, SIGTERM and SIGHUP: the running copier is killed and the story ends at its next step, so that everything is
//! cleaned up on the usual way out.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::Problem;

/// Whether the end was asked for, and which child has to go first.
#[derive(Debug, Default)]
pub(crate) struct Halt {
    asked: AtomicBool,
    child: Mutex<Option<Pid>>,
}

impl Halt {
    /// Listens from now on.
    pub(crate) fn on_signals() -> io::Result<Arc<Halt>> {
        let halt = Arc::new(Halt::default());
        let listener = Arc::clone(&halt);
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || {
            let outcome = listener.listen(&ready);
            // The receiver is gone once listening has begun; then nobody can be told any more.
            let _ = ready.send(outcome);
        });
        is_ready.recv().map_err(io::Error::other)??;
        Ok(halt)
    }

    fn listen(&self, ready: &mpsc::Sender<io::Result<()>>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hang_up = signal(SignalKind::hangup())?;
            let _ = ready.send(Ok(()));
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                self.asked.store(true, Ordering::SeqCst);
                kill(*self.child());
            }
        })
    }

    /// Ends the story here if that was asked for.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.asked.load(Ordering::SeqCst) { Err(Problem::Interrupted) } else { Ok(()) }
    }

    /// The child to be killed when the end is asked for. It must not have been waited for yet while it stands here.
    pub(crate) fn watch(&self, child: Option<Pid>) {
        let mut watched = self.child();
        *watched = child;
        // It may have been asked for between the last check and the child's birth.
        if self.asked.load(Ordering::SeqCst) {
            kill(child);
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Pid>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kill(child: Option<Pid>) {
    if let Some(child) = child {
        // It is gone already: that is what is wanted.
        let _ = kill_process(child, Signal::KILL);
    }
}
