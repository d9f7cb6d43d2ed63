//! Messages with which a connection is lost.
//!
//! Some sources close the connection when they are asked for one spoilt message, announce a literal that nobody would
//! read, or fall silent; some targets fall over a message that they are given. Such a message must not keep the mail
//! behind it, and a connection that was merely lost must not make an exception of a good message. So after a pass that
//! was lost and has settled nothing, the next one begins one by one; a message that was alone on its way each time waits
//! until the others have been sent, is tried once more behind them, and is set aside only if others came through: others
//! that were sent, or one that the source handed out when it was asked for nothing but that.

use crate::error::LinkError;
use mailhaul_imap::ErrorClass;
use mailhaul_types::{Side, Uid, UidSet, escape};
use std::collections::BTreeMap;

/// How often a connection must be lost with a message alone on its way before it has to wait for the others.
const LOSSES_TO_WAIT: u32 = 2;
/// How often before it is set aside: once more than that, behind the others.
const LOSSES_TO_SET_ASIDE: u32 = 3;
/// How often, if there are no others to tell whether it is the message.
const LOSSES_TO_GIVE_UP: u32 = 4;
/// With so many in a row it is not the messages.
const IN_A_ROW_MAX: u32 = 8;
/// A connection that is lost farther apart than this, in octets of one message, is lost for reasons of its own.
const SAME_PLACE_OCTETS: u64 = 1 << 20;

/// What was lost with whom, over the passes of one run over one mailbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suspects {
    losses: BTreeMap<Uid, Loss>,
    /// Whether the next pass begins one by one.
    one_by_one: bool,
    /// Whether a message was found out about since the pass began.
    blamed: bool,
    /// Messages that have come to wait since one came through.
    in_a_row: u32,
    progress: u64,
}

/// How often a connection was lost with one message, on which side, and in which words the last time.
#[derive(Debug, Clone)]
pub(crate) struct Loss {
    /// How often in the same place.
    times: u32,
    /// How often, wherever.
    all_times: u32,
    /// How many octets had gone over when it was lost.
    octets: u64,
    /// Whose connection it was.
    pub(crate) side: Side,
    words: String,
    /// Whether another message came through since this one came to wait.
    others_pass: bool,
}

impl Loss {
    fn none(side: Side) -> Loss {
        Loss { times: 0, all_times: 0, octets: 0, side, words: String::new(), others_pass: false }
    }

    /// Whether others came through, so that it is the message.
    pub(crate) fn is_the_message(&self) -> bool {
        self.others_pass
    }

    /// For the report.
    pub(crate) fn reason(&self) -> String {
        let (times, side, words) = (self.times, self.side, &self.words);
        format!("the connection to the {side} was lost all {times} times that nothing else was on its way: {words}")
    }
}

impl Suspects {
    /// A pass was lost; `went_on` says whether it had achieved something.
    pub(crate) fn pass_was_lost(&mut self, went_on: bool) {
        self.one_by_one = std::mem::take(&mut self.blamed) || !went_on;
    }

    /// Whether messages are to be sent one by one at first.
    pub(crate) fn one_by_one(&self) -> bool {
        self.one_by_one
    }

    /// A connection was lost with this message alone on its way, after so many octets.
    pub(crate) fn blame(&mut self, uid: Uid, link: &LinkError, octets: u64) {
        if !matches!(link.error.class(), ErrorClass::Network | ErrorClass::Protocol) {
            return;
        }
        let loss = self.losses.entry(uid).or_insert(Loss::none(link.side));
        if loss.side != link.side || loss.octets.abs_diff(octets) > SAME_PLACE_OCTETS {
            *loss = Loss { all_times: loss.all_times, ..Loss::none(link.side) };
        }
        loss.words = escape(&link.error.to_string());
        loss.octets = octets;
        loss.times += 1;
        loss.all_times += 1;
        tracing::warn!(uid = uid.0, times = loss.times, error = %link, "the connection was lost with this message alone");
        self.blamed = true;
        if self.in_a_row < IN_A_ROW_MAX && loss.all_times <= LOSSES_TO_GIVE_UP {
            self.progress += 1;
        }
        if loss.times == LOSSES_TO_WAIT {
            self.in_a_row += 1;
        }
    }

