//! Policies as they are stored: by their words, so that a state file reads like a command line.

use mailhaul_plan::policy::{DeletionPolicy, FlagPolicy, MovePolicy};
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Something that has a word.
pub(crate) trait Word: Copy {
    /// All words.
    const WORDS: &'static [&'static str];
    /// The word.
    fn word(self) -> &'static str;
    /// What a word stands for.
    fn from_word(word: &str) -> Option<Self>;
}

macro_rules! word {
    ($($policy:ty),+) => {$(
        impl Word for $policy {
            const WORDS: &'static [&'static str] = <$policy>::WORDS;

            fn word(self) -> &'static str {
                self.as_str()
            }

            fn from_word(word: &str) -> Option<Self> {
                <$policy>::from_word(word)
            }
        }
    )+};
}

word!(FlagPolicy, MovePolicy, DeletionPolicy);

#[expect(clippy::ref_option, reason = "the form that serde asks for")]
pub(crate) fn serialize<T: Word, S: Serializer>(policy: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    match policy {
        Some(policy) => to.serialize_str(policy.word()),
        None => to.serialize_none(),
    }
}

pub(crate) fn deserialize<'a, T: Word, D: Deserializer<'a>>(from: D) -> Result<Option<T>, D::Error> {
    let Some(word) = Option::<String>::deserialize(from)? else { return Ok(None) };
    match T::from_word(&word) {
        Some(policy) => Ok(Some(policy)),
        None => Err(D::Error::custom(format!("`{word}` is none of {}", T::WORDS.join(", ")))),
    }
}
