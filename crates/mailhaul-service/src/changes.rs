//! What becomes of changes after the first copy: from options to the policy that the walkers obey, and which options
//! cannot stand together.

use crate::error::ServiceError;
use crate::options::CopyOptions;
use mailhaul_plan::policy::{DeletionBrake, DeletionPolicy, FlagPolicy, ResyncPolicy};

impl CopyOptions {
    /// The policy of a pass. The last pass is `thorough`.
    #[must_use]
    pub fn resync(&self, thorough: bool) -> ResyncPolicy {
        let usual = DeletionBrake::default();
        ResyncPolicy {
            flags: self.flags.unwrap_or_default(),
            moves: self.moves.unwrap_or_default(),
            deletions: self.deletions.unwrap_or_default(),
            deletion_brake: DeletionBrake {
                percent: self.max_deletions_percent.unwrap_or(usual.percent),
                messages: self.max_deletions.unwrap_or(usual.messages),
            },
            switched: self.switched.unwrap_or_default(),
            accept_source_change: self.accept_source_change.unwrap_or_default(),
            accepted_views: self.accept_view.clone().unwrap_or_default(),
            thorough,
        }
    }

    /// Whether it removes copies from the target.
    #[must_use]
    pub fn mirrors(&self) -> bool {
        self.deletions == Some(DeletionPolicy::Mirror)
    }

    /// Refuses options that contradict each other: once the users work on the target, nothing there is the source's to
    /// remove, or to overwrite.
    ///
    /// # Errors
    /// If they do: which, and what to do instead.
    pub fn check_changes(&self) -> Result<(), ServiceError> {
        if self.switched != Some(true) {
            return Ok(());
        }
        let policy = self.resync(false);
        if policy.deletions == DeletionPolicy::Mirror {
            return Err(ServiceError::usage(
                "--deletions mirror and --switched contradict each other: the users work on the target, and nothing is \
                 removed there any more",
                "--deletions ignore leaves the copies where they are",
            ));
        }
        if policy.flags == FlagPolicy::Source {
            return Err(ServiceError::usage(
                "--flags source and --switched contradict each other: the users work on the target, and what they \
                 changed there is theirs",
                "--flags merge brings what changed at the source and leaves what they changed",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_plan::policy::MovePolicy;

    #[test]
    fn what_nobody_says_is_as_the_policy_has_it() {
        assert_eq!(CopyOptions::default().resync(false), ResyncPolicy::default());
        assert!(CopyOptions::default().resync(true).thorough);
    }

    #[test]
    fn every_option_reaches_the_policy() {
        let options = CopyOptions {
            flags: Some(FlagPolicy::Target),
            moves: Some(MovePolicy::Copy),
            deletions: Some(DeletionPolicy::Trash),
            max_deletions: Some(7),
            switched: Some(true),
            accept_source_change: Some(true),
            accept_view: Some(vec!["INBOX".into()]),
            ..CopyOptions::default()
        };
        let expected = ResyncPolicy {
            flags: FlagPolicy::Target,
            moves: MovePolicy::Copy,
            deletions: DeletionPolicy::Trash,
            deletion_brake: DeletionBrake { percent: 10, messages: 7 },
            switched: true,
            accept_source_change: true,
            accepted_views: vec!["INBOX".into()],
            thorough: false,
        };
        assert_eq!(options.resync(false), expected);
        let percent = CopyOptions { max_deletions_percent: Some(100), ..CopyOptions::default() };
        assert_eq!(percent.resync(false).deletion_brake, DeletionBrake { percent: 100, messages: 1_000 });
    }

    #[test]
    fn nothing_of_the_users_is_removed_or_overwritten_once_they_work_on_the_target() {
        let switched = CopyOptions { switched: Some(true), ..CopyOptions::default() };
        assert!(switched.check_changes().is_ok());
        let mirror = CopyOptions { deletions: Some(DeletionPolicy::Mirror), ..CopyOptions::default() };
        let source = CopyOptions { flags: Some(FlagPolicy::Source), ..CopyOptions::default() };
        for before in [mirror, source] {
            assert!(before.check_changes().is_ok());
            let error = before.or(switched.clone()).check_changes().expect_err("they contradict each other");
            assert!(error.to_string().contains("--switched"), "{error}");
        }
    }
}
