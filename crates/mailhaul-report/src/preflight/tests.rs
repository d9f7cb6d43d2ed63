//! Verdicts, totals, changes, the estimate, and the texts that say so.

use super::*;
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr;

fn account(messages: u64, bytes: u64) -> AccountPreflight {
    let mailbox = PreflightMailbox {
        source: "INBOX".into(),
        target: Some("INBOX".into()),
        messages,
        bytes: Some(bytes),
        to_copy_messages: messages,
        to_copy_bytes: bytes,
        ..PreflightMailbox::default()
    };
    let source = SidePreflight { passed: vec![PreflightStep::Counts], ..SidePreflight::default() };
    AccountPreflight { source, mailboxes: vec![mailbox], ..AccountPreflight::default() }
}

fn block(kind: BlockKind, side: Option<Side>, words: &str) -> Block {
    Block {
        kind,
        side,
        step: PreflightStep::SignIn,
        words: words.into(),
        server_words: Some("NO".into()),
        retry_after_ms: Some(5),
        hint: "mend it".into(),
    }
}

fn blocked(kind: BlockKind) -> AccountPreflight {
    AccountPreflight { blocks: vec![block(kind, Some(Side::Target), "refused")], ..AccountPreflight::default() }
}

fn remarked(kind: RemarkKind) -> AccountPreflight {
    let remark =
        PreflightRemark { kind, side: None, mailbox: Some("a\u{202e}b".into()), text: "so \u{1b}[2J it is".into() };
    AccountPreflight { remarks: vec![remark], ..account(1, 1) }
}

fn wave(accounts: Vec<(&str, AccountPreflight)>) -> WavePreflight {
    let accounts = accounts.into_iter().map(|(name, found)| (name.to_owned(), found)).collect();
    WavePreflight::new(accounts, &BTreeMap::new(), &EstimateLimits::default())
}

#[test]
fn what_is_in_the_way_decides_and_mere_information_does_not() {
    assert_eq!(account(1, 1).verdict(), PreflightVerdict::Ready);
    assert_eq!(remarked(RemarkKind::Extension).verdict(), PreflightVerdict::Ready);
    assert_eq!(remarked(RemarkKind::TooLarge).verdict(), PreflightVerdict::Remarks);
    assert_eq!(blocked(BlockKind::Network).verdict(), PreflightVerdict::Blocked);
}

#[test]
fn a_look_is_repeated_only_if_nothing_but_passing_trouble_was_met() {
    assert!(!account(1, 1).is_to_be_repeated());
    assert!(blocked(BlockKind::Throttle).is_to_be_repeated());
    let mut both = blocked(BlockKind::Network);
    both.blocks.push(block(BlockKind::SignIn, Some(Side::Source), "wrong"));
    assert!(!both.is_to_be_repeated());
    assert_eq!(both.gravest_block().map(|block| block.kind), Some(BlockKind::SignIn));
}

#[test]
fn an_account_is_read_back_as_it_was_written_also_from_other_versions() {
    let mut found = remarked(RemarkKind::CappedView);
    found.blocks.push(block(BlockKind::Decision, None, "no"));
    found.quotas.push(QuotaLine {
        root: "User".into(),
        bytes: Some(Room { used: 1, limit: u64::MAX }),
        messages: None,
    });
    let mut json = found.to_json();
    assert_eq!((&json["verdict"], &json["to_copy_messages"]), (&"blocked".into(), &1.into()));
    json["of a later version"] = 5.into();
    assert_eq!(AccountPreflight::from_json(json).expect("readable"), found);
    let sparse = serde_json::json!({ "blocks": [{ "kind": "tls", "step": "tls", "words": "w" }] });
    let sparse = AccountPreflight::from_json(sparse).expect("readable");
    assert_eq!((sparse.blocks[0].side, sparse.verdict()), (None, PreflightVerdict::Blocked));
    assert!(AccountPreflight::from_json(serde_json::json!({ "blocks": 5 })).is_err());
}

