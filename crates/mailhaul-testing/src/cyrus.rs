//! A private Cyrus 3.6: one master process on a free loopback port, everything else in a temporary folder.
//!
//! Any user name signs in with one password: a thread of the test answers in saslauthd's place. Accounts appear at
//! their first sign-in. Cyrus is the strict one: it refuses bare LF, NUL, empty messages, header lines without a colon and a
//! good many characters in mailbox names.
//!
//! Its IMAP daemon comes from `scripts/install-test-servers.sh`, which unpacks it beside the system. As root everything
//! runs as the user `cyrus`, else as the user who runs the test.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{self, Group};

/// The one password of every account, unless [`CyrusBuilder::password`] says otherwise.
pub const PASSWORD: &str = "demo-secret";

/// How long a server may take to greet.
const START_MAX: Duration = Duration::from_secs(30);

/// Who may sign in for somebody else by AUTHENTICATE PLAIN with an authorization identity, and see all accounts.
pub const ADMIN: &str = "admin";

/// How a Cyrus is to be. Defaults: `/` as delimiter (`unixhierarchysep`), mailboxes beside INBOX (`altnamespace`), 8-bit header
/// octets munged rather than refused, no quota.
#[derive(Clone, Debug)]
pub struct CyrusBuilder {
    unix_hierarchy: bool,
    alt_namespace: bool,
    reject_8bit: bool,
    password: String,
    quota_kib: Option<u32>,
    extra: Vec<String>,
}

impl Default for CyrusBuilder {
    fn default() -> CyrusBuilder {
        CyrusBuilder {
            unix_hierarchy: true,
            alt_namespace: true,
            reject_8bit: false,
            password: PASSWORD.to_owned(),
            quota_kib: None,
            extra: Vec::new(),
        }
    }
}

impl CyrusBuilder {
    /// `/` as delimiter when true, `.` when false.
    #[must_use]
    pub fn unix_hierarchy(mut self, yes: bool) -> Self {
        self.unix_hierarchy = yes;
        self
    }

    /// Mailboxes beside INBOX when true, below it (prefix `INBOX.` or `INBOX/`) when false.
    #[must_use]
    pub fn alt_namespace(mut self, yes: bool) -> Self {
        self.alt_namespace = yes;
        self
    }

    /// Refuses messages with 8-bit octets in their header, where it would otherwise turn them into `X` without a word.
    #[must_use]
    pub fn reject_8bit(mut self) -> Self {
        self.reject_8bit = true;
        self
    }

    /// The password of every account.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self
    }

    /// KiB that an account may hold; set when the account appears.
    #[must_use]
    pub fn quota_kib(mut self, kib: u32) -> Self {
        self.quota_kib = Some(kib);
        self
    }

    /// Lines added to the end of `imapd.conf`.
    #[must_use]
    pub fn extra(mut self, lines: &str) -> Self {
        self.extra.push(lines.to_owned());
        self
    }

    /// Starts the server and waits until it greets.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(self) -> Cyrus {
        self.try_start().unwrap_or_else(|error| panic!("a private Cyrus: {error}"))
    }

    /// Starts the server and waits until it greets.
    ///
    /// # Errors
    /// Cyrus is not installed, or it did not greet in time.
    pub fn try_start(self) -> io::Result<Cyrus> {
        let folder = tempfile::Builder::new().prefix("mh-cyrus-").tempdir_in(process::server_folder())?;
        let owner = if process::is_root() { "cyrus".to_owned() } else { process::own_user()? };
        prepare(folder.path(), &owner)?;
        let programs = copy_of_imapd()?;
        let doorman = Doorman::start(&folder.path().join("sasl"), &self.password)?;
        let mut cyrus = Cyrus {
            settings: self,
            port: process::free_port(),
            greeting: process::unique_word(),
            owner,
            group: None,
            programs,
            _doorman: doorman,
            folder,
        };
        // Another process may have taken the port between our look and Cyrus' bind.
        for _ in 0..3 {
            match cyrus.launch() {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => cyrus.port = process::free_port(),
                other => return other.map(|()| cyrus),
            }
        }
        cyrus.launch().map(|()| cyrus)
    }
}

