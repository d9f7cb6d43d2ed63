//! Ctrl-C and SIGTERM: the first asks the walkers to stop, the second ends the process at once, which is just as
//! safe and only less tidy.

use crate::exit::{CommandError, Exit};
use std::io::Write;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Watches for signals from now on.
pub(crate) fn stop_on_signal(stop: impl Fn() + Send + 'static) -> Result<(), CommandError> {
    let listen = |kind| {
        signal(kind).map_err(|error| CommandError {
            exit: Exit::Internal,
            text: format!("cannot listen for signals: {error}"),
            hint: None,
        })
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        crate::display::aside(|| {
            let _ = writeln!(std::io::stderr(), "stopping: what is in flight is finished first (again to end at once)");
        });
        stop();
        either(&mut interrupt, &mut terminate).await;
        std::process::exit(i32::from(Exit::Interrupted as u8));
    });
    Ok(())
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
