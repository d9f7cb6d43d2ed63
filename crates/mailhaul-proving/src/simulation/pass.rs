//! One pass of the engine: a runtime of its own, a network, what happens meanwhile, and perhaps a death.

use super::denials::Denials;
use super::network::{Network, Passed};
use super::past::Past;
use super::plan::Weather;
use super::stage::Stage;
use super::strike::{Fate, Reached, Striking, Witness};
use mailhaul_copy::{
    Account, AccountPair, Connections, CopyJob, Oversight, Progress, RetryExceptions, StopSwitch, copy_account,
};
use mailhaul_db::{Ledger, OpenOptions};
use mailhaul_imap::{Credentials, Dial, Endpoint, Timeouts, TlsMode, Trust};
use mailhaul_plan::batches::BatchLimits;
use mailhaul_plan::mailboxes::MappingRules;
use mailhaul_plan::policy::{DeletionPolicy, ResyncPolicy};
use mailhaul_plan::selection::Selection;
use mailhaul_report::{RunReport, Verdict};
use mailhaul_testing::model::{Answer, ModelServer, PASSWORD, Seen};
use mailhaul_types::failpoint;
use mailhaul_types::{Secret, Side};
use std::collections::BTreeMap;
use std::mem::take;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// No pass takes longer than this, in simulated time, whatever goes wrong.
const PASS_MAX: Duration = Duration::from_secs(12 * 3_600);

/// Something that happens on the servers while a pass is at work. What the pass does not live to see happens at its end.
pub struct Happening {
    /// When, in milliseconds from the beginning of the pass.
    pub at_millis: u64,
    /// What, in words.
    pub told: String,
    /// What.
    pub what: Deed,
}

/// What is done, given source, target, and what was at the source before.
pub type Deed = Box<dyn FnOnce(&ModelServer, &ModelServer, &Past) + Send>;

/// Something that happens at the moment when a server has received a certain command, before it is carried out; once.
pub struct Trigger {
    /// Which server.
    pub side: Side,
    /// The command's name.
    pub name: &'static str,
    /// What stands in its arguments.
    pub containing: String,
    /// What happens.
    pub what: Deed,
}

impl std::fmt::Debug for Trigger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {} {} {}", self.side, self.name, self.containing)
    }
}

impl std::fmt::Debug for Happening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {} ms", self.told, self.at_millis)
    }
}

/// A command that is answered otherwise than it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// By which server.
    pub side: Side,
    /// Its name; `GREETING` is a connection's greeting. With [`READS`] it is not one command but every one that asks for
    /// messages, from the `nth` on.
    pub name: String,
    /// Which of this name in the pass, from 1.
    pub nth: u64,
    /// How.
    pub answer: Answer,
}

/// Stands for UID FETCH and UID SEARCH alike: where one is answered wrongly, the other must not be there to ask.
pub const READS: &str = "UID FETCH and UID SEARCH";

/// Lines of every kind that begin well and end badly.
pub const MALFORMED: &[u8] = b"* 1 FETCH (UID 1 FLAGS (\\Seen\r\n* 2 FETCH (UID x BODY[] {3}\r\nabc\r\n* LIST (\\HasNo\r\n\
    * STATUS \"INBOX\" (MESSAGES x\r\n* ESEARCH UID x\r\n* SEARCH 1 x\r\n* x EXISTS\r\n* OK [UIDNEXT\r\n* VANISHED (EARLIER\r\n";

