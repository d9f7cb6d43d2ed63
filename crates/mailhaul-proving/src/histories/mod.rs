//! What copies in the random histories of [`mailhaul_testing::histories`]: the built command, and the same walkers within this
//! process, which cost a tenth of a command.

mod command;
mod library;

pub use command::Command;
pub use library::Library;
