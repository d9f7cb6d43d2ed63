//! The report of a wave: sums, verdicts, and what strangers' text can do in each form of it.

use super::*;
use crate::{Exception, ExceptionState, MailboxLine, Remark};

fn counts(source: u64, copied: u64) -> Counts {
    Counts { source, copied, ..Counts::default() }
}

fn done(account: &str, messages: Counts) -> AccountLine {
    AccountLine {
        account: account.to_owned(),
        source: format!("{account} at old.example"),
        target: format!("{account} at new.example"),
        standing: Standing::Done,
        state: "done".to_owned(),
        messages: Some(messages),
        bytes: 4096,
        seconds: 1.5,
        attempts: 1,
        ..AccountLine::default()
    }
}

fn wave(accounts: Vec<AccountLine>) -> WaveReport {
    WaveReport {
        wave: "staff".to_owned(),
        accounts,
        started_unix_secs: Some(1_795_300_000),
        finished_unix_secs: Some(1_795_362_069),
        made_unix_secs: 1_795_362_100,
        made_by: "mailhaul 0.1.0".to_owned(),
    }
}

fn exception(mailbox: &str, reason: &str) -> Exception {
    let state = ExceptionState::Refused;
    Exception { mailbox: mailbox.to_owned(), uid: Some(7), state, reason: reason.to_owned() }
}

#[test]
fn a_wave_is_complete_when_every_account_is() {
    let good = Counts { source: 10, copied: 5, adopted: 2, skipped: 2, gone: 1, ..Counts::default() };
    let report = wave(vec![done("alice", good), done("bob", counts(3, 3))]);
    assert_eq!(report.verdict(), WaveVerdict::Complete);
    assert!(report.to_text().ends_with("complete: every message of 2 accounts is accounted for\n"));
    assert!(
        report
            .to_text()
            .contains("13 at the source = 8 copied + 2 adopted + 2 skipped + 1 gone (8.0 KiB copied in 3.0 s of work)")
    );
    assert_eq!(wave(Vec::new()).verdict(), WaveVerdict::Unfinished);
}

#[test]
fn one_account_decides_the_verdict_of_the_wave() {
    let with = |change: fn(&mut AccountLine)| {
        let mut line = done("carla", counts(4, 4));
        change(&mut line);
        let account = line.verdict();
        (account, wave(vec![done("alice", counts(1, 1)), line]).verdict())
    };
    let refused = |line: &mut AccountLine| line.messages = Some(Counts { source: 5, refused: 1, ..counts(5, 4) });
    assert_eq!(with(refused), (AccountVerdict::Exceptions, WaveVerdict::Exceptions));
    let remaining = |line: &mut AccountLine| line.messages = Some(Counts { remaining: 1, ..counts(5, 4) });
    assert_eq!(with(remaining), (AccountVerdict::Exceptions, WaveVerdict::Exceptions));
    let named = |line: &mut AccountLine| line.exceptions.push(exception("INBOX", "NO"));
    assert_eq!(with(named), (AccountVerdict::Exceptions, WaveVerdict::Exceptions));
    let uncounted = |line: &mut AccountLine| line.messages = None;
    assert_eq!(with(uncounted), (AccountVerdict::Exceptions, WaveVerdict::Exceptions));
    assert_eq!(with(|line| line.standing = Standing::Stopped), (AccountVerdict::Stopped, WaveVerdict::Exceptions));
    assert_eq!(with(|line| line.standing = Standing::Attention), (AccountVerdict::Attention, WaveVerdict::Attention));
    assert_eq!(with(|line| line.standing = Standing::Running), (AccountVerdict::Unfinished, WaveVerdict::Unfinished));
    assert_eq!(with(|line| line.standing = Standing::Waiting), (AccountVerdict::Unfinished, WaveVerdict::Unfinished));
    let wrong = |line: &mut AccountLine| line.messages = Some(counts(5, 4));
    assert_eq!(with(wrong), (AccountVerdict::Exceptions, WaveVerdict::DoesNotAddUp));
}

