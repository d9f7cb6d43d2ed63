//! One account: where it stands and why, its mailboxes on both sides, what was set aside, and everything that happened.

use super::overview::kind_words;
use super::parts::{
    Button, badge, button, figure, moment, of_bytes, of_messages, path_of, progress, said, sentence, state_words,
};
use super::shell::{Place, hidden_csrf, page};
use crate::app::Caller;
use crate::problem::Problem;
use axum::extract::Path;
use axum::response::Response;
use mailhaul_report::{AccountLine, Exception, ExceptionState, count_of, duration_for_people, number_for_people};
use mailhaul_service::{AccountStanding, AccountView, LogEntry, LogEntryKind, Role};
use maud::{Markup, html};

/// Entries of the log.
const LOG_SHOWN: u32 = 100;
/// Exceptions.
const EXCEPTIONS_SHOWN: usize = 200;

pub(super) async fn show(caller: Caller, Path(name): Path<String>) -> Result<Response, Problem> {
    let view = caller.service.account(&name).await?;
    let line = caller.service.account_line(&name).await?;
    let explained = caller.service.explain(&name).await?;
    let log = caller.service.log(&name, LOG_SHOWN).await?;
    let table = caller.app.table(&view.row.wave_name).await?;
    let standing = table.find(&name);
    let can_change = caller.visitor.role >= Role::Operator;
    let body = html! {
        nav.crumbs aria-label="Where you are" { a href=(caller.path("/")) { "Overview" } " / " a href=(path_of(&caller, "waves", &view.row.wave_name)) { (said(&view.row.wave_name)) } " / account" }
        div data-live="head" {
            div.title-row {
                div {
                    h1 { (said(&name)) @if let Some(standing) = standing { " " (badge(standing.word(), &state_words(&standing.state, standing.reason))) } }
                    p.soft.ends {
                        span { (said(&view.row.source_user)) " at " a href=(path_of(&caller, "endpoints", &view.row.source_name)) { (said(&view.row.source_name)) } }
                        " → "
                        span { (said(&view.row.target_user)) " at " a href=(path_of(&caller, "endpoints", &view.row.target_name)) { (said(&view.row.target_name)) } }
                    }
                }
                @if can_change { (actions(&caller, &view)) }
            }
            @for one in &explained { p.explain { (sentence(&one.text)) } }
            @if let Some(standing) = standing { (figures(standing, &line)) }
        }
        div.columns {
            div {
                section data-live="mailboxes" { (mailboxes(&line)) }
                section data-live="log" { (log_card(&log)) }
            }
            div {
                section data-live="exceptions" { (exceptions(&line)) }
                section { (passwords(&caller, &view, can_change)) }
            }
        }
    };
    Ok(page(&caller, Place::Elsewhere, &name, &body))
}

fn actions(caller: &Caller, view: &AccountView) -> Markup {
    let name = view.row.name.as_str();
    let back = format!("/accounts/{}", percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC));
    let one = |what, words, class, confirm| {
        button(caller, &back, &Button { what, scope: "account", name, words, class, confirm })
    };
    html! {
        div.actions {
            (one("retry", "Retry", "main", None))
            (one("pause", "Pause", "", None))
            (one("resume", "Resume", "", None))
            (one("cancel", "Cancel jobs", "danger", Some("Cancel the jobs of this account? What was copied stays copied.")))
        }
    }
}

fn figures(standing: &AccountStanding, line: &AccountLine) -> Markup {
    let aside = line.exceptions.len() as u64;
    html! {
        dl.figures {
            (figure("Messages on the target", &html! { (of_messages(standing.messages)) }, &progress(standing.messages)))
            (figure("Mail moved", &html! { (of_bytes(standing.bytes)) }, &progress(standing.bytes)))
            (figure("Set aside", &html! { span.look[aside > 0] { (number_for_people(aside)) } }, &html! { @if aside == 0 { "nothing" } @else { "each with its reason" } }))
            (figure("Attempts", &html! { (line.attempts) }, &html! { (duration_for_people(line.seconds)) " of work" }))
        }
    }
}

