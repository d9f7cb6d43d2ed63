//! The same mail moved by the bare relay, by the product and by another tool, by turns within each round, because the machine
//! is not the same a minute later.

use std::io;

use crate::peers::mbsync;
use crate::raw::Form;
use crate::rig::Stock;
use crate::scale::Scale;
use crate::stage::Stage;
use crate::table::{Bound, Samples, Table};

/// A relay that is through sooner says little: starting and ending weigh too much.
const RELAY_SECS_LEAST: f64 = 3.0;

/// What is moved, where, and by whom.
pub(crate) struct Contest<'a> {
    pub(crate) stage: &'a Stage<'a>,
    pub(crate) stock: &'a Stock,
    pub(crate) form: Form,
    /// One message of the same account, by which session set-up is counted apart.
    pub(crate) set_up: Option<&'a Stock>,
    pub(crate) rounds: usize,
    /// Rounds for mbsync.
    pub(crate) mbsync: usize,
}

/// Seconds of all rounds.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) relay: Samples,
    pub(crate) ours: Samples,
    pub(crate) cpu: Samples,
    pub(crate) mbsync: Samples,
    /// With one message.
    relay_set_up: Samples,
    ours_set_up: Samples,
}

impl<'a> Contest<'a> {
    /// As many rounds as the scale says, and no set-up apart.
    pub(crate) fn new(stage: &'a Stage<'a>, stock: &'a Stock, scale: &Scale) -> Contest<'a> {
        Contest { stage, stock, form: Form::default(), set_up: None, rounds: scale.rounds, mbsync: 0 }
    }

    /// With mbsync, where it is installed.
    pub(crate) fn with_mbsync(self, scale: &Scale) -> Contest<'a> {
        Contest { mbsync: if mbsync::is_there() { scale.aside() } else { 0 }, ..self }
    }

    pub(crate) fn run(&self) -> io::Result<Seen> {
        let mut seen = Seen::default();
        for round in 0..self.rounds {
            seen.relay.push(self.stage.relay(self.stock, self.form)?);
            let cost = self.stage.haul(self.stock)?;
            seen.ours.push(cost.wall_secs);
            seen.cpu.push(cost.cpu_secs);
            if let Some(one) = self.set_up {
                seen.relay_set_up.push(self.stage.relay(one, self.form)?);
                seen.ours_set_up.push(self.stage.haul(one)?.wall_secs);
            }
            if round < self.mbsync {
                seen.mbsync.push(self.stage.mbsync(self.stock)?.wall_secs);
            }
        }
        Ok(seen)
    }
}

impl Seen {
    /// How often the relay's time the product takes: the set-up of both left out, if it was measured.
    pub(crate) fn times(&self) -> Samples {
        self.ours.minus(&self.ours_set_up).over(&self.relay.minus(&self.relay_set_up))
    }

    /// Everything into the table, with the bound.
    pub(crate) fn tell(&self, table: &mut Table, name: &str, most: Bound) {
        let short = if self.relay.median() < RELAY_SECS_LEAST { ", short" } else { "" };
        table.tell(&format!("{name}: bare relay{short}"), self.relay.told(1.0, "s"));
        table.tell("  mailhaul copy", self.ours.told(1.0, "s"));
        let mut apart = "";
        if !self.ours_set_up.is_empty() {
            apart = ", set-up apart";
            table.tell("  session set-up of the relay", self.relay_set_up.told(1_000.0, "ms"));
            table.tell("  session set-up of mailhaul", self.ours_set_up.told(1_000.0, "ms"));
        }
        let times = self.times();
        table.add(&format!("  times the relay{apart}"), times.told(1.0, "x"), times.median(), most, "x");
        if !self.mbsync.is_empty() {
            table.tell("  mbsync", self.mbsync.told(1.0, "s"));
            table.tell("  mbsync, times the relay", self.mbsync.over(&self.relay).told(1.0, "x"));
        }
    }
}
