//! Sessions that are played again and again with something else going wrong in each: a first copy, a re-sync, and what
//! comes after a death, after the ground has moved, and under servers and people who stand in the way; between servers
//! that can everything and servers that can nothing. What lies before each of them is in `grounds.rs`.

use super::corpus::{few, with_large};
use super::grounds;
use super::pass::{Ended, Order};
use super::stage::Stage;
use mailhaul_testing::model::Traits;
use std::sync::OnceLock;

/// A session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Script {
    /// Everything is copied for the first time.
    FirstCopy,
    /// The same to and from servers without any extension.
    FirstCopyBare,
    /// The same as the first, with every mailbox over connections of its own.
    FirstCopyWide,
    /// Mail has come, gone, moved and changed since.
    Resync,
    /// The same between servers without any extension.
    ResyncBare,
    /// The run before has died while messages were in flight that the target had stored: its tail has to be read.
    Recovery,
    /// The same between servers without any extension: what was stored has to be recognised by looking.
    RecoveryBare,
    /// The run before has died while another tool was bringing the same mail: between two copies that the target has
    /// confirmed stands one that only looking finds.
    Accompanied,
    /// A mailbox was renamed and another renumbered at the source, and one renumbered on the target.
    Moved,
    /// A re-sync that deletes on the target what was deleted at the source, where moves have to be made of copies.
    Mirrored,
    /// What the target has refused is tried again: one message is taken now, another is refused again.
    Retried,
    /// A message leaves the source when it is asked for, and a mailbox the target when it is to be filled.
    Elusive,
    /// The target refuses a name, and the copy of a renamed mailbox cannot be renamed because its owner has filled it.
    Stubborn,
}

impl Script {
    /// Every session.
    pub const ALL: [Script; 13] = [
        Script::FirstCopy,
        Script::FirstCopyBare,
        Script::FirstCopyWide,
        Script::Resync,
        Script::ResyncBare,
        Script::Recovery,
        Script::RecoveryBare,
        Script::Accompanied,
        Script::Moved,
        Script::Mirrored,
        Script::Retried,
        Script::Elusive,
        Script::Stubborn,
    ];

    /// The servers: source, target.
    fn traits(self) -> [Traits; 2] {
        match self {
            Script::FirstCopyBare | Script::ResyncBare | Script::RecoveryBare => [Traits::bare(), Traits::bare()],
            Script::Accompanied => [Traits::default(), Traits { multiappend: false, ..Traits::default() }],
            Script::Mirrored => [Traits::default(), Traits { move_: false, ..Traits::default() }],
            Script::Elusive => [Traits::default(), Traits { outlives_mailbox: true, ..Traits::default() }],
            Script::Stubborn => {
                let without_ids = Traits { object_id: false, ..Traits::default() };
                [without_ids.clone(), Traits { not_in_names: Some('?'), ..without_ids }]
            }
            _ => [Traits::default(), Traits::default()],
        }
    }

    /// The stage right before the session. What comes before it is played once, and not for every case.
    ///
    /// # Panics
    /// When the passes before it do not end as they should.
    #[must_use]
    pub fn stage(self) -> Stage {
        static STAGES: [OnceLock<Stage>; Script::ALL.len()] = [const { OnceLock::new() }; Script::ALL.len()];
        STAGES[self as usize].get_or_init(|| self.prepare()).fork()
    }

    fn prepare(self) -> Stage {
        let [source, target] = self.traits();
        let shelf = if self == Script::Retried { with_large() } else { few() };
        let mut stage = Stage::new(source, target, &shelf);
        match self {
            Script::FirstCopy | Script::FirstCopyBare | Script::FirstCopyWide | Script::Elusive => {}
            Script::Resync | Script::ResyncBare | Script::Mirrored => grounds::change(&mut stage),
            Script::Recovery | Script::RecoveryBare => grounds::die_in_flight(&mut stage),
            Script::Accompanied => grounds::die_beside_another_tool(&mut stage),
            Script::Moved => grounds::move_everything(&mut stage),
            Script::Retried => grounds::refuse_large_mail(&mut stage),
            Script::Stubborn => grounds::stand_in_the_way(&mut stage),
        }
        stage
    }

    /// The session as it is asked for, with what belongs to it besides the trouble.
    #[must_use]
    pub fn order(self, stage: &Stage) -> Order {
        Order {
            triggers: if self == Script::Elusive { grounds::elude(stage) } else { Vec::new() },
            retries: self.retries(),
            mirrors: self.mirrors(),
            connections: if self == Script::FirstCopyWide { 4 } else { 1 },
            ..Order::default()
        }
    }

    /// Whether nothing was copied before.
    #[must_use]
    pub fn is_first_copy(self) -> bool {
        matches!(self, Script::FirstCopy | Script::FirstCopyBare | Script::FirstCopyWide)
    }

    /// Whether what was refused is tried again.
    #[must_use]
    pub fn retries(self) -> bool {
        self == Script::Retried
    }

    /// Whether what was deleted at the source is deleted on the target too.
    #[must_use]
    pub fn mirrors(self) -> bool {
        self == Script::Mirrored
    }

    /// What comes to pass behind the trouble, so that a pass can complete.
    pub fn relent(self, stage: &Stage) {
        if self == Script::Retried {
            stage.target.change_traits(|traits| traits.append_limit = None);
        }
    }

    /// The session without anything going wrong.
    #[must_use]
    pub fn undisturbed(self) -> Ended {
        let mut stage = self.stage();
        let order = self.order(&stage);
        stage.pass(order)
    }
}
