//! Playing one history: the servers and the model side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::at_source::SourceUser;
use super::at_target::TargetUser;
use super::model::{Outcome, Passing, World, predict};
use super::operation::{Disturbance, History, Step};
use super::policy::{Flagging, Policy};
use super::servers::Servers;
use super::view::{View, ViewError};
use crate::dovecot::{Dovecot, Offer};
use crate::imap_client::ClientError;
use crate::process::server_folder;
use crate::proxy::{Cut, Direction, Fault, Moment, Plan, Proxy, Statistics, WRITING_COMMANDS};

/// Worlds that are followed at once. Beyond that, the history is no longer decided.
const WORLDS_MAX: usize = 400;

/// Octets that a session may send beside what it sends for each mailbox.
const SESSION_OCTETS: u64 = 400;

/// When a copier is to be killed.
#[derive(Clone, Copy, Debug)]
pub struct Killing<'a> {
    /// Where the connection stands still at that moment.
    pub proxy: &'a Proxy,
    /// Faults that had struck there before.
    pub faults_before: u32,
}

impl Killing<'_> {
    /// Whether it is time.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.proxy.statistics().faults > self.faults_before
    }
}

/// One pass, as a copier is asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The user, on both sides.
    pub user: &'a str,
    /// The password, on both sides.
    pub password: &'a str,
    /// The source, in plain text.
    pub source: SocketAddr,
    /// The target, in plain text.
    pub target: SocketAddr,
    /// A folder for what the copier remembers.
    pub folder: &'a Path,
    /// The operator's decisions.
    pub policy: &'a Policy,
    /// When to kill it, if at all.
    pub killing: Option<Killing<'a>>,
}

/// What a copier says at its end.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Its exit code; -1 if it was killed.
    pub code: i32,
    /// Where each source mailbox goes.
    pub targets: BTreeMap<String, String>,
    /// Source mailboxes that wait for a decision.
    pub questions: BTreeSet<String>,
    /// Everything else that it takes exception to.
    pub exceptions: Vec<String>,
    /// All of its words.
    pub words: String,
}

/// Something that copies.
pub trait Copier {
    /// Runs to its end, or until it is killed.
    fn pass(&mut self, request: &Request<'_>) -> Told;
}

/// A history that went as the model says.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// Undisturbed passes.
    pub passes: u32,
    /// Whether there were too many possibilities to follow, so that its end proves nothing.
    pub undecided: bool,
    /// What happened.
    pub story: Vec<String>,
}

/// A history that did not.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What is wrong, in one line.
    pub kind: String,
    /// All that is known about it.
    pub details: String,
    /// What happened until then.
    pub story: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in &self.story {
            writeln!(formatter, "    {line}")?;
        }
        write!(formatter, "  {}\n{}", self.kind, self.details)
    }
}

enum End {
    Wrong { kind: String, details: String },
    Undecided,
}

impl From<ViewError> for End {
    fn from(error: ViewError) -> End {
        let kind = match &error {
            ViewError::Client(_) => "a server refused what the history does",
            ViewError::Strange { .. } => "a message is not what it should be",
        };
        End::Wrong { kind: kind.to_owned(), details: error.to_string() }
    }
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> End {
        ViewError::from(error).into()
    }
}

/// Plays a history with users of its own.
///
/// # Errors
/// What went otherwise than the model says, or could not be played.
pub fn play(history: &History, servers: &Servers, copier: &mut dyn Copier) -> Result<Played, Box<Failure>> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let user = format!("h{}x{}", history.seed, TURN.fetch_add(1, Ordering::Relaxed));
    let (source, target) = servers.of(history.setting.offers);
    let mut player = Player {
        history,
        copier,
        user: &user,
        source_proxy: Proxy::start(source.address()),
        target_proxy: Proxy::start(target.address()),
        folder: tempfile::Builder::new().prefix("mh-history-").tempdir_in(server_folder()).map_err(no_folder)?,
        policy: history.setting.policy,
        worlds: Vec::new(),
        story: vec![format!("seed {}: {:?}", history.seed, history.setting)],
        played: Played::default(),
    };
    let end = player.play(&source, &target);
    let Player { mut played, story, .. } = player;
    for server in [&source, &target] {
        drop(std::fs::remove_dir_all(server.home(&user)));
    }
    match end {
        Ok(()) => {}
        Err(End::Undecided) => played.undecided = true,
        Err(End::Wrong { kind, details }) => return Err(Box::new(Failure { kind, details, story })),
    }
    Ok(Played { story, ..played })
}

fn no_folder(error: std::io::Error) -> Box<Failure> {
    Box::new(Failure { kind: "no folder".to_owned(), details: error.to_string(), story: Vec::new() })
}