#[test]
fn every_contradiction_is_said_loudly_and_by_name_in_every_form() {
    let mailbox = |messages: Counts| MailboxLine {
        source: "Archive/2019".to_owned(),
        target: Some("Archive/2019".to_owned()),
        messages,
        ..MailboxLine::default()
    };
    let mut wrong_mailbox = done("alice", counts(5, 5));
    wrong_mailbox.mailboxes = vec![mailbox(counts(5, 4))];
    let mut wrong_parts = done("bob", counts(5, 5));
    wrong_parts.mailboxes = vec![mailbox(counts(4, 4))];
    let wrong_account = done("carla", Counts { remaining: 2, ..counts(5, 4) });
    let mut other_columns = done("dieter", counts(5, 5));
    other_columns.mailboxes = vec![mailbox(Counts { adopted: 1, ..counts(5, 4) })];
    for (line, words) in [
        (wrong_mailbox, "5 messages at the source, but the columns come to 4 together."),
        (wrong_parts, "The account counts 5 source messages, its mailboxes 4 together."),
        (other_columns, "together count 5 source messages, but in different columns."),
        (wrong_account, "5 messages at the source, but the columns come to 6 together."),
    ] {
        let name = line.account.clone();
        let report = wave(vec![done("zoe", counts(1, 1)), line]);
        assert_eq!(report.verdict(), WaveVerdict::DoesNotAddUp, "{name}");
        let imbalances = report.imbalances();
        assert!(imbalances.iter().all(|imbalance| imbalance.account == name), "{imbalances:?}");
        let (text, json, html, csv) = (report.to_text(), report.to_json(), report.to_html(), report.to_csv());
        assert!(text.contains("THE NUMBERS DO NOT ADD UP") && text.contains(words), "{text}");
        assert!(text.lines().last().is_some_and(|line| line.starts_with("does not add up: ")), "{text}");
        assert_eq!(json["adds_up"], false);
        assert_eq!(json["verdict"], "does_not_add_up");
        assert!(html.contains("These numbers contradict each other.") && html.contains(words), "{html}");
        assert!(csv.lines().any(|line| line.starts_with(&name) && line.contains(",NO,")), "{csv}");
    }
}

#[test]
fn a_target_with_less_mail_than_was_delivered_is_an_exception_with_a_name() {
    let mut line = done("alice", counts(5, 5));
    line.target_messages = Some(4);
    let report = wave(vec![line]);
    assert_eq!((report.verdict(), report.adds_up()), (WaveVerdict::Exceptions, true));
    let words = "5 messages were delivered, but 4 on the target when it was counted";
    assert!(report.to_text().contains(words) && report.to_html().contains(words));
    assert_eq!(report.to_json()["imbalances"][0]["kind"], "target");
}

#[test]
fn a_target_with_more_mail_than_was_delivered_is_nobodys_mistake() {
    let mut line = done("alice", counts(5, 5));
    line.target_messages = Some(9);
    assert_eq!(wave(vec![line]).verdict(), WaveVerdict::Complete);
}

#[test]
fn sums_over_accounts_hold_in_json() {
    let odd = Counts { source: 9, copied: 3, adopted: 1, refused: 2, unreadable: 1, remaining: 2, ..Counts::default() };
    let mut unknown = done("bob", counts(0, 0));
    unknown.messages = None;
    unknown.standing = Standing::Attention;
    let json = wave(vec![done("alice", odd), unknown, done("carla", counts(4, 4))]).to_json();
    let totals = json["totals"]["messages"].as_object().expect("an object");
    let sum: u64 = totals.iter().filter(|(name, _)| *name != "source").filter_map(|(_, number)| number.as_u64()).sum();
    assert_eq!((Some(sum), sum), (totals["source"].as_u64(), 13));
    assert_eq!((&json["totals"]["uncounted"], &json["totals"]["accounts"]), (&json!(1), &json!(3)));
    assert_eq!(json["accounts"][1]["messages"], Value::Null);
    assert_eq!(json["accounts"][0]["verdict"], "exceptions");
    assert_eq!(json["finished"], "2026-11-22T15:41:09Z");
    assert_eq!(json["schema"], 1);
}

#[test]
fn what_went_wrong_is_told_in_the_servers_words() {
    let mut line = done("alice", Counts { refused: 1, ..counts(3, 2) });
    line.state = "waiting (quota)".to_owned();
    line.standing = Standing::Attention;
    line.attempts = 3;
    line.last_words = Some("append: \"NO [OVERQUOTA] full\"".to_owned());
    line.exceptions = (0..7).map(|_| exception("Sent", "NO [LIMIT] too large")).collect();
    line.remarks = vec![Remark { mailbox: Some("Sent".to_owned()), text: "was renamed".to_owned() }];
    let text = wave(vec![line]).to_text();
    assert!(text.contains("alice: waiting (quota), after 3 attempts: append: \"NO [OVERQUOTA] full\"\n"), "{text}");
    assert!(text.contains("alice: remark: Sent: was renamed\n"), "{text}");
    assert!(text.contains("alice: refused: Sent uid 7: NO [LIMIT] too large\n"), "{text}");
    assert!(text.contains("alice: and 2 exceptions more"), "{text}");
    assert!(text.ends_with("needs attention: 0 of 1 account complete, 1 needs attention\n"), "{text}");
}

#[test]
fn only_what_is_finished_is_offered_for_signature() {
    let good = wave(vec![done("alice", counts(1, 1))]);
    assert!(good.to_html().contains("for the customer"));
    let mut line = done("bob", counts(1, 1));
    line.standing = Standing::Running;
    let unfinished = wave(vec![done("alice", counts(1, 1)), line]).to_html();
    assert!(!unfinished.contains("for the customer") && unfinished.contains("not for signature"), "{unfinished}");
}

