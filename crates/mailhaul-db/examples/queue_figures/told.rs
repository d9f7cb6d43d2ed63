//! Figures as lines: what they are, their unit, the bound, the samples.
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::collections::BTreeMap;
use std::time::Instant;

/// What a figure must be.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    None,
}

/// Says one figure.
pub(crate) fn say(name: &str, unit: &str, bound: Bound, samples: &[f64]) {
    let bound = match bound {
        Bound::AtLeast(least) => format!(">= {least}"),
        Bound::AtMost(most) => format!("<= {most}"),
        Bound::None => String::new(),
    };
    let samples: Vec<String> = samples.iter().map(|sample| format!("{sample:.3}")).collect();
    println!("{name}\t{unit}\t{bound}\t{}", samples.join(" "));
}

/// Times of several things, each measured once a round; said in the order in which they came up first.
#[derive(Default)]
pub(crate) struct Times {
    order: Vec<&'static str>,
    millis: BTreeMap<&'static str, Vec<f64>>,
}

impl Times {
    /// How long it took since then.
    pub(crate) fn took(&mut self, name: &'static str, since: Instant) {
        if !self.order.contains(&name) {
            self.order.push(name);
        }
        self.millis.entry(name).or_default().push(since.elapsed().as_secs_f64() * 1_000.0);
    }

    /// Says all of them, with the bound that each is to keep.
    pub(crate) fn say(&self, bound: impl Fn(&str) -> Bound) {
        for name in &self.order {
            say(name, "ms", bound(name), &self.millis[name]);
        }
    }
}
