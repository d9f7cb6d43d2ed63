//! Whether a source shows all of a mailbox. Some show a part only, by a setting of the account or by a cap of their
//! own, and count that part as if it were all: then every sum adds up, and mail is left behind.
//!
//! Two signs are known. The number of messages is exactly one at which a known cap cuts off; or STATUS, which some servers
//! answer from the whole mailbox, tells another number than the mailbox has when it is opened. Neither proves anything,
//! so the operator is asked. Servers that hand out a long list in pages (RFC 9738) say so, and show everything.

use mailhaul_types::Uid;

/// What numbers of messages are known as caps, whatever the server: Gmail's "Limit IMAP folders" at its first step, and
/// Yahoo's largest view.
const CAPS: [u32; 2] = [1_000, 10_000];

/// The further steps of Gmail's setting.
const GMAIL_CAPS: [u32; 2] = [2_000, 5_000];

/// What a server says of how full a mailbox is, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The number of messages.
    pub messages: u32,
    /// UIDNEXT, if it is told.
    pub uid_next: Option<Uid>,
}

/// What makes a view doubtful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The number of messages is exactly one at which a known cap cuts off.
    Cap {
        /// The number.
        messages: u32,
        /// Whether the server is Gmail.
        gmail: bool,
    },
    /// STATUS and the opened mailbox tell different numbers, and not because of mail that came in between.
    Differs {
        /// By STATUS.
        told: u32,
        /// When it is opened.
        shown: u32,
    },
}

/// Whether the number of messages in an opened mailbox is one at which a known cap cuts off.
#[must_use]
pub fn looks_capped(messages: u32, gmail: bool) -> Option<Doubt> {
    let is_cap = CAPS.contains(&messages) || (gmail && GMAIL_CAPS.contains(&messages));
    is_cap.then_some(Doubt::Cap { messages, gmail })
}

/// Whether what STATUS told and what was shown when the mailbox was opened a moment later contradict each other. Mail that
/// arrives in between moves UIDNEXT on by at least as much. Mail that is deleted in between leaves no trace: look again
/// before believing a difference.
#[must_use]
pub fn contradicts(told: View, shown: View) -> Option<Doubt> {
    let arrived = match (told.uid_next, shown.uid_next) {
        (Some(then), Some(now)) => now.0.saturating_sub(then.0),
        // Nobody says how many have arrived: any number may have.
        _ => u32::MAX,
    };
    let explained = told.messages.saturating_add(arrived);
    let fits = (told.messages..=explained).contains(&shown.messages);
    (!fits).then_some(Doubt::Differs { told: told.messages, shown: shown.messages })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(messages: u32, uid_next: u32) -> View {
        View { messages, uid_next: (uid_next > 0).then_some(Uid(uid_next)) }
    }

    #[test]
    fn exactly_the_known_caps_are_doubted() {
        for messages in [0, 999, 1_001, 2_000, 5_000, 9_999, 10_001, 100_000] {
            assert_eq!(looks_capped(messages, false), None, "{messages}");
        }
        for messages in [1_000, 10_000] {
            assert_eq!(looks_capped(messages, false), Some(Doubt::Cap { messages, gmail: false }));
        }
        for messages in [1_000, 2_000, 5_000, 10_000] {
            assert_eq!(looks_capped(messages, true), Some(Doubt::Cap { messages, gmail: true }));
        }
        assert_eq!(looks_capped(3_000, true), None);
    }

    #[test]
    fn a_difference_is_one_only_if_new_mail_does_not_explain_it() {
        for (told, shown) in [
            (view(5, 9), view(5, 9)),
            (view(5, 9), view(7, 11)),
            // Three came and one went.
            (view(5, 9), view(7, 12)),
            (view(5, 0), view(7, 11)),
            (view(5, 9), view(7, 0)),
        ] {
            assert_eq!(contradicts(told, shown), None, "{told:?} {shown:?}");
        }
        for (told, shown) in [
            (view(1_500, 1_501), view(1_000, 1_501)),
            (view(5, 9), view(7, 10)),
            (view(5, 0), view(4, 0)),
            // A server that gives UIDNEXT back.
            (view(5, 9), view(6, 3)),
        ] {
            let doubt = Doubt::Differs { told: told.messages, shown: shown.messages };
            assert_eq!(contradicts(told, shown), Some(doubt), "{told:?} {shown:?}");
        }
    }
}
