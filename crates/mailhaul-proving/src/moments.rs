//! Moments in the life of a copy, so that whatever is done then meets it everywhere: early, late, and in between. A moment
//! is something that has just happened, never a time.

use crate::Lane;
use mailhaul_testing::histories::Dice;
use mailhaul_testing::proxy::{Direction, Event, Statistics};
use std::fs::Metadata;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant, SystemTime};

/// How long is waited for what may never come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often is looked whether it has come, or the copy has ended by itself.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What passes to the source while a mailbox is asked for, and from the target while it is filled, is so many times less
/// than the mail itself.
const TALK_OF_MAIL: u64 = 60;
/// A moment lies at most so many commits ahead.
const COMMITS_MAX: usize = 12;

/// When something is to be done to a copy that has just been started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// As soon as it is there.
    Started,
    /// When it has opened the state file.
    Opened,
    /// When it has called the source.
    AtSourceCall,
    /// When it has called the target.
    AtTargetCall,
    /// When the state file, or its log, was written so many times.
    Written(u32),
    /// When so many further octets have passed the source's proxy.
    AtSource(Direction, u64),
    /// When so many further octets have passed the target's proxy.
    AtTarget(Direction, u64),
}

impl Moment {
    /// A random moment within the next `mail` octets of mail.
    #[must_use]
    pub fn of(dice: &mut Dice, mail: u64) -> Moment {
        use Direction::{ToClient, ToServer};
        let talk = (mail / TALK_OF_MAIL).max(2_000);
        let within = |dice: &mut Dice, span: u64| dice.below(usize::try_from(span).unwrap_or(usize::MAX)) as u64;
        match dice.below(10) {
            0 => Moment::early(dice),
            1 | 2 => Moment::Written(1 + u32::try_from(dice.below(COMMITS_MAX)).unwrap_or(0)),
            3 => Moment::AtSource(ToServer, within(dice, talk)),
            4 | 5 => Moment::AtSource(ToClient, within(dice, mail)),
            6 | 7 => Moment::AtTarget(ToClient, within(dice, talk)),
            _ => Moment::AtTarget(ToServer, within(dice, mail)),
        }
    }

    /// A moment while the copy is still finding out what there is to do.
    #[must_use]
    pub fn early(dice: &mut Dice) -> Moment {
        let octets = |dice: &mut Dice| 1 + dice.below(400) as u64;
        match dice.below(6) {
            0 => Moment::Started,
            1 => Moment::Opened,
            2 => Moment::AtSourceCall,
            3 => Moment::AtTargetCall,
            4 => Moment::AtSource(Direction::ToServer, octets(dice)),
            _ => Moment::AtTarget(Direction::ToServer, octets(dice)),
        }
    }

    /// Waits for it; false if the copy has ended by itself before. `before` is what the lane was before the start.
    ///
    /// # Panics
    /// When the copy cannot be looked at.
    pub fn wait(self, lane: &Lane, before: &Before, copy: &mut Child) -> bool {
        self.wait_at_most(lane, before, copy, PATIENCE)
    }

    /// As [`Moment::wait`], but the moment is over after this time, whatever has come.
    ///
    /// # Panics
    /// When the copy cannot be looked at.
    pub fn wait_at_most(self, lane: &Lane, before: &Before, copy: &mut Child, at_most: Duration) -> bool {
        let mut file = Writes::default();
        file.look(&lane.state());
        let until = Instant::now() + at_most;
        while Instant::now() < until && !self.has_come(lane, before, copy, &mut file) {
            if has_ended(copy) {
                return false;
            }
            self.doze(lane, before);
        }
        !has_ended(copy)
    }

    fn has_come(self, lane: &Lane, before: &Before, copy: &Child, file: &mut Writes) -> bool {
        let passed = |now: &Statistics, then: &Statistics, direction| now.bytes(direction) - then.bytes(direction);
        let source = || lane.source_proxy.statistics();
        let target = || lane.target_proxy.statistics();
        match self {
            Moment::Started => true,
            Moment::Opened => has_open(copy, &lane.state()),
            Moment::AtSourceCall => source().connections > before.source.connections,
            Moment::AtTargetCall => target().connections > before.target.connections,
            Moment::Written(times) => file.look(&lane.state()) >= times,
            Moment::AtSource(direction, octets) => passed(&source(), &before.source, direction) >= octets,
            Moment::AtTarget(direction, octets) => passed(&target(), &before.target, direction) >= octets,
        }
    }

    /// Until it may have come.
    fn doze(self, lane: &Lane, before: &Before) {
        let (proxy, event) = match self {
            Moment::AtSource(direction, octets) => {
                (&lane.source_proxy, Event::Bytes(direction, before.source.bytes(direction) + octets))
            }
            Moment::AtTarget(direction, octets) => {
                (&lane.target_proxy, Event::Bytes(direction, before.target.bytes(direction) + octets))
            }
            _ => return std::thread::sleep(LOOK_EVERY),
        };
        let _ = proxy.wait_at_most(&event, LOOK_EVERY);
    }
}

/// What had passed a lane's proxies before a copy was started.
#[derive(Clone, Debug)]
pub struct Before {
    source: Statistics,
    target: Statistics,
}

impl Before {
    /// As it is now.
    #[must_use]
    pub fn of(lane: &Lane) -> Before {
        Before { source: lane.source_proxy.statistics(), target: lane.target_proxy.statistics() }
    }
}

/// Counts how often the state file or its log has become another one.
#[derive(Debug, Default)]
struct Writes {
    last: [Option<(u64, SystemTime)>; 2],
    times: u32,
}

impl Writes {
    fn look(&mut self, state: &Path) -> u32 {
        let log = state.with_extension("db-wal");
        let of = |metadata: Metadata| Some((metadata.len(), metadata.modified().ok()?));
        let now = [state, &log].map(|file| std::fs::metadata(file).ok().and_then(of));
        if now != self.last {
            self.times += 1;
            self.last = now;
        }
        // The first look finds what was there.
        self.times.saturating_sub(1)
    }
}

fn has_open(copy: &Child, file: &Path) -> bool {
    let folder = format!("/proc/{}/fd", copy.id());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|open| open == file)
}

fn has_ended(copy: &mut Child) -> bool {
    copy.try_wait().expect("it was started").is_some()
}
