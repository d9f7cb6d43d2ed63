//! Two model servers, a state file, and what the judge must know besides.

use super::corpus::{Shelf, fill};
use super::judge::{Findings, judge};
use super::pass::Ended;
use super::plan::place;
use mailhaul_db::{Ledger, OpenOptions};
use mailhaul_testing::model::{ModelServer, Traits};
use mailhaul_types::Side;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;
use tempfile::TempDir;

/// What was at the source and is not any more: mailbox and octets.
pub type Past = Rc<RefCell<Vec<(String, Vec<u8>)>>>;

/// Two servers, a state file, and what was ever at the source.
#[derive(Debug)]
pub struct Stage {
    /// Where the mail comes from.
    pub source: ModelServer,
    /// Where it goes.
    pub target: ModelServer,
    /// What was at the source and is not any more.
    pub ever: Past,
    names: [(char, String); 2],
    pub(super) folder: TempDir,
    /// Which state folder is in use: a crash leaves one behind.
    pub(super) state: u32,
}

impl Stage {
    /// Between servers of these kinds, with this mail at the source, and a fresh state file.
    ///
    /// # Panics
    /// Without debug assertions, or when there is no room for a state file.
    #[must_use]
    pub fn new(source: Traits, target: Traits, shelf: &Shelf) -> Stage {
        if !cfg!(debug_assertions) {
            panic!("the simulation needs debug assertions: see `make prove`");
        }
        let names = [(source.delimiter, source.prefix.clone()), (target.delimiter, target.prefix.clone())];
        let (source, target) = (ModelServer::new(source), ModelServer::new(target));
        let shared = Path::new("/dev/shm");
        let place = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("mailhaul-simulation-").tempdir_in(place).expect("a folder");
        let stage = Stage { source, target, ever: Past::default(), names, folder, state: 0 };
        fill(&stage.source, shelf, |path| stage.spell(Side::Source, path));
        std::fs::create_dir(stage.state_folder()).expect("a folder for the state");
        std::fs::write(stage.state_folder().join("mailhaul.db"), fresh_state()).expect("a fresh state file");
        stage
    }

    /// A mailbox in the spelling of one of the servers.
    #[must_use]
    pub fn spell(&self, side: Side, path: &[&str]) -> String {
        let (delimiter, prefix) = &self.names[place(side)];
        let name = path.join(&delimiter.to_string());
        if path == ["INBOX"] { name } else { format!("{prefix}{name}") }
    }

    /// The target's name of a source mailbox.
    #[must_use]
    pub fn named(&self, source: &str) -> String {
        let (delimiter, prefix) = &self.names[0];
        let path: Vec<&str> = source.strip_prefix(prefix.as_str()).unwrap_or(source).split(*delimiter).collect();
        self.spell(Side::Target, &path)
    }

    pub(super) fn state_folder(&self) -> PathBuf {
        self.folder.path().join(format!("state-{}", self.state))
    }

    /// What the judge says.
    #[must_use]
    pub fn judge(&self) -> Findings {
        judge(&self.source, &self.target, |name| self.named(name), &self.ever.borrow())
    }

    /// As [`Stage::judge`], where mailboxes may have got other names on the target: the report says which.
    #[must_use]
    pub fn judge_as_named(&self, ended: &Ended) -> Findings {
        let lines = ended.report.as_ref().map_or(&[][..], |report| &report.mailboxes);
        let known = |name: &str| lines.iter().find(|line| line.source == name).and_then(|line| line.target.clone());
        let named = |name: &str| known(name).unwrap_or_else(|| self.named(name));
        judge(&self.source, &self.target, named, &self.ever.borrow())
    }

    /// Deletes messages at the source, and remembers that they were there.
    pub fn expunge_at_source(&self, mailbox: &str, uids: &[u32]) {
        expunge(&self.source, &self.ever, mailbox, uids);
    }

    /// The state as it is now, to be put back later.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn keep_state(&self) -> Vec<(String, Vec<u8>)> {
        let files = std::fs::read_dir(self.state_folder()).expect("a state folder").flatten();
        let files = files.filter(|entry| entry.path().is_file() && !entry.path().ends_with("mailhaul.db-shm"));
        files
            .map(|entry| {
                let octets = std::fs::read(entry.path()).expect("a file of the state");
                (entry.file_name().to_string_lossy().into_owned(), octets)
            })
            .collect()
    }

    /// Puts a state back.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put_state_back(&mut self, kept: &[(String, Vec<u8>)]) {
        self.state += 1;
        std::fs::create_dir(self.state_folder()).expect("a folder for the state");
        for (name, octets) in kept {
            std::fs::write(self.state_folder().join(name), octets).expect("a file of the state");
        }
    }

    /// Lets time pass between two passes.
    pub fn wait(&self, millis: u64) {
        self.source.advance(millis);
        self.target.advance(millis);
    }
}

/// Deletes messages at the source, and remembers that they were there.
pub fn expunge(source: &ModelServer, ever: &Past, mailbox: &str, uids: &[u32]) {
    let held = source.contents().remove(mailbox).unwrap_or_default();
    let gone = held.iter().filter(|held| uids.contains(&held.uid));
    ever.borrow_mut().extend(gone.map(|held| (mailbox.to_owned(), held.octets.to_vec())));
    source.expunge(mailbox, uids);
}

/// A state file in which nothing stands yet. Made once: it takes longer than a pass.
fn fresh_state() -> &'static [u8] {
    static FRESH: OnceLock<Vec<u8>> = OnceLock::new();
    FRESH.get_or_init(|| {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("mailhaul.db");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let ledger = Ledger::open(&path, OpenOptions::default()).await.expect("a state file");
            ledger.close().await.expect("closed");
        });
        std::fs::read(&path).expect("a state file")
    })
}
