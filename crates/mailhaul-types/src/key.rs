//! What a message is recognised by when its UID says nothing.

/// How much a [`MessageKey`] proves, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum KeyStrength {
    /// None of the digested header fields was present: the digest is over the whole content.
    Content = 1,
    /// Header fields without a Message-ID: only together with the internal date, or with the content compared.
    Headers = 2,
    /// Message-ID and the other header fields.
    MessageId = 3,
}

/// A 64-bit digest that stands for a message, made by `mailhaul-plan`. Equal keys make two messages candidates for
/// being the same mail; sizes, dates and where needed contents decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageKey {
    /// Keyed digest; comparable only between digests made under the same ledger's digest key.
    pub digest: u64,
    /// What went into the digest.
    pub strength: KeyStrength,
}
