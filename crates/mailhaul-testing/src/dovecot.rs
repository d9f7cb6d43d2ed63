//! A private Dovecot 2.3: one child process on free loopback ports, everything else in a temporary folder.
//!
//! Any user name signs in with one password; an account comes into being at its first sign-in. Each test starts its
//! own (about a fifth of a second) and may kill, restart and re-configure it. Nothing of the system's own Dovecot is touched.
//! With [`DovecotBuilder::users`] only named users sign in, each with a password and limits of its own.
//!
//! As root the mail belongs to the system user `mail` (Dovecot refuses mail of uid 0); otherwise everything runs as
//! the user who runs the test.

mod offer;
mod users;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{self, Group};
use crate::tls::{CertificateKind, ServerCertificate, TestAuthority};
pub use offer::Offer;
use users::Roster;
pub use users::User;

/// The one password of every account, unless [`DovecotBuilder::password`] says otherwise.
pub const PASSWORD: &str = "demo-secret";

/// The system user that owns mail when the test runs as root.
const MAIL_USER: &str = "mail";

/// How long a server may take to greet.
const START_MAX: Duration = Duration::from_secs(20);

/// What Dovecot 2.3 announces after sign-in, in its own order; the list that [`DovecotBuilder::without_capability`] thins out.
const CAPABILITIES: &str = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES \
    THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS \
    LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE \
    SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE";

/// How Dovecot keeps mail on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Maildir++: one file a message, at most 26 keywords a mailbox, no `.` in a name unless it is the delimiter.
    #[default]
    Maildir,
    /// Maildir with the mailboxes as nested folders: names may hold `.`.
    MaildirNested,
    /// Dovecot's own, one file a message.
    Sdbox,
    /// Dovecot's own, many messages a file.
    Mdbox,
}

impl Store {
    fn location(self) -> &'static str {
        match self {
            Store::Maildir => "maildir:~/Maildir",
            Store::MaildirNested => "maildir:~/Maildir:LAYOUT=fs",
            Store::Sdbox => "sdbox:~/sdbox",
            Store::Mdbox => "mdbox:~/mdbox",
        }
    }
}

/// TLS as the server offers it: STARTTLS on the plain port and TLS from the first byte on the other.
#[derive(Clone, Debug)]
struct Tls {
    authority: Arc<TestAuthority>,
    kind: CertificateKind,
    required: bool,
}

/// How a Dovecot is to be. Defaults: Maildir, delimiter `/`, no prefix, everything announced, no TLS, no quota, 1,000
/// connections a user, no special-use mailboxes, nothing written through to disk.
#[derive(Clone, Debug)]
pub struct DovecotBuilder {
    store: Store,
    delimiter: char,
    prefix: String,
    password: String,
    users: Option<BTreeMap<String, User>>,
    removed_capabilities: Vec<String>,
    added_capabilities: Vec<String>,
    tls: Option<Tls>,
    quota: Option<(u64, Option<u64>)>,
    connections_max: u32,
    master: Option<(String, String)>,
    special_use: Vec<(String, String)>,
    compress: bool,
    fsync: bool,
    folder: Option<PathBuf>,
    extra: Vec<String>,
}

impl Default for DovecotBuilder {
    fn default() -> DovecotBuilder {
        DovecotBuilder {
            store: Store::default(),
            delimiter: '/',
            prefix: String::new(),
            password: PASSWORD.to_owned(),
            users: None,
            removed_capabilities: Vec::new(),
            added_capabilities: Vec::new(),
            tls: None,
            quota: None,
            connections_max: 1000,
            master: None,
            special_use: Vec::new(),
            compress: false,
            fsync: false,
            folder: None,
            extra: Vec::new(),
        }
    }
}