    /// Mail came through.
    pub(crate) fn others_came_through(&mut self) {
        self.in_a_row = 0;
        for loss in self.losses.values_mut().filter(|loss| loss.times >= LOSSES_TO_WAIT) {
            loss.others_pass = true;
        }
    }

    /// This one came through itself.
    pub(crate) fn clear(&mut self, uid: Uid) {
        self.losses.remove(&uid);
    }

    /// This side has handed out another message when it was asked for nothing but that.
    pub(crate) fn hands_out_another(&mut self, side: Side) {
        let waiting = self.losses.values_mut().filter(|loss| loss.times >= LOSSES_TO_WAIT);
        let (theirs, others): (Vec<_>, Vec<_>) = waiting.partition(|loss| loss.side == side);
        theirs.into_iter().for_each(|loss| loss.others_pass = true);
        if others.is_empty() {
            self.in_a_row = 0;
        }
    }

    /// Whether only one has come to wait since a message came through.
    pub(crate) fn is_the_only_one(&self) -> bool {
        self.in_a_row <= 1
    }

    /// Whether this message waits until the others have been sent.
    pub(crate) fn waits(&self, uid: Uid) -> bool {
        self.losses.get(&uid).is_some_and(|loss| loss.times >= LOSSES_TO_WAIT)
    }

    /// Those that wait.
    pub(crate) fn waiting(&self) -> UidSet {
        self.losses.iter().filter(|(_, loss)| loss.times >= LOSSES_TO_WAIT).map(|(uid, _)| *uid).collect()
    }

    /// Those with which connections to this side were lost more than once; the others, if there is none.
    pub(crate) fn named(&self, side: Side) -> UidSet {
        let lost = |times: u32| -> UidSet {
            let those = self.losses.iter().filter(|(_, loss)| loss.side == side && loss.all_times >= times);
            those.map(|(uid, _)| *uid).collect()
        };
        let again = lost(2);
        if again.is_empty() { lost(1) } else { again }
    }

    /// Whether one waits of which it is not known whether this side would hand out another.
    pub(crate) fn wants_another(&self, side: Side) -> bool {
        let open = |loss: &Loss| loss.side == side && loss.times >= LOSSES_TO_WAIT && !loss.others_pass;
        self.losses.values().any(open)
    }

    /// Why this message is to be set aside, now that the others have been sent.
    pub(crate) fn proved(&self, uid: Uid) -> Option<&Loss> {
        self.losses.get(&uid).filter(|loss| loss.others_pass && loss.times >= LOSSES_TO_SET_ASIDE)
    }

    /// What is to be said of this message if it was tried often enough, and no other came behind it.
    pub(crate) fn given_up(&self, uid: Uid) -> Option<&Loss> {
        self.losses.get(&uid).filter(|loss| loss.times >= LOSSES_TO_GIVE_UP && self.in_a_row < IN_A_ROW_MAX)
    }

