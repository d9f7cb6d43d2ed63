//! What is rolled for a run in which everything is mixed.

use super::cases::Lenience;
use super::corpus::{any, small};
use super::owner::Whim;
use super::pass::{Deed, Happening, MALFORMED, Order, READS, Reply};
use super::plan::{Cut, How, Way, Weather};
use super::stage::{Stage, expunge, move_message};
use super::strike::Striking;
use super::truth::forget_what_it_forgot;
use mailhaul_testing::histories::Dice;
use mailhaul_testing::model::{Alters, Answer, Duplicates, Landing, Literals, Traits};
use mailhaul_types::Side;
use std::collections::BTreeMap;

/// Targets that take no large messages refuse what is larger.
const LARGE_OCTETS: u64 = 2_000;

/// A stage, and what has been rolled for it.
#[derive(Debug)]
pub struct World {
    /// The stage.
    pub stage: Stage,
    /// Both servers, for people.
    pub kinds: String,
    /// Whether copies may be there twice if the report names them: where UIDs have holes of their own, a copy that has
    /// landed cannot be told from one that was taken away.
    pub may_double: bool,
    kept: Option<Vec<(String, Vec<u8>)>>,
    number: u32,
    /// Whether somebody lives on the target.
    inhabited: bool,
    append_limit: Option<u64>,
}

/// Servers of any kind.
fn traits(dice: &mut Dice, side: Side) -> Traits {
    let mut traits = if dice.once_in(5) { Traits::bare() } else { Traits::default() };
    for switch in [
        &mut traits.sasl_ir,
        &mut traits.uidplus,
        &mut traits.multiappend,
        &mut traits.condstore,
        &mut traits.qresync,
        &mut traits.list_extended,
        &mut traits.list_status,
        &mut traits.esearch,
        &mut traits.move_,
        &mut traits.object_id,
        &mut traits.namespace,
        &mut traits.special_use,
        &mut traits.unselect,
        &mut traits.auth_plain,
    ] {
        if dice.once_in(4) {
            *switch = !*switch;
        }
    }
    traits.literals = dice.one_of(&[Literals::Plus, Literals::Plus, Literals::Minus, Literals::Synchronising]);
    if dice.once_in(3) {
        traits.delimiter = '.';
    }
    if dice.once_in(4) {
        traits.prefix = format!("INBOX{}", traits.delimiter);
        traits.namespace = true;
    }
    traits.holes = dice.once_in(6);
    if dice.once_in(8) {
        traits.size_lies = dice.one_of(&[-40, 7, 1_000]);
    }
    if side == Side::Target {
        make_odd(&mut traits, dice);
        traits.landing = match dice.below(4) {
            0 => Landing::Late { millis: 1 + dice.below(8_000) as u64 },
            1 => Landing::Slow { millis: 1 + dice.below(3_000) as u64 },
            _ => Landing::AtOnce,
        };
    }
    traits
}

/// A target that alters, merges, refuses or is nearly full.
fn make_odd(traits: &mut Traits, dice: &mut Dice) {
    if dice.once_in(3) {
        traits.alters = dice.one_of(&[
            Alters::AddsHeader,
            Alters::EightBitHeaders,
            Alters::DropsKeywords,
            Alters::IgnoresDates,
            Alters::DropsHeaders,
        ]);
    }
    if dice.once_in(10) {
        traits.duplicates = dice.one_of(&[Duplicates::MergedInSilence, Duplicates::MergedUnderOldUid]);
    }
    if dice.once_in(8) {
        traits.append_limit = Some(LARGE_OCTETS);
    }
    if dice.once_in(10) {
        traits.quota_messages = Some(1 + dice.below(15) as u64);
    }
}

impl World {
    /// Two servers, and mail at the source.
    #[must_use]
    pub fn roll(dice: &mut Dice) -> World {
        let (source, target) = (traits(dice, Side::Source), traits(dice, Side::Target));
        let inhabited = dice.once_in(3);
        let may_double = target.holes || inhabited;
        let odd =
            format!("{:?}, {:?}, {:?}, sizes {}", target.landing, target.alters, target.duplicates, target.size_lies);
        let kinds = format!("source: {}\ntarget: {} {odd}", source.capabilities(), target.capabilities());
        let append_limit = target.append_limit;
        let shelf = small(dice);
        let mut stage = Stage::new(source, target, &shelf);
        if inhabited {
            put_look_alikes(&mut stage);
        }
        World { stage, kinds, may_double, kept: None, number: 1_000, inhabited, append_limit }
    }

    /// What is permitted in the end, and nothing more.
    #[must_use]
    pub fn lenience(&self) -> Lenience {
        Lenience { retries: true, agreed: true, too_large: self.append_limit, ..Lenience::default() }
    }

