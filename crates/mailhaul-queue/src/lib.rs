//! A durable queue: jobs in states, claims with leases, attempts, retries, admission to busy hosts.
//!
//! It has never heard of mail and holds no SQL. What a job does is the [`Handler`]'s affair, where it is kept the
//! [`Store`]'s. What is decided is decided here, by functions that take facts and return decisions:
//!
//! ```text
//! transition (state, event) → state             admission  facts → who may start, who must yield
//! bulk       the same for many jobs at once     host       signs of a host → how much it bears
//! retry      error class → when, how often      bucket     a rate → how long to wait
//! limits     what an operator allows            window     when he allows it; allowance: a day's worth
//! clock      time that cannot jump              explain    facts → why a job does not run, in a paragraph
//!                                               engine     claim, run, renew, yield, finish
//! ```
//!
//! A job fails to connect and is tried again later:
//!
//! ```
//! use mailhaul_queue::{Event, FailureClass, JobState, Outcome, RetryPolicy, Standing, WaitReason, apply};
//!
//! let policy = RetryPolicy::default();
//! let now_unix_ms = 1_700_000_000_000;
//! let claimed = apply(&Standing::queued(), &Event::Claim, &policy, now_unix_ms, 0.5)?.standing(false);
//! let lost = Event::End(Outcome::Failed { class: FailureClass::Network, retry_after: None });
//! let next = apply(&claimed, &lost, &policy, now_unix_ms, 1.0)?;
//!
//! let until_unix_ms = Some(now_unix_ms + 5_000);
//! assert_eq!(next.state, JobState::Waiting { reason: WaitReason::BackOff, until_unix_ms });
//! assert_eq!(next.attempts_charged, 1);
//! assert!(apply(&next.standing(false), &Event::Claim, &policy, now_unix_ms, 0.5).is_err());
//! # Ok::<(), mailhaul_queue::NotAllowed>(())
//! ```

mod admission;
mod allowance;
mod bucket;
mod bulk;
mod clock;
mod engine;
mod explain;
mod host;
mod ids;
mod limits;
mod retry;
mod standing;
mod state;
mod store;
mod transition;
pub mod window;
mod words;

pub use admission::{Admission, CapOf, EndpointFacts, Gate, RESERVE_AFTER_MS, Refusal, RefusalReason, Shed};
pub use allowance::{Calendar, Day, UnknownZone};
pub use bucket::RateBucket;
pub use bulk::{Move, Shape, Until, WaitAfter, moves};
pub use clock::{Clock, Now, SystemClock};
pub use engine::{Engine, EngineEnd, EngineError, EngineHandle, EngineOptions, Handler, JobControl, Pulse};
pub use explain::{Commands, HoldFact, JobFacts, Obstacle, explain, explain_gate};
pub use host::{BreakerState, Cause, HostGate, HostHealth, HostPolicy};
pub use ids::{AccountId, EndpointId, Generation, JobId, LeaseKey, Priority, WaveId, WorkerId};
pub use limits::Limits;
pub use retry::{ClassPolicy, RETRY_AFTER_MAX, Reaction, RetryPolicy};
pub use standing::{Next, Standing, Wait, Wanted};
pub use state::{Event, FailureClass, JobState, Outcome, Summary, WaitReason, Yield};
pub use store::{
    ClaimedJob, Finished, HostSign, JobEnd, NewJob, Order, Phase, Scope, Side, StaleHolder, Store, Tick, Tock,
};
pub use transition::{NotAllowed, apply};
pub use window::{Window, WindowError};
