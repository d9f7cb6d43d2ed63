//! Whether the target has the room. Pure: figures in, one block or one remark out.
//!
//! Two needs are reckoned with. The least: as many messages of each mailbox as the target holds already are taken to be
//! the same ones, and found there. The most: none of them is. Too little room even for the least is in the way; room
//! that is only enough for something in between is worth a remark.

use super::Look;
use mailhaul_report::{
    Block, BlockKind, PreflightMailbox, PreflightStep, QuotaLine, RemarkKind, Room, bytes_for_people, count_of,
    number_for_people,
};
use mailhaul_types::{Escaped, Side};

/// Servers count what they store in their own ways (line ends, headers of their own, blocks), and mail goes on coming
/// in: so much more than the sum of sizes should be free. One in so many.
const HEADROOM_ONE_IN: u64 = 20;

/// What is needed on the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Need {
    least: u64,
    most: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Enough,
    Scarce,
    TooLittle,
}

impl Need {
    fn judge(self, room: Room) -> Judgement {
        if self.least > room.free() {
            Judgement::TooLittle
        } else if self.most > 0 && self.most.saturating_add(self.most / HEADROOM_ONE_IN) > room.free() {
            Judgement::Scarce
        } else {
            Judgement::Enough
        }
    }
}

/// Octets and messages that are needed.
fn needs(mailboxes: &[PreflightMailbox]) -> (Need, Need) {
    let (mut bytes, mut messages) = (Need::default(), Need::default());
    for mailbox in mailboxes.iter().filter(|mailbox| mailbox.target.is_some()) {
        let to_copy = mailbox.to_copy_messages;
        let may_be_there = mailbox.unknown_on_target.unwrap_or_default().min(to_copy);
        let octets_there = u128::from(mailbox.to_copy_bytes) * u128::from(may_be_there) / u128::from(to_copy.max(1));
        let octets_there = u64::try_from(octets_there).unwrap_or(u64::MAX);
        bytes.most = bytes.most.saturating_add(mailbox.to_copy_bytes);
        bytes.least = bytes.least.saturating_add(mailbox.to_copy_bytes - octets_there);
        messages.most = messages.most.saturating_add(to_copy);
        messages.least = messages.least.saturating_add(to_copy - may_be_there);
    }
    (bytes, messages)
}

impl Look<'_> {
    /// Compares what is needed with what each quota leaves.
    pub(super) fn judge_room(&mut self) {
        let (bytes, messages) = needs(&self.found.mailboxes);
        for quota in self.found.quotas.clone() {
            if let Some(room) = quota.bytes {
                self.judge(&quota, bytes, room, bytes_for_people);
            }
            if let Some(room) = quota.messages {
                self.judge(&quota, messages, room, |number| count_of(number, "message"));
            }
        }
    }

    fn judge(&mut self, quota: &QuotaLine, need: Need, room: Room, show: fn(u64) -> String) {
        let left = format!(
            "quota \"{}\" leaves {} ({} of {} in use)",
            Escaped(&quota.root),
            show(room.free()),
            number_or_bytes(room.used, show),
            show(room.limit)
        );
        match need.judge(room) {
            Judgement::Enough => {}
            Judgement::Scarce if need.least < need.most => {
                let text = format!(
                    "{left}, and {} are to be copied: enough only if at least {} of that are there already",
                    show(need.most),
                    show(need.most.saturating_sub(room.free()))
                );
                self.remark(RemarkKind::Room, Some(Side::Target), None, text);
            }
            Judgement::Scarce => {
                let text = format!("{left}, and {} are to be copied: that is close", show(need.most));
                self.remark(RemarkKind::Room, Some(Side::Target), None, text);
            }
            Judgement::TooLittle => self.found.blocks.push(Block {
                kind: BlockKind::Quota,
                side: Some(Side::Target),
                step: PreflightStep::Quota,
                words: format!("{left}, and at least {} are needed", show(need.least)),
                server_words: None,
                retry_after_ms: None,
                hint: format!("make room on the target: {} more", show(need.least.saturating_sub(room.free()))),
            }),
        }
    }
}

/// The figure alone where the thing that is counted stands behind the next one.
fn number_or_bytes(number: u64, show: fn(u64) -> String) -> String {
    let shown = show(number);
    if shown.contains("message") { number_for_people(number) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(messages: u64, bytes: u64, there: Option<u64>) -> PreflightMailbox {
        PreflightMailbox {
            target: Some("a".to_owned()),
            to_copy_messages: messages,
            to_copy_bytes: bytes,
            unknown_on_target: there,
            ..PreflightMailbox::default()
        }
    }

    #[test]
    fn what_may_be_on_the_target_already_makes_the_least_need() {
        let left_out = PreflightMailbox { target: None, ..mailbox(9, 9, None) };
        let (bytes, messages) =
            needs(&[mailbox(10, 1_000, Some(4)), mailbox(5, 50, Some(99)), mailbox(1, 7, None), left_out]);
        assert_eq!(bytes, Need { least: 607, most: 1_057 });
        assert_eq!(messages, Need { least: 7, most: 16 });
        assert_eq!(needs(&[mailbox(0, 0, Some(3))]), (Need::default(), Need::default()));
        let (bytes, _) = needs(&[mailbox(u64::MAX, u64::MAX, Some(u64::MAX)), mailbox(1, u64::MAX, None)]);
        assert_eq!(bytes, Need { least: u64::MAX, most: u64::MAX });
    }

    #[test]
    fn room_is_judged_with_headroom() {
        let room = Room { used: 100, limit: 1_100 };
        for (least, most, expected) in [
            (0, 0, Judgement::Enough),
            (900, 952, Judgement::Enough),
            (900, 960, Judgement::Scarce),
            (1_000, 5_000, Judgement::Scarce),
            (1_001, 1_001, Judgement::TooLittle),
        ] {
            assert_eq!(Need { least, most }.judge(room), expected, "{least} {most}");
        }
        let over = Room { used: 5, limit: 2 };
        assert_eq!(Need::default().judge(over), Judgement::Enough);
        assert_eq!(Need { least: 1, most: 1 }.judge(over), Judgement::TooLittle);
    }
}