    /// What comes to pass behind the trouble, so that a pass can complete.
    pub fn relent(&mut self) {
        self.stage.target.change_traits(|traits| traits.quota_messages = None);
    }

    /// A pass in which anything may happen, and what does, for people.
    pub fn order(&mut self, dice: &mut Dice) -> (Order, String) {
        let weather = weather(dice);
        let mut order = Order { agreed: dice.once_in(3), retries: dice.once_in(3), ..Order::default() };
        if dice.once_in(3) {
            order.dies_at_millis = Some(dice.below(2_500) as u64);
        }
        if dice.once_in(4) {
            order.strikings.push(Striking::anywhere(1 + dice.below(90) as u64, dice.once_in(2)));
        }
        if dice.once_in(4) {
            let reply = reply(dice);
            if reply.side == Side::Target && matches!(reply.name.as_str(), "CREATE" | "RENAME") {
                self.stage.any_names();
            }
            order.replies.push(reply);
        }
        let mut happenings: Vec<Happening> = (0..dice.below(3)).map(|_| self.happening(dice)).collect();
        happenings.sort_by_key(|happening| happening.at_millis);
        let told = format!(
            "pass: {weather:?}, dies at {:?}, {:?}, {:?}, agreed {}, happens {happenings:?}",
            order.dies_at_millis, order.strikings, order.replies, order.agreed
        );
        order.connections = 1 + usize::try_from(weather.seed % 3).unwrap_or(0);
        order.reading = 1 + usize::try_from(weather.seed / 3 % 3).unwrap_or(0);
        order.batch_messages = weather.seed / 9 % 3;
        order.weather = weather;
        order.happenings = happenings;
        (order, told)
    }

    /// What happens between two passes; told for people.
    pub fn between(&mut self, dice: &mut Dice) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..dice.below(3) {
            if self.inhabited && dice.once_in(2) {
                let whim = self.whim(dice);
                told.push(format!("between: {}", whim.told()));
                self.stage.between_passes(&whim);
                continue;
            }
            let happening = self.happening(dice);
            self.stage.observe();
            told.push(format!("between: {}", happening.told));
            (happening.what)(&self.stage.source, &self.stage.target, &self.stage.ever);
            self.stage.observe();
        }
        match dice.below(8) {
            0 => {
                self.kept = Some(self.stage.keep_state());
                told.push("the state is kept".to_owned());
            }
            1 => {
                if let Some(kept) = self.kept.take() {
                    // What the target is still storing then, for a run that the old state knows nothing of, is not promised.
                    self.stage.wait_for_landings();
                    self.stage.put_state_back(&kept);
                    forget_what_it_forgot(&self.stage);
                    told.push("the kept state is put back".to_owned());
                }
            }
            2 => {
                let millis = dice.below(100_000) as u64;
                self.stage.wait(millis);
                told.push(format!("{millis} ms pass"));
            }
            _ => {}
        }
        told
    }

    /// Something that the target's owner does.
    fn whim(&self, dice: &mut Dice) -> Whim {
        let name = |dice: &mut Dice| self.stage.spell(Side::Target, &dice.one_of(&[["INBOX"], ["Work"]]));
        let (from, to) = (name(dice), name(dice));
        Whim::roll(dice, from, to)
    }

    /// Something that somebody does on a server.
    fn happening(&mut self, dice: &mut Dice) -> Happening {
        self.number += 1;
        if self.inhabited && dice.once_in(3) {
            let (whim, notes) = (self.whim(dice), self.stage.notes());
            let (told, known) = (whim.told(), BTreeMap::new());
            let what: Deed =
                Box::new(move |source, target, ever| whim.carry_out((source, target), ever, &notes, &known));
            return Happening { at_millis: dice.below(2_000) as u64, told, what };
        }
        let path: &[&str] = dice.one_of(&[&["INBOX"] as &[&str], &["Work"], &["Work", "Old"]]);
        let (source, target) = (self.stage.spell(Side::Source, path), self.stage.spell(Side::Target, path));
        let (roll, place) = (dice.below(12), dice.below(100));
        let (told, what): (String, Deed) = match roll {
            0..=5 => {
                let mail = any(self.number, dice, None);
                let told = format!("mail {} comes to {source}", self.number);
                let deed = move |server: &_, _: &_, _: &_| deliver(server, &source, &mail);
                (told, Box::new(deed))
            }
            6 | 7 => {
                let told = format!("a message leaves {source}");
                (
                    told,
                    Box::new(move |server, _, ever| {
                        if let Some(uid) = uid_at(server, &source, place) {
                            expunge(server, ever, &source, &[uid]);
                        }
                    }),
                )
            }
            8 => {
                let told = format!("a message is moved from {source} to INBOX at the source");
                (
                    told,
                    Box::new(move |server, _, ever| {
                        let held = server.contents().remove(&source).unwrap_or_default();
                        if let Some(held) = held.get(place % held.len().max(1)).filter(|_| source != "INBOX") {
                            move_message(server, ever, &source, held.uid, "INBOX");
                        }
                    }),
                )
            }
            9 => {
                let told = format!("flags change in {source}");
                (
                    told,
                    Box::new(move |server, _, _| {
                        if let Some(uid) = uid_at(server, &source, place) {
                            server.set_flags(&source, uid, &["\\Seen", "\\Flagged"]);
                        }
                    }),
                )
            }
            10 => (
                format!("{source} is numbered anew at the source"),
                Box::new(move |server, _, _| server.renumber(&source)),
            ),
            _ => {
                let told = format!("{target} is numbered anew on the target");
                (
                    told,
                    Box::new(move |_, server, _| {
                        if server.uid_validity(&target).is_some() {
                            server.renumber(&target);
                        }
                    }),
                )
            }
        };
        Happening { at_millis: dice.below(2_000) as u64, told, what }
    }
}

