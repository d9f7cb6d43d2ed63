//! EXAMINE and the scan behind it in one round trip: where a mailbox's figures were told along with the list, it is known
//! what to ask for before the mailbox is open.

use crate::command::immediate_string;
use crate::connection::Connection;
use crate::error::ImapError;
use crate::pipeline::{self, InFlight, Pipelined, Refusals};
use crate::response::Response;
use crate::scan::{Asked, Scan, ScanItems, ScanRow, ScanTally};
use crate::select::{Access, Collected, CondStore, SelectedMailbox};
use crate::status_line::StatusLine;
use bytes::Bytes;
use mailhaul_types::{MailboxName, UidRange};

impl Connection {
    /// [`Connection::examine`] and [`Connection::scan`] in one burst. `None`, with nothing to be believed, if the server
    /// refuses the list, or perhaps the way in which the mailbox was to be opened, or would have to be waited for: then
    /// ask for one after the other.
    ///
    /// # Errors
    /// As every command; `Refused` if the mailbox is. Rows handed out before an error prove nothing.
    pub async fn examine_and_scan(
        &mut self,
        name: &MailboxName,
        ranges: &[UidRange],
        items: ScanItems,
        row: &mut (dyn FnMut(ScanRow) + Send),
    ) -> Result<Option<(SelectedMailbox, ScanTally)>, ImapError> {
        let asks_condstore = self.condstore != CondStore::Refused && self.capabilities().condstore();
        let mode = self.capabilities().literal_mode();
        let can_be_sent = !name.wire().iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'));
        let Some(quoted) = immediate_string(name.wire(), mode).filter(|_| can_be_sent) else { return Ok(None) };
        let parameter: &[u8] = if asks_condstore { b" (CONDSTORE)" } else { b"" };
        let open = [Access::ReadOnly.word().as_bytes(), b" ", &quoted, parameter].concat();
        let scan = Scan { items, row, tally: ScanTally::default() };
        let mut work = OpenAndScan { open, collected: Some(Collected::default()), opened: None, refused: None, scan };
        let ranges = ranges.iter().map(|range| Step::Range(Asked::new(*range)));
        let steps = std::iter::once(Step::Open).chain(ranges).collect();
        self.begin_opening();
        let ended = pipeline::run(self.talk().wire, "UID FETCH", &mut work, steps).await;
        let OpenAndScan { opened, refused, scan: Scan { tally, .. }, .. } = work;
        // A NO may as well mean the parameter, as long as the server has never taken it.
        let is_plain = !asks_condstore || self.condstore == CondStore::Taken;
        match (ended, opened) {
            (Ok(()), Some(opened)) => {
                if asks_condstore {
                    self.condstore = CondStore::Taken;
                }
                self.selected = Some(opened.exists);
                Ok(Some((opened, tally)))
            }
            (Ok(()) | Err(ImapError::Refused { .. }), _) => match refused.filter(|_| is_plain) {
                Some(status) => Err(ImapError::Refused { command: Access::ReadOnly.word(), status }),
                None => Ok(None),
            },
            (Err(error), _) => Err(error),
        }
    }
}

enum Step {
    Open,
    Range(Asked),
}

struct OpenAndScan<'a> {
    open: Vec<u8>,
    /// What was said of the mailbox; `None` once it is open.
    collected: Option<Collected>,
    opened: Option<SelectedMailbox>,
    /// The refusal to open it.
    refused: Option<StatusLine>,
    scan: Scan<'a>,
}

impl Pipelined for OpenAndScan<'_> {
    type Job = Step;

    fn command(&self, job: &Step) -> Vec<u8> {
        match job {
            Step::Open => self.open.clone(),
            Step::Range(asked) => self.scan.command_for(asked),
        }
    }

    fn moment(&self, job: &Step) -> Option<&'static str> {
        match job {
            Step::Open => Some(Access::ReadOnly.word()),
            Step::Range(_) => None,
        }
    }

    fn untagged(&mut self, frame: &Bytes, _: bool, in_flight: &mut InFlight<Step>) {
        match &mut self.collected {
            // What comes before the mailbox is open is said of it, or of the one that was open before.
            Some(collected) => collected.take(&Response::of(frame)),
            None => {
                let ranges = in_flight.iter_mut().filter_map(|(_, step)| match step {
                    Step::Open => None,
                    Step::Range(asked) => Some(asked),
                });
                self.scan.take(frame, ranges);
            }
        }
    }

    fn answered(&mut self, job: Step, line: &StatusLine) -> Result<Vec<Step>, ImapError> {
        match job {
            Step::Open => {
                let collected = self.collected.take().unwrap_or_default();
                self.opened = Some(collected.finish(Access::ReadOnly, line)?);
                Ok(Vec::new())
            }
            Step::Range(asked) => Ok(self.scan.end(asked, line)?.into_iter().map(Step::Range).collect()),
        }
    }

    fn refused(&mut self, job: Step, line: &StatusLine) -> Refusals {
        if let Step::Open = job {
            self.refused = Some(line.clone());
        }
        Refusals::End
    }
}