/// A running private Cyrus. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Cyrus {
    settings: CyrusBuilder,
    port: u16,
    greeting: String,
    owner: String,
    group: Option<Group>,
    programs: TempDir,
    _doorman: Doorman,
    // Last: the folder goes after the processes that work in it.
    folder: TempDir,
}

impl Cyrus {
    /// A server with the defaults of [`CyrusBuilder`].
    ///
    /// # Panics
    /// As [`CyrusBuilder::start`].
    #[must_use]
    pub fn start() -> Cyrus {
        Cyrus::builder().start()
    }

    /// A server to be described first.
    #[must_use]
    pub fn builder() -> CyrusBuilder {
        CyrusBuilder::default()
    }

    /// Where it listens, in plain text.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        process::loopback(self.port)
    }

    /// The password of every account.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.settings.password
    }

    /// The folder that holds configuration and mail.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `kill -9` for the whole server.
    pub fn kill_dash_9(&mut self) {
        if let Some(mut group) = self.group.take() {
            group.kill();
        }
    }

    /// Stops the server if it runs, and starts it on the same port with the same mail.
    ///
    /// # Panics
    /// As [`CyrusBuilder::start`].
    pub fn restart(&mut self) {
        if let Some(mut group) = self.group.take() {
            group.terminate();
        }
        self.launch().unwrap_or_else(|error| panic!("a private Cyrus, again: {error}"));
    }

    /// Changes the configuration and restarts. Mail stays; changing the name style is not meant.
    ///
    /// # Panics
    /// As [`CyrusBuilder::start`].
    pub fn reconfigure(&mut self, change: impl FnOnce(CyrusBuilder) -> CyrusBuilder) {
        self.settings = change(self.settings.clone());
        self.restart();
    }

    fn launch(&mut self) -> io::Result<()> {
        let folder = self.folder.path();
        std::fs::write(folder.join("imapd.conf"), self.imapd_conf())?;
        std::fs::write(folder.join("cyrus.conf"), self.cyrus_conf())?;
        let as_user = process::is_root().then_some((self.owner.as_str(), "mail"));
        let mut command = process::tied_to_parent(Path::new("/usr/lib/cyrus/bin/master"), as_user);
        command.arg("-C").arg(folder.join("imapd.conf")).arg("-M").arg(folder.join("cyrus.conf"));
        command.arg("-p").arg(folder.join("master.pid"));
        let errors = std::fs::File::create(folder.join("stderr"))?;
        command.stdin(std::process::Stdio::null()).stdout(errors.try_clone()?).stderr(errors);
        self.group = Some(Group::spawn(command)?);
        self.wait_for_greeting()
    }

    fn wait_for_greeting(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_MAX;
        loop {
            match greeting_of(self.address()) {
                Some(line) if line.contains(&self.greeting) => return Ok(()),
                Some(_) => {
                    self.kill_dash_9();
                    return Err(io::ErrorKind::AddrInUse.into());
                }
                None => {}
            }
            let ended = self.group.as_mut().is_none_or(|group| group.ended().is_some());
            if ended || Instant::now() > deadline {
                let words = std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
                self.kill_dash_9();
                return Err(io::Error::other(format!("did not start (its own words, if any, are in syslog): {words}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn imapd_conf(&self) -> String {
        let folder = self.folder.path().display();
        let (owner, greeting) = (&self.owner, &self.greeting);
        let switch = |on: bool| if on { "yes" } else { "no" };
        let settings = &self.settings;
        let (unix, alt, reject) =
            (switch(settings.unix_hierarchy), switch(settings.alt_namespace), switch(settings.reject_8bit));
        // The quota is in KiB; 0 makes accounts appear without one.
        let quota = settings.quota_kib.unwrap_or(0);
        let mut text = format!(
            "configdirectory: {folder}/conf\npartition-default: {folder}/mail\ndefaultpartition: default\n\
             proc_path: {folder}/proc\nmboxname_lockpath: {folder}/lock\nidlesocket: {folder}/idle\n\
             cyrus_user: {owner}\nservername: {greeting}\nsyslog_prefix: mailhaul-test\n\
             admins: {ADMIN}\nproxyservers: {ADMIN}\nallowplaintext: yes\n\
             sasl_pwcheck_method: saslauthd\nsasl_mech_list: PLAIN LOGIN\nsasl_saslauthd_path: {folder}/sasl/mux\n\
             autocreate_quota: {quota}\nautocreate_post: yes\nspecialuse_extra: \\XOld\n\
             unixhierarchysep: {unix}\naltnamespace: {alt}\nreject8bit: {reject}\nmunge8bit: yes\n\
             skiplist_unsafe: yes\n"
        );
        for lines in &settings.extra {
            let _ = writeln!(text, "{lines}");
        }
        text
    }

    fn cyrus_conf(&self) -> String {
        let imapd = self.programs.path().join("imapd");
        let recover = "/usr/lib/cyrus/bin/ctl_cyrusdb";
        let conf = self.folder.path().join("imapd.conf");
        format!(
            "START {{\n  recover cmd=\"{recover} -C {conf} -r\"\n}}\n\
             SERVICES {{\n  imap cmd=\"{imapd} -C {conf} -U 30\" listen=\"127.0.0.1:{}\" prefork=1 maxchild=200\n}}\n\
             EVENTS {{\n}}\n",
            self.port,
            conf = conf.display(),
            imapd = imapd.display()
        )
    }
}

/// The IMAP daemon that the install script has unpacked, or the system's own.
fn imapd() -> io::Result<PathBuf> {
    let cache = std::env::var_os("MAILHAUL_TEST_SERVERS").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/mailhaul/servers")));
    let unpacked = cache.map(|cache| cache.join("cyrus/usr/lib/cyrus/bin/imapd"));
    let system = Path::new("/usr/lib/cyrus/bin/imapd").to_owned();
    unpacked.into_iter().chain([system]).find(|path| path.is_file()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "Cyrus is not here: run scripts/install-test-servers.sh")
    })
}

/// A copy of the daemon, because the cache may lie in a home that the user `cyrus` cannot enter. Not beside the mail:
/// a tmpfs may forbid programs.
fn copy_of_imapd() -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("mh-cyrus-bin-").tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    std::fs::copy(imapd()?, folder.path().join("imapd"))?;
    Ok(folder)
}

/// Makes the folders.
fn prepare(folder: &Path, owner: &str) -> io::Result<()> {
    let ids = if process::is_root() { Some(process::ids_of(owner)?) } else { None };
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    for part in ["conf", "mail", "proc", "lock", "sasl"] {
        std::fs::create_dir(folder.join(part))?;
    }
    if let Some((user, group)) = ids {
        for part in [".", "conf", "mail", "proc", "lock"] {
            std::os::unix::fs::chown(folder.join(part), Some(user), Some(group))?;
        }
    }
    Ok(())
}

fn greeting_of(address: SocketAddr) -> Option<String> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut line = String::new();
    let octets = BufReader::new(stream).read_line(&mut line).ok()?;
    (octets > 0).then_some(line)
}

