#![doc = include_str!("../README.md")]

mod canary;
pub mod compare;
pub mod histories;
mod lane;
pub mod mail;
mod moments;
mod outcome;
pub mod process;
mod program;
mod row;
pub mod rows;
mod scene;
pub mod shim;
pub mod simulation;
pub mod sqlite;
mod table;
mod wave;

pub use canary::Canary;
pub use lane::{Lane, Ledger};
pub use moments::{Before, Moment};
pub use outcome::{Failure, Outcome};
pub use program::mailhaul;
pub use row::{Ask, Row, Scale};
pub use scene::{Ended, Scene};
pub use table::Table;
pub use wave::{Wave, Worker};
