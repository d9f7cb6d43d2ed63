//! Random moments in the life of a copy, so that whatever is done then meets it everywhere: early, late, and in between.

use crate::Lane;
use mailhaul_testing::histories::Dice;
use mailhaul_testing::proxy::{Direction, Event};
use std::process::Child;
use std::time::{Duration, Instant};

/// How long is waited for a number of octets that may never come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often is looked whether the copy has ended by itself.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What passes to the source while a mailbox is asked for, and from the target while it is filled, is so many times less
/// than the mail itself.
const TALK_OF_MAIL: u64 = 60;

/// When something is to be done to a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long after its start.
    After(Duration),
    /// When so many octets have passed the source's proxy.
    AtSource(Direction, u64),
    /// When so many octets have passed the target's proxy.
    AtTarget(Direction, u64),
}

impl Moment {
    /// A random moment within the next `mail` octets of mail, or within so much time from the start.
    #[must_use]
    pub fn of(dice: &mut Dice, lane: &Lane, mail: u64, time: Duration) -> Moment {
        let talk = (mail / TALK_OF_MAIL).max(2_000);
        let within = |dice: &mut Dice, span: u64| dice.below(usize::try_from(span).unwrap_or(usize::MAX)) as u64;
        let source = |direction| lane.source_proxy.statistics().bytes(direction);
        let target = |direction| lane.target_proxy.statistics().bytes(direction);
        use Direction::{ToClient, ToServer};
        match dice.below(10) {
            0 | 1 => {
                Moment::After(Duration::from_millis(within(dice, u64::try_from(time.as_millis()).unwrap_or(u64::MAX))))
            }
            2 => Moment::After(Duration::from_millis(within(dice, 120))),
            3 => Moment::AtSource(ToServer, source(ToServer) + within(dice, talk)),
            4 | 5 => Moment::AtSource(ToClient, source(ToClient) + within(dice, mail)),
            6 | 7 => Moment::AtTarget(ToClient, target(ToClient) + within(dice, talk)),
            _ => Moment::AtTarget(ToServer, target(ToServer) + within(dice, mail)),
        }
    }

    /// Waits for it; false if the copy has ended by itself before.
    ///
    /// # Panics
    /// When the copy cannot be looked at.
    pub fn wait(self, lane: &Lane, copy: &mut Child) -> bool {
        let began = Instant::now();
        let (proxy, event) = match self {
            Moment::After(time) => return wait_for_time(began + time, copy),
            Moment::AtSource(direction, octets) => (&lane.source_proxy, Event::Bytes(direction, octets)),
            Moment::AtTarget(direction, octets) => (&lane.target_proxy, Event::Bytes(direction, octets)),
        };
        while !proxy.wait_at_most(&event, LOOK_EVERY) && began.elapsed() < PATIENCE {
            if has_ended(copy) {
                return false;
            }
        }
        !has_ended(copy)
    }
}

fn wait_for_time(until: Instant, copy: &mut Child) -> bool {
    while Instant::now() < until {
        if has_ended(copy) {
            return false;
        }
        std::thread::sleep(LOOK_EVERY.min(until.saturating_duration_since(Instant::now())));
    }
    !has_ended(copy)
}

fn has_ended(copy: &mut Child) -> bool {
    copy.try_wait().expect("it was started").is_some()
}
