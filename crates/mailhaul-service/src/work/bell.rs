//! The doorbell: a socket beside the state file on which commands tell running processes that something changed.
//!
//! The state file is the truth; the bell only makes it heard at once. Without it a process notices at its next look,
//! half a second later.

use mailhaul_queue::{EngineHandle, WorkerId};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// How long somebody who rings waits to be heard.
const RING_AT_MOST: Duration = Duration::from_secs(3);
const HEARD: &[u8] = b"heard\n";

/// A process's bell.
#[derive(Debug)]
pub(crate) struct Bell {
    path: PathBuf,
    task: Option<JoinHandle<()>>,
}

impl Bell {
    /// Hangs the bell beside the state file. Where that cannot be done, the process is not rung for and looks by itself.
    pub(crate) fn hang(state: &Path, worker: WorkerId, engine: EngineHandle) -> Self {
        let path = directory(state).join(format!("bell-{worker}.sock"));
        // A process that was killed cannot have had this number: they are never used twice.
        let task = match UnixListener::bind(&path) {
            Ok(listener) => Some(tokio::spawn(answer(listener, engine))),
            Err(error) => {
                tracing::debug!(socket = %path.display(), %error, "no doorbell; commands act within a second");
                None
            }
        };
        Self { path, task }
    }

    pub(crate) fn take_down(&self) {
        if let Some(task) = &self.task {
            task.abort();
            // Somebody who rings at a bell that is still there finds nobody, and goes on.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.take_down();
    }
}

async fn answer(listener: UnixListener, engine: EngineHandle) {
    while let Ok((mut visitor, _)) = listener.accept().await {
        let engine = engine.clone();
        tokio::spawn(async move {
            engine.ring().await;
            let _ = visitor.write_all(HEARD).await;
        });
    }
}

/// Tells every process that works on this state file to look at it now, and waits until they have. How many heard.
pub async fn ring(state: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory(state)) else { return 0 };
    let bells = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| is_bell(path));
    let mut rung = tokio::task::JoinSet::new();
    for path in bells {
        rung.spawn(async move { tokio::time::timeout(RING_AT_MOST, ring_one(&path)).await.is_ok_and(|heard| heard) });
    }
    rung.join_all().await.into_iter().filter(|heard| *heard).count()
}

async fn ring_one(path: &Path) -> bool {
    let mut answer = Vec::with_capacity(HEARD.len());
    match UnixStream::connect(path).await {
        Ok(mut bell) => bell.read_to_end(&mut answer).await.is_ok() && answer == HEARD,
        Err(error) => {
            if error.kind() == std::io::ErrorKind::ConnectionRefused {
                // Its process is gone.
                let _ = std::fs::remove_file(path);
            }
            false
        }
    }
}

fn is_bell(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("bell-") && name.ends_with(".sock")
}

/// The directory of lock files, which is private to the owner of the state file.
fn directory(state: &Path) -> PathBuf {
    let state = std::fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
    let mut name: OsString = state.into_os_string();
    name.push(".locks");
    PathBuf::from(name)
}