/// What strangers write where a name or a reason is expected.
const PAYLOADS: [&str; 22] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</td></tr></table><h1>Paid</h1>",
    "<!-- ",
    "&lt;b&gt;",
    "&#60;b&#62;",
    "javascript:alert(1)",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    " =cmd|' /C calc'!A0",
    "＝1+1",
    "a,b\"c\r\nd",
    "\u{1b}[2Jgone",
    "\u{202e}gnirts",
    "line\nbreak",
    "\u{0}\u{7f}\u{9b}31m",
];

fn hostile(payload: &str) -> WaveReport {
    let mut line = done(payload, Counts { refused: 1, ..counts(2, 1) });
    line.source = payload.to_owned();
    line.target = payload.to_owned();
    line.state = payload.to_owned();
    line.last_words = Some(payload.to_owned());
    line.exceptions = vec![exception(payload, payload)];
    line.remarks = vec![Remark { mailbox: Some(payload.to_owned()), text: payload.to_owned() }];
    line.mailboxes = vec![MailboxLine {
        source: payload.to_owned(),
        target: Some(payload.to_owned()),
        messages: Counts { refused: 1, ..counts(2, 1) },
        ..MailboxLine::default()
    }];
    // Numbers that do not go together, so that every part of the page is there.
    line.target_messages = Some(0);
    line.mailboxes[0].messages.source = 3;
    WaveReport { wave: payload.to_owned(), made_by: payload.to_owned(), ..wave(vec![line]) }
}

/// The tags of a page, each name with how often it stands there.
fn tags(html: &str) -> std::collections::BTreeMap<String, usize> {
    let mut tags = std::collections::BTreeMap::new();
    for tag in html.split('<').skip(1) {
        let name: String = tag.chars().take_while(|character| !matches!(character, ' ' | '>' | '\n')).collect();
        *tags.entry(name).or_default() += 1;
    }
    tags
}

#[test]
fn no_payload_becomes_a_tag_or_an_attribute() {
    let harmless = hostile("harmless").to_html();
    for payload in PAYLOADS {
        let html = hostile(payload).to_html();
        assert_eq!(tags(&html), tags(&harmless), "{payload:?}");
        assert_eq!(html.matches('"').count(), harmless.matches('"').count(), "{payload:?}");
        let controls = |character: char| character.is_control() && character != '\n' || character == '\u{202e}';
        assert!(!html.contains(controls), "{payload:?}");
    }
}

#[test]
fn the_page_carries_no_script_and_allows_only_its_own_style() {
    let html = wave(vec![done("alice", counts(1, 1))]).to_html();
    let policy = html.split("content=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let style = html.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style sheet");
    use base64::Engine as _;
    use sha2::Digest as _;
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style));
    assert!(policy.contains(&format!("'sha256-{hash}'")), "the hash is that of what stands in the page: {policy}");
    for never in ["<script", "style=", "http://", "https://", "url(", "@import", "javascript"] {
        assert!(!html.contains(never), "{never}");
    }
}

#[test]
fn no_payload_steers_a_terminal() {
    for payload in PAYLOADS {
        let text = hostile(payload).to_text();
        let controls = |character: char| character.is_control() && character != '\n' || character == '\u{202e}';
        assert!(!text.contains(controls), "{payload:?}");
        assert_eq!(text.lines().count(), hostile("harmless").to_text().lines().count(), "{payload:?}");
    }
}

/// Reads CSV as RFC 4180 has it.
fn read_csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    rows
}

#[test]
fn no_cell_of_the_csv_is_computed_and_every_row_has_all_cells() {
    for payload in PAYLOADS {
        let rows = read_csv(&hostile(payload).to_csv());
        assert_eq!(rows.len(), 2, "{payload:?}");
        for row in &rows {
            assert_eq!(row.len(), rows[0].len(), "{payload:?}");
            for cell in row {
                assert!(!cell.trim().starts_with(['=', '+', '-', '@', '＝', '\t', '\r']), "{payload:?}: {cell:?}");
            }
        }
        assert!(rows[1][0].ends_with(&mailhaul_types::escape(payload)), "nothing is left out: {rows:?}");
    }
}

#[test]
fn csv_says_nothing_where_nothing_was_counted() {
    let mut unknown = done("bob", counts(0, 0));
    unknown.messages = None;
    let rows = read_csv(&wave(vec![unknown, done("carla", counts(4, 4))]).to_csv());
    let column = |name: &str| rows[0].iter().position(|cell| cell == name).expect("a column");
    assert_eq!((rows[1][column("source_messages")].as_str(), rows[2][column("source_messages")].as_str()), ("", "4"));
    assert_eq!(rows[2][column("target_messages")], "");
    assert_eq!(rows[2][column("verdict")], "complete");
}

#[test]
fn columns_stay_in_line_with_wide_names() {
    use unicode_width::UnicodeWidthStr;
    let text = wave(vec![done("日本語アカウント", counts(4, 4)), done("al", counts(4, 4))]).to_text();
    let lines: Vec<&str> = text.lines().filter(|line| line.ends_with("KiB")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0].width(), lines[1].width(), "{text}");
}