struct Player<'a> {
    history: &'a History,
    copier: &'a mut dyn Copier,
    user: &'a str,
    source_proxy: Proxy,
    target_proxy: Proxy,
    folder: TempDir,
    policy: Policy,
    worlds: Vec<World>,
    story: Vec<String>,
    played: Played,
}

impl Player<'_> {
    fn play(&mut self, source: &Dovecot, target: &Dovecot) -> Result<(), End> {
        let mut user = SourceUser::sign_in(source, self.user)?;
        let mut owner = TargetUser::sign_in(target, self.user)?;
        self.worlds = vec![World::of(&owner.view()?)];
        for step in &self.history.steps {
            match step {
                Step::Source(operation) => {
                    if let Some(done) = user.act(operation)? {
                        self.story.push(format!("source: {done}"));
                    }
                }
                Step::Target(operation) => {
                    if let Some((done, worlds)) = owner.act(operation, &self.policy, &self.worlds)? {
                        self.story.push(format!("target: {done}"));
                        self.worlds = worlds;
                    }
                }
                Step::Pass(disturbance) => {
                    if let Some(disturbance) = disturbance {
                        self.disturbed_pass(*disturbance)?;
                    }
                    self.judged_pass(&mut user, &mut owner, disturbance.is_some(), source)?;
                }
            }
        }
        let mut told = self.judged_pass(&mut user, &mut owner, false, source)?;
        if !told.questions.is_empty() && !self.policy.accept_source_change {
            self.policy.accept_source_change = true;
            self.story.push("operator: accepts source changes".to_owned());
            told = self.judged_pass(&mut user, &mut owner, false, source)?;
        }
        self.idle_pass(&mut user, &mut owner, source, told.questions.is_empty())
    }

    fn pass(&mut self, password: &str, kills: bool) -> Told {
        let faults_before = self.target_proxy.statistics().faults;
        let killing = kills.then_some(Killing { proxy: &self.target_proxy, faults_before });
        self.copier.pass(&Request {
            user: self.user,
            password,
            source: self.source_proxy.address(),
            target: self.target_proxy.address(),
            folder: self.folder.path(),
            policy: &self.policy,
            killing,
        })
    }

    /// A pass of which only the next one has to make something.
    fn disturbed_pass(&mut self, disturbance: Disturbance) -> Result<(), End> {
        let kills = matches!(disturbance, Disturbance::Kill { .. });
        match disturbance {
            Disturbance::Kill { octets } => {
                // Nothing goes any further from there, so that the moment is the same every time.
                let moment = Moment::Bytes(Direction::ToServer, u64::from(octets));
                self.target_proxy.set_next_plans([Plan::new().fault(moment, Fault::Stall)]);
            }
            Disturbance::CutTarget { octets, to_server } => {
                let direction = if to_server { Direction::ToServer } else { Direction::ToClient };
                let plan = Plan::new().cut_after_bytes(direction, u64::from(octets), Cut::Rst);
                self.target_proxy.set_next_plans([plan]);
            }
            Disturbance::CutSource { octets } => {
                let plan = Plan::new().cut_after_bytes(Direction::ToClient, u64::from(octets), Cut::Rst);
                self.source_proxy.set_next_plans([plan]);
            }
        }
        let told = self.pass(crate::dovecot::PASSWORD, kills);
        self.source_proxy.set_plan(Plan::new());
        self.target_proxy.set_plan(Plan::new());
        self.target_proxy.cut_all(Cut::Rst);
        self.story.push(format!("pass, disturbed by {disturbance:?}: code {}", told.code));
        if told.code == 1 || told.code == 2 {
            return wrong("a disturbed pass ends with a fault of its own", told.words);
        }
        Ok(())
    }

    /// A pass whose result must be one of those that the model knows.
    fn judged_pass(
        &mut self,
        user: &mut SourceUser<'_>,
        owner: &mut TargetUser,
        disturbed: bool,
        source: &Dovecot,
    ) -> Result<Told, End> {
        let before = user.view()?;
        let told = self.pass(source.password(), false);
        self.played.passes += 1;
        let asked =
            if told.questions.is_empty() { String::new() } else { format!(", asks about {:?}", told.questions) };
        self.story.push(format!("pass: code {}{asked}", told.code));
        self.check_words(&told)?;
        if user.look_again()? != before {
            return wrong("the copier changed the source", format!("before: {before:?}"));
        }
        let seen = owner.view()?;
        let passing = Passing {
            source: &before,
            policy: &self.policy,
            offers: self.history.setting.offers,
            targets: &told.targets,
            disturbed,
        };
        self.worlds = possible(&self.worlds, &passing, &told, &seen)?;
        Ok(told)
    }

    fn check_words(&self, told: &Told) -> Result<(), End> {
        let expected = if told.questions.is_empty() { 0 } else { 6 };
        if told.code != expected {
            return wrong(&format!("a pass ends with code {}", told.code), told.words.clone());
        }
        if !told.exceptions.is_empty() {
            return wrong("a pass takes exception to something", format!("{:?}\n{}", told.exceptions, told.words));
        }
        Ok(())
    }

    /// Nothing has happened since the last pass, so there must be nothing to do, and nearly nothing to ask.
    fn idle_pass(
        &mut self,
        user: &mut SourceUser<'_>,
        owner: &mut TargetUser,
        source: &Dovecot,
        complete: bool,
    ) -> Result<(), End> {
        let (at_source, on_target) = (self.source_proxy.statistics(), self.target_proxy.statistics());
        let mailboxes = user.view()?.len();
        self.judged_pass(user, owner, false, source)?;
        let (asked, sent) =
            (self.source_proxy.statistics().since(&at_source), self.target_proxy.statistics().since(&on_target));
        if sent.count_of(&WRITING_COMMANDS) > 0 {
            return wrong("a pass with nothing to do writes on the target", format!("{:?}", sent.commands));
        }
        if complete
            && self.history.setting.costs_count
            && let Some(excess) = self.costs_too_much(&asked, mailboxes)
        {
            return wrong("a pass with nothing to do asks too much of the source", excess);
        }
        Ok(())
    }

    fn costs_too_much(&self, asked: &Statistics, mailboxes: usize) -> Option<String> {
        let mailboxes = u64::try_from(mailboxes).unwrap_or(u64::MAX);
        let offer = self.history.setting.offers.source;
        // Where the source's flags are to win, the target has to be looked at each time, and so does a source that does not
        // tell whether flags have changed.
        let changes_are_told =
            !matches!(offer, Offer::NoCondstore | Offer::Bare) && self.policy.flags != Flagging::Source;
        let each = match offer {
            Offer::NoListStatus | Offer::Bare | Offer::NoCondstore => 120,
            _ => 40,
        };
        let commands = if matches!(offer, Offer::NoListStatus) { 2 + mailboxes } else { 2 };
        let many = u64::from(asked.commands_at_work()) > commands;
        let much = asked.bytes_to_server > SESSION_OCTETS + each * mailboxes;
        let promised = changes_are_told || self.policy.flags == Flagging::None && offer == Offer::NoCondstore;
        (promised && (many || much)).then(|| format!("{mailboxes} mailboxes, {:?}, {asked:?}", asked.commands))
    }
}

