//! Two model servers, a state file, and what the judge must know besides.

use super::corpus::{Shelf, fill};
use super::essence::essence;
use super::judge::{Extra, Findings, judge};
use super::pass::Ended;
use super::past::{Doings, Former, Learned, Memory, Own, Past};
use super::plan::place;
use mailhaul_db::{Ledger, OpenOptions};
use mailhaul_testing::model::{Alters, Duplicates, ModelServer, Traits};
use mailhaul_types::Side;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tempfile::TempDir;

/// Two servers, a state file, and what was ever at the source.
#[derive(Debug)]
pub struct Stage {
    /// Where the mail comes from.
    pub source: ModelServer,
    /// Where it goes.
    pub target: ModelServer,
    /// What was at the source and is not any more.
    pub ever: Past,
    /// Everything that was ever seen at the source.
    pub at_source: Memory,
    /// Everything that was ever seen on the target.
    pub on_target: Memory,
    /// What the target's owner has put there himself: it stays there, wherever he has it, and belongs to nobody else.
    pub own: Vec<Own>,
    /// What the target's owner has done to copies.
    pub doings: Arc<Mutex<Doings>>,
    /// What the ledger has shown.
    learned: Arc<Mutex<Learned>>,
    /// How the target alters what it is given.
    alters: Alters,
    /// Whether the target keeps of equal messages in one mailbox one only.
    merges: bool,
    /// Source mailboxes whose target may have one of these names besides the one that follows from theirs, with the
    /// source's names; `*` stands for any that no other mailbox has.
    pub aliases: BTreeMap<String, String>,
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
        let (alters, merges) = (target.alters, target.duplicates != Duplicates::Kept);
        let (source, target) = (ModelServer::new(source), ModelServer::new(target));
        let folder = new_folder();
        let (at_source, on_target) = (Memory::default(), Memory::default());
        let (ever, own, aliases) = (Past::default(), Vec::new(), BTreeMap::new());
        let stage = Stage {
            source,
            target,
            ever,
            at_source,
            on_target,
            own,
            doings: Arc::default(),
            learned: Arc::default(),
            merges,
            alters,
            aliases,
            names,
            folder,
            state: 0,
        };
        fill(&stage.source, shelf, |path| stage.spell(Side::Source, path));
        std::fs::create_dir(stage.state_folder()).expect("a folder for the state");
        std::fs::write(stage.state_folder().join("mailhaul.db"), fresh_state()).expect("a fresh state file");
        stage
    }

    /// Another stage that is now as this one is.
    ///
    /// # Panics
    /// When there is no room for a state file.
    #[must_use]
    pub fn fork(&self) -> Stage {
        let mut stage = Stage {
            source: self.source.fork(),
            target: self.target.fork(),
            ever: self.ever.fork(),
            at_source: self.at_source.fork(),
            on_target: self.on_target.fork(),
            own: self.own.clone(),
            aliases: self.aliases.clone(),
            names: self.names.clone(),
            folder: new_folder(),
            doings: Arc::new(Mutex::new(self.doings().clone())),
            learned: Arc::new(Mutex::new(self.learned().clone())),
            alters: self.alters,
            merges: self.merges,
            state: self.state,
        };
        stage.put_state_back(&self.keep_state());
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

    /// Puts mail of its owner into a mailbox of the target.
    pub fn deliver_own(&mut self, mailbox: &str, octets: &[u8], date: i64) {
        self.target.deliver(mailbox, octets, date, &[]);
        self.own.push(Own { mailbox: mailbox.to_owned(), octets: octets.to_vec(), date, flags: Vec::new() });
    }

    pub(super) fn state_folder(&self) -> PathBuf {
        self.folder.path().join(format!("state-{}", self.state))
    }

    /// Looks at what both servers hold now, before anything of it is taken away.
    pub fn observe(&self) {
        self.at_source.observe(&self.source);
        self.on_target.observe(&self.target);
    }

    /// From now on every mailbox may have any name on the target that no other has: a name was refused.
    pub fn any_names(&mut self) {
        let names = self.source.contents().into_keys().filter(|name| name != "INBOX");
        self.aliases.extend(names.map(|name| (name, "*".to_owned())));
    }

    /// What is left of a message once the target has stored it, and of a stored message without what the target has added.
    #[must_use]
    pub fn essence(&self, octets: &[u8]) -> Vec<u8> {
        essence(self.alters, octets)
    }

    /// Whether the target keeps of equal messages in one mailbox one only.
    #[must_use]
    pub fn merges(&self) -> bool {
        self.merges
    }

    /// What the target's owner has done to copies.
    pub fn doings(&self) -> MutexGuard<'_, Doings> {
        self.doings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the ledger has shown.
    pub fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the target's owner has put this message there.
    #[must_use]
    pub fn is_own(&self, octets: &[u8]) -> bool {
        let is_it = |(_, known): &Former| *known == octets;
        self.own.iter().any(|own| own.octets == octets) || self.doings().brought.iter().any(is_it)
    }

    /// The name on the target, where a report may tell another than follows from the source's: only what the world knows to
    /// be called otherwise, and never by a name that belongs to another mailbox.
    #[must_use]
    pub fn named_as_reported(&self, source: &str, ended: &Ended) -> String {
        let named = self.named(source);
        let lines = ended.report.as_ref().map_or(&[][..], |report| &report.mailboxes);
        let told = lines.iter().find(|line| line.source == source).and_then(|line| line.target.clone());
        let may_be = |told: &String| match self.aliases.get(source).map(String::as_str) {
            Some("*") => self.source.contents().keys().all(|other| other == source || self.named(other) != *told),
            Some(alias) => *told == self.named(alias),
            None => false,
        };
        told.filter(may_be).unwrap_or(named)
    }

    /// What the judge says.
    #[must_use]
    pub fn judge(&self) -> Findings {
        self.judge_with(|name| self.named(name), &[], &[])
    }

    /// As [`Stage::judge`], where mailboxes may have got other names on the target, and where the target may hold more than
    /// once what `spare` tells, and lack what it has `refused`: source mailbox and octets, once for each copy.
    #[must_use]
    pub fn judge_as_named(&self, ended: &Ended, spare: &[Former], refused: &[Former]) -> Findings {
        self.judge_with(|name| self.named_as_reported(name, ended), spare, refused)
    }

    fn judge_with(&self, named: impl Fn(&str) -> String, spare: &[Former], refused: &[Former]) -> Findings {
        let (doings, learned) = (self.doings(), self.learned());
        let (alters, merges) = (self.alters, self.merges);
        let ever = self.ever.all();
        let (own, doings, at_source) = (&self.own, &doings, &self.at_source);
        let (adopted, validities) = (&learned.adopted, &learned.validities);
        let extra = Extra { ever: &ever, spare, refused, own, doings, adopted, validities, at_source, alters, merges };
        judge(&self.source, &self.target, named, &extra)
    }

    /// Deletes messages at the source, and remembers that they were there.
    pub fn expunge_at_source(&self, mailbox: &str, uids: &[u32]) {
        self.observe();
        expunge(&self.source, &self.ever, mailbox, uids);
    }

    /// Moves a message at the source, and remembers where it was.
    pub fn move_at_source(&self, from: &str, uid: u32, to: &str) {
        self.observe();
        move_message(&self.source, &self.ever, from, uid, to);
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

    /// Lets everything land that the target was given and has not stored yet.
    pub fn wait_for_landings(&self) {
        while let Some(millis) = self.target.due() {
            self.wait(millis.max(1));
        }
        self.observe();
    }

    /// Lets time pass between two passes.
    pub fn wait(&self, millis: u64) {
        self.source.advance(millis);
        self.target.advance(millis);
    }
}

/// Deletes messages at the source, and remembers that they were there.
pub fn expunge(source: &ModelServer, ever: &Past, mailbox: &str, uids: &[u32]) {
    leave(source, ever, mailbox, uids, None);
    source.expunge(mailbox, uids);
}

/// Moves a message at the source, and remembers where it was.
pub fn move_message(source: &ModelServer, ever: &Past, from: &str, uid: u32, to: &str) {
    leave(source, ever, from, &[uid], Some(to));
    source.move_(from, &[uid], to);
}

fn leave(source: &ModelServer, ever: &Past, mailbox: &str, uids: &[u32], to: Option<&str>) {
    let held = source.contents().remove(mailbox).unwrap_or_default();
    held.iter().filter(|held| uids.contains(&held.uid)).for_each(|held| ever.add(mailbox, &held.octets, to));
}

fn new_folder() -> TempDir {
    let shared = Path::new("/dev/shm");
    let place = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("mailhaul-simulation-").tempdir_in(place).expect("a folder")
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