impl DovecotBuilder {
    /// How mail is kept.
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Hierarchy delimiter of the personal namespace.
    #[must_use]
    pub fn delimiter(mut self, delimiter: char) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Prefix of the personal namespace with its delimiter at the end, such as `INBOX.`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// The password of every account. No blanks.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self
    }

    /// Announces one capability less, before and after sign-in. Dovecot still obeys the command: assert on the wire
    /// that it is not used.
    #[must_use]
    pub fn without_capability(mut self, name: &str) -> Self {
        self.removed_capabilities.push(name.to_owned());
        self
    }

    /// Announces one capability more, whether or not Dovecot has it (`LITERAL-`, `APPENDLIMIT=1000`).
    #[must_use]
    pub fn with_capability(mut self, name: &str) -> Self {
        self.added_capabilities.push(name.to_owned());
        self
    }

    /// Offers TLS with a good certificate of this authority: STARTTLS on the plain port, and a port of its own.
    #[must_use]
    pub fn tls(self, authority: &Arc<TestAuthority>) -> Self {
        self.tls_with(authority, CertificateKind::Good)
    }

    /// Offers TLS with a certificate of this kind.
    #[must_use]
    pub fn tls_with(mut self, authority: &Arc<TestAuthority>, kind: CertificateKind) -> Self {
        self.tls = Some(Tls { authority: Arc::clone(authority), kind, required: false });
        self
    }

    /// Refuses sign-in in plain text (LOGINDISABLED), also from loopback. Only together with TLS.
    #[must_use]
    pub fn require_tls(mut self) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.required = true;
        }
        self
    }

    /// Octets that an account may hold.
    #[must_use]
    pub fn quota_bytes(mut self, bytes: u64) -> Self {
        self.quota = Some((bytes, None));
        self
    }

    /// Octets and messages that an account may hold.
    #[must_use]
    pub fn quota(mut self, bytes: u64, messages: u64) -> Self {
        self.quota = Some((bytes, Some(messages)));
        self
    }

    /// No quota any more.
    #[must_use]
    pub fn no_quota(mut self) -> Self {
        self.quota = None;
        self
    }

    /// Connections of one user from one address (`mail_max_userip_connections`).
    #[must_use]
    pub fn connections_max(mut self, connections: u32) -> Self {
        self.connections_max = connections;
        self
    }

    /// A master user: signs in as `user*master`, or by PLAIN with an authorization identity.
    #[must_use]
    pub fn master_user(mut self, name: &str, password: &str) -> Self {
        self.master = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// A mailbox that exists from the start and has a special use (`\Sent`). The name is as people write it, without prefix.
    #[must_use]
    pub fn special_use(mut self, mailbox: &str, attribute: &str) -> Self {
        self.special_use.push((mailbox.to_owned(), attribute.to_owned()));
        self
    }

    /// Offers COMPRESS=DEFLATE.
    #[must_use]
    pub fn compress(mut self) -> Self {
        self.compress = true;
        self
    }

    /// Writes through to disk as a server in earnest does. Off by default: tests do not survive a power cut.
    #[must_use]
    pub fn fsync(mut self) -> Self {
        self.fsync = true;
        self
    }

    /// Puts mail and everything else into a folder made under this one. Otherwise `MAILHAUL_TEST_FOLDER` decides, or it
    /// is a tmpfs when there is one with room.
    #[must_use]
    pub fn under(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Lines added to the end of the configuration file.
    #[must_use]
    pub fn extra(mut self, lines: &str) -> Self {
        self.extra.push(lines.to_owned());
        self
    }

    /// Starts the server and waits until it greets.
    ///
    /// # Panics
    /// When it cannot be started; the message holds Dovecot's own words.
    #[must_use]
    pub fn start(self) -> Dovecot {
        self.try_start().unwrap_or_else(|error| panic!("a private Dovecot: {error}"))
    }

    /// Starts the server and waits until it greets.
    ///
    /// # Errors
    /// Dovecot is not installed, its configuration is refused, or it did not greet in time.
    pub fn try_start(self) -> io::Result<Dovecot> {
        let parent = self.folder.clone().unwrap_or_else(process::server_folder);
        let folder = tempfile::Builder::new().prefix("mh-dovecot-").tempdir_in(parent)?;
        let owner = Owner::of_this_process()?;
        owner.prepare(folder.path())?;
        let certificate = self.tls.as_ref().map(|tls| tls.authority.issue(tls.kind, folder.path()));
        let mut dovecot = Dovecot {
            roster: Roster::of(self.users.clone().unwrap_or_default()),
            settings: self,
            ports: Ports::choose(),
            greeting: process::unique_word(),
            owner,
            certificate,
            group: None,
            folder,
        };
        // Another process may have taken a port between our look and Dovecot's bind.
        let mut tries_left = 4;
        loop {
            match dovecot.launch() {
                Err(error) if tries_left > 0 && error.kind() == io::ErrorKind::AddrInUse => {
                    tries_left -= 1;
                    dovecot.ports = Ports::choose();
                }
                other => return other.map(|()| dovecot),
            }
        }
    }
}

/// The ports of one server.
#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    tls: u16,
}

impl Ports {
    fn choose() -> Ports {
        Ports { plain: process::free_port(), tls: process::free_port() }
    }
}

/// Who runs what: as root the system users that Dovecot's package brings, else the user who runs the test.
#[derive(Clone, Debug)]
struct Owner {
    internal: String,
    group: String,
    login: String,
    mail: String,
    /// Numeric owner for files that a test writes itself, when it runs as root.
    mail_ids: Option<(u32, u32)>,
}