fn wrong<T>(kind: &str, details: String) -> Result<T, End> {
    Err(End::Wrong { kind: kind.to_owned(), details })
}

/// The worlds in which a pass may have left what is seen now.
fn possible(worlds: &[World], passing: &Passing<'_>, told: &Told, seen: &View) -> Result<Vec<World>, End> {
    let mut left = BTreeSet::new();
    let mut nearest: Option<(usize, String)> = None;
    let mut note = |distance: usize, text: String| {
        if nearest.as_ref().is_none_or(|(least, _)| distance < *least) {
            nearest = Some((distance, text));
        }
    };
    for world in worlds {
        let outcomes = match predict(world, passing) {
            None => return Err(End::Undecided),
            Some(Err(reason)) => {
                note(usize::MAX - 1, reason);
                continue;
            }
            Some(Ok(outcomes)) => outcomes,
        };
        for Outcome { world, questions } in outcomes {
            let mut differences = world.differences(seen);
            if questions != told.questions {
                differences.push(format!("questions are asked about {:?}, not {questions:?}", told.questions));
            }
            if differences.is_empty() {
                left.insert(world);
            } else {
                note(differences.len(), differences.join("\n"));
            }
        }
        if left.len() > WORLDS_MAX {
            return Err(End::Undecided);
        }
    }
    if !left.is_empty() {
        return Ok(left.into_iter().collect());
    }
    let (_, nearest) = nearest.unwrap_or_default();
    let mut details = format!("{nearest}\nsource:\n");
    describe(&mut details, passing.source);
    details += "target:\n";
    describe(&mut details, seen);
    let _ = write!(details, "mapping: {:?}\n{}", passing.targets, told.words);
    wrong("the target is not what it should be", details)
}

fn describe(text: &mut String, view: &View) {
    for (name, mailbox) in view {
        let _ = write!(text, "    {name} ({}):", mailbox.uid_validity);
        for (uid, message) in &mailbox.messages {
            let _ = write!(text, " {uid}={:?}{:?}", message.content, message.flags);
        }
        text.push('\n');
    }
}