/// One pass as it is asked for.
#[derive(Debug, Default)]
pub struct Order {
    /// What the network does.
    pub weather: Weather,
    /// What the servers do.
    pub replies: Vec<Reply>,
    /// What happens meanwhile.
    pub happenings: Vec<Happening>,
    /// What happens at certain commands.
    pub triggers: Vec<Trigger>,
    /// When the engine dies, in milliseconds from the beginning.
    pub dies_at_millis: Option<u64>,
    /// What happens at failpoints.
    pub strikings: Vec<Striking>,
    /// Whether what was refused or unreadable is tried again.
    pub retries: bool,
    /// Whether the operator has agreed to everything that he can be asked.
    pub agreed: bool,
    /// Whether what is deleted at the source is deleted on the target too.
    pub mirrors: bool,
    /// What is done otherwise with what is deleted at the source.
    pub deletions: DeletionPolicy,
    /// How many connections to each server are open from the beginning where there is work for them; 0 is 1.
    pub connections: usize,
    /// Over how many connections one mailbox is read from the beginning; 0 is 1.
    pub reading: usize,
    /// How many messages are fetched and stored together at most; 0 is as many as usual.
    pub batch_messages: u64,
}

/// A command that a server received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which server.
    pub side: Side,
    /// Over which of its connections.
    pub connection: u64,
    /// Its name, with UID in front where that belongs to it.
    pub name: String,
    /// The beginning of what follows, and how much it is.
    pub arguments: String,
    /// When it had come to the server, in simulated milliseconds from the beginning of the pass.
    pub at_millis: u64,
}

/// How a pass ended.
#[derive(Debug)]
pub struct Ended {
    /// What the engine reported; `None` if it died, did not end, or could not open its state.
    pub report: Option<RunReport>,
    /// Why there is no report.
    pub trouble: String,
    /// What passed over the network.
    pub passed: Passed,
    /// Every command that a server received, in order.
    pub commands: Vec<Received>,
    /// Every failpoint that was reached.
    pub reached: Vec<Reached>,
    /// What the source has said OK to and left out, asked by UID FETCH and by UID SEARCH.
    pub denied: Denials,
    /// Whether nothing was to happen on the servers meanwhile.
    pub undisturbed: bool,
    /// Simulated milliseconds that it took, with what came in behind it.
    pub millis: u64,
}

impl Ended {
    /// Whether everything was copied and accounted for.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.verdict() == Verdict::Complete)
    }

    /// Whether it neither ended nor died.
    #[must_use]
    pub fn hung(&self) -> bool {
        self.report.is_none() && self.trouble == HUNG
    }

    /// Side and name of every command that a server received, in order.
    #[must_use]
    pub fn named_commands(&self) -> Vec<(Side, String)> {
        self.commands.iter().map(|command| (command.side, command.name.clone())).collect()
    }

    /// How many commands of this name a server received.
    #[must_use]
    pub fn count(&self, side: Side, name: &str) -> usize {
        self.commands.iter().filter(|command| command.side == side && command.name == name).count()
    }

    /// The report in words, or why there is none.
    #[must_use]
    pub fn in_words(&self) -> String {
        self.report.as_ref().map_or_else(|| self.trouble.clone(), RunReport::to_text)
    }
}

/// So much of a command's arguments is kept.
const SHOWN_MAX: usize = 200;

const HUNG: &str = "it did not come to an end";

impl Stage {
    /// A pass in good weather.
    pub fn clean_pass(&mut self) -> Ended {
        self.pass(Order::default())
    }

