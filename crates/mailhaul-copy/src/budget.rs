//! Octets that several walkers share: a bound for one account within a bound for the whole process.

use std::sync::{Arc, Mutex, PoisonError};

/// So many octets at once, and no more.
#[derive(Debug)]
pub struct ByteBudget {
    most: u64,
    taken: Mutex<u64>,
    /// What bounds this one and others together.
    within: Option<Arc<ByteBudget>>,
}

/// Octets that were taken out of a budget, and out of those around it. They are given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<ByteBudget>,
    octets: u64,
}

impl ByteBudget {
    /// A budget of its own.
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self { most, taken: Mutex::new(0), within: None }
    }

    /// A budget within another one.
    pub(crate) fn within(outer: &Arc<ByteBudget>, most: u64) -> Self {
        Self { within: Some(Arc::clone(outer)), ..Self::new(most) }
    }

    /// So many octets, or none.
    pub(crate) fn take(self: &Arc<Self>, octets: u64) -> Option<Share> {
        self.grow(octets, octets)?;
        Some(Share { budget: Arc::clone(self), octets })
    }

    /// Nothing yet, to be widened later.
    pub(crate) fn open(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), octets: 0 }
    }

    /// As many octets as there are, up to `most` and not less than `least`.
    fn grow(&self, most: u64, least: u64) -> Option<u64> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = most.min(self.most.saturating_sub(*taken));
        if granted < least {
            return None;
        }
        let granted = match &self.within {
            Some(outer) => outer.grow(granted, least)?,
            None => granted,
        };
        *taken += granted;
        Some(granted)
    }

    fn give_back(&self, octets: u64) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(octets);
        drop(taken);
        if let Some(outer) = &self.within {
            outer.give_back(octets);
        }
    }
}

impl Share {
    /// Makes it as large as is wanted, or as is left. What it holds then.
    pub(crate) fn resize(&mut self, wanted: u64) -> u64 {
        match wanted.checked_sub(self.octets) {
            Some(more) => self.octets += self.budget.grow(more, 0).unwrap_or(0),
            None => {
                self.budget.give_back(self.octets - wanted);
                self.octets = wanted;
            }
        }
        self.octets
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.octets);
    }
}

/// The budgets of a process. Whoever works on several accounts hands all of them the same.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Mail that has come before its turn and is held in memory.
    pub held: Arc<ByteBudget>,
    /// Mail that is asked for ahead, beyond the least that every connection may ask for. It lies at the servers, on the lines and in the
    /// kernel's buffers.
    pub ahead: Arc<ByteBudget>,
}

impl Default for Budgets {
    fn default() -> Self {
        let new = |most| Arc::new(ByteBudget::new(most));
        Self { held: new(crate::bounds::HELD_BY_PROCESS), ahead: new(crate::bounds::AHEAD_OF_PROCESS) }
    }
}

impl Budgets {
    /// Those of one account within these.
    pub(crate) fn of_account(&self) -> Self {
        let within = |outer, most| Arc::new(ByteBudget::within(outer, most));
        Self {
            held: within(&self.held, crate::bounds::HELD_BY_ACCOUNT),
            ahead: within(&self.ahead, crate::bounds::AHEAD_OF_ACCOUNT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_takes_no_more_than_its_own_and_than_the_process_has_left() {
        let process = Arc::new(ByteBudget::new(100));
        let [one, other] = [60, 60].map(|most| Arc::new(ByteBudget::within(&process, most)));
        assert!(one.take(61).is_none());
        let first = one.take(60).expect("room");
        assert!(one.take(1).is_none());
        assert!(other.take(41).is_none(), "the process has 40 left");
        let mut second = other.open();
        assert_eq!(second.resize(50), 40);
        drop(first);
        assert_eq!(second.resize(50), 50);
        assert_eq!(second.resize(10), 10);
        assert!(one.take(60).is_some());
        drop(second);
        assert!(process.take(100).is_some(), "everything is given back");
    }
}
