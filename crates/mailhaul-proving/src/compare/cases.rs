//! The troubles that both tools are put through.

use super::{Bench, Figures, Tool};
use mailhaul_testing::Client;
use mailhaul_testing::histories::Dice;
use mailhaul_testing::imap_client::Outgoing;
use mailhaul_testing::proxy::{Cut, Direction, Event, Plan};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// A trouble, and how often it is played.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// In a few words.
    pub name: &'static str,
    /// How often.
    pub times: u64,
    /// Plays it once with this seed.
    pub play: fn(Tool, u64) -> Figures,
}

/// All of them.
pub const CASES: [Case; 13] = [
    Case { name: "ten kills at random moments", times: 6, play: kills },
    Case { name: "these kills, started again when the servers know", times: 6, play: kills_and_waits },
    Case { name: "the answer to an APPEND is lost", times: 6, play: swallowed },
    Case { name: "either connection cut at a random octet, ten times", times: 6, play: cuts },
    Case { name: "the state is deleted", times: 1, play: state_deleted },
    Case { name: "an old state is put back", times: 1, play: old_state },
    Case { name: "octets of the state are flipped", times: 20, play: state_damaged },
    Case { name: "a file of the state is cut short", times: 10, play: state_truncated },
    Case { name: "one Message-ID, other contents; none; twins", times: 1, play: identities },
    Case { name: "these, and the state is deleted", times: 1, play: identities_without_state },
    Case { name: "these, and the source is renumbered", times: 1, play: identities_renumbered },
    Case { name: "every Message-ID once, and the source is renumbered", times: 1, play: renumbered },
    Case { name: "a draft is edited under its Message-ID", times: 1, play: edited_draft },
];

const MAILBOXES: [&str; 4] = ["INBOX", "Archive", "Archive/2019", "Lists"];
const DATE: &str = "09-Sep-2001 01:46:40 +0000";

fn kills(tool: Tool, seed: u64) -> Figures {
    killed(tool, seed, false)
}

fn kills_and_waits(tool: Tool, seed: u64) -> Figures {
    killed(tool, seed, true)
}

/// `waits`: it is not started again before the servers have seen the end of its connections.
fn killed(tool: Tool, seed: u64, waits: bool) -> Figures {
    let bench = filled(tool, 250);
    let mut dice = Dice::of(seed);
    for _ in 0..10 {
        let (proxy, direction, span) = dice.one_of(&[
            (&bench.scene.source_proxy, Direction::ToClient, 600_000),
            (&bench.scene.target_proxy, Direction::ToClient, 30_000),
            (&bench.scene.target_proxy, Direction::ToServer, 600_000),
        ]);
        let goal = proxy.statistics().bytes(direction) + dice.below(span) as u64;
        let mut copy = bench.command().spawn().expect("the tool can be started");
        let _reached = proxy.wait_at_most(&Event::Bytes(direction, goal), Duration::from_secs(2));
        copy.kill().expect("kill -9");
        copy.wait().expect("it is dead");
        for proxy in [&bench.scene.source_proxy, &bench.scene.target_proxy].into_iter().filter(|_| waits) {
            let all = proxy.statistics().connections;
            proxy.wait_for(&Event::Ended(all));
        }
    }
    bench.conclude(false)
}

fn swallowed(tool: Tool, seed: u64) -> Figures {
    let bench = filled(tool, 250);
    let nth = u32::try_from(seed).unwrap_or(1);
    bench.scene.target_proxy.set_next_plans([Plan::new().swallow_answer("APPEND", nth, Cut::Rst)]);
    bench.conclude(false)
}

fn cuts(tool: Tool, seed: u64) -> Figures {
    let bench = filled(tool, 250);
    let mut dice = Dice::of(seed);
    for _ in 0..10 {
        let (proxy, span) = dice.one_of(&[(&bench.scene.source_proxy, 400_000), (&bench.scene.target_proxy, 400_000)]);
        let direction = dice.one_of(&[Direction::ToServer, Direction::ToClient]);
        let cut = dice.one_of(&[Cut::Fin, Cut::Rst]);
        proxy.set_next_plans([Plan::new().cut_after_bytes(direction, dice.below(span) as u64, cut)]);
        let _ended = bench.command().output().expect("the tool can be started");
    }
    for proxy in [&bench.scene.source_proxy, &bench.scene.target_proxy] {
        proxy.set_plan(Plan::new());
    }
    bench.conclude(false)
}

fn state_deleted(tool: Tool, _: u64) -> Figures {
    let bench = copied(tool, 100);
    forget(&bench);
    bench.conclude(false)
}

fn old_state(tool: Tool, _: u64) -> Figures {
    let bench = copied(tool, 100);
    let kept = bench.scene.folder().join("kept");
    copy_tree(&bench.state(), &kept);
    deliver(&mut bench.user(), "Archive", 1_000..1_040);
    assert!(bench.run(), "{} cannot copy at all", tool.name());
    std::fs::remove_dir_all(bench.state()).expect("the state can be removed");
    copy_tree(&kept, &bench.state());
    bench.conclude(false)
}

fn state_damaged(tool: Tool, seed: u64) -> Figures {
    let bench = copied(tool, 60);
    let mut dice = Dice::of(seed);
    let (path, mut octets) = a_state_file(&bench, &mut dice);
    for _ in 0..3 {
        let place = dice.below(octets.len());
        octets[place] ^= 1 << dice.below(8);
    }
    std::fs::write(path, octets).expect("the state can be written");
    deliver(&mut bench.user(), "INBOX", 1_000..1_005);
    bench.conclude(false)
}