#[test]
fn the_text_of_an_account_says_what_was_found_and_steers_no_terminal() {
    let mut found = remarked(RemarkKind::NameChanged);
    found.source.host = "old\u{7}.example".into();
    found.mailboxes.push(PreflightMailbox {
        source: "日本語".into(),
        target: Some("日本語".into()),
        creates: true,
        to_copy_messages: 1_234,
        too_large_messages: 2,
        ..PreflightMailbox::default()
    });
    found.mailboxes.push(PreflightMailbox { source: "Spam".into(), messages: 9, ..PreflightMailbox::default() });
    let text = found.to_text();
    assert!(!text.contains(|character: char| character.is_control() && character != '\n'), "{text:?}");
    assert!(!text.contains('\u{202e}') && text.contains("(left out)") && text.contains("new, 2 too large"), "{text}");
    assert!(text.ends_with("ready with remarks: 1 message (1 B) in 2 mailboxes at the source, 1,235 (1 B) to copy\n"));
    let text = blocked(BlockKind::SignIn).to_text();
    assert!(text.contains("blocked: target: sign in: refused\nhint: mend it\n"), "{text}");
    assert!(text.ends_with("\nblocked: nothing was counted\n"), "{text}");
    let text = blocked(BlockKind::Network).to_text();
    assert!(text.ends_with("\nblocked for now: nothing was counted; look again later\n"), "{text}");
}

#[test]
fn a_wave_counts_every_account_once_and_shows_the_blocked_ones_first() {
    let wave = wave(vec![
        ("anna", account(10, 1_000)),
        ("bert", remarked(RemarkKind::TooLarge)),
        ("日本", blocked(BlockKind::Network)),
        ("dora", blocked(BlockKind::SignIn)),
    ]);
    let counts = wave.counts();
    assert_eq!((counts.ready, counts.remarks, counts.blocked, counts.repeat, counts.counted), (1, 1, 2, 1, 2));
    assert_eq!((counts.messages, counts.bytes, counts.to_copy_messages), (11, 1_001, 11));
    let names: Vec<&str> = wave.accounts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["dora", "日本", "bert", "anna"]);
    let text = wave.to_text();
    assert!(text.contains("sign-in at the target: 1 account\n"), "{text}");
    assert!(text.contains("not reached at the target: 1 account; may pass by itself\n"), "{text}");
    assert!(text.contains("messages too large: 1 account\n"), "{text}");
    assert!(text.contains("4 accounts: 1 ready, 1 ready with remarks, 2 blocked (1 of them may pass"), "{text}");
    let rows: Vec<&str> = text.lines().take(5).collect();
    let place = |row: &str| row.find("blocked").or_else(|| row.find("ready")).map(|at| row[..at].width());
    assert!(rows[1..].iter().all(|row| place(row) == place(rows[1])), "{text}");
    assert_eq!(wave.to_json()["accounts"][0]["account"], "dora");
    assert_eq!(wave.to_json()["counts"]["blocked"], 2);
}

#[test]
fn a_second_look_says_what_changed() {
    let before: BTreeMap<String, AccountPreflight> = [
        ("same", account(5, 50)),
        ("grown", account(5, 50)),
        ("shrunk", account(5, 50)),
        ("broke", account(5, 50)),
        ("mended", blocked(BlockKind::SignIn)),
        ("still", blocked(BlockKind::SignIn)),
        ("other", blocked(BlockKind::SignIn)),
        ("gone", account(5, 50)),
    ]
    .map(|(name, found)| (name.to_owned(), found))
    .into();
    let now = [
        ("same", account(5, 50)),
        ("grown", account(6, 70)),
        ("shrunk", account(5, 40)),
        ("broke", blocked(BlockKind::SignIn)),
        ("mended", account(5, 50)),
        ("still", blocked(BlockKind::SignIn)),
        ("other", blocked(BlockKind::Quota)),
        ("new", account(5, 50)),
    ];
    let now: Vec<_> = now.into_iter().map(|(name, found)| (name.to_owned(), found)).collect();
    let wave = WavePreflight::new(now.clone(), &before, &EstimateLimits::default());
    let changes: Vec<_> = wave.changes.iter().map(|change| (change.account.as_str(), change.kind)).collect();
    let expected = [
        ("broke", ChangeKind::BlockedNow),
        ("mended", ChangeKind::ReadyNow),
        ("other", ChangeKind::OtherBlock),
        ("grown", ChangeKind::Grown),
        ("shrunk", ChangeKind::Shrunk),
        ("new", ChangeKind::New),
        ("gone", ChangeKind::Gone),
    ];
    assert_eq!(changes, expected);
    let text = wave.to_text();
    assert!(text.contains("    broke: was ready, now blocked: refused\n"), "{text}");
    assert!(text.contains("    grown: had 5 messages (50 B), now 6 messages (70 B)\n"), "{text}");
    assert!(WavePreflight::new(now, &BTreeMap::new(), &EstimateLimits::default()).changes.is_empty());
}