/// Stands in for saslauthd: says OK to everybody who knows the password.
#[derive(Debug)]
struct Doorman {
    socket: PathBuf,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Doorman {
    fn start(folder: &Path, password: &str) -> io::Result<Doorman> {
        let socket = folder.join("mux");
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o777))?;
        let password = password.as_bytes().to_vec();
        let thread = std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                match request(&mut stream) {
                    // Nobody signs in without a word: it is the owner who leaves.
                    Ok(fields) if fields[0].is_empty() => return,
                    Ok(fields) => {
                        let answer: &[u8] = if fields[1] == password { b"\x00\x02OK" } else { b"\x00\x02NO" };
                        drop(stream.write_all(answer));
                    }
                    Err(_) => {}
                }
            }
        });
        Ok(Doorman { socket, thread: Some(thread) })
    }
}

impl Drop for Doorman {
    fn drop(&mut self) {
        if let Ok(mut stream) = UnixStream::connect(&self.socket) {
            drop(stream.write_all(&[0; 8]));
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Login, password, service and realm, each with its length in two octets before it.
fn request(stream: &mut UnixStream) -> io::Result<[Vec<u8>; 4]> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut fields = [const { Vec::new() }; 4];
    for field in &mut fields {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        field.resize(usize::from(u16::from_be_bytes(length)), 0);
        stream.read_exact(field)?;
    }
    Ok(fields)
}
