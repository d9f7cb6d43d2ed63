//! Histories: what users do on both sides between passes of a copier, rolled from a seed, played on real servers, and judged
//! by a model that says what the target must look like after each pass.
//!
//! ```text
//! seed ──▶ History (setting, steps) ──▶ play: servers and model side by side ──▶ Played, or Failure ──▶ shrink
//! ```
//!
//! Whoever tests a copier brings a [`Copier`]; everything else is here, and shares no code with what is tested.

mod at_source;
mod at_target;
mod crowd;
mod dice;
mod mail;
mod model;
mod operation;
mod play;
mod policy;
mod servers;
mod shrink;
mod view;

pub use crowd::{Crowd, Summary};
pub use dice::Dice;
pub use mail::{Content, FlagSet};
pub use model::{Outcome, Passing, World, predict};
pub use operation::{AtSource, AtTarget, Disturbance, History, Kinds, Pick, Step};
pub use play::{Copier, Failure, Killing, Played, Request, Told, play};
pub use policy::{Deleting, Flagging, Offers, Policy, Setting};
pub use servers::Servers;
pub use shrink::shrink;
pub use view::{MailboxView, Message, View, ViewError, read, read_mailbox};
