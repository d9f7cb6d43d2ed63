#![doc = include_str!("../README.md")]

mod outcome;
mod program;
mod row;
pub mod rows;
mod scene;
mod table;

pub use outcome::{Failure, Outcome};
pub use program::mailhaul;
pub use row::{Ask, Row, Scale};
pub use scene::{Ended, Scene};
pub use table::Table;
