//! Users that a Dovecot knows by name: each with a password, a quota and limits of its own, changed while the server runs.
//!
//! They stand in a password file that Dovecot looks at again at most once a second. A change waits for that second to end,
//! and holds from the next sign-in on; sessions that are open keep what they had ([`Dovecot::kick`] ends them). Whoever is not in the file is refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Dovecot, DovecotBuilder};
use crate::imap_client::{Client, ClientError};

/// Dovecot reads the clock when its loop turns, which may be a little earlier than we do.
const CLOCK_MARGIN: Duration = Duration::from_millis(20);

/// One user of a server with named users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The password. No colons, no line breaks.
    pub password: String,
    /// Octets that the account may hold.
    pub quota_bytes: Option<u64>,
    /// Messages that the account may hold.
    pub quota_messages: Option<u64>,
    /// A larger message is refused (`NO [LIMIT]`), by its size as stored.
    pub message_bytes_max: Option<u64>,
}

impl User {
    /// A user without limits.
    #[must_use]
    pub fn new(password: &str) -> User {
        User { password: password.to_owned(), quota_bytes: None, quota_messages: None, message_bytes_max: None }
    }

    /// Another password.
    #[must_use]
    pub fn password(mut self, password: &str) -> User {
        password.clone_into(&mut self.password);
        self
    }

    /// Octets that the account may hold.
    #[must_use]
    pub fn quota_bytes(mut self, bytes: u64) -> User {
        self.quota_bytes = Some(bytes);
        self
    }

    /// Messages that the account may hold. What is beyond is refused with `NO [OVERQUOTA]`.
    #[must_use]
    pub fn quota_messages(mut self, messages: u64) -> User {
        self.quota_messages = Some(messages);
        self
    }

    /// No quota any more.
    #[must_use]
    pub fn no_quota(mut self) -> User {
        (self.quota_bytes, self.quota_messages) = (None, None);
        self
    }

    /// Larger messages are refused.
    #[must_use]
    pub fn message_bytes_max(mut self, bytes: u64) -> User {
        self.message_bytes_max = Some(bytes);
        self
    }

    /// Messages of any size are taken again.
    #[must_use]
    pub fn no_message_limit(mut self) -> User {
        self.message_bytes_max = None;
        self
    }

    /// The line of the password file; fields as `passwd(5)` has them, then what is peculiar to this user.
    fn line(&self, name: &str) -> String {
        let mut line = format!("{name}:{{PLAIN}}{}::::::", self.password);
        if self.quota_bytes.is_some() || self.quota_messages.is_some() {
            line += "userdb_quota_rule=*";
            if let Some(bytes) = self.quota_bytes {
                let _ = write!(line, ":bytes={bytes}");
            }
            if let Some(messages) = self.quota_messages {
                let _ = write!(line, ":messages={messages}");
            }
            line.push(' ');
        }
        if let Some(bytes) = self.message_bytes_max {
            let _ = write!(line, "userdb_quota_max_mail_size={bytes}B");
        }
        line.trim_end().to_owned()
    }
}

/// The users of a running server.
#[derive(Debug, Default)]
pub(super) struct Roster(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    users: BTreeMap<String, User>,
    revision: usize,
}

impl Roster {
    pub(super) fn of(users: BTreeMap<String, User>) -> Roster {
        Roster(Mutex::new(Names { users, revision: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn password(&self, user: &str) -> Option<String> {
        self.lock().users.get(user).map(|user| user.password.clone())
    }

    /// Writes the password file under another name and puts it into its place at once.
    pub(super) fn write(&self, file: &Path) -> io::Result<()> {
        let names = self.lock();
        names.write(file)
    }

    fn change(&self, file: &Path, change: impl FnOnce(&mut BTreeMap<String, User>)) -> io::Result<()> {
        let mut names = self.lock();
        change(&mut names.users);
        names.revision += 1;
        names.write(file)
    }
}

impl Names {
    fn write(&self, file: &Path) -> io::Result<()> {
        let mut text: String = self.users.iter().map(|(name, user)| user.line(name) + "\n").collect();
        // Dovecot reads the file anew when its size or its time in whole seconds differs: between two passwords of one length
        // it might not, if the size did not grow with every change.
        text += &"#".repeat(self.revision + 1);
        text.push('\n');
        let fresh = file.with_extension("new");
        std::fs::write(&fresh, text)?;
        std::fs::rename(fresh, file)
    }
}

/// Dovecot does not look at the file twice in one second of the machine's clock.
fn wait_for_next_second() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    std::thread::sleep(Duration::from_nanos(1_000_000_000 - u64::from(since.subsec_nanos())) + CLOCK_MARGIN);
}

impl DovecotBuilder {
    /// Only these users may sign in, each with a password and limits of its own. Once the server has started,
    /// [`Dovecot::change_users`] is what changes them.
    #[must_use]
    pub fn users(mut self, users: impl IntoIterator<Item = (String, User)>) -> Self {
        self.users.get_or_insert_default().extend(users);
        self
    }

    /// One user more; see [`DovecotBuilder::users`].
    #[must_use]
    pub fn user(self, name: &str, user: User) -> Self {
        self.users([(name.to_owned(), user)])
    }
}

impl Dovecot {
    /// The password that this user signs in with.
    #[must_use]
    pub fn password_of(&self, user: &str) -> String {
        self.roster.password(user).unwrap_or_else(|| self.settings.password.clone())
    }

    /// Changes what the server knows of one of its named users, or makes the name known; it holds from the next sign-in on.
    /// Takes up to a second: many users are better changed by [`Dovecot::change_users`].
    ///
    /// ```no_run
    /// # let dovecot = mailhaul_testing::Dovecot::start();
    /// dovecot.change_user("alice", |alice| alice.quota_messages(3));
    /// dovecot.change_user("alice", |alice| alice.no_quota().password("another"));
    /// ```
    ///
    /// # Panics
    /// When the server was not started with [`DovecotBuilder::users`], or its folder cannot be written.
    pub fn change_user(&self, name: &str, change: impl FnOnce(User) -> User) {
        self.change_users(|users| {
            let before = users.remove(name).unwrap_or_else(|| User::new(&self.settings.password));
            users.insert(name.to_owned(), change(before));
        });
    }

    /// Changes what the server knows of any of its users; it holds from the next sign-in on. Takes up to a second.
    ///
    /// # Panics
    /// As [`Dovecot::change_user`].
    pub fn change_users(&self, change: impl FnOnce(&mut BTreeMap<String, User>)) {
        assert!(self.settings.users.is_some(), "this Dovecot knows no users by name");
        self.roster.change(&self.users_file(), change).expect("the server's folder can be written");
        wait_for_next_second();
    }

    /// Signs in so many times and keeps the connections until the result is dropped: with
    /// [`DovecotBuilder::connections_max`] of the same number, nobody else signs in as this user meanwhile.
    ///
    /// # Errors
    /// The server refuses.
    pub fn occupy(&self, user: &str, connections: usize) -> Result<Vec<Client>, ClientError> {
        let password = self.password_of(user);
        (0..connections).map(|_| Client::sign_in(self.address(), user, &password)).collect()
    }

    pub(super) fn users_file(&self) -> std::path::PathBuf {
        self.folder.path().join("users")
    }
}
