//! What is planted: one message missing, one altered in some way, one doubled.

use super::stage::{Place, Stage};
use super::verdict::{Expected, Level};
use mailhaul_testing::corpus::CorpusMessage;
use mailhaul_testing::histories::Dice;
use std::collections::BTreeSet;

/// Something that is wrong on the target.
#[derive(Debug)]
pub(super) struct Plant {
    pub(super) wrong: Wrong,
    /// The source's message that it is about, and its mailbox.
    place: Place,
    name: String,
    /// Source UIDs of the message and its twins: which of them has no partner cannot be told.
    source: BTreeSet<u32>,
    /// Target UIDs that may be named.
    target: BTreeSet<u32>,
    /// The message that was put onto the target, and its mailbox there.
    put: Option<(usize, u32)>,
    /// Where a doubled message stands, if that is another mailbox than its own.
    elsewhere: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Missing,
    Altered(Alteration),
    Doubled,
}

/// In what respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alteration {
    /// One octet of the body; the length stays.
    BodyOctet,
    /// One octet of a header field that is in no key; the length stays.
    OtherField,
    /// More text at the end.
    Longer,
    /// Another subject.
    Subject,
    /// One second later.
    Date,
    Flags,
}

impl Alteration {
    const ALL: [Alteration; 6] = [
        Alteration::BodyOctet,
        Alteration::OtherField,
        Alteration::Longer,
        Alteration::Subject,
        Alteration::Date,
        Alteration::Flags,
    ];

    fn apply(self, message: &mut CorpusMessage) {
        match self {
            Alteration::BodyOctet => {
                let at = message.octets.len() - 4;
                message.octets[at] = b'X';
            }
            Alteration::OtherField => replace(&mut message.octets, b"by old.example", b"by new.example"),
            Alteration::Longer => message.octets.extend_from_slice(b"PS\r\n"),
            Alteration::Subject => replace(&mut message.octets, b"Subject: ", b"Subject: not "),
            Alteration::Date => message.unix_secs += 1,
            Alteration::Flags => message.flags = vec!["\\Flagged".to_owned()],
        }
    }

    /// Whether keys, size, date and flags are all what they were.
    fn is_seen_by_octets_only(self) -> bool {
        matches!(self, Alteration::BodyOctet | Alteration::OtherField)
    }
}

fn replace(octets: &mut Vec<u8>, old: &[u8], new: &[u8]) {
    let at = octets.windows(old.len()).position(|window| window == old).expect("every message of the corpus has it");
    octets.splice(at..at + old.len(), new.iter().copied());
}

impl Plant {
    /// Plants one of each, in three different messages.
    pub(super) fn three(dice: &mut Dice, stage: &mut Stage) -> [Plant; 3] {
        let mut taken: Vec<Place> = Vec::new();
        while taken.len() < 3 {
            // Small mailboxes as often as large ones.
            let mailbox = dice.below(stage.mailboxes.len());
            let place = Place { mailbox, at: dice.below(stage.mailboxes[mailbox].messages.len()) };
            let apart = |other: &Place| other.mailbox != mailbox || !stage.twins(*other).contains(&place.at);
            if taken.iter().all(apart) {
                taken.push(place);
            }
        }
        let alteration = dice.one_of(&Alteration::ALL);
        let elsewhere = dice.once_in(3);
        [
            Plant::missing(stage, taken[0]),
            Plant::altered(stage, taken[1], alteration),
            Plant::doubled(stage, taken[2], elsewhere),
        ]
    }

    fn of(stage: &Stage, wrong: Wrong, place: Place) -> Plant {
        let source = stage.twins(place).map(|at| Stage::source_uid(Place { at, ..place })).collect();
        let name = stage.name(place.mailbox);
        Plant { wrong, place, name, source, target: BTreeSet::new(), put: None, elsewhere: None }
    }

    fn missing(stage: &mut Stage, place: Place) -> Plant {
        stage.take_away(place.mailbox, stage.target_uid(place));
        Plant::of(stage, Wrong::Missing, place)
    }

    fn altered(stage: &mut Stage, place: Place, alteration: Alteration) -> Plant {
        stage.take_away(place.mailbox, stage.target_uid(place));
        let mut message = stage.message(place).clone();
        alteration.apply(&mut message);
        let uid = stage.put(place.mailbox, &message);
        let plant = Plant::of(stage, Wrong::Altered(alteration), place);
        Plant { target: BTreeSet::from([uid]), put: Some((place.mailbox, uid)), ..plant }
    }

    fn doubled(stage: &mut Stage, place: Place, elsewhere: bool) -> Plant {
        let message = stage.message(place).clone();
        let mailbox = if elsewhere { (place.mailbox + 1) % stage.mailboxes.len() } else { place.mailbox };
        let uid = stage.put(mailbox, &message);
        let mut target = BTreeSet::from([uid]);
        if !elsewhere {
            // Which of them is the one too many cannot be told.
            target.extend(stage.twins(place).map(|at| stage.target_uid(Place { at, ..place })));
        }
        let elsewhere = elsewhere.then(|| stage.name(mailbox));
        Plant { target, put: Some((mailbox, uid)), elsewhere, ..Plant::of(stage, Wrong::Doubled, place) }
    }

    /// What verify must name, by what it looks at: keys know Message-ID, headers, size, date and flags; octets know
    /// everything. Counts are [`super::verdict::balance`]'s.
    pub(super) fn named_at(&self, level: Level) -> Vec<Expected> {
        let one = |kind, source: &BTreeSet<u32>, target: &BTreeSet<u32>| Expected {
            mailbox: self.elsewhere.clone().unwrap_or_else(|| self.name.clone()),
            kind,
            source: source.clone(),
            target: target.clone(),
        };
        let none = BTreeSet::new();
        match self.wrong {
            Wrong::Missing => vec![one("missing", &self.source, &none)],
            // In a mailbox that has no such message it is simply too much.
            Wrong::Doubled if self.elsewhere.is_some() => vec![one("extra", &none, &self.target)],
            Wrong::Doubled => vec![one("doubled", &none, &self.target)],
            Wrong::Altered(alteration) if level == Level::Keys && alteration.is_seen_by_octets_only() => Vec::new(),
            // A message with another subject is another message: missing, and one that nobody knows.
            Wrong::Altered(Alteration::Subject) => {
                vec![one("missing", &self.source, &none), one("extra", &none, &self.target)]
            }
            Wrong::Altered(_) => vec![one("altered", &self.source, &self.target)],
        }
    }

    /// By how many messages a mailbox is too large because of this.
    pub(super) fn adds(&self) -> Option<(&str, i64)> {
        match self.wrong {
            Wrong::Missing => Some((&self.name, -1)),
            Wrong::Altered(_) => None,
            Wrong::Doubled => Some((self.elsewhere.as_deref().unwrap_or(&self.name), 1)),
        }
    }

    /// Makes the target as it was.
    pub(super) fn undo(self, stage: &mut Stage) {
        if let Some((mailbox, uid)) = self.put {
            stage.take_away(mailbox, uid);
        }
        if self.wrong != Wrong::Doubled {
            stage.put_back(self.place);
        }
    }
}
