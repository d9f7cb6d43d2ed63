//! When what is to be done with a wave: stored as JSON beside it.

use crate::kinds::{JobKind, Payload};
use mailhaul_queue::{AccountId, NewJob};
use serde::{Deserialize, Serialize};

/// The plan of a wave. Moments are milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WavePlan {
    /// Nothing begins before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_after_unix_ms: Option<i64>,
    /// How long after the end of a pass the next one begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_secs: Option<u64>,
    /// From when on the next pass is the final one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete_after_unix_ms: Option<i64>,
}

impl WavePlan {
    /// Reads what is stored.
    ///
    /// # Errors
    /// If it is not a plan.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(if text.is_empty() { "{}" } else { text })
    }

    /// As it is stored.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a plan holds nothing that JSON has no form for")
    }

    /// What follows for an account whose pass of this kind came to its end at this moment.
    #[must_use]
    pub fn next(&self, account: AccountId, ended: JobKind, now_unix_ms: i64) -> Option<NewJob> {
        if !matches!(ended, JobKind::Bulk | JobKind::Resync) {
            return None;
        }
        let again = self.every_secs.map(|secs| now_unix_ms.saturating_add_unsigned(secs.saturating_mul(1_000)));
        let (kind, at) = match (again, self.complete_after_unix_ms) {
            (_, Some(complete)) if complete <= now_unix_ms => (JobKind::Final, None),
            // A pass that would begin after the end is the final one.
            (Some(again), Some(complete)) if again >= complete => (JobKind::Final, Some(complete)),
            (None, Some(complete)) => (JobKind::Final, Some(complete)),
            (Some(again), _) => (JobKind::Resync, Some(again)),
            (None, None) => return None,
        };
        Some(new_job(account, kind, &Payload::default(), at))
    }
}

/// A job of this kind, not before this moment.
#[must_use]
pub fn new_job(account: AccountId, kind: JobKind, payload: &Payload, not_before_unix_ms: Option<i64>) -> NewJob {
    NewJob {
        account,
        kind: kind.word().to_owned(),
        phase: kind.phase(),
        payload: payload.to_json(),
        not_before_unix_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_repeat_until_the_final_one() {
        let plan = |every_secs, complete_after_unix_ms| WavePlan {
            start_after_unix_ms: None,
            every_secs,
            complete_after_unix_ms,
        };
        let cases = [
            (plan(None, None), JobKind::Bulk, None),
            (plan(Some(10), None), JobKind::Bulk, Some(("resync", Some(15_000)))),
            (plan(Some(10), Some(20_000)), JobKind::Resync, Some(("resync", Some(15_000)))),
            (plan(Some(10), Some(14_000)), JobKind::Resync, Some(("final", Some(14_000)))),
            (plan(Some(10), Some(5_000)), JobKind::Resync, Some(("final", None))),
            (plan(None, Some(9_000)), JobKind::Bulk, Some(("final", Some(9_000)))),
            (plan(Some(10), Some(20_000)), JobKind::Final, None),
            (plan(Some(10), Some(20_000)), JobKind::Verify, None),
        ];
        for (plan, ended, expected) in cases {
            let next = plan.next(AccountId(1), ended, 5_000);
            let next = next.as_ref().map(|job| (job.kind.as_str(), job.not_before_unix_ms));
            assert_eq!(next, expected, "{plan:?} {ended:?}");
        }
    }
}
