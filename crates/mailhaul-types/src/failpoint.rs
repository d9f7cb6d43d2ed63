//! Places where the program can be made to fail on purpose, by name: before and after every commit, and around every
//! command.
//!
//! Who simulates hangs a hook into its thread with [`hook`]. A whole process is told by its environment:
//! `MAILHAUL_FAILPOINT=<name>:<hit>:abort` ends it at that hit (from 1) as `kill -9` would, `…:error` makes that hit fail,
//! `…:panic` makes it panic.
//! Names have blanks and no colons: `target APPEND sent`, `commit settle before`. `MAILHAUL_FAILPOINTS_SEEN=<file>` has
//! every name that is reached written into that file, a line each.
//!
//! Only under debug assertions. In what is shipped there is nothing left of it: [`reach`] is `Ok(())`.

/// A place was made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Struck;

impl std::fmt::Display for Struck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("made to fail on purpose")
    }
}

impl std::error::Error for Struck {}

/// What a hook says when a place is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// Nothing: go on.
    Pass,
    /// Fail here.
    Fail,
}

/// Looks at every place that is reached on its thread.
pub type Hook = Box<dyn FnMut(&str) -> Strike>;

/// A place is reached. `name` is asked for only if somebody wants to know.
///
/// # Errors
/// If it was made to fail.
#[inline]
#[cfg_attr(not(debug_assertions), expect(clippy::unnecessary_wraps, reason = "it fails only under debug assertions"))]
pub fn reach(name: impl FnOnce() -> String) -> Result<(), Struck> {
    #[cfg(debug_assertions)]
    return armed::reach(name);
    #[cfg(not(debug_assertions))]
    {
        let _ = name;
        Ok(())
    }
}

/// Hangs a hook into this thread, in place of the one before; `None` takes it off. Without debug assertions it is never
/// asked.
pub fn hook(hook: Option<Hook>) {
    #[cfg(debug_assertions)]
    armed::HOOK.set(hook);
    #[cfg(not(debug_assertions))]
    drop(hook);
}

#[cfg(debug_assertions)]
mod armed {
    use super::{Hook, Strike, Struck};
    use std::cell::RefCell;
    use std::fs::File;
    use std::io::Write as _;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};

    thread_local! {
        pub(super) static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// What is done to the hit that was asked for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Deed {
        Abort,
        Error,
        Panic,
    }

    /// What the environment asks for.
    struct Orders {
        strike: Option<(String, u64, Deed)>,
        hits: AtomicU64,
        seen: Option<Mutex<File>>,
    }

    fn orders() -> &'static Orders {
        static ORDERS: OnceLock<Orders> = OnceLock::new();
        ORDERS.get_or_init(|| {
            let seen = std::env::var_os("MAILHAUL_FAILPOINTS_SEEN");
            let seen = seen.and_then(|path| File::options().append(true).create(true).open(path).ok()).map(Mutex::new);
            let strike = std::env::var("MAILHAUL_FAILPOINT").ok().as_deref().and_then(read_order);
            Orders { strike, hits: AtomicU64::new(0), seen }
        })
    }

    /// `name:hit:abort`, `name:hit:error`, or `name:hit:panic`.
    pub(super) fn read_order(text: &str) -> Option<(String, u64, Deed)> {
        let mut parts = text.rsplitn(3, ':');
        let deed = match parts.next()? {
            "abort" => Deed::Abort,
            "error" => Deed::Error,
            "panic" => Deed::Panic,
            _ => return None,
        };
        let hit = parts.next()?.parse().ok()?;
        Some((parts.next()?.to_owned(), hit, deed))
    }

    #[expect(clippy::panic, reason = "it was asked for")]
    fn strike(name: &str, deed: Deed) -> Result<(), Struck> {
        match deed {
            Deed::Abort => std::process::abort(),
            Deed::Error => Err(Struck),
            Deed::Panic => panic!("made to panic at {name}"),
        }
    }

    pub(super) fn reach(name: impl FnOnce() -> String) -> Result<(), Struck> {
        let orders = orders();
        let hooked = HOOK.with_borrow(Option::is_some);
        if orders.strike.is_none() && orders.seen.is_none() && !hooked {
            return Ok(());
        }
        let name = name();
        // Taken out for the call: a hook may reach such a place itself.
        if let Some(mut hook) = HOOK.take() {
            let strike = hook(&name);
            HOOK.set(Some(hook));
            if strike == Strike::Fail {
                return Err(Struck);
            }
        }
        if let Some(seen) = &orders.seen {
            // Whoever asked for the list and has no room for it will miss it.
            let _ = writeln!(seen.lock().unwrap_or_else(PoisonError::into_inner), "{name}");
        }
        match &orders.strike {
            Some((wanted, hit, deed)) if *wanted == name => {
                if orders.hits.fetch_add(1, Ordering::Relaxed) + 1 != *hit {
                    return Ok(());
                }
                strike(&name, *deed)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[test]
    fn a_hook_sees_every_place_and_can_make_it_fail() {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&seen);
        hook(Some(Box::new(move |name| {
            noted.borrow_mut().push(name.to_owned());
            if noted.borrow().len() == 2 { Strike::Fail } else { Strike::Pass }
        })));
        assert_eq!(reach(|| "one".to_owned()), Ok(()));
        assert_eq!(reach(|| "two".to_owned()), Err(Struck));
        hook(None);
        assert_eq!(reach(|| "three".to_owned()), Ok(()));
        assert_eq!(*seen.borrow(), ["one", "two"]);
    }

    #[test]
    fn an_order_names_place_hit_and_kind() {
        assert_eq!(
            armed::read_order("commit settle before:3:abort"),
            Some(("commit settle before".to_owned(), 3, armed::Deed::Abort))
        );
        assert_eq!(armed::read_order("a:1:error"), Some(("a".to_owned(), 1, armed::Deed::Error)));
        assert_eq!(armed::read_order("a:1:panic"), Some(("a".to_owned(), 1, armed::Deed::Panic)));
        assert_eq!(armed::read_order("a:1:explode"), None);
        assert_eq!(armed::read_order("a:abort"), None);
    }
}
