//! What a server announces of the extensions that make a second visit cheap. Dovecot obeys the commands all the same: what
//! a client uses without having been offered it is seen on the wire.

use super::{CAPABILITIES, DovecotBuilder};

/// Which extensions a server announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offer {
    /// All that Dovecot 2.3 has.
    #[default]
    Everything,
    /// CONDSTORE, but not QRESYNC: what vanished has to be found out otherwise.
    NoQresync,
    /// Neither CONDSTORE nor QRESYNC: flags have to be compared.
    NoCondstore,
    /// LIST without STATUS.
    NoListStatus,
    /// Only IDLE tells what happens elsewhere.
    NoNotify,
    /// Neither NOTIFY nor IDLE.
    NoIdle,
    /// COPY and EXPUNGE instead of MOVE.
    NoMove,
    /// Nobody is told the UIDs of what was stored, and single messages cannot be expunged.
    NoUidplus,
    /// Plain IMAP4rev1: no extension at all, save for namespaces.
    Bare,
}

impl Offer {
    /// All of them.
    pub const ALL: [Offer; 9] = [
        Offer::Everything,
        Offer::NoQresync,
        Offer::NoCondstore,
        Offer::NoListStatus,
        Offer::NoNotify,
        Offer::NoIdle,
        Offer::NoMove,
        Offer::NoUidplus,
        Offer::Bare,
    ];

    /// What is not announced.
    #[must_use]
    pub fn missing(self) -> Vec<&'static str> {
        match self {
            Offer::Everything => Vec::new(),
            Offer::NoQresync => vec!["QRESYNC"],
            Offer::NoCondstore => vec!["CONDSTORE", "QRESYNC"],
            Offer::NoListStatus => vec!["LIST-STATUS"],
            Offer::NoNotify => vec!["NOTIFY"],
            Offer::NoIdle => vec!["NOTIFY", "IDLE"],
            Offer::NoMove => vec!["MOVE"],
            Offer::NoUidplus => vec!["UIDPLUS"],
            Offer::Bare => {
                let all = CAPABILITIES.split_ascii_whitespace();
                all.filter(|name| !["IMAP4rev1", "NAMESPACE"].contains(name)).collect()
            }
        }
    }
}

impl DovecotBuilder {
    /// Announces only what belongs to this offer. Several offers make a server that has what all of them have.
    #[must_use]
    pub fn offer(self, offer: Offer) -> Self {
        offer.missing().into_iter().fold(self, DovecotBuilder::without_capability)
    }
}