    /// A number that grows with what was found out.
    pub(crate) fn progress(&self) -> u64 {
        self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_imap::ImapError;

    fn lost(side: Side) -> LinkError {
        LinkError::new(side, ImapError::Bye { text: "internal error".to_owned() })
    }

    fn blamed(suspects: &mut Suspects, uid: u32, times: u32) {
        (0..times).for_each(|_| suspects.blame(Uid(uid), &lost(Side::Source), 0));
    }

    #[test]
    fn a_message_is_set_aside_only_if_others_came_through() {
        let mut suspects = Suspects::default();
        blamed(&mut suspects, 7, 1);
        assert!(!suspects.waits(Uid(7)));
        blamed(&mut suspects, 7, 1);
        assert!(suspects.waits(Uid(7)) && suspects.proved(Uid(7)).is_none());
        suspects.others_came_through();
        assert!(suspects.proved(Uid(7)).is_none(), "it is tried once more behind the others");
        blamed(&mut suspects, 7, 1);
        let reason = suspects.proved(Uid(7)).expect("others pass").reason();
        assert!(
            reason.contains("source") && reason.contains("3 times") && reason.contains("internal error"),
            "{reason}"
        );
        assert!(suspects.proved(Uid(8)).is_none());
    }

    #[test]
    fn what_one_side_hands_out_says_nothing_of_the_other() {
        let mut suspects = Suspects::default();
        blamed(&mut suspects, 7, 3);
        (0..3).for_each(|_| suspects.blame(Uid(8), &lost(Side::Target), 0));
        suspects.hands_out_another(Side::Source);
        assert!(suspects.proved(Uid(7)).is_some() && suspects.proved(Uid(8)).is_none());
        assert!(!suspects.is_the_only_one(), "two have come to wait, and nothing was stored since");
        suspects.others_came_through();
        assert!(suspects.proved(Uid(8)).is_some() && suspects.is_the_only_one());
    }

    #[test]
    fn alone_it_is_tried_longer_and_then_given_up() {
        let mut suspects = Suspects::default();
        blamed(&mut suspects, 7, 3);
        assert!(suspects.given_up(Uid(7)).is_none());
        blamed(&mut suspects, 7, 1);
        assert!(suspects.given_up(Uid(7)).is_some() && suspects.proved(Uid(7)).is_none());
    }

    #[test]
    fn with_several_in_a_row_it_is_not_the_messages() {
        let mut suspects = Suspects::default();
        (1..=IN_A_ROW_MAX).for_each(|uid| blamed(&mut suspects, uid, 2));
        let progress = suspects.progress();
        blamed(&mut suspects, 99, 9);
        assert_eq!(suspects.progress(), progress);
        assert!(suspects.given_up(Uid(99)).is_none());
    }

    #[test]
    fn a_line_that_ends_now_here_and_now_there_makes_no_exception_and_is_not_tried_for_ever() {
        let mut suspects = Suspects::default();
        (1..=20).for_each(|number| suspects.blame(Uid(7), &lost(Side::Source), number * (5 << 20)));
        suspects.others_came_through();
        assert!(!suspects.waits(Uid(7)) && suspects.proved(Uid(7)).is_none());
        assert_eq!(suspects.progress(), u64::from(LOSSES_TO_GIVE_UP));
        // A server that falls always at one place loses more or less of what it had sent.
        (0..3).for_each(|number| suspects.blame(Uid(8), &lost(Side::Source), (40 << 20) + number * 100_000));
        suspects.others_came_through();
        assert!(suspects.proved(Uid(8)).is_some());
    }

    #[test]
    fn losses_on_one_side_do_not_count_on_the_other() {
        let mut suspects = Suspects::default();
        suspects.blame(Uid(7), &lost(Side::Source), 0);
        suspects.blame(Uid(7), &lost(Side::Target), 0);
        assert!(!suspects.waits(Uid(7)));
    }

    #[test]
    fn who_asks_to_slow_down_blames_nobody() {
        let mut suspects = Suspects::default();
        let busy = LinkError::new(Side::Source, ImapError::Bye { text: "too many connections".to_owned() });
        assert_eq!(busy.error.class(), ErrorClass::Throttle);
        (0..9).for_each(|_| suspects.blame(Uid(7), &busy, 0));
        assert!(!suspects.waits(Uid(7)) && suspects.progress() == 0);
    }

    #[test]
    fn a_pass_begins_one_by_one_behind_one_that_has_achieved_nothing_else() {
        let mut suspects = Suspects::default();
        suspects.pass_was_lost(true);
        assert!(!suspects.one_by_one());
        suspects.pass_was_lost(false);
        assert!(suspects.one_by_one());
        blamed(&mut suspects, 7, 1);
        suspects.pass_was_lost(true);
        assert!(suspects.one_by_one());
        suspects.pass_was_lost(true);
        assert!(!suspects.one_by_one());
    }
}
