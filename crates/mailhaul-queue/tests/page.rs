//! The page that describes the states uses exactly the words of the enums, and says what the state function does.

use mailhaul_queue::{
    Event, FailureClass, JobState, Outcome, Reaction, RetryPolicy, Standing, Summary, WaitReason, Wanted, Yield, apply,
};
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/reference/job-states.md");

/// The lines from a heading to the next one.
fn section(heading: &str) -> impl Iterator<Item = &'static str> {
    let mut lines =
        PAGE.lines().skip_while(move |line| line.trim_start_matches('#').trim() != heading).skip(1).peekable();
    assert!(lines.peek().is_some(), "the page has no heading {heading}");
    lines.take_while(|line| !line.starts_with('#'))
}

/// The cells of the table under a heading, without its head.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let rows = section(heading).filter(|line| line.starts_with('|')).skip(2);
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The first cells of a table: words between backticks.
fn words(heading: &str) -> Vec<&'static str> {
    rows(heading).iter().map(|row| row[0].trim_matches('`')).collect()
}

#[test]
fn tables_list_the_words_of_the_enums_in_their_order() {
    assert_eq!(words("States"), JobState::WORDS);
    assert_eq!(words("Events"), Event::WORDS);
    assert_eq!(words("Reasons to wait"), WaitReason::ALL.iter().map(|reason| reason.word()).collect::<Vec<_>>());
    assert_eq!(words("Classes of failure"), FailureClass::ALL.iter().map(|class| class.word()).collect::<Vec<_>>());
    assert_eq!(words("In one word"), Summary::ALL.iter().map(|summary| summary.word()).collect::<Vec<_>>());
    let outcomes = [
        Outcome::Done,
        Outcome::DoneWithExceptions,
        Outcome::Failed { class: FailureClass::Tls, retry_after: None },
        Outcome::Yielded(Yield::Shutdown),
    ];
    assert_eq!(words("How attempts end"), outcomes.map(|outcome| outcome.word()));
}

#[test]
fn what_stands_between_backticks_is_a_word() {
    let known = JobState::WORDS
        .into_iter()
        .chain(Event::WORDS)
        .chain(Wanted::WORDS)
        .chain(WaitReason::ALL.iter().map(|reason| reason.word()))
        .chain(FailureClass::ALL.iter().map(|class| class.word()))
        .chain(Summary::ALL.iter().map(|summary| summary.word()))
        .chain(["yielded"])
        .collect::<BTreeSet<_>>();
    let text = PAGE.lines().filter(|line| !line.starts_with("```")).collect::<Vec<_>>().join("\n");
    let said = text.split('`').skip(1).step_by(2).collect::<BTreeSet<_>>();
    assert_eq!(said.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn the_picture_draws_states_and_events_by_their_words() {
    let arrows = section("The picture").filter_map(|line| line.trim().split_once(" --> "));
    let mut drawn = BTreeSet::new();
    for (from, rest) in arrows {
        let (to, label) = rest.split_once(": ").unwrap_or((rest, ""));
        drawn.extend([from, to]);
        for event in label.split(", ").filter(|label| !label.is_empty()) {
            let word = event.trim_start_matches("then ").split(' ').next().unwrap_or_default();
            assert!(Event::WORDS.contains(&word), "{word}");
        }
    }
    drawn.remove("[*]");
    assert_eq!(drawn, JobState::WORDS.into_iter().collect());
}

#[test]
fn the_column_for_what_is_over_is_true() {
    for row in rows("States") {
        let word = row[0].trim_matches('`');
        let until_unix_ms = Some(1);
        let state = JobState::from_columns(word, Some(WaitReason::BackOff), until_unix_ms, Some(FailureClass::Tls));
        let state = state.expect(word);
        assert_eq!(row[2] == "yes", state.is_terminal(), "{word}");
        assert!(row[3].starts_with(&format!("`{}`", state.summary().word())), "{word}");
    }
}

#[test]
fn the_columns_about_failures_are_true() {
    let policy = RetryPolicy::default();
    for row in rows("Classes of failure") {
        let class = FailureClass::from_word(row[0].trim_matches('`')).expect(row[0]);
        let running = Standing { state: JobState::Running, ..Standing::queued() };
        let event = Event::End(Outcome::Failed { class, retry_after: None });
        let next = apply(&running, &event, &policy, 0, 1.0).expect("a running job ends");
        assert_eq!(row[3] == "yes", next.attempts_charged == 1, "{}", row[0]);
        let leads_to = match next.state {
            JobState::Waiting { reason, .. } => reason.word(),
            state => state.word(),
        };
        assert!(row[2].starts_with(&format!("`{leads_to}`")), "{}: {leads_to}", row[0]);
        if let Reaction::BackOff(class) = policy.reaction(class) {
            let (base, cap) = (class.base.as_secs(), class.cap.as_secs() / 60);
            let most = class.attempts_max.expect("all have a ceiling");
            assert!(row[2].contains(&format!("from {base} s to {cap} min")), "{}", row[0]);
            assert!(row[2].contains(&format!("at the {most}")), "{}", row[0]);
        }
    }
}