fn mailboxes(line: &AccountLine) -> Markup {
    html! {
        div.card {
            h2 { "Mailboxes" }
            @if line.mailboxes.is_empty() { p.soft { "None is known yet; the first copy lists them." } }
            @else {
                div.scroll { table {
                    thead { tr { th scope="col" { "Source" } th scope="col" { "Target" } th.n scope="col" { "At the source" } th.n scope="col" { "On the target" } th.n scope="col" { "Set aside" } th.n scope="col" { "Left" } } }
                    tbody { @for mailbox in &line.mailboxes {
                        @let counts = &mailbox.messages;
                        tr {
                            th scope="row" { (said(&mailbox.source)) }
                            td { @match &mailbox.target { Some(target) if *target == mailbox.source => { span.soft { "the same" } } Some(target) => { (said(target)) } None => { span.soft { "left out" } } } }
                            td.n { (number_for_people(counts.source)) }
                            td.n { (number_for_people(counts.already + counts.copied + counts.adopted)) }
                            td.n.look[counts.set_aside() > 0] { (number_for_people(counts.set_aside())) }
                            td.n { (number_for_people(counts.remaining)) }
                        }
                    } }
                } }
            }
        }
    }
}

fn exceptions(line: &AccountLine) -> Markup {
    html! {
        div.card {
            h2 { "Exceptions" }
            @if line.exceptions.is_empty() { p.soft { "None. Every message that was seen is accounted for or still to come." } }
            ul.problems {
                @for exception in line.exceptions.iter().take(EXCEPTIONS_SHOWN) {
                    li {
                        div { b { (exception.state.label()) } " " (said(&exception.mailbox)) @if let Some(uid) = exception.uid { " " span.soft { "uid " (uid) } } }
                        p.words { (said(&exception.reason)) }
                        p.soft { (what_to_do(exception)) }
                    }
                }
            }
            @if line.exceptions.len() > EXCEPTIONS_SHOWN { p.soft { "and " (line.exceptions.len() - EXCEPTIONS_SHOWN) " more; the report has all of them" } }
            @if !line.remarks.is_empty() {
                h3 { "Remarks" }
                ul.remarks { @for remark in &line.remarks { li { @if let Some(mailbox) = &remark.mailbox { b { (said(mailbox)) } ": " } (said(&remark.text)) } } }
            }
        }
    }
}

fn what_to_do(exception: &Exception) -> &'static str {
    match exception.state {
        ExceptionState::Refused => {
            "The target would not have it. Raise its limit, or leave it; then retry the exceptions."
        }
        ExceptionState::Unreadable => "The source does not hand it out. Ask its operator; then retry the exceptions.",
        ExceptionState::PossibleDuplicate => "Look whether it is there twice, and remove one.",
        ExceptionState::ViewIncomplete => "The source shows fewer messages than it says it has.",
        ExceptionState::ViewDoubtful => {
            "The number looks like a limit of the provider. Check it, then accept the view."
        }
        ExceptionState::MailboxFailed => "It is tried again with the next pass.",
        ExceptionState::MailboxStopped => "It waits for your decision.",
        ExceptionState::DoesNotAddUp => "The numbers contradict each other; please report it.",
    }
}

fn log_card(log: &[LogEntry]) -> Markup {
    html! {
        div.card {
            h2 { "What happened" }
            @if log.is_empty() { p.soft { "Nothing yet." } }
            ol.log {
                @for entry in log.iter().rev() {
                    @let class = match entry.kind { LogEntryKind::Event => "event", LogEntryKind::Attempt => "attempt", LogEntryKind::Line => "line" };
                    li class=(class) { span.when { (moment(entry.at_unix_ms)) } span.what { (entry.text) } span.soft { (entry.who) } }
                }
            }
        }
    }
}

fn passwords(caller: &Caller, view: &AccountView, can_change: bool) -> Markup {
    let stored = |is: bool| if is { "stored" } else { "none of its own" };
    html! {
        div.card {
            h2 { "Passwords" }
            p.soft { "Source: " (stored(view.passwords.source)) ". Target: " (stored(view.passwords.target)) ". What they are is never shown." }
            @if can_change {
                form.fields method="post" action=(caller.path("/act/passwords")) autocomplete="off" {
                    (hidden_csrf(caller))
                    input type="hidden" name="name" value=(view.row.name);
                    label { "New password at the source" input type="password" name="source" autocomplete="new-password"; }
                    label { "New password at the target" input type="password" name="target" autocomplete="new-password"; }
                    button type="submit" { "Store and retry" }
                }
            }
            h3 { "Jobs" }
            @if view.jobs.is_empty() { p.soft { "None yet." } }
            ul.rows { @for job in &view.jobs {
                li { div { (kind_words(&job.kind)) " " span.soft { "job " (job.id.0) } } div.n { (count_of(u64::from(job.attempts), "attempt")) } div.wide.soft { (state_words(job.state.word(), None)) } }
            } }
        }
    }
}
