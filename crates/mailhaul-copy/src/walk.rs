//! What every step of a run shares: the job, the lease, both connections, and the mailbox pair that is worked on.

use crate::bounds;
use crate::error::WalkError;
use crate::flags::FlagFilter;
use crate::job::CopyJob;
use crate::learning::Learning;
use crate::oversight::{Oversight, Supervisor};
use crate::progress::Progress;
use crate::reading::{Place, Reading};
use crate::recognise::Recognition;
use crate::sources::Sources;
use crate::stop::StopSignal;
use mailhaul_db::{MailboxLedger, PairLease};
use mailhaul_imap::Connection;
use mailhaul_plan::keys::KeyMaker;
use mailhaul_plan::visits::Figures;
use mailhaul_types::{MailboxName, Side, Uid, UidValidity};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What every step of a run can see.
pub(crate) struct Walk<'a> {
    pub(crate) job: &'a CopyJob,
    pub(crate) lease: &'a PairLease,
    pub(crate) keys: KeyMaker,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a StopSignal,
    pub(crate) supervisor: Arc<dyn Supervisor>,
    /// The shortest time that UIDNEXT must stand still before a lost copy is believed lost.
    quarantine: Mutex<Duration>,
    /// Whether copies were read back to see what became of them.
    has_read_back: Arc<AtomicBool>,
    /// The connections to the source, of all who work on the account.
    pub(crate) sources: Arc<Sources>,
    /// Messages with which connections were lost when they were only read.
    pub(crate) reading: Arc<Reading>,
    /// What is known of the servers, and what is learnt of them.
    pub(crate) learning: Arc<Learning>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        job: &'a CopyJob,
        lease: &'a PairLease,
        keys: KeyMaker,
        oversight: &Oversight<'a>,
        learning: Arc<Learning>,
    ) -> Self {
        let quarantine =
            Mutex::new(first_quarantine(is_near(&job.accounts.target.endpoint.host), lease.holder_has_not_let_go()));
        let Oversight { progress, stop, .. } = *oversight;
        let supervisor = Arc::clone(&oversight.supervisor);
        let has_read_back = Arc::new(AtomicBool::new(false));
        let sources = Arc::new(Sources::new(job.connections.most, &learning, &supervisor.budgets()));
        let reading = Arc::default();
        Self { job, lease, keys, progress, stop, supervisor, quarantine, has_read_back, sources, reading, learning }
    }

    /// With the connections to the source of another one, of which this takes the place.
    pub(crate) fn after(mut self, other: &Walk<'_>) -> Self {
        self.sources = Arc::clone(&other.sources);
        self
    }

    /// The same for one of several mailboxes that are worked on at once, which counts by itself.
    pub(crate) fn for_strand<'l>(&'l self, progress: &'l Progress) -> Walk<'l> {
        Walk {
            job: self.job,
            lease: self.lease,
            keys: self.keys.clone(),
            progress,
            stop: self.stop,
            supervisor: Arc::clone(&self.supervisor),
            quarantine: Mutex::new(self.quarantine()),
            has_read_back: Arc::clone(&self.has_read_back),
            sources: Arc::clone(&self.sources),
            reading: Arc::clone(&self.reading),
            learning: Arc::clone(&self.learning),
        }
    }

    /// By what messages of this mailbox are recognised; `drafts`: it is for drafts.
    pub(crate) fn recognition<'s>(&'s self, source: &'s str, drafts: bool) -> Recognition<'s> {
        Recognition { keys: &self.keys, witnesses: &[], drafts, reading: &self.reading, ours: source, theirs: source }
    }

    /// Where is read, by the mailbox's name at the source.
    pub(crate) fn place<'s>(&'s self, source: &'s str, side: Side) -> Place<'s> {
        Place { reading: &self.reading, mailbox: source, side }
    }

    /// Whether no copies have been read back in this run.
    pub(crate) fn has_nothing_read_back(&self) -> bool {
        !self.has_read_back.load(Ordering::Relaxed)
    }

    /// Whether nobody has asked this before in this run.
    pub(crate) fn is_first_to_read_back(&self) -> bool {
        !self.has_read_back.swap(true, Ordering::Relaxed)
    }

    /// After a time-out at the target: whatever swallowed the answer may still deliver the command.
    pub(crate) fn lengthen_quarantine(&self) {
        *self.quarantine.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            match is_near(&self.job.accounts.target.endpoint.host) {
                true => bounds::QUARANTINE_AFTER_TIMEOUT_NEAR,
                false => bounds::QUARANTINE_AFTER_TIMEOUT_FAR,
            };
    }

    /// What was in flight over somebody else's connection may take as long as he had to believe.
    pub(crate) fn quarantine_at_least(&self, quarantine: Duration) {
        let mut own = self.quarantine.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *own = quarantine.max(*own);
    }

    pub(crate) fn quarantine(&self) -> Duration {
        *self.quarantine.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn doing(&self, pair: &Pair<'_>, what: &str) {
        self.progress.doing(format!("{}: {what}", pair.source));
    }

    /// Waits as asked for, or as long as is polite; not beyond a stop.
    pub(crate) async fn pause_for(&self, asked: Option<Duration>) -> Result<(), WalkError> {
        let pause = asked.unwrap_or(bounds::THROTTLE_PAUSE).min(bounds::THROTTLE_PAUSE_MAX);
        self.progress.wait_for(pause);
        tracing::info!(seconds = pause.as_secs(), "waiting because a server asked to slow down");
        tokio::select! {
            biased;
            () = self.stop.requested() => Err(WalkError::Interrupted { unanswered: 0 }),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}

/// What a dead process had not sent yet has died with it. One that has lost its account and still lives, stopped or
/// hanging, has its connections open, and what it had written goes on reaching the target at the pace of the line.
fn first_quarantine(near: bool, holder_has_not_let_go: bool) -> Duration {
    match (holder_has_not_let_go, near) {
        (false, true) => bounds::QUARANTINE_NEAR,
        (false, false) => bounds::QUARANTINE_FAR,
        (true, true) => bounds::QUARANTINE_AFTER_TIMEOUT_NEAR,
        (true, false) => bounds::QUARANTINE_AFTER_TIMEOUT_FAR,
    }
}

/// Both ends, signed in.
pub(crate) struct Links {
    pub(crate) source: Connection,
    pub(crate) target: Connection,
}

/// One mailbox pair to be worked on.
pub(crate) struct Pair<'a> {
    pub(crate) source: &'a MailboxName,
    pub(crate) target: &'a MailboxName,
    /// Whether the target mailbox is not there any more, although messages were settled in it.
    pub(crate) target_is_missing: bool,
    /// What the source told of its mailbox along with its list.
    pub(crate) figures: Option<&'a Figures>,
    pub(crate) ledger: &'a MailboxLedger,
    /// Whether the source mailbox is for drafts, which their author edits under their header.
    pub(crate) drafts: bool,
}

/// How far a pass has come to know the target.
pub(crate) struct Target {
    pub(crate) uid_validity: UidValidity,
    /// UIDNEXT as it was when the mailbox was opened, if the server said it. What arrived since lies above it.
    pub(crate) uid_next: Option<Uid>,
    /// Every UID below it is accounted for.
    pub(crate) mark: Uid,
    pub(crate) filter: FlagFilter,
}

/// Loopback and private networks: what is lost there is known to be lost soon.
fn is_near(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Account, AccountPair, Connections, RetryExceptions};
    use crate::stop::StopSwitch;
    use mailhaul_db::{Ledger, OpenOptions};
    use mailhaul_imap::{Compress, Credentials, Dial, Endpoint, Timeouts, TlsMode, Trust};
    use mailhaul_types::Secret;

    fn job() -> CopyJob {
        let account = |host: &str| Account {
            endpoint: Endpoint {
                host: host.to_owned(),
                port: 143,
                tls: TlsMode::Plain,
                trust: Trust::System,
                dial: Dial::Tcp,
                compress: Compress::Auto,
            },
            credentials: Credentials {
                user: "alice".to_owned(),
                password: Secret::new(b"secret".to_vec()),
                authorization_identity: None,
            },
            owner: None,
        };
        let second = Duration::from_secs(1);
        CopyJob {
            accounts: AccountPair {
                source: account("old.example"),
                target: account("new.example"),
                timeouts: Timeouts { connect: second, control: second, idle: second },
            },
            rules: mailhaul_plan::mailboxes::MappingRules::default(),
            selection: mailhaul_plan::selection::Selection::default(),
            retry_exceptions: RetryExceptions::Nowhere,
            remap: false,
            accept_target_change: false,
            accept_mass_absence: false,
            copy_deleted_flag: false,
            connections: Connections::default(),
            batches: mailhaul_plan::batches::BatchLimits::default(),
            recognise_only: false,
            resync: mailhaul_plan::policy::ResyncPolicy::default(),
        }
    }

    #[tokio::test]
    async fn what_one_walk_knows_of_the_source_the_one_that_takes_its_place_knows() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(&folder.path().join("mailhaul.db"), OpenOptions::default()).await.expect("open");
        let job = job();
        let lease = ledger.claim_pair(&job.accounts.identity()).await.expect("a lease");
        let learning = Arc::new(Learning::recall(&ledger, &job.accounts).await);
        let (progress, (_switch, stop)) = (Progress::default(), StopSwitch::new());
        let oversight = Oversight::none(&progress, &stop);
        let keys = || KeyMaker::new(ledger.digest_key());
        let first = Walk::new(&job, &lease, keys(), &oversight, Arc::clone(&learning));
        let later = Walk::new(&job, &lease, keys(), &oversight, learning).after(&first);
        first.sources.strand_is_refused();
        assert!(!later.sources.may_try_reader());
    }

    #[test]
    fn who_takes_over_from_a_process_that_still_lives_waits_longer_than_after_a_dead_one() {
        for near in [true, false] {
            assert!(first_quarantine(near, true) >= first_quarantine(near, false) * 5);
        }
    }
}
