//! The walkers as a copier, in this process: a tenth of the cost of a command.

use mailhaul_copy::{Account, AccountPair, CopyJob, Oversight, Progress, StopSwitch, copy_account};
use mailhaul_db::{Ledger, OpenOptions};
use mailhaul_imap::{Credentials, Dial, Endpoint, Timeouts, TlsMode, Trust};
use mailhaul_plan::policy::{DeletionPolicy, FlagPolicy, MovePolicy, ResyncPolicy};
use mailhaul_report::{ExceptionState, RunReport, StopClass, Verdict};
use mailhaul_testing::histories::{Copier, Deleting, Flagging, Killing, Policy, Request, Told};
use mailhaul_types::Secret;
use std::net::SocketAddr;
use std::time::Duration;

/// How often it is looked whether a pass is to be killed.
const KILLING_TICK: Duration = Duration::from_millis(1);

/// Calls the walkers.
#[derive(Debug)]
pub struct Library {
    runtime: tokio::runtime::Runtime,
}

impl Library {
    /// Ready to copy.
    ///
    /// # Panics
    /// When no runtime can be had.
    #[must_use]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime }
    }
}

impl Default for Library {
    fn default() -> Self {
        Self::new()
    }
}

impl Copier for Library {
    fn pass(&mut self, request: &Request<'_>) -> Told {
        self.runtime.block_on(pass(request))
    }
}

async fn pass(request: &Request<'_>) -> Told {
    let state = request.folder.join("state/mailhaul.db");
    let ledger = Ledger::open(&state, OpenOptions::default()).await.expect("the state file opens");
    let job = job(request);
    let (progress, (_switch, stop)) = (Progress::default(), StopSwitch::new());
    let oversight = Oversight::none(&progress, &stop);
    // What is dropped at an await goes no further, as after a kill: nothing of it runs on, save for the writer of the state,
    // which has at most what it was told.
    let report = tokio::select! {
        report = copy_account(&job, &ledger, &oversight) => Some(report),
        () = due(request.killing) => None,
    };
    ledger.close().await.expect("the state file closes");
    report.as_ref().map_or_else(|| Told { code: -1, ..Told::default() }, told)
}

/// Resolves when it is time to kill the pass.
async fn due(killing: Option<Killing<'_>>) {
    let Some(killing) = killing else { return std::future::pending().await };
    while !killing.is_due() {
        tokio::time::sleep(KILLING_TICK).await;
    }
}

fn job(request: &Request<'_>) -> CopyJob {
    let account = |address: SocketAddr| Account {
        endpoint: Endpoint {
            host: address.ip().to_string(),
            port: address.port(),
            tls: TlsMode::Plain,
            trust: Trust::System,
            dial: Dial::Tcp,
            compress: mailhaul_imap::Compress::Auto,
        },
        credentials: Credentials {
            user: request.user.to_owned(),
            password: Secret::new(request.password.as_bytes().to_vec()),
            authorization_identity: None,
        },
        owner: None,
    };
    let (source, target) = (account(request.source), account(request.target));
    CopyJob {
        accounts: AccountPair { source, target, timeouts: Timeouts::default() },
        rules: Default::default(),
        selection: Default::default(),
        retry_exceptions: Default::default(),
        remap: false,
        accept_target_change: false,
        accept_mass_absence: false,
        copy_deleted_flag: false,
        connections: mailhaul_copy::Connections::default(),
        batches: mailhaul_plan::batches::BatchLimits::default(),
        recognise_only: false,
        resync: resync(request.policy),
    }
}

fn resync(policy: &Policy) -> ResyncPolicy {
    ResyncPolicy {
        flags: match policy.flags {
            Flagging::Merge => FlagPolicy::Merge,
            Flagging::Source => FlagPolicy::Source,
            Flagging::Target => FlagPolicy::Target,
            Flagging::None => FlagPolicy::None,
        },
        moves: if policy.moves { MovePolicy::Follow } else { MovePolicy::Copy },
        deletions: match policy.deletions {
            Deleting::Ignore => DeletionPolicy::Ignore,
            Deleting::Flag => DeletionPolicy::Flag,
            Deleting::Trash => DeletionPolicy::Trash,
            Deleting::Mirror => DeletionPolicy::Mirror,
        },
        switched: policy.switched,
        accept_source_change: policy.accept_source_change,
        ..ResyncPolicy::default()
    }
}

fn told(report: &RunReport) -> Told {
    let (questions, others): (Vec<_>, Vec<_>) =
        report.exceptions.iter().partition(|exception| exception.state == ExceptionState::MailboxStopped);
    let targets = report.mailboxes.iter().map(|line| (line.source.clone(), line.target.clone().unwrap_or_default()));
    Told {
        code: code(report),
        targets: targets.collect(),
        questions: questions.into_iter().map(|exception| exception.mailbox.clone()).collect(),
        exceptions: others.into_iter().map(|exception| format!("{exception:?}")).collect(),
        words: report.to_text(),
    }
}

/// As the command has it.
fn code(report: &RunReport) -> i32 {
    match (report.stop.as_ref().map(|stop| stop.class), report.verdict()) {
        (Some(StopClass::Internal), _) => 1,
        (Some(StopClass::Usage), _) => 2,
        (Some(StopClass::SignIn), _) => 3,
        (Some(StopClass::Unreachable), _) => 4,
        (Some(StopClass::Interrupted), _) => 130,
        (Some(StopClass::Decision), _) | (None, Verdict::Stopped) => 6,
        (None, Verdict::Complete) => 0,
        (None, _) => 5,
    }
}
