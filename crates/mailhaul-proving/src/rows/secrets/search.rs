//! Looks for secrets in everything that was said and written.

use super::loudly;
use crate::Canary;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where to look, for what, and what was found.
pub(super) struct Search {
    folder: PathBuf,
    /// Files that may hold secrets: the operator wrote them.
    may: Vec<&'static str>,
    canaries: Vec<Canary>,
    hits: RefCell<Vec<String>>,
    places: Cell<usize>,
    /// What the folder belongs to.
    stage: Option<Box<dyn Any>>,
}

impl Search {
    /// Everything below a folder, but for the files of these names directly in it.
    pub(super) fn below(folder: &Path, may: &[&'static str]) -> Search {
        let (hits, places) = (RefCell::default(), Cell::default());
        Search { folder: folder.to_owned(), may: may.to_vec(), canaries: Vec::new(), hits, places, stage: None }
    }

    pub(super) fn add_canary(&mut self, user: &str, secret: &str) {
        self.canaries.push(Canary::new(user, secret));
    }

    pub(super) fn canaries(&self) -> &[Canary] {
        &self.canaries
    }

    /// What was found.
    pub(super) fn hits(&self) -> Vec<String> {
        self.hits.borrow().clone()
    }

    /// How many files and outputs were read.
    pub(super) fn places(&self) -> usize {
        self.places.get()
    }

    /// Keeps servers and files as they are until the search is over.
    pub(super) fn keep(&mut self, stage: impl Any) {
        self.stage = Some(Box::new(stage));
    }

    /// Runs a command at its loudest, and reads what it says. If it is said how it must end, it must end so, or it was not
    /// that which was searched.
    pub(super) fn say(&self, what: &str, command: Command, code: Option<i32>) {
        let (ended, stdout, stderr) = loudly(command);
        if code.is_some_and(|code| code != ended) {
            self.hits.borrow_mut().push(format!("`{what}` ended with {ended} and not {code:?}"));
        }
        self.read(&format!("`{what}` on stdout"), &stdout);
        self.read(&format!("`{what}` on stderr"), &stderr);
        if stdout.is_empty() && stderr.is_empty() {
            self.hits.borrow_mut().push(format!("`{what}` says nothing at its loudest: there is nothing to search"));
        }
    }

    /// Runs a command that is made to panic, and reads what it says. Without a panic there was nothing to search.
    pub(super) fn say_panicking(&self, what: &str, command: Command) {
        let (_, stdout, stderr) = loudly(command);
        self.read(&format!("`{what}` on stdout"), &stdout);
        self.read(&format!("`{what}` on stderr"), &stderr);
        if memchr::memmem::find(&stderr, b"made to panic").is_none() {
            self.hits.borrow_mut().push(format!("`{what}` did not panic"));
        }
    }

    /// Reads all files as they are now.
    pub(super) fn look(&self, when: &str) {
        for file in self.files() {
            // A file that has gone meanwhile holds nothing any more.
            let octets = std::fs::read(&file).unwrap_or_default();
            self.read(&format!("{} {when}", file.display()), &octets);
        }
    }

    fn read(&self, place: &str, octets: &[u8]) {
        self.places.set(self.places.get() + 1);
        let found = self.canaries.iter().filter_map(|canary| canary.sings_in(octets));
        self.hits.borrow_mut().extend(found.map(|form| format!("a password stands, {form}, in {place}")));
    }

    /// Plants each secret in each form beside the state file, and looks whether it is found.
    pub(super) fn can_find(&self) -> Result<(), String> {
        let planted = self.folder.join("state/planted.log");
        for canary in &self.canaries {
            for (form, octets) in canary.forms() {
                let text = [b"{\"level\":\"TRACE\",\"said\":\"", &octets[..], b"\"}\n"].concat();
                std::fs::write(&planted, text).map_err(|error| error.to_string())?;
                let looked_at = self.files().into_iter().filter(|file| *file == planted);
                let found = looked_at.filter_map(|file| canary.sings_in(&std::fs::read(file).ok()?)).count();
                if found != 1 {
                    return Err((*form).to_owned());
                }
            }
        }
        std::fs::remove_file(&planted).map_err(|error| error.to_string())
    }

    fn files(&self) -> Vec<PathBuf> {
        let (mut files, mut folders) = (Vec::new(), vec![self.folder.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let may = folder == self.folder && self.may.iter().any(|name| entry.file_name() == *name);
                match path.is_dir() {
                    true => folders.push(path),
                    false if may => {}
                    false => files.push(path),
                }
            }
        }
        files
    }
}