impl Owner {
    fn of_this_process() -> io::Result<Owner> {
        if process::is_root() {
            let owner = |name: &str| name.to_owned();
            return Ok(Owner {
                internal: owner("dovecot"),
                group: owner("dovecot"),
                login: owner("dovenull"),
                mail: owner(MAIL_USER),
                mail_ids: Some(process::ids_of(MAIL_USER)?),
            });
        }
        let (user, group) = (process::own_user()?, process::own_group()?);
        Ok(Owner { internal: user.clone(), group, login: user.clone(), mail: user, mail_ids: None })
    }

    fn prepare(&self, folder: &Path) -> io::Result<()> {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
        for part in ["mail", "state", "run"] {
            std::fs::create_dir(folder.join(part))?;
        }
        self.give(&folder.join("mail"))
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        match self.mail_ids {
            Some((user, group)) => std::os::unix::fs::chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }
}

/// A running private Dovecot. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Dovecot {
    settings: DovecotBuilder,
    roster: Roster,
    ports: Ports,
    greeting: String,
    owner: Owner,
    certificate: Option<ServerCertificate>,
    group: Option<Group>,
    // Last: the folder goes after the processes that work in it.
    folder: TempDir,
}

impl Dovecot {
    /// A server with the defaults of [`DovecotBuilder`].
    ///
    /// # Panics
    /// As [`DovecotBuilder::start`].
    #[must_use]
    pub fn start() -> Dovecot {
        Dovecot::builder().start()
    }

    /// A server to be described first.
    #[must_use]
    pub fn builder() -> DovecotBuilder {
        DovecotBuilder::default()
    }

