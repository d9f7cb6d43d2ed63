//! Asks verify, and holds what it names against what it must name.

use super::plant::Plant;
use super::stage::{Stage, USER};
use crate::{Ended, mailhaul};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

/// How closely verify looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Counts,
    Keys,
    Bytes,
}

impl Level {
    pub(super) const ALL: [Level; 3] = [Level::Counts, Level::Keys, Level::Bytes];

    fn word(self) -> &'static str {
        match self {
            Level::Counts => "counts",
            Level::Keys => "keys",
            Level::Bytes => "bytes",
        }
    }
}

/// A difference that must be named. An empty set of UIDs: none must be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) mailbox: String,
    pub(super) kind: &'static str,
    pub(super) source: BTreeSet<u32>,
    pub(super) target: BTreeSet<u32>,
}

impl Expected {
    fn is(&self, named: &Value) -> bool {
        let fits = |uids: &BTreeSet<u32>, named: &Value| match named.as_u64() {
            None => uids.is_empty(),
            Some(uid) => u32::try_from(uid).is_ok_and(|uid| uids.contains(&uid)),
        };
        named["mailbox"] == self.mailbox.as_str()
            && named["kind"] == self.kind
            && fits(&self.source, &named["source_uid"])
            && fits(&self.target, &named["target_uid"])
    }
}

/// What can be told from the number of messages in each mailbox: one that is missing and one that is doubled in the same
/// mailbox are not seen.
pub(super) fn balance(plants: &[Plant]) -> Vec<Expected> {
    let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
    for (mailbox, number) in plants.iter().filter_map(Plant::adds) {
        *balance.entry(mailbox).or_default() += number;
    }
    let unequal = balance.into_iter().filter(|(_, number)| *number != 0);
    let expected = |(mailbox, _): (&str, i64)| Expected {
        mailbox: mailbox.to_owned(),
        kind: "mailbox",
        source: BTreeSet::new(),
        target: BTreeSet::new(),
    };
    unequal.map(expected).collect()
}

/// Asks verify; says what is wrong with its answer.
pub(super) fn verify(stage: &Stage, level: Level, expected: &[Expected]) -> Result<(), String> {
    let ended = ask(stage, level);
    let (code, word) = if expected.is_empty() { (0, "equal") } else { (7, "differences") };
    if ended.code != code || ended.json["verdict"] != word {
        return Err(format!(
            "it ended with {} and not {code}, `{}` and not `{word}`: {:#} {}",
            ended.code, ended.json["verdict"], ended.json["differences"], ended.stderr
        ));
    }
    let listed: u64 = ended.json["mailboxes"].as_array().into_iter().flatten().filter_map(source_messages).sum();
    let all: usize = stage.mailboxes.iter().map(|mailbox| mailbox.messages.len()).sum();
    if usize::try_from(listed) != Ok(all) {
        return Err(format!("it looked at {listed} of {all} messages"));
    }
    let mut named: Vec<&Value> = ended.json["differences"].as_array().into_iter().flatten().collect();
    for one in expected {
        match named.iter().position(|named| one.is(named)) {
            Some(at) => drop(named.swap_remove(at)),
            None => return Err(format!("it does not name {one:?}: {:#}", ended.json["differences"])),
        }
    }
    if named.is_empty() { Ok(()) } else { Err(format!("it names what nobody planted: {named:?}")) }
}

fn source_messages(mailbox: &Value) -> Option<u64> {
    mailbox["source_messages"].as_u64()
}

fn ask(stage: &Stage, level: Level) -> Ended {
    let scene = &stage.scene;
    let mut command = mailhaul();
    command.args(["verify", "--json", "--level", level.word()]);
    for (side, server) in [("from", &scene.source), ("to", &scene.target)] {
        command.arg(format!("--{side}")).arg(format!("imap://{USER}@{}?tls=none", server.address()));
        command.arg(format!("--{side}-password-file")).arg(scene.folder().join(side));
    }
    command.arg("--state").arg(scene.state());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ended::of(command.spawn().expect("it can be started"))
}
