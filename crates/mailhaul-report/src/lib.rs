//! Pure: what a run did, as numbers that must add up, as text and as JSON.
//!
//! A report never claims more than was counted. Its verdict is computed here, from the counts and the exceptions, and
//! nowhere else: a run that lost sight of one message cannot call itself complete.

mod changes;
mod counts;
mod followed;
mod moment;
mod plan;
mod preflight;
mod probe;
mod run;
mod status;
mod table;
mod text;
mod time;
mod verify;
mod wave;

pub use changes::Changes;
pub use counts::Counts;
pub use followed::Followed;
pub use moment::moment_for_people;
pub use plan::PlanReport;
pub use preflight::{
    AccountPreflight, Block, BlockKind, Bottleneck, Change, ChangeKind, ConnectionRate, Estimate, EstimateLimits,
    PreflightMailbox, PreflightRemark, PreflightStep, PreflightVerdict, QuotaLine, RemarkKind, Room, SidePreflight,
    WaveCounts, WavePreflight,
};
pub use probe::{ProbeReport, TlsReport};
pub use run::{Exception, ExceptionState, MailboxLine, Remark, RunReport, Stop, StopCause, StopClass, Verdict};
pub use status::{
    Done, Finish, FinishBrake, Lack, OpenSpan, Outlook, Problem, RestingHost, RunningLine, StateCount, Tally,
    WaveStatus, estimate_finish,
};
pub use text::{bytes_for_people, count_of, duration_for_people, number_for_people};
pub use time::{TimeBasis, TimeEstimate};
pub use verify::{ComparedMailbox, Difference, DifferenceKind, VerifyReport};
pub use wave::{AccountLine, AccountVerdict, Imbalance, ImbalanceKind, Standing, WaveReport, WaveTotals, WaveVerdict};