fn state_truncated(tool: Tool, seed: u64) -> Figures {
    let bench = copied(tool, 60);
    let mut dice = Dice::of(seed);
    let (path, octets) = a_state_file(&bench, &mut dice);
    let left = dice.below(octets.len());
    std::fs::write(path, &octets[..left]).expect("the state can be written");
    deliver(&mut bench.user(), "INBOX", 1_000..1_005);
    bench.conclude(false)
}

fn identities(tool: Tool, _: u64) -> Figures {
    let bench = Bench::start(tool);
    deliver_odd(&mut bench.user());
    bench.conclude(false)
}

fn identities_without_state(tool: Tool, _: u64) -> Figures {
    let bench = Bench::start(tool);
    deliver_odd(&mut bench.user());
    assert!(bench.run(), "{} cannot copy at all", tool.name());
    forget(&bench);
    bench.conclude(false)
}

fn identities_renumbered(tool: Tool, _: u64) -> Figures {
    let bench = Bench::start(tool);
    deliver_odd(&mut bench.user());
    assert!(bench.run(), "{} cannot copy at all", tool.name());
    bench.user().renumber("Odd", "Aside").expect("renumbered");
    bench.conclude(false)
}

fn renumbered(tool: Tool, _: u64) -> Figures {
    let bench = copied(tool, 100);
    bench.user().renumber("Archive/2019", "Aside").expect("renumbered");
    deliver(&mut bench.user(), "Archive/2019", 1_000..1_010);
    bench.conclude(false)
}

/// The earlier edition stays on the target, as both are asked to leave it there; the later one must arrive.
fn edited_draft(tool: Tool, _: u64) -> Figures {
    let bench = Bench::start(tool);
    let mut user = bench.user();
    user.create("Drafts").expect("created");
    let draft = |words: &str| format!("Message-ID: <draft@x.example>\r\nSubject: draft\r\n\r\n{words}\r\n");
    user.append("Drafts", &["\\Draft"], Some(DATE), draft("first words").as_bytes()).expect("appended");
    assert!(bench.run(), "{} cannot copy at all", tool.name());
    user.append("Drafts", &["\\Draft"], Some(DATE), draft("other words").as_bytes()).expect("appended");
    user.select("Drafts").expect("selected");
    user.uid_expunge("1").expect("expunged");
    bench.conclude(true)
}

fn filled(tool: Tool, messages: u32) -> Bench {
    let bench = Bench::start(tool);
    let mut user = bench.user();
    for mailbox in MAILBOXES {
        if mailbox != "INBOX" {
            user.create(mailbox).expect("created");
        }
        deliver(&mut user, mailbox, 0..messages);
    }
    bench
}

fn copied(tool: Tool, messages: u32) -> Bench {
    let bench = filled(tool, messages);
    assert!(bench.run(), "{} cannot copy at all", tool.name());
    bench
}

/// Plain mail: each with a Message-ID of its own, no keywords.
fn deliver(user: &mut Client, mailbox: &str, numbers: Range<u32>) {
    let text = |number: u32| {
        let filler = "All work and no play makes Jack a dull boy.\r\n".repeat(1 + number as usize * 7 % 60);
        let id = format!("{number}.{}", mailbox.len());
        format!("From: a@x.example\r\nMessage-ID: <{id}@x.example>\r\nSubject: {id}\r\n\r\nnumber {id}\r\n{filler}")
    };
    append(user, mailbox, &numbers.map(text).collect::<Vec<_>>());
}

/// Ten with one Message-ID and other contents, ten without any, five pairs of twins.
fn deliver_odd(user: &mut Client) {
    user.create("Odd").expect("created");
    let mut texts = Vec::new();
    for number in 0..10 {
        texts.push(format!("Message-ID: <one@x.example>\r\nSubject: same\r\n\r\nnumber {number}\r\n"));
        texts.push(format!("Subject: without\r\n\r\nnumber {number}\r\n"));
        let twin = number / 2;
        texts.push(format!("Message-ID: <twin-{twin}@x.example>\r\nSubject: twin\r\n\r\ntwin {twin}\r\n"));
    }
    append(user, "Odd", &texts);
}

fn append(user: &mut Client, mailbox: &str, texts: &[String]) {
    let flags = ["\\Seen".to_owned(), "\\Flagged".to_owned()];
    for part in texts.chunks(100) {
        let outgoing = part.iter().map(|text| Outgoing {
            flags: &flags[..text.len() % 3],
            date: Some(DATE),
            octets: text.as_bytes(),
        });
        user.append_all(mailbox, &outgoing.collect::<Vec<_>>()).expect("the source takes mail");
    }
}

fn forget(bench: &Bench) {
    std::fs::remove_dir_all(bench.state()).expect("the state can be removed");
    std::fs::create_dir(bench.state()).expect("its folder");
}

/// Any file with something in it, of those that the tool keeps.
fn a_state_file(bench: &Bench, dice: &mut Dice) -> (std::path::PathBuf, Vec<u8>) {
    let entries = std::fs::read_dir(bench.state()).expect("the tool keeps something");
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let octets = std::fs::read(&path).ok().filter(|octets| !octets.is_empty())?;
            Some((path, octets))
        })
        .collect();
    files.sort();
    let place = dice.below(files.len());
    files.swap_remove(place)
}

fn copy_tree(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp is there");
    assert!(done.success(), "{} cannot be copied", from.display());
}
