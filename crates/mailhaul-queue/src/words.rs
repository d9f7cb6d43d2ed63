//! One word for each variant: a table that an enum without contents is written and read by.

/// Gives an enum `ALL`, `word()` and `from_word()`.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $word:literal,)+ }) => {
        impl $name {
            /// Every one, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            $(#[$doc])*
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The one of this word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use words;
