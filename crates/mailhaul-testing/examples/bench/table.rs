//! Samples and the table of what was found.

use std::fmt;

/// Repeated measurements of one thing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// Each divided by its neighbour of the same round.
    pub(crate) fn over(&self, other: &Samples) -> Samples {
        Samples(self.0.iter().zip(&other.0).map(|(mine, theirs)| mine / theirs).collect())
    }

    /// Each less its neighbour of the same round; as it is where there is none.
    pub(crate) fn minus(&self, other: &Samples) -> Samples {
        let others = other.0.iter().copied().chain(std::iter::repeat(0.0));
        Samples(self.0.iter().zip(others).map(|(mine, theirs)| mine - theirs).collect())
    }

    /// Each less this much.
    pub(crate) fn less(&self, amount: f64) -> Samples {
        Samples(self.0.iter().map(|mine| mine - amount).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What one more unit costs, between two sizes `units` apart: of the medians, because single differences of
    /// noisy figures are noisier than either.
    pub(crate) fn slope(&self, smaller: &Samples, units: f64) -> f64 {
        (self.median() - smaller.median()) / units
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => sorted[count / 2],
            count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
        }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// `1.21 s (1.10-1.43)`: median, least, greatest; each times `scale`.
    pub(crate) fn told(&self, scale: f64, unit: &str) -> String {
        let sorted = self.sorted();
        let (least, most) =
            (sorted.first().copied().unwrap_or(f64::NAN) * scale, sorted.last().copied().unwrap_or(f64::NAN) * scale);
        let digits = if self.median() * scale >= 20.0 { 0 } else { 2 };
        format!("{:.digits$} {unit} ({least:.digits$}-{most:.digits$})", self.median() * scale)
    }
}

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// For information.
    None,
}

impl Bound {
    fn holds(self, figure: f64) -> Option<bool> {
        match self {
            Bound::AtLeast(least) => Some(figure >= least),
            Bound::AtMost(most) => Some(figure <= most),
            Bound::None => None,
        }
    }
}

struct Row {
    name: String,
    told: String,
    bound: String,
    holds: Option<bool>,
}

/// All rows so far.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// A figure with what it must be, in the unit of `told`.
    pub(crate) fn add(&mut self, name: &str, told: String, figure: f64, bound: Bound, unit: &str) {
        let words = match bound {
            Bound::AtLeast(least) => format!(">= {least} {unit}"),
            Bound::AtMost(most) => format!("<= {most} {unit}"),
            Bound::None => String::new(),
        };
        self.rows.push(Row { name: name.to_owned(), told, bound: words, holds: bound.holds(figure) });
    }

    /// A figure for information.
    pub(crate) fn tell(&mut self, name: &str, told: String) {
        self.add(name, told, 0.0, Bound::None, "");
    }

    pub(crate) fn all_hold(&self) -> bool {
        self.rows.iter().all(|row| row.holds != Some(false))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |part: fn(&Row) -> &str| self.rows.iter().map(|row| part(row).chars().count()).max().unwrap_or(0);
        let (name, told, bound) = (width(|row| &row.name), width(|row| &row.told), width(|row| &row.bound).max(5));
        writeln!(f, "{:name$}  {:told$}  {:bound$}", "row", "median (least-greatest)", "bound")?;
        for row in &self.rows {
            let verdict = match row.holds {
                Some(true) => "ok",
                Some(false) => "MISSED",
                None => "",
            };
            let line = format!("{:name$}  {:told$}  {:bound$}  {verdict}", row.name, row.told, row.bound);
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