#[test]
fn the_estimate_names_what_the_wave_waits_for() {
    let rate =
        ConnectionRate { messages_per_second: 10.0, bytes_per_second: 1_000.0, mailbox_seconds: 0.0, measured: true };
    let per_mailbox = ConnectionRate { mailbox_seconds: 5.0, ..rate };
    let plain = EstimateLimits { connections: 4, rate, ..EstimateLimits::default() };
    let even: Vec<_> = (0..8).map(|number| (number.to_string(), account(100, 10_000))).collect();
    let uneven = vec![("large".to_owned(), account(100, 100_000)), ("small".to_owned(), account(1, 1))];
    let day = 86_400.0;
    for (accounts, limits, seconds, bottleneck) in [
        // Eight accounts of 10 s and 10 s, four at once.
        (&even, plain, 40.0, Bottleneck::Connections),
        (&even, EstimateLimits { rate: per_mailbox, ..plain }, 50.0, Bottleneck::Connections),
        (&uneven, plain, 110.0, Bottleneck::LargestAccount),
        (&even, EstimateLimits { bytes_per_second: Some(400), ..plain }, 200.0, Bottleneck::BytesPerSecond),
        (&even, EstimateLimits { messages_per_second: Some(8), ..plain }, 100.0, Bottleneck::MessagesPerSecond),
        (&even, EstimateLimits { account_bytes_per_second: Some(50), ..plain }, 400.0, Bottleneck::Connections),
        (
            &uneven,
            EstimateLimits { account_bytes_per_day: Some(30_000), ..plain },
            3.0 * day,
            Bottleneck::DailyAllowance,
        ),
        (&even, EstimateLimits { window_hours_per_week: Some(42.0), ..plain }, 160.0, Bottleneck::Connections),
        (&vec![], plain, 0.0, Bottleneck::Nothing),
        (&vec![("a".to_owned(), blocked(BlockKind::Tls))], plain, 0.0, Bottleneck::Nothing),
    ] {
        let estimate = Estimate::of(accounts, &limits);
        assert_eq!(estimate.bottleneck, bottleneck, "{estimate:?}");
        assert!((estimate.seconds - seconds).abs() < 0.001, "{estimate:?}");
    }
}

#[test]
fn the_estimate_is_a_sentence_with_what_was_reckoned_with() {
    let limits = EstimateLimits {
        account_bytes_per_day: Some(1 << 30),
        window_hours_per_week: Some(60.0),
        ..EstimateLimits::default()
    };
    let accounts = vec![("an\u{1b}na".to_owned(), account(10, 4 << 30))];
    let text = Estimate::of(&accounts, &limits).to_text();
    assert_eq!(
        text,
        "about 3 days 0 h from start to end; it waits for the allowance of 1.0 GiB a day, for an\\u{1b}na\n\
         (assumed: 100 messages and 4.0 MiB a second on each connection; work is allowed for 60 of 168 hours a week)"
    );
    assert!(Estimate::of(&[], &limits).to_text().starts_with("nothing is left"));
    let limits = EstimateLimits { connections: 1, window_hours_per_week: Some(0.0), ..EstimateLimits::default() };
    assert!(Estimate::of(&accounts, &limits).seconds.is_finite());
}
