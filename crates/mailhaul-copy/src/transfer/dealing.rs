//! Who is asked for the next batch, where several connections read one mailbox.

use crate::bounds;

/// Octets and messages that somebody was asked for and has not answered.
pub(super) type Out = (u64, u64);

/// What is asked of one of several connections at least: two batches. And at most: no more than may be held of it, with
/// what a message takes up besides its octets, so that the order stands also if another one is lost.
const LEAST: Out = (4 << 20, 1_000);
const MOST: Out = (5 << 20, 4_000);

/// Whom to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    Own,
    /// The further connection in this place.
    Lane(usize),
}

/// How much may be asked of each of so many connections that are given something; `is_owed` as long as a further one owes
/// anything, whether it is given more or not: if it is lost, that has to be asked for again behind what the own one
/// was asked for.
pub(super) fn window_of_each(window: Out, readers: u64, is_owed: bool) -> Out {
    if readers < 2 && !is_owed {
        return window;
    }
    let readers = readers.max(1);
    ((window.0 / readers).clamp(LEAST.0, MOST.0), (window.1 / readers).clamp(LEAST.1, MOST.1))
}

/// Who is asked for a batch of this size: whoever has least to do. None if that one has enough to do. What is larger than
/// may be held comes over the own connection: it would have to stand still for as long as another one takes for it, and what
/// is lost over another one can be asked for again only while no part of it is out.
pub(super) fn whom_to_ask(
    batch: Out,
    own: Out,
    lanes: impl Iterator<Item = (usize, Out)>,
    window: Out,
) -> Option<Whom> {
    let is_large = batch.0 > bounds::HELD_BY_READER;
    let least = lanes.filter(|_| !is_large).min_by_key(|(_, out)| *out).filter(|(_, out)| *out < own);
    let (whom, out) = least.map_or((Whom::Own, own), |(place, out)| (Whom::Lane(place), out));
    // Nothing so large fits into any window: it is asked for behind what does.
    let octets = if is_large { 0 } else { batch.0 };
    let is_full = out.0.saturating_add(octets) > window.0 || out.1 + batch.1 > window.1;
    (!is_full || out.1 == 0).then_some(whom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::lane::EVENT_OCTETS;

    const MIB: u64 = 1 << 20;
    const WIDE: Out = (32 << 20, 10_000);

    #[test]
    fn no_more_is_asked_of_anybody_than_may_be_held_as_long_as_a_further_connection_owes_anything() {
        assert_eq!(window_of_each(WIDE, 1, false), WIDE);
        assert_eq!(window_of_each(WIDE, 1, true), MOST, "also one that is given nothing more can be lost");
        for readers in 2..=4 {
            let (octets, messages) = window_of_each(WIDE, readers, true);
            assert!(octets + messages * EVENT_OCTETS <= bounds::HELD_BY_READER, "{readers}");
            assert!(octets >= LEAST.0 && messages >= LEAST.1, "{readers}");
        }
    }

    #[test]
    fn whoever_has_least_to_do_is_asked_until_it_has_enough() {
        let window = (4 * MIB, 1_000);
        let ask = |own: Out, lanes: &[Out]| whom_to_ask((2 * MIB, 10), own, lanes.iter().copied().enumerate(), window);
        assert_eq!(ask((0, 0), &[(0, 0)]), Some(Whom::Own), "the own one where it does not matter");
        assert_eq!(ask((2 * MIB, 10), &[(2 * MIB, 10), (0, 0)]), Some(Whom::Lane(1)));
        assert_eq!(ask((2 * MIB, 10), &[(4 * MIB, 20)]), Some(Whom::Own));
        assert_eq!(ask((4 * MIB, 10), &[(4 * MIB, 20)]), None);
        assert_eq!(ask((MIB, 995), &[]), None, "messages count as well as octets");
        let wider_than_the_window = whom_to_ask((5 * MIB, 1), (MIB, 1), [(0, (0, 0))].into_iter(), window);
        assert_eq!(wider_than_the_window, Some(Whom::Lane(0)), "whoever has nothing to do takes anything");
    }

    #[test]
    fn what_is_larger_than_may_be_held_is_asked_of_the_own_connection_alone() {
        let large = (bounds::HELD_BY_READER + 1, 1);
        let ask = |own: Out| whom_to_ask(large, own, [(0, (0, 0))].into_iter(), (4 * MIB, 1_000));
        assert_eq!(ask((0, 0)), Some(Whom::Own));
        assert_eq!(ask((4 * MIB, 20)), Some(Whom::Own));
        assert_eq!(ask((4 * MIB + large.0, 21)), None, "one at a time");
    }
}
