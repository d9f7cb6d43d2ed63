//! What an operator changes about something that is stored: only what he names.

use crate::options::CopyOptions;

/// A change of one thing that may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken away.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T> Change<T> {
    /// Makes the change.
    pub fn apply(self, place: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *place = None,
            Self::Set(value) => *place = Some(value),
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

/// A change of how mail is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyChange {
    /// Forgets everything that was said before, so that what is next in line is asked.
    pub inherit: bool,
    /// What is said now.
    pub say: CopyOptions,
}

impl CopyChange {
    /// Makes the change.
    #[must_use]
    pub fn apply(self, stored: CopyOptions) -> CopyOptions {
        if self.inherit { self.say } else { self.say.or(stored) }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        !self.inherit && self.say == CopyOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_changes() {
        let mut place = Some(1);
        Change::Keep.apply(&mut place);
        assert_eq!(place, Some(1));
        Change::Set(2).apply(&mut place);
        assert_eq!(place, Some(2));
        Change::Clear.apply(&mut place);
        assert_eq!(place, None);
        let stored = CopyOptions { max_size: Some(1), remap: Some(true), ..CopyOptions::default() };
        let say = CopyOptions { max_size: Some(2), ..CopyOptions::default() };
        let kept = CopyChange { inherit: false, say: say.clone() }.apply(stored.clone());
        assert_eq!((kept.max_size, kept.remap), (Some(2), Some(true)));
        assert_eq!(CopyChange { inherit: true, say }.apply(stored).remap, None);
    }
}
