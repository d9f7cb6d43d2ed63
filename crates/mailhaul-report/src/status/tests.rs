//! The status screen and its JSON.

use super::*;

fn count(standing: Standing, state: &str, reason: Option<&str>, words: &str, accounts: u64) -> StateCount {
    let (state, reason, words) = (state.to_owned(), reason.map(str::to_owned), words.to_owned());
    StateCount { standing, state, reason, words, until_unix_secs: None, accounts }
}

fn busy() -> WaveStatus {
    let now_unix_secs = 1_795_362_069;
    WaveStatus {
        wave: Some("staff".to_owned()),
        now_unix_secs,
        accounts: 500,
        states: vec![
            count(Standing::Waiting, "queued", None, "20 of 20 connections to old.example are in use.", 93),
            count(Standing::Waiting, "waiting", Some("back_off"), "The next try is at 16:25.", 3),
            count(Standing::Running, "running", None, "", 20),
            count(Standing::Done, "done", None, "", 380),
            count(Standing::Attention, "waiting", Some("credentials"), "Correct the passwords, then retry.", 2),
            count(Standing::Attention, "failed", Some("protocol"), "", 1),
            count(Standing::Stopped, "paused", None, "", 1),
            count(Standing::Stopped, "cancelled", None, "", 0),
        ],
        messages: Done { done: 15_432, expected: Some(20_000) },
        bytes: Done { done: 60 << 20, expected: Some(80 << 20) },
        messages_per_second: 412.3,
        bytes_per_second: 2 << 20,
        finish: Finish::At { unix_secs: now_unix_secs + 7_620, brake: FinishBrake::Windows },
        workers: 2,
        running: (1..=10)
            .map(|number| RunningLine {
                account: format!("u{number:04}"),
                kind: "bulk".to_owned(),
                doing: "Archive/2019".to_owned(),
                messages: Done { done: 12, expected: Some(40) },
                bytes_per_second: 100_000,
                seconds: 75,
            })
            .collect(),
        problems: vec![Problem {
            unix_secs: now_unix_secs - 90,
            account: "u0007".to_owned(),
            words: "sign in at old.example: \"NO [AUTHENTICATIONFAILED] no\"".to_owned(),
            hint: "correct the password, then `mailhaul retry --account u0007`".to_owned(),
        }],
        ..WaveStatus::default()
    }
}

#[test]
fn one_screen_says_everything_in_its_order() {
    let text = busy().to_text();
    assert!(text.lines().count() <= 40, "{text}");
    let places: Vec<usize> = [
        "wave staff, 500 accounts, 2026-11-22 15:41 UTC, 2 processes at work\n",
        "accounts  96 waiting, 20 running, 380 done, 3 attention, 1 stopped\n",
        "waiting (back_off)",
        "messages  15,432 of 20,000 (77%), known so far\n",
        "size      60.0 MiB of 80.0 MiB (75%)\n",
        "rate      2.0 MiB/s, 412 messages/s\n",
        "finish    about 2026-11-22 17:48 UTC, in 2 h 07 min; it waits for the hours in which work is allowed\n",
        "12/40  97.7 KiB/s  1 min  Archive/2019\n",
        "  and 2 more\n",
        "last problems\n  1 min ago  u0007: sign in at old.example",
        "    hint: correct the password",
    ]
    .iter()
    .map(|part| text.find(part).unwrap_or_else(|| panic!("{part:?} is not in\n{text}")))
    .collect();
    assert!(places.is_sorted(), "{text}");
    assert!(!text.contains("cancelled"), "a state that nothing is in takes no line: {text}");
}

#[test]
fn json_has_the_same_numbers() {
    let json = busy().to_json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["summary"]["waiting"], 96);
    assert_eq!(json["summary"]["attention"], 3);
    assert_eq!(json["states"][4]["reason"], "credentials");
    assert_eq!(json["finish"]["waits_for"], "windows");
    assert_eq!(json["finish"]["time"], "2026-11-22T17:48:09Z");
    assert_eq!(json["problems"][0]["time"], "2026-11-22T15:39:39Z");
    assert_eq!(json["messages"]["expected"], 20_000);
}

#[test]
fn nothing_is_promised_that_is_not_known() {
    let status = WaveStatus::default();
    let text = status.to_text();
    assert!(text.starts_with("all waves, 0 accounts, "), "{text}");
    assert!(text.contains("nobody is working on it"), "{text}");
    assert!(text.contains("0 done, of a number that is not known yet"), "{text}");
    assert!(text.contains("finish    not known"), "{text}");
    assert!(!text.contains("rate  "), "{text}");
}

#[test]
fn all_is_only_said_when_it_is_all() {
    let nearly = WaveStatus { messages: Done { done: 19_999, expected: Some(20_000) }, ..busy() };
    assert!(nearly.to_text().contains("19,999 of 20,000 (99%)"));
    let more = WaveStatus { messages: Done { done: 20_001, expected: Some(20_000) }, ..busy() };
    assert!(more.to_text().contains("(100%)"));
    assert_eq!(more.messages.left(), Some(0));
}

#[test]
fn strangers_words_cannot_steer_the_terminal() {
    let mut status = busy();
    status.wave = Some("a\u{1b}[2J".to_owned());
    status.running[0].doing = "mail\rbox\u{202e}".to_owned();
    status.running[0].account = "u\n1".to_owned();
    status.problems[0].words = "NO \u{1b}]0;title\u{7}\nfake line".to_owned();
    let text = status.to_text();
    let dangerous = |character: char| character.is_control() && character != '\n' || character == '\u{202e}';
    assert!(!text.contains(dangerous), "{text:?}");
    assert!(!text.contains("\nfake line"), "{text}");
}

#[test]
fn what_has_nothing_to_say_takes_no_line() {
    let text = WaveStatus { accounts: 12, not_begun: 12, ..WaveStatus::default() }.to_text();
    assert!(!text.contains("\n\n\n"), "{text}");
    assert!(text.contains("0 stopped, 12 not begun\n"), "{text}");
    assert!(text.contains("12  Nothing was copied yet"), "{text}");
}

#[test]
fn a_host_that_rests_is_named_with_why_and_until() {
    let mut status = busy();
    status.states[1].until_unix_secs = Some(status.now_unix_secs + 60);
    status.resting.push(RestingHost {
        host: "127.0.0.1".to_owned(),
        why: "cannot be reached".to_owned(),
        words: "connect: connection refused".to_owned(),
        until_unix_secs: status.now_unix_secs + 7,
    });
    let text = status.to_text();
    let line = "127.0.0.1 cannot be reached, next try 15:41 UTC, in 7 s: connect: connection refused\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("Next at 15:42 UTC, in 1 min."), "{text}");
    assert_eq!(status.to_json()["resting_hosts"][0]["host"], "127.0.0.1");
}
