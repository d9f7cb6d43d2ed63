//! Small pieces that several pages are made of.

use crate::app::Caller;
use mailhaul_report::{Done, Finish, bytes_for_people, moment_for_people, number_for_people};
use mailhaul_types::escape;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Text that came from elsewhere: characters that steer a display become visible; the template escapes the rest.
pub(super) fn said(text: &str) -> String {
    escape(text)
}

/// A sentence of ours in which commands stand between backticks.
pub(super) fn sentence(text: &str) -> Markup {
    let text = said(text);
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The path of a page about something with a name.
pub(super) fn path_of(caller: &Caller, kind: &str, name: &str) -> String {
    caller.path(&format!("/{kind}/{}", utf8_percent_encode(name, NON_ALPHANUMERIC)))
}

/// A moment: in universal time, and by the script in that of whoever looks.
pub(super) fn moment(unix_ms: i64) -> Markup {
    let text = moment_for_people(unix_ms.div_euclid(1_000));
    let machine = format!("{}T{}Z", text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default());
    html! { time datetime=(machine) data-ms=(unix_ms) title=(text) { (text) } }
}

/// A moment, or a dash.
pub(super) fn maybe_moment(unix_ms: Option<i64>) -> Markup {
    match unix_ms {
        Some(at) => moment(at),
        None => html! { span.soft { "–" } },
    }
}

/// How far something is: a bar and a number. What is not counted has no bar that could lie.
pub(super) fn progress(done: Done) -> Markup {
    let Some(tenths) = permille(done) else {
        return html! { span.progress.unknown { svg.bar aria-hidden="true" viewBox="0 0 100 6" preserveAspectRatio="none" {} span.n { "–" } } };
    };
    let percent = format!("{}.{}", tenths / 10, tenths % 10);
    // All is only said when it is all.
    let shown = if tenths == 1_000 { "100 %".to_owned() } else { format!("{percent} %") };
    html! {
        span.progress {
            svg.bar aria-hidden="true" viewBox="0 0 100 6" preserveAspectRatio="none" {
                rect.fill.whole[tenths == 1_000] width=(percent) height="6" {}
            }
            span.n { (shown) }
        }
    }
}

pub(super) fn permille(done: Done) -> Option<u64> {
    let all = done.expected?;
    if all == 0 {
        return Some(1_000);
    }
    Some(u64::try_from(u128::from(done.done.min(all)) * 1_000 / u128::from(all)).unwrap_or(1_000))
}

/// `1,204 of 3,400`, `1,204` where nobody counted the whole.
pub(super) fn of_messages(done: Done) -> String {
    match done.expected {
        Some(all) if all != done.done => format!("{} of {}", number_for_people(done.done), number_for_people(all)),
        _ => number_for_people(done.done),
    }
}

/// The same in octets.
pub(super) fn of_bytes(done: Done) -> String {
    match done.expected {
        Some(all) if all != done.done => format!("{} of {}", bytes_for_people(done.done), bytes_for_people(all)),
        _ => bytes_for_people(done.done),
    }
}

/// One of the five words, or `not begun`, with its sign.
pub(super) fn badge(word: &str, words: &str) -> Markup {
    html! { span class={ "badge s-" (word) } { (words) } }
}

/// `waiting: back off`.
pub(super) fn state_words(state: &str, reason: Option<&str>) -> String {
    let state = state.replace('_', " ");
    match reason {
        Some(reason) => format!("{state}: {}", reason.replace('_', " ")),
        None => state,
    }
}

/// A figure with its name.
pub(super) fn figure(name: &str, value: &Markup, beneath: &Markup) -> Markup {
    html! { div.figure { dt { (name) } dd { (value) } dd.beneath { (beneath) } } }
}

/// When it will be done, in words, and what it waits for.
pub(super) fn finish(finish: Finish, now_unix_secs: i64) -> (Markup, Markup) {
    let words = |text: &str, beneath: &str| (html! { (text) }, html! { (beneath) });
    match finish {
        Finish::At { unix_secs, brake } => {
            let left = unix_secs.saturating_sub(now_unix_secs).max(0).unsigned_abs();
            let beneath = format!("in about {}; waits for {}", about(left), brake.label());
            (html! { (moment(unix_secs.saturating_mul(1_000))) }, html! { (beneath) })
        }
        Finish::Nothing => words("Nothing left", "everything known is there"),
        Finish::Somebody => words("Waits for you", "nothing goes on by itself"),
        Finish::NotMoving => words("Not moving", "there is work, and nothing moves"),
        Finish::NotMeasured => words("Not known yet", "the rate is being measured"),
        Finish::NotCounted => words("Not known yet", "the sources are not counted"),
        Finish::OutOfSight => words("Out of sight", "the allowed hours do not suffice"),
    }
}

/// A length of time, as roughly as it is known.
pub(super) fn about(secs: u64) -> String {
    match secs {
        0..90 => format!("{secs} s"),
        90..5_400 => format!("{} min", (secs + 30) / 60),
        5_400..129_600 => format!("{} h", (secs + 1_800) / 3_600),
        _ => format!("{} days", secs.saturating_add(43_200) / 86_400),
    }
}

/// A button that does one thing to one thing.
pub(super) struct Button<'a> {
    pub(super) what: &'a str,
    pub(super) scope: &'a str,
    pub(super) name: &'a str,
    pub(super) words: &'a str,
    pub(super) class: &'a str,
    pub(super) confirm: Option<&'a str>,
}

/// A form with one button.
pub(super) fn button(caller: &Caller, back: &str, button: &Button<'_>) -> Markup {
    html! {
        form.one method="post" action=(caller.path("/act")) {
            (super::shell::hidden_csrf(caller))
            input type="hidden" name="scope" value=(button.scope);
            input type="hidden" name="name" value=(button.name);
            input type="hidden" name="back" value=(back);
            button class=(button.class) type="submit" name="do" value=(button.what) data-confirm=[button.confirm] { (button.words) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_said_only_when_it_is_all() {
        let of = |done, expected| progress(Done { done, expected: Some(expected) }).into_string();
        assert!(of(999_999, 1_000_000).contains("99.9 %"));
        assert!(of(10, 10).contains("class=\"fill whole\"") && !of(9, 10).contains("whole"));
        assert!(of(10, 10).contains("100 %") && of(0, 0).contains("100 %"));
        assert!(progress(Done { done: 5, expected: None }).into_string().contains('–'));
        assert_eq!(permille(Done { done: u64::MAX, expected: Some(u64::MAX) }), Some(1_000));
    }

    #[test]
    fn strangers_words_stay_words() {
        let name = "<script>alert(1)</script>\u{202e}\" onclick=\"x";
        let page = html! { p title=(said(name)) { (said(name)) } }.into_string();
        assert!(!page.contains("<script>") && !page.contains('\u{202e}') && !page.contains("onclick=\"x"), "{page}");
    }

    #[test]
    fn lengths_are_as_rough_as_they_are_known() {
        assert!(about(u64::MAX).ends_with(" days"));
        assert_eq!([about(5), about(600), about(7_200), about(300_000)], ["5 s", "10 min", "2 h", "3 days"]);
    }
}
