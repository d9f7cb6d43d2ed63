//! The steps of a run by name, as places where it can be made to fail.

use crate::error::{WalkError, on};
use mailhaul_imap::ImapError;
use mailhaul_types::{Side, failpoint};

/// A step was taken; the next one is not begun.
pub(crate) fn taken(step: &'static str) -> Result<(), WalkError> {
    failpoint::reach(|| format!("step {step}")).map_err(|struck| {
        let detail = format!(": {struck}");
        on(Side::Target)(ImapError::Closed { during: step, detail })
    })
}
