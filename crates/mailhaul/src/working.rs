//! What `run`, `serve` and `preflight` share: the lengths, the signals, the display, and what the end says.

use crate::cli::LengthArgs;
use crate::exit::{CommandError, Exit};
use crate::run_display::RunDisplay;
use mailhaul_service::{
    EngineOptions, FailureClass, JobKind, JobState, LiveView, Scope, Service, WaitReason, Work, WorkEnd, WorkOptions,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// A margin is at most this part of a lease.
const MARGIN_OF_LEASE: u32 = 6;

/// The lengths of leases: those in use, or what a test says. The parts of a lease keep their shares.
pub(crate) fn lengths(args: &LengthArgs) -> EngineOptions {
    let mut lengths = EngineOptions::default();
    if let Some(lease) = args.lease_ms.map(Duration::from_millis) {
        lengths.lease = lease;
        lengths.renew = lease / 3;
        lengths.margin = lease / MARGIN_OF_LEASE;
    }
    if let Some(poll) = args.poll_ms {
        lengths.poll = Duration::from_millis(poll);
    }
    if let Some(stall) = args.stall_ms {
        lengths.stall = Duration::from_millis(stall);
    }
    lengths
}

/// What the display follows: a wave or everything, jobs of one kind or of all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shown<'a> {
    pub(crate) wave: Option<&'a str>,
    pub(crate) kind: Option<JobKind>,
}

/// Work that was begun, and is shown.
pub(crate) struct Begun {
    work: Work,
    display: RunDisplay,
}

impl Begun {
    /// What is being done.
    pub(crate) fn view(&self) -> LiveView {
        self.work.view()
    }

    /// Waits for its end.
    pub(crate) async fn finished(self) -> Result<WorkEnd, CommandError> {
        let end = self.work.finished().await;
        self.display.end().await;
        Ok(end?)
    }
}

/// Works until everything in scope has settled, or a signal comes.
pub(crate) async fn work(
    service: &Service,
    what: &'static str,
    slots: u32,
    scope: Scope,
    until_settled: bool,
    args: &LengthArgs,
    shown: Shown<'_>,
) -> Result<WorkEnd, CommandError> {
    start(service, what, slots, scope, until_settled, args, shown).await?.finished().await
}

/// Begins to work, and to show it.
pub(crate) async fn start(
    service: &Service,
    what: &'static str,
    slots: u32,
    scope: Scope,
    until_settled: bool,
    args: &LengthArgs,
    shown: Shown<'_>,
) -> Result<Begun, CommandError> {
    let options = WorkOptions {
        what,
        slots: usize::try_from(slots).unwrap_or(usize::MAX),
        scope,
        until_settled,
        lengths: lengths(args),
    };
    let service = args.pause_percent.map_or_else(|| service.clone(), |percent| service.clone().with_pauses(percent));
    let work: Work = service.start_work(options).await?;
    let handle = work.handle();
    crate::signals::stop_on_signal(move || handle.stop())?;
    let display = RunDisplay::start(service.clone(), work.view(), shown.wave.map(str::to_owned), shown.kind);
    Ok(Begun { work, display })
}

/// What keeps accounts from being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    SignIn,
    Unreachable,
    Exceptions,
    Decision,
}

/// The exit code of a wave that has settled, by the job that says where each account stands: one kind of trouble has its
/// own, several together are exceptions.
pub(crate) async fn verdict(service: &Service, wave: &str, kind: Option<JobKind>) -> Result<Exit, CommandError> {
    let jobs = service.telling_jobs(wave, kind).await?;
    let troubles: BTreeSet<Trouble> = jobs.iter().filter_map(|job| trouble(&job.state)).collect();
    Ok(of_troubles(&troubles))
}

fn of_troubles(troubles: &BTreeSet<Trouble>) -> Exit {
    let mut troubles = troubles.iter();
    match (troubles.next(), troubles.next()) {
        (None, _) => Exit::Done,
        (Some(Trouble::SignIn), None) => Exit::SignIn,
        (Some(Trouble::Unreachable), None) => Exit::Unreachable,
        (Some(Trouble::Decision), None) => Exit::Decision,
        (Some(Trouble::Exceptions), None) | (Some(_), Some(_)) => Exit::Exceptions,
    }
}

fn trouble(state: &JobState) -> Option<Trouble> {
    match state {
        // What an operator cancelled is done with: he decided so, and the last line names it.
        JobState::Done | JobState::Running | JobState::Queued | JobState::Cancelled => None,
        JobState::Waiting { until_unix_ms: Some(_), .. } => None,
        JobState::Waiting { reason: WaitReason::Credentials, .. } | JobState::Failed(FailureClass::SignIn) => {
            Some(Trouble::SignIn)
        }
        JobState::DoneWithExceptions => Some(Trouble::Exceptions),
        JobState::Failed(
            FailureClass::Network
            | FailureClass::Server
            | FailureClass::Throttle
            | FailureClass::Protocol
            | FailureClass::Tls,
        ) => Some(Trouble::Unreachable),
        // What is paused waits for the operator who paused it.
        JobState::Waiting { .. } | JobState::Failed(_) | JobState::Paused => Some(Trouble::Decision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_trouble_has_its_own_code_and_several_are_exceptions() {
        let code = |states: &[JobState]| of_troubles(&states.iter().filter_map(trouble).collect());
        let parked = |reason| JobState::Waiting { reason, until_unix_ms: None };
        assert_eq!(code(&[JobState::Done]), Exit::Done);
        assert_eq!(code(&[parked(WaitReason::Credentials), JobState::Done]), Exit::SignIn);
        assert_eq!(code(&[JobState::Failed(FailureClass::Network)]), Exit::Unreachable);
        assert_eq!(code(&[parked(WaitReason::Quota)]), Exit::Decision);
        assert_eq!(code(&[JobState::Paused]), Exit::Decision);
        assert_eq!(code(&[JobState::Cancelled, JobState::Done]), Exit::Done);
        assert_eq!(code(&[JobState::Cancelled, JobState::Paused]), Exit::Decision);
        assert_eq!(code(&[JobState::DoneWithExceptions]), Exit::Exceptions);
        assert_eq!(code(&[parked(WaitReason::Credentials), parked(WaitReason::Quota)]), Exit::Exceptions);
    }

    #[test]
    fn the_parts_of_a_short_lease_keep_their_shares() {
        let args = LengthArgs { lease_ms: Some(1_200), poll_ms: Some(20), stall_ms: None, pause_percent: None };
        let lengths = lengths(&args);
        assert_eq!((lengths.renew.as_millis(), lengths.margin.as_millis(), lengths.poll.as_millis()), (400, 200, 20));
        assert_eq!(lengths.stall, EngineOptions::default().stall);
    }
}
