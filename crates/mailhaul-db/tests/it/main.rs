//! The ledger from outside: real files in temporary directories.

mod checking;
mod crash;
mod damage;
mod fencing;
mod histories;
mod opening;
mod profiles;
mod queue;
mod rebuilding;
mod resync;
mod setup;
mod size;
mod working;