    /// One pass.
    ///
    /// # Panics
    /// When no runtime can be made.
    pub fn pass(&mut self, mut order: Order) -> Ended {
        // The engine's jitter rolls these dice.
        fastrand::seed(order.weather.seed);
        mailhaul_db::let_time_stand_still();
        let (weather, happenings, strikings) =
            (take(&mut order.weather), take(&mut order.happenings), take(&mut order.strikings));
        self.observe();
        let undisturbed = happenings.is_empty() && order.triggers.is_empty();
        let denials = Arc::new(Mutex::new(Denials::default()));
        let beginning = Arc::new(OnceLock::new());
        let commands = record_commands(self, &order.replies, take(&mut order.triggers), &denials, &beginning);
        let next = self.folder.path().join(format!("state-{}", self.state + 1));
        let witness = Witness::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let (outcome, passed, millis, dead) = runtime.block_on(async {
            let began = *beginning.get_or_init(Instant::now);
            let network = Network::new(&self.source, &self.target, weather);
            let fate = Fate::new(&network, self.state_folder(), next);
            witness.watch(strikings, &fate);
            let job = job(&network, &order);
            let state = self.state_folder().join("mailhaul.db");
            let outcome = tokio::select! {
                biased;
                () = fate.struck() => Err("it died".to_owned()),
                () = at(order.dies_at_millis) => { fate.strike_dead(); Err("it died".to_owned()) }
                () = tokio::time::sleep(PASS_MAX) => Err(HUNG.to_owned()),
                outcome = run(&job, &state) => outcome,
                () = story(self, happenings, &network) => Err("the story ended".to_owned()),
            };
            failpoint::hook(None);
            network.calm_down().await;
            let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            (outcome, network.passed(), millis, fate.is_dead())
        });
        drop(runtime);
        self.state += u32::from(dead);
        self.source.as_usual();
        self.target.as_usual();
        self.observe();
        let commands = std::mem::take(&mut *commands.lock().unwrap_or_else(PoisonError::into_inner));
        let (report, trouble) = match outcome {
            Ok(report) => (Some(report), String::new()),
            Err(trouble) => (None, trouble),
        };
        let denied = take(&mut *denials.lock().unwrap_or_else(PoisonError::into_inner));
        Ended { report, trouble, passed, commands, reached: witness.reached(), denied, undisturbed, millis }
    }
}

/// The engine, from opening its state to closing it.
async fn run(job: &CopyJob, state: &Path) -> Result<RunReport, String> {
    let ledger = Ledger::open(state, OpenOptions::default()).await.map_err(|error| error.to_string())?;
    let (progress, (_switch, stop)) = (Progress::default(), StopSwitch::new());
    let report = copy_account(job, &ledger, &Oversight::none(&progress, &stop)).await;
    // What it could not write it has reported already.
    let _ = ledger.close().await;
    Ok(report)
}

async fn at(millis: Option<u64>) {
    match millis {
        Some(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
        None => std::future::pending().await,
    }
}

/// Lets everything happen in its order, and then waits for ever. What is left when it is given up happens at once.
async fn story(stage: &Stage, happenings: Vec<Happening>, network: &Network) {
    let began = Instant::now();
    let mut left = Left { stage, network, happenings: happenings.into() };
    while let Some(next) = left.happenings.front() {
        tokio::time::sleep_until(began + Duration::from_millis(next.at_millis)).await;
        left.one();
    }
    std::future::pending().await
}

/// What has not happened yet.
struct Left<'a> {
    stage: &'a Stage,
    network: &'a Network,
    happenings: std::collections::VecDeque<Happening>,
}

impl Left<'_> {
    fn one(&mut self) {
        if let Some(happening) = self.happenings.pop_front() {
            self.network.catch_up();
            self.stage.observe();
            (happening.what)(&self.stage.source, &self.stage.target, &self.stage.ever);
            // What has new UIDs now may have left before the pass is over.
            self.stage.observe();
        }
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        while !self.happenings.is_empty() {
            self.one();
        }
    }
}

