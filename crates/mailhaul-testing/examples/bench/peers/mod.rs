//! Other tools on the same mail.

pub(crate) mod imapsync;
pub(crate) mod mbsync;
