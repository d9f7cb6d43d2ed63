//! Words and numbers of columns, read back. What cannot be what was written is damage.

use crate::fault::Fault;
use mailhaul_queue::{FailureClass, JobState, Order, Phase, Priority, Side, Standing, Wait, WaitReason, Wanted};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

/// Reads the columns of a row one after the other.
pub(super) struct Cells<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    next: usize,
}

impl<'r> Cells<'r> {
    pub(super) fn of(row: &'r SqliteRow, table: &'static str) -> Self {
        Self { row, table, next: 0 }
    }

    /// Some column holds what nobody wrote there.
    pub(super) fn damaged(&self) -> Fault {
        Fault::Damaged { table: self.table, row: format!("column {} of a row", self.next) }
    }

    /// The next column.
    pub(super) fn take<T: Decode<'r, Sqlite> + Type<Sqlite>>(&mut self) -> Result<T, Fault> {
        let place = self.next;
        self.next += 1;
        self.row.try_get(place).map_err(|_| self.damaged())
    }

    /// The next column, an integer that fits.
    pub(super) fn number<T: TryFrom<i64>>(&mut self) -> Result<T, Fault> {
        let number: i64 = self.take()?;
        T::try_from(number).map_err(|_| self.damaged())
    }

    /// The next column, an integer that fits, or nothing.
    pub(super) fn optional_number<T: TryFrom<i64>>(&mut self) -> Result<Option<T>, Fault> {
        let number: Option<i64> = self.take()?;
        number.map(T::try_from).transpose().map_err(|_| self.damaged())
    }

    /// The next column, a word.
    pub(super) fn word<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Fault> {
        let word: &str = self.take()?;
        read(word).ok_or_else(|| self.damaged())
    }

    /// The next column, a word or nothing.
    pub(super) fn optional_word<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Fault> {
        match self.take::<Option<&str>>()? {
            Some(word) => read(word).map(Some).ok_or_else(|| self.damaged()),
            None => Ok(None),
        }
    }

    /// The next column, a priority.
    pub(super) fn priority(&mut self) -> Result<Priority, Fault> {
        let number: u8 = self.number()?;
        Priority::new(number).ok_or_else(|| self.damaged())
    }

    /// The next seven columns, in the order of [`STANDING`], and what is wanted of a running job in full.
    pub(super) fn state(&mut self) -> Result<Stored, Fault> {
        let word: &str = self.take()?;
        let reason = self.optional_word(WaitReason::from_word)?;
        let until_unix_ms: Option<i64> = self.take()?;
        let class = self.optional_word(FailureClass::from_word)?;
        let state = JobState::from_columns(word, reason, until_unix_ms, class).ok_or_else(|| self.damaged())?;
        let wait = reason.map(|reason| Wait { reason, until_unix_ms });
        let wait_before_pause = wait.filter(|_| state == JobState::Paused);
        let wanted: Option<&str> = self.take()?;
        let wanted_reason = self.optional_word(WaitReason::from_word)?;
        let wanted_until: Option<i64> = self.take()?;
        let wanted = match wanted {
            None => None,
            Some("options") => Some(Order::Options),
            Some(word) => {
                let wanted = Wanted::from_columns(word, wanted_reason, wanted_until).ok_or_else(|| self.damaged())?;
                Some(Order::from(wanted))
            }
        };
        Ok(Stored { state, wait_before_pause, wanted })
    }
}

/// The columns that [`Cells::state`] reads.
pub(super) const STANDING: &str = "j.state, j.wait_reason, j.wait_until_ms, j.failure_class, \
                                   j.wanted, j.wanted_reason, j.wanted_until_ms";

/// What stands in the columns of a job's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) state: JobState,
    pub(super) wait_before_pause: Option<Wait>,
    pub(super) wanted: Option<Order>,
}

impl Stored {
    /// With what stands in other columns, all that decides where the job goes.
    pub(super) fn standing(self, attempts_charged: u32, crashes: u32, held: bool) -> Standing {
        Standing {
            state: self.state,
            attempts_charged,
            crashes,
            wanted: self.wanted.and_then(wanted_of),
            wait_before_pause: self.wait_before_pause,
            held,
        }
    }
}

/// Taking up options anew is asked of the worker alone; the state knows nothing of it.
fn wanted_of(order: Order) -> Option<Wanted> {
    match order {
        Order::Pause => Some(Wanted::Pause),
        Order::Cancel => Some(Wanted::Cancel),
        Order::Yield { reason, until_unix_ms } => Some(Wanted::Yield { reason, until_unix_ms }),
        Order::Options => None,
    }
}

/// The three columns of what is wanted.
pub(super) fn wanted_columns(wanted: Option<Wanted>) -> (Option<&'static str>, Option<&'static str>, Option<i64>) {
    match wanted {
        Some(Wanted::Yield { reason, until_unix_ms }) => Some((reason, until_unix_ms)),
        _ => None,
    }
    .map_or((wanted.map(|wanted| wanted.word()), None, None), |(reason, until)| {
        (wanted.map(|wanted| wanted.word()), Some(reason.word()), Some(until))
    })
}

/// The class that a failed job has.
pub(super) fn class_column(state: &JobState) -> Option<&'static str> {
    match state {
        JobState::Failed(class) => Some(class.word()),
        _ => None,
    }
}

pub(super) fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Bulk => "bulk",
        Phase::Resync => "resync",
    }
}

pub(super) fn phase_of(word: &str) -> Option<Phase> {
    match word {
        "bulk" => Some(Phase::Bulk),
        "resync" => Some(Phase::Resync),
        _ => None,
    }
}

/// Empty where no side is meant.
pub(super) fn side_word(side: Option<Side>) -> &'static str {
    match side {
        None => "",
        Some(Side::Source) => "source",
        Some(Side::Target) => "target",
    }
}

pub(super) fn side_of(word: &str) -> Option<Option<Side>> {
    match word {
        "" => Some(None),
        "source" => Some(Some(Side::Source)),
        "target" => Some(Some(Side::Target)),
        _ => None,
    }
}