/// Notes every command, and answers some of them otherwise.
/// `denials` learns by which reading commands the source has denied its messages.
fn record_commands(
    stage: &Stage,
    replies: &[Reply],
    mut triggers: Vec<Trigger>,
    denials: &Arc<Mutex<Denials>>,
    beginning: &Arc<OnceLock<Instant>>,
) -> Arc<Mutex<Vec<Received>>> {
    let commands = Arc::new(Mutex::new(Vec::new()));
    for (side, server) in [(Side::Source, &stage.source), (Side::Target, &stage.target)] {
        let (commands, denials) = (Arc::clone(&commands), Arc::clone(denials));
        let replies: Vec<Reply> = replies.iter().filter(|reply| reply.side == side).cloned().collect();
        let (mut counts, mut reads): (BTreeMap<String, u64>, u64) = (BTreeMap::new(), 0);
        let mut triggers: Vec<Trigger> = triggers.extract_if(.., |trigger| trigger.side == side).collect();
        let (source, target, ever) = (stage.source.clone(), stage.target.clone(), stage.ever.clone());
        let (at_source, on_target) = (stage.at_source.clone(), stage.on_target.clone());
        let beginning = Arc::clone(beginning);
        server.on_command(move |seen| {
            let Seen { name, connection, arguments, .. } = seen;
            let whole = String::from_utf8_lossy(arguments).into_owned();
            let shown = String::from_utf8_lossy(&arguments[..arguments.len().min(SHOWN_MAX)]);
            let arguments = format!("{shown} ({} octets)", arguments.len());
            let passed = beginning.get().map_or(0, |began| began.elapsed().as_millis());
            let at_millis = u64::try_from(passed).unwrap_or(u64::MAX);
            let received = Received { side, connection: *connection, name: name.clone(), arguments, at_millis };
            commands.lock().unwrap_or_else(PoisonError::into_inner).push(received);
            let met = |trigger: &mut Trigger| trigger.name == name && whole.contains(&trigger.containing);
            for trigger in triggers.extract_if(.., met) {
                at_source.observe(&source);
                on_target.observe(&target);
                (trigger.what)(&source, &target, &ever);
            }
            let nth = counts.entry(name.clone()).or_default();
            *nth += 1;
            let nth = *nth;
            let is_read = matches!(name.as_str(), "UID FETCH" | "UID SEARCH");
            reads += u64::from(is_read);
            let is_meant = |reply: &&Reply| match reply.name.as_str() {
                READS => is_read && reads >= reply.nth,
                known => known == name && reply.nth == nth,
            };
            let reply = replies.iter().find(is_meant);
            if side == Side::Source {
                let mut denials = denials.lock().unwrap_or_else(PoisonError::into_inner);
                denials.hear(seen);
                if reply.is_some_and(denies) {
                    denials.deny(seen);
                }
            }
            reply.map_or(Answer::AsUsual, |reply| reply.answer.clone())
        });
    }
    commands
}

/// Whether the source says OK and leaves the messages out, whichever way it is asked.
fn denies(reply: &Reply) -> bool {
    let without_data = matches!(reply.answer, Answer::WithoutData | Answer::Malformed(_));
    reply.side == Side::Source && reply.name == READS && without_data
}

/// Whose mail is copied where, over which network.
pub(super) fn accounts(network: &Network) -> AccountPair {
    let account = |host: &str| Account {
        endpoint: Endpoint {
            host: host.to_owned(),
            port: 143,
            tls: TlsMode::Plain,
            trust: Trust::System,
            dial: Dial::Through(Arc::new(network.clone())),
            compress: mailhaul_imap::Compress::Auto,
        },
        credentials: Credentials {
            user: "alice".to_owned(),
            password: Secret::new(PASSWORD.as_bytes().to_vec()),
            authorization_identity: None,
        },
        owner: None,
    };
    let patience = Duration::from_secs(10);
    AccountPair {
        source: account("source.simulated"),
        target: account("target.simulated"),
        timeouts: Timeouts { connect: patience, control: patience, idle: patience },
    }
}

fn job(network: &Network, order: &Order) -> CopyJob {
    let Order { retries, agreed, mirrors, deletions, connections, reading, batch_messages, .. } = *order;
    let deletions = if mirrors { DeletionPolicy::Mirror } else { deletions };
    CopyJob {
        accounts: accounts(network),
        rules: MappingRules::default(),
        selection: Selection::default(),
        retry_exceptions: if retries { RetryExceptions::Everywhere } else { RetryExceptions::Nowhere },
        remap: false,
        accept_target_change: agreed,
        accept_mass_absence: agreed,
        copy_deleted_flag: true,
        connections: Connections {
            most: connections.max(1) + reading.saturating_sub(1),
            first: connections.max(1),
            reading: reading.max(1),
        },
        batches: match batch_messages {
            0 => BatchLimits::default(),
            messages => BatchLimits { messages, ..BatchLimits::default() },
        },
        recognise_only: false,
        resync: ResyncPolicy { accept_source_change: agreed, deletions, ..ResyncPolicy::default() },
    }
}
