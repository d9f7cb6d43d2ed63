//! Random histories of both sides with passes between them, judged by a model that shares no code with the copier.
//!
//! `make histories` plays thousands (`HISTORIES=n` says how many, `HISTORY_FIRST=n` from which seed on, `HISTORY_SEED=n` plays
//! one again); row 17 of `make prove` plays hundreds.

use mailhaul_proving::histories::{Command, Library};
use mailhaul_testing::histories::{
    AtSource, AtTarget, Copier, Crowd, Deleting, Disturbance, Flagging, History, Kinds, Offers, Policy, Servers,
    Setting, Step, play,
};
use mailhaul_testing::{Client, Offer};

/// Histories of a long one, unless `HISTORIES` says otherwise.
const LONG: u64 = 3_000;
/// Histories at once: most of the time goes in waits after disturbances.
const PLAYERS: usize = 16;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What the copier cannot do yet.
const UNFINISHED: &str = "";

/// `HISTORY_WITHOUT=renames,ground` leaves kinds of steps out, to look at the others.
fn kinds() -> Kinds {
    Kinds::without(&std::env::var("HISTORY_WITHOUT").unwrap_or_else(|_| UNFINISHED.to_owned()))
}

#[test]
#[ignore = "takes a quarter of an hour: make histories"]
#[expect(clippy::print_stderr, reason = "how many there were is what it is run for")]
fn thousands_of_histories_end_as_the_model_says() {
    let first = number("HISTORY_FIRST").unwrap_or(0);
    let many = first..first + number("HISTORIES").unwrap_or(LONG);
    let seeds = number("HISTORY_SEED").map_or(many, |seed| seed..seed + 1);
    let tell = |words: &str| eprintln!("{words}");
    let crowd = Crowd { kinds: kinds(), tell: &tell, ..Crowd::of(seeds, PLAYERS) };
    let summary = crowd.play(&Servers::default(), &|| Box::new(Library::new()));
    assert!(summary.failures.is_empty(), "{summary}");
    // What is not followed to its end proves nothing.
    assert!(summary.undecided.len() as u64 * 50 <= summary.played, "{summary}");
    eprintln!("{summary}");
}

/// The quietest setting.
fn setting() -> Setting {
    let (flags, deletions) = (Flagging::Merge, Deleting::Ignore);
    let policy = Policy { flags, moves: true, deletions, switched: false, accept_source_change: false };
    let offers = Offers { source: Offer::Everything, target: Offer::Everything };
    Setting { policy, offers, costs_count: kinds().costs }
}

/// A copier after which somebody changes the target behind the model's back, once.
struct Meddled<F> {
    passes_before: u32,
    meddle: F,
}

impl<F: Fn(&mut Client)> Copier for Meddled<F> {
    fn pass(&mut self, request: &mailhaul_testing::histories::Request<'_>) -> mailhaul_testing::histories::Told {
        let told = Library::new().pass(request);
        if self.passes_before == 0 {
            let mut client = Client::sign_in(request.target, request.user, request.password).expect("sign in");
            (self.meddle)(&mut client);
        }
        self.passes_before = self.passes_before.wrapping_sub(1);
        told
    }
}

fn deliver(messages: u8) -> Step {
    Step::Source(AtSource::Deliver { into: 0, messages, flags: 1, named: true })
}

/// What the model says of a short history in which somebody meddles with the target after its n-th pass.
fn verdict_on(passes_before: u32, meddle: impl Fn(&mut Client)) -> Option<String> {
    let steps = vec![deliver(3), Step::Pass(None), Step::Target(AtTarget::Delete { of: 0 }), Step::Pass(None)];
    let history = History { seed: 0, setting: setting(), steps };
    play(&history, &Servers::default(), &mut Meddled { passes_before, meddle }).err().map(|failure| failure.kind)
}

#[test]
fn a_target_that_is_not_right_is_noticed_by_the_model() {
    const WRONG: &str = "the target is not what it should be";
    assert_eq!(verdict_on(9, |_| ()), None);
    let doubled = verdict_on(0, |client| {
        client.select("INBOX").expect("select");
        client.copy_to("1", "INBOX").expect("copy");
    });
    assert_eq!(doubled.as_deref(), Some(WRONG));
    let flipped = verdict_on(0, |client| {
        client.select("INBOX").expect("select");
        client.store("2", "+FLAGS", &["\\Flagged"]).expect("store");
    });
    assert_eq!(flipped.as_deref(), Some(WRONG));
    let lost = verdict_on(1, |client| {
        client.select("INBOX").expect("select");
        client.uid_expunge("3").expect("expunge");
    });
    assert_eq!(lost.as_deref(), Some(WRONG));
    let returned = verdict_on(1, |client| {
        // What the owner deletes in this history, as the copier would bring it back.
        let first = mailhaul_testing::histories::Content { serial: 1, edition: 0, named: true };
        client.append("INBOX", &["\\Seen"], Some(&first.date()), &first.octets()).expect("append");
    });
    assert_eq!(returned.as_deref(), Some(WRONG));
    let elsewhere = verdict_on(0, |client| {
        client.select("INBOX").expect("select");
        client.move_to("2", "Trash").expect("move");
    });
    assert_eq!(elsewhere.as_deref(), Some(WRONG));
}

#[test]
fn a_copier_that_is_killed_or_cut_off_makes_up_for_it_in_the_next_pass() {
    for disturbance in [
        Disturbance::Kill { octets: 300 },
        Disturbance::CutTarget { octets: 1_000, to_server: true },
        Disturbance::CutSource { octets: 900 },
    ] {
        let history = History { seed: 0, setting: setting(), steps: vec![deliver(8), Step::Pass(Some(disturbance))] };
        let played = play(&history, &Servers::default(), &mut Command);
        assert!(played.is_ok(), "{}", played.err().map_or_else(String::new, |failure| failure.to_string()));
    }
}
