//! The walkers: account, mailbox, batch; and verify.
