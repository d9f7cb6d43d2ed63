//! Row 1: `kill -9` at random moments between real servers.

use crate::{Ask, Ended, Outcome, Row, Scene};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::judge::Rules;
use mailhaul_testing::proxy::{Direction, Event};
use mailhaul_testing::{Corpus, Proxy};
use std::time::Duration;

pub(super) const ROW: Row = Row { number: 1, name: "kill -9 at random moments", play };

/// Kills of one account, until it is copied to its end and judged.
const KILLS_AN_ACCOUNT: u64 = 10;
const USER: &str = "alice";

fn play(ask: &Ask) -> Outcome {
    let mut outcome = Outcome::default();
    let mut seeds = ask.seeds(10, 60, 1_000);
    while let Some(seed) = seeds.next() {
        let kills = 1 + seeds.by_ref().take(usize::try_from(KILLS_AN_ACCOUNT - 1).unwrap_or(0)).count();
        outcome.add(one_account(seed, kills));
    }
    outcome
}

fn one_account(seed: u64, kills: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut dice = Dice::of(seed);
    let repeat = format!("--row 1 --seed {seed} --runs {kills}");
    let scene = Scene::start();
    let mut owner = mailhaul_testing::Client::sign_in(scene.source.address(), USER, scene.source.password())
        .expect("the source lets its owner in");
    Corpus::lively(1_500, 200_000).load(&mut owner).expect("the source takes the corpus");
    for _ in 0..kills {
        kill_once(&scene, &mut dice);
        outcome.runs += 1;
    }
    let last = scene.run(USER, &["--copy-deleted-flag"]);
    if !last.is_complete() {
        outcome.fail(&repeat, format!("the run after the kills ended with {}: {}", last.code, last.stderr));
    }
    outcome.take_in(&repeat, &scene.judge(USER, &names_kept_apart()));
    let before = scene.appends();
    let again = scene.run(USER, &["--copy-deleted-flag"]);
    if !again.is_complete() || scene.appends() != before {
        outcome.fail(&repeat, format!("a run with nothing to do sent APPEND, or ended with {}", again.code));
    }
    outcome
}

/// Names that differ only in case or in how an accent is written stay two mailboxes, of which one gets another name.
fn names_kept_apart() -> Rules {
    Rules::new().map("Case", "Case-2").map("caf\u{e9}", "caf\u{e9}-2")
}

/// Lets a copy come to a random point of what passes one of the proxies, and kills it there.
fn kill_once(scene: &Scene, dice: &mut Dice) {
    let (proxy, direction, span): (&Proxy, _, usize) = dice.one_of(&[
        (&scene.source_proxy, Direction::ToClient, 400_000),
        (&scene.source_proxy, Direction::ToServer, 3_000),
        (&scene.target_proxy, Direction::ToClient, 6_000),
        (&scene.target_proxy, Direction::ToServer, 400_000),
    ]);
    let goal = proxy.statistics().bytes(direction) + dice.below(span) as u64;
    let mut copy = scene.copy(USER, &["--copy-deleted-flag"]).spawn().expect("it can be started");
    let _reached = proxy.wait_at_most(&Event::Bytes(direction, goal), Duration::from_secs(2));
    copy.kill().expect("kill -9");
    let _ = Ended::of(copy);
}
