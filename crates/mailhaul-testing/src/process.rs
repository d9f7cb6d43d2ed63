//! Child processes of tests: free ports, death with the parent, death as a group.
//!
//! A server forks helpers of its own, so a child leads a process group and is killed with it. Should the test
//! process itself die first (Ctrl-C, a time-out of CI), the kernel ends the server: `setpriv --pdeathsig` asks for
//! that. The kernel's "parent" is the *thread* that spawned, so all children are spawned by one thread that lasts as long as
//! the process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process_group};

/// A child that leads its own process group; the whole group is killed on drop.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
}

impl Group {
    /// Starts `command` as the leader of a new group. Its program should have been wrapped by [`tied_to_parent`].
    pub(crate) fn spawn(mut command: Command) -> io::Result<Group> {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        let (answer, answered) = mpsc::channel();
        let request = SpawnRequest { command, answer };
        spawner().lock().map_err(|_| gone())?.send(request).map_err(|_| gone())?;
        let child = answered.recv().map_err(|_| gone())??;
        Ok(Group { child })
    }

    /// The child's exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks the leader to end and waits for it.
    pub(crate) fn terminate(&mut self) {
        if let Some(pid) = self.pid()
            && self.ended().is_none()
        {
            // The leader may have ended meanwhile; then there is nothing to ask.
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
        self.kill();
    }

    /// `kill -9` for the whole group, then reaps the leader.
    pub(crate) fn kill(&mut self) {
        if let Some(pid) = self.pid() {
            // ESRCH: nobody of the group lives any more, which is what is wanted.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    /// The group's id.
    pub(crate) fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that runs `program` and is sent SIGTERM when this process dies; `as_user` changes to that user first.
pub(crate) fn tied_to_parent(program: &Path, as_user: Option<(&str, &str)>) -> Command {
    let mut command = Command::new("setpriv");
    if let Some((user, group)) = as_user {
        command.args(["--reuid", user, "--regid", group, "--init-groups"]);
    }
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

struct SpawnRequest {
    command: Command,
    answer: mpsc::Sender<io::Result<Child>>,
}

fn spawner() -> &'static Mutex<mpsc::Sender<SpawnRequest>> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<SpawnRequest>>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (requests, inbox) = mpsc::channel::<SpawnRequest>();
        std::thread::spawn(move || {
            for mut request in inbox {
                // The asker may have given up; its child is then dropped, which nobody relies on.
                let _ = request.answer.send(request.command.spawn());
            }
        });
        Mutex::new(requests)
    })
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts servers has ended")
}

/// A loopback port that nobody listens on, outside of the range the kernel gives to outgoing connections, so that it
/// stays free while its server restarts. Another process may still be quicker: whoever uses it checks who answers.
pub(crate) fn free_port() -> u16 {
    static TURN: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let seed = clock.wrapping_add(std::process::id().wrapping_mul(2_654_435_761));
    for _ in 0..1000 {
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let offset = seed.wrapping_add(turn.wrapping_mul(7919)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("the range ends below 65,536");
        if TcpListener::bind(loopback(port)).is_ok() {
            return port;
        }
    }
    panic!("no free loopback port among {COUNT}");
}

/// 127.0.0.1 with this port.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A word that no other server of any test has, to know one's own by its greeting.
pub(crate) fn unique_word() -> String {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("t{}x{}x{clock:x}", std::process::id(), TURN.fetch_add(1, Ordering::Relaxed))
}

/// Octets that must be free in a tmpfs before servers are put there.
const TMPFS_FREE_MIN: u64 = 1 << 30;

/// Where servers keep their files: `MAILHAUL_TEST_FOLDER` if it is set, else memory (fifteen times faster for one file a
/// message), else the usual temporary folder.
pub(crate) fn server_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("MAILHAUL_TEST_FOLDER") {
        return PathBuf::from(folder);
    }
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |space| space.f_bavail.saturating_mul(space.f_frsize));
    let writable = rustix::fs::access(memory, rustix::fs::Access::WRITE_OK).is_ok();
    if free >= TMPFS_FREE_MIN && writable { memory.to_owned() } else { std::env::temp_dir() }
}

/// True when this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The name of the user that runs this process.
pub(crate) fn own_user() -> io::Result<String> {
    words_of_id("-un")
}

/// The name of that user's group.
pub(crate) fn own_group() -> io::Result<String> {
    words_of_id("-gn")
}

fn words_of_id(option: &str) -> io::Result<String> {
    let output = Command::new("id").arg(option).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Numeric user and group of a system user.
pub(crate) fn ids_of(user: &str) -> io::Result<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd")?;
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no system user {user}"));
    let line = passwd.lines().find(|line| line.split(':').next() == Some(user)).ok_or_else(missing)?;
    let field = |index: usize| line.split(':').nth(index).and_then(|text| text.parse().ok());
    field(2).zip(field(3)).ok_or_else(missing)
}
