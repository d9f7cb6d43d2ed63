//! A durable queue: jobs in states, claims with leases, attempts, retries, admission to busy hosts.
//!
//! It has never heard of mail and holds no SQL. What a job does is the [`Handler`]'s affair, where it is kept the
//! [`Store`]'s. What is decided is decided here, by functions that take facts and return decisions:
//!
//! ```text
//! state      (state, event) → state             admission  facts → who may start, who must yield
//! retry      error class → when, how often      host       signs of a host → how much it bears
//! limits     what an operator allows            window     when an operator allows it
//! clock      time that cannot jump              engine     claim, run, renew, yield, finish
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
pub use state::{Event, FailureClass, JobState, Outcome, Summary, WaitReason, Yield};
pub use store::{
    ClaimedJob, Finished, HostSign, JobEnd, NewJob, Order, Phase, Scope, Side, StaleHolder, Store, Tick, Tock,
};
pub use transition::{Next, NotAllowed, Standing, Wait, Wanted, apply};
pub use window::{Window, WindowError};