    /// The port that starts in plain text (and offers STARTTLS when there is TLS).
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        process::loopback(self.ports.plain)
    }

    /// The port that speaks TLS from the first byte, when the server has TLS.
    #[must_use]
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.settings.tls.as_ref().map(|_| process::loopback(self.ports.tls))
    }

    /// The password of every account; of named users see [`Dovecot::password_of`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.settings.password
    }

    /// The authority's certificate, when the server has TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.settings.tls.as_ref().map(|tls| tls.authority.ca_file())
    }

    /// The server's certificate, when it has TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<&ServerCertificate> {
        self.certificate.as_ref()
    }

    /// The folder that holds configuration, log and mail.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The home of one account. It exists after the first sign-in, or when [`Dovecot::give`] made it.
    #[must_use]
    pub fn home(&self, user: &str) -> PathBuf {
        self.folder.path().join("mail").join(user)
    }

    /// Numeric user and group that must own files written into a home; none when the test does not run as root.
    #[must_use]
    pub fn mail_ids(&self) -> Option<(u32, u32)> {
        self.owner.mail_ids
    }

    /// Gives a file or folder that the test made to the owner of mail.
    ///
    /// # Errors
    /// The file is not there.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        self.owner.give(path)
    }

    /// How mail is kept.
    #[must_use]
    pub fn store(&self) -> Store {
        self.settings.store
    }

    /// Runs `doveadm -c FILE` with these arguments; `-u USER` is the caller's.
    ///
    /// # Panics
    /// When doveadm fails; the message holds its words.
    pub fn doveadm(&self, arguments: &[&str]) -> String {
        let output = self.try_doveadm(arguments).unwrap_or_else(|error| panic!("doveadm: {error}"));
        assert!(output.status.success(), "doveadm {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// As [`Dovecot::doveadm`], whatever comes of it.
    ///
    /// # Errors
    /// doveadm is not there.
    pub fn try_doveadm(&self, arguments: &[&str]) -> io::Result<Output> {
        Command::new("doveadm").arg("-c").arg(self.config_file()).args(arguments).output()
    }

    /// Gives a mailbox another UIDVALIDITY. Sessions that have it open are thrown out. The name is as Dovecot sees it, with prefix.
    ///
    /// # Panics
    /// When doveadm fails.
    pub fn set_uid_validity(&self, user: &str, mailbox: &str, uid_validity: u32) {
        self.doveadm(&["mailbox", "update", "-u", user, "--uid-validity", &uid_validity.to_string(), mailbox]);
    }

    /// Disconnects every session of one account and waits until they are gone.
    ///
    /// # Panics
    /// When they are still there after ten seconds, or doveadm is missing.
    pub fn kick(&self, user: &str) {
        // It fails when nobody was there to be kicked, and it only sends a signal.
        drop(self.try_doveadm(&["kick", user]));
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.doveadm(&["who", "-1", user]).lines().any(|line| line.split_whitespace().next() == Some(user)) {
            assert!(Instant::now() < deadline, "sessions of {user} do not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `kill -9` for the whole server.
    pub fn kill_dash_9(&mut self) {
        if let Some(mut group) = self.group.take() {
            group.kill();
        }
    }

    /// Stops the server in good order. Sessions end with BYE.
    pub fn stop(&mut self) {
        if let Some(mut group) = self.group.take() {
            group.terminate();
        }
    }

    /// Stops the server if it runs, and starts it on the same ports with the same mail.
    ///
    /// # Panics
    /// As [`DovecotBuilder::start`].
    pub fn restart(&mut self) {
        self.stop();
        self.launch().unwrap_or_else(|error| panic!("a private Dovecot, again: {error}"));
    }

    /// Changes the configuration and restarts: `dovecot.reconfigure(DovecotBuilder::no_quota)`. Mail stays; changing the store or
    /// TLS is not meant.
    ///
    /// # Panics
    /// As [`DovecotBuilder::start`].
    pub fn reconfigure(&mut self, change: impl FnOnce(DovecotBuilder) -> DovecotBuilder) {
        self.settings = change(self.settings.clone());
        self.restart();
    }

    /// What the server wrote to its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        let octets = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("dovecot.conf")
    }

    fn launch(&mut self) -> io::Result<()> {
        std::fs::write(self.config_file(), self.configuration())?;
        if self.settings.users.is_some() {
            self.roster.write(&self.users_file())?;
        }
        if let Some((name, password)) = &self.settings.master {
            std::fs::write(self.folder.path().join("master"), format!("{name}:{{PLAIN}}{password}\n"))?;
        }
        let mut command = process::tied_to_parent(Path::new("/usr/sbin/dovecot"), None);
        let errors = std::fs::File::create(self.folder.path().join("stderr"))?;
        command.arg("-F").arg("-c").arg(self.config_file()).stdin(std::process::Stdio::null());
        command.stdout(errors.try_clone()?).stderr(errors);
        self.group = Some(Group::spawn(command)?);
        self.wait_for_greeting()
    }

    fn wait_for_greeting(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if greets_with(self.address(), &self.greeting) {
                return Ok(());
            }
            let ended = self.group.as_mut().is_none_or(|group| group.ended().is_some());
            if ended || Instant::now() > deadline {
                let words =
                    std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default() + &self.log();
                let in_use = words.contains("Address already in use");
                let kind = if in_use { io::ErrorKind::AddrInUse } else { io::ErrorKind::Other };
                self.kill_dash_9();
                return Err(io::Error::new(kind, format!("did not start (is it installed?): {words}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn configuration(&self) -> String {
        let mut text = self.server_part();
        text += &self.sign_in_part();
        text += &self.mail_part();
        text += &self.tls_part();
        if self.settings.users.is_some() {
            // Hundreds sign in one after the other: a process that has served one of them serves the next.
            text += "service imap {\n  service_count = 200\n}\n";
        }
        for lines in &self.settings.extra {
            text += lines;
            text.push('\n');
        }
        text
    }

    fn server_part(&self) -> String {
        let folder = self.folder.path().display();
        let (internal, login) = (&self.owner.internal, &self.owner.login);
        let (plain, greeting) = (self.ports.plain, &self.greeting);
        let tls_port = if self.settings.tls.is_some() { self.ports.tls } else { 0 };
        let group = &self.owner.group;
        format!(
            "base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\n\
             instance_name = {greeting}\nlogin_greeting = {greeting}\nprotocols = imap\nlisten = 127.0.0.1\n\
             default_internal_user = {internal}\ndefault_internal_group = {group}\n\
             default_login_user = {login}\n\
             default_process_limit = 1000\ndefault_client_limit = 1000\ndefault_vsz_limit = 0\nshutdown_clients = yes\n\
             service imap-login {{\n  chroot =\n  service_count = 0\n  \
             inet_listener imap {{\n    port = {plain}\n  }}\n  inet_listener imaps {{\n    port = {tls_port}\n  }}\n}}\n\
             service anvil {{\n  chroot =\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
             service stats {{\n  unix_listener stats-writer {{\n    mode = 0666\n  }}\n}}\n"
        )
    }

    fn sign_in_part(&self) -> String {
        let folder = self.folder.path().display();
        let (password, mail) = (&self.settings.password, &self.owner.mail);
        let plain_text = if self.settings.tls.as_ref().is_some_and(|tls| tls.required) { "yes" } else { "no" };
        let mut text = format!(
            "auth_mechanisms = plain login\nauth_failure_delay = 0\nauth_username_chars =\n\
             disable_plaintext_auth = {plain_text}\nmail_max_userip_connections = {}\n",
            self.settings.connections_max
        );
        if self.settings.master.is_some() {
            let _ = write!(
                text,
                "auth_master_user_separator = *\n\
                 passdb {{\n  driver = passwd-file\n  args = {folder}/master\n  master = yes\n}}\n"
            );
        }
        let ids = match self.owner.mail_ids {
            Some((user, group)) => format!("uid={user} gid={group}"),
            None => format!("uid={mail}"),
        };
        let passwords = match self.settings.users {
            Some(_) => format!("driver = passwd-file\n  args = {}", self.users_file().display()),
            None => format!("driver = static\n  args = password={password}"),
        };
        let _ = write!(
            text,
            "passdb {{\n  {passwords}\n}}\n\
             userdb {{\n  driver = static\n  args = {ids} home={folder}/mail/%u allow_all_users=yes\n}}\n\
             first_valid_uid = 1\nfirst_valid_gid = 1\n"
        );
        text
    }

    fn mail_part(&self) -> String {
        let settings = &self.settings;
        let mut plugins = Vec::new();
        let mut imap_plugins = Vec::new();
        let mut text = format!(
            "mail_location = {}\nmail_fsync = {}\nimap_idle_notify_interval = 1 min\n",
            settings.store.location(),
            if settings.fsync { "optimized" } else { "never" }
        );
        if self.has_quota() {
            plugins.push("quota");
            imap_plugins.push("imap_quota");
            text += "plugin {\n  quota = count:User quota\n  quota_vsizes = yes\n  quota_grace = 0\n";
            if let Some((bytes, messages)) = settings.quota {
                let messages = messages.map_or_else(String::new, |messages| format!(":messages={messages}"));
                let _ = writeln!(text, "  quota_rule = *:storage={bytes}B{messages}");
            }
            text += "}\n";
        }
        if settings.compress {
            plugins.push("zlib");
            imap_plugins.push("imap_zlib");
        }
        let _ = writeln!(text, "mail_plugins = {}", plugins.join(" "));
        let _ = writeln!(text, "protocol imap {{\n  mail_plugins = $mail_plugins {}\n}}", imap_plugins.join(" "));
        let _ = writeln!(
            text,
            "namespace inbox {{\n  inbox = yes\n  separator = {}\n  prefix = {}",
            settings.delimiter, settings.prefix
        );
        for (mailbox, attribute) in &settings.special_use {
            let _ =
                writeln!(text, "  mailbox \"{mailbox}\" {{\n    auto = subscribe\n    special_use = {attribute}\n  }}");
        }
        text += "}\n";
        if let Some(list) = self.announced() {
            let _ = writeln!(text, "imap_capability = {list}");
        }
        text
    }

    /// Named users may be given a quota at any time.
    fn has_quota(&self) -> bool {
        self.settings.quota.is_some() || self.settings.users.is_some()
    }

    /// The capabilities to announce, when they are not Dovecot's own choice.
    fn announced(&self) -> Option<String> {
        let settings = &self.settings;
        if settings.removed_capabilities.is_empty() {
            let added = settings.added_capabilities.join(" ");
            return if added.is_empty() { None } else { Some(format!("+{added}")) };
        }
        let removed = |name: &str| settings.removed_capabilities.iter().any(|other| other.eq_ignore_ascii_case(name));
        let optional = [("QUOTA", self.has_quota()), ("COMPRESS=DEFLATE", settings.compress)];
        let all = CAPABILITIES.split_ascii_whitespace();
        let all = all.chain(optional.iter().filter(|(_, offered)| *offered).map(|(name, _)| *name));
        let all = all.filter(|name| !removed(name)).chain(settings.added_capabilities.iter().map(String::as_str));
        Some(all.collect::<Vec<_>>().join(" "))
    }

    fn tls_part(&self) -> String {
        let Some(certificate) = &self.certificate else { return "ssl = no\n".to_owned() };
        let required = self.settings.tls.as_ref().is_some_and(|tls| tls.required);
        format!(
            "ssl = {}\nssl_cert = <{}\nssl_key = <{}\n",
            if required { "required" } else { "yes" },
            certificate.certificate_file.display(),
            certificate.key_file.display()
        )
    }
}

/// True when the server at this address greets with a line that holds `word`.
fn greets_with(address: SocketAddr, word: &str) -> bool {
    let Ok(stream) = TcpStream::connect(address) else { return false };
    if stream.set_read_timeout(Some(Duration::from_secs(5))).is_err() {
        return false;
    }
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && line.contains(word)
}