/// Puts mail of its owner into the target's INBOX that bears the Message-ID of another mail of the source, and is not it.
fn put_look_alikes(stage: &mut Stage) {
    for held in &stage.source.contents()["INBOX"] {
        let text = String::from_utf8_lossy(&held.octets).into_owned();
        let Some(name) = text.lines().find(|line| line.starts_with("Message-ID:")) else { continue };
        let octets = format!("From: b@example.org\r\n{name}\r\nSubject: the owner's\r\n\r\nUnder a known name.\r\n");
        stage.deliver_own("INBOX", octets.as_bytes(), held.date);
        return;
    }
}

fn deliver(server: &mailhaul_testing::model::ModelServer, mailbox: &str, mail: &super::corpus::Mail) {
    server.deliver(mailbox, &mail.octets, mail.date, &mail.flags);
}

fn uid_at(server: &mailhaul_testing::model::ModelServer, mailbox: &str, place: usize) -> Option<u32> {
    let held = server.contents().remove(mailbox)?;
    let count = held.len().max(1);
    held.get(place % count).map(|held| held.uid)
}

fn weather(dice: &mut Dice) -> Weather {
    let mut weather = Weather {
        seed: dice.roll(),
        latency_millis: [dice.below(60) as u64, dice.below(60) as u64],
        pieces_max: dice.one_of(&[0, 7, 100, 1_400]),
        thinks_millis_max: dice.one_of(&[0, 0, 5, 200]),
        ..Weather::default()
    };
    for _ in 0..dice.one_of(&[0, 0, 1, 1, 2, 3]) {
        weather.cuts.push(Cut {
            side: dice.one_of(&[Side::Source, Side::Target]),
            way: dice.one_of(&[Way::ToServer, Way::ToClient]),
            at: dice.below(6_000) as u64,
            how: dice.one_of(&How::ALL),
        });
    }
    if dice.once_in(10) {
        weather.refusals = [dice.below(2), dice.below(2)].map(|count| u32::try_from(count).unwrap_or(0));
    }
    weather
}

fn reply(dice: &mut Dice) -> Reply {
    const BOTH: [&str; 10] =
        ["GREETING", "CAPABILITY", "AUTHENTICATE", "LOGIN", "ID", "ENABLE", "NAMESPACE", "LIST", "STATUS", "LOGOUT"];
    const SOURCE: [&str; 4] = ["UID FETCH", "UID FETCH", "EXAMINE", "UID SEARCH"];
    const TARGET: [&str; 12] = [
        "APPEND",
        "APPEND",
        "SELECT",
        "UID FETCH",
        "UID FETCH",
        "UID SEARCH",
        "CREATE",
        "SUBSCRIBE",
        "UID STORE",
        "UID MOVE",
        "UID COPY",
        "UID EXPUNGE",
    ];
    let side = dice.one_of(&[Side::Source, Side::Target]);
    let own: &[&str] = if side == Side::Source { &SOURCE } else { &TARGET };
    let name = if dice.once_in(3) { dice.one_of(&BOTH) } else { dice.one_of(own) };
    let answer = match dice.below(11) {
        0 => Answer::No("not today".to_owned()),
        1 => Answer::No("[OVERQUOTA] the account is full".to_owned()),
        2 => Answer::Bad("what".to_owned()),
        3 => Answer::Bye,
        4 => Answer::End,
        5 => Answer::Silence,
        6 => Answer::DoneThenEnd,
        7 => Answer::WithoutData,
        8 => Answer::Malformed(MALFORMED.to_vec()),
        9 => Answer::OkForAnother,
        _ => Answer::DoneThenSilence,
    };
    let name = if dice.once_in(8) { READS } else { name };
    Reply { side, name: name.to_owned(), nth: 1 + dice.below(8) as u64, answer }
}
