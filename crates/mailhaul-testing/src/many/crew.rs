//! A few threads that do something for every account.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::TestAccount;

/// Threads at once. Filling and judging from disk would not be faster with more; over IMAP the servers are the limit.
const THREADS: usize = 4;

/// Does something for every account. A panic in one of the threads is the caller's.
pub(super) fn for_each(accounts: &[TestAccount], act: impl Fn(&TestAccount) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(account) = accounts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    act(account);
                }
            });
        }
    });
}
