//! The overview: what an operator keeps open for a month.

use super::chart::rate_chart;
use super::parts::{
    Button, badge, button, figure, finish, moment, of_bytes, of_messages, path_of, progress, said, sentence,
    state_words,
};
use super::shell::{Place, page};
use crate::app::Caller;
use crate::problem::Problem;
use crate::pulse::Look;
use axum::response::Response;
use mailhaul_report::{Standing, WaveStatus, bytes_for_people, count_of, number_for_people};
use mailhaul_service::{EndpointStanding, HostState, Role, Subject};
use maud::{Markup, html};

/// So many running jobs are shown.
const RUNNING_SHOWN: usize = 12;
/// The five words and their places in the bar.
pub(super) const STANDINGS: [Standing; 5] =
    [Standing::Done, Standing::Running, Standing::Waiting, Standing::Stopped, Standing::Attention];

pub(super) async fn show(caller: Caller) -> Result<Response, Problem> {
    let look = caller.app.pulse.look().await?;
    let body = html! {
        @if look.all.accounts == 0 { (nothing_yet(&caller, &look)) }
        @else {
            div data-live="head" { (head(&caller, &look)) }
            div.columns {
                div {
                    section data-live="waves" { (waves(&caller, &look)) }
                    section data-live="running" { (running(&caller, &look)) }
                }
                div {
                    section data-live="people" { (people(&caller, &look)) }
                    section data-live="hosts" { (hosts(&caller, &look)) }
                }
            }
        }
    };
    Ok(page(&caller, Place::Overview, "Overview", &body))
}

/// Before there is anything: what to do first.
fn nothing_yet(caller: &Caller, look: &Look) -> Markup {
    html! {
        div.card.empty-start data-live="empty" {
            h1 { "Nothing to move yet" }
            p { "Three steps lead to the first copy." }
            ol.steps {
                li.done[!look.endpoints.is_empty()] {
                    b { "Name both servers." } " "
                    @if look.endpoints.is_empty() {
                        code { "mailhaul endpoint add old imaps://mail.old.example" }
                    } @else {
                        "There are " (count_of(look.endpoints.len() as u64, "endpoint")) ". " a href=(caller.path("/endpoints")) { "Look at them" }
                    }
                }
                li { b { "Bring in a list of accounts." } " "
                    @if caller.visitor.role >= Role::Operator { a.button href=(caller.path("/import")) { "Import a list" } }
                    @else { "Somebody with the role operator does that." }
                }
                li { b { "Look before you copy." } " The preflight signs in to both sides of every account, and writes nothing." }
            }
        }
    }
}

fn head(caller: &Caller, look: &Look) -> Markup {
    let all = &look.all;
    let everything = look.holds.iter().find(|hold| hold.subject == Subject::Everything);
    let running = u64::from(all.workers);
    html! {
        div.title-row {
            div {
                (verdict(&all.tally.line()))
                p.soft {
                    @if running == 0 { strong.look { "Nobody is working." } " Jobs that are queued wait for " code { "mailhaul serve" } "." }
                    @else { (count_of(running, "process")) " at work · seen " (moment(look.at_unix_ms)) }
                }
            }
            @if caller.visitor.role >= Role::Operator {
                div.actions {
                    @if everything.is_some() {
                        (button(caller, "/", &Button { what: "resume", scope: "everything", name: "", words: "Resume everything", class: "main", confirm: None }))
                    } @else {
                        (button(caller, "/", &Button { what: "pause", scope: "everything", name: "", words: "Pause everything", class: "", confirm: Some("Pause everything? What is in flight is finished first.") }))
                    }
                }
            }
        }
        @if let Some(hold) = everything {
            p.notice.bad { "Everything is paused, by " (said(&hold.who)) ", since " (moment(hold.at_unix_ms))
                @if !hold.why.is_empty() { ": " (said(&hold.why)) } "." }
        }
        (figures(all))
        div.card.overview-bar {
            (standings_bar(all))
            (rate_chart(&caller.app.pulse.history(""), look.at_unix_ms))
        }
    }
}

/// The last line of a run: what is complete in large letters, what is not below.
fn verdict(line: &str) -> Markup {
    match line.split_once(", ") {
        Some((head, rest)) if !line.starts_with("complete:") => {
            html! { h1.verdict { (head) } p.verdict-line { (capital(rest)) } }
        }
        _ => html! { h1.verdict { (capital(line)) } },
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The figures of a wave, or of everything.
pub(super) fn figures(status: &WaveStatus) -> Markup {
    let (when, beneath) = finish(status.finish, status.now_unix_secs);
    let rate = html! { (bytes_for_people(status.bytes_per_second)) "/s" };
    let rate_beneath = html! { (format!("{:.0}", status.messages_per_second)) " messages/s" };
    let unknown = |known: bool| if known { "" } else { "the whole is not counted yet" };
    html! {
        dl.figures {
            (figure("Messages on the target", &html! { (of_messages(status.messages)) }, &html! {
                (progress(status.messages)) (unknown(status.messages.expected.is_some())) }))
            (figure("Mail moved", &html! { (of_bytes(status.bytes)) }, &html! {
                (progress(status.bytes)) (unknown(status.bytes.expected.is_some())) }))
            (figure("Rate now", &rate, &rate_beneath))
            (figure("Finished", &when, &beneath))
        }
    }
}

/// Accounts by where they stand, as one bar with its legend.
pub(super) fn standings_bar(status: &WaveStatus) -> Markup {
    let mut parts: Vec<(&str, u64)> =
        STANDINGS.iter().map(|standing| (standing.label(), status.accounts_in(*standing))).collect();
    parts.push(("not_begun", status.not_begun));
    let all: u64 = parts.iter().map(|(_, accounts)| accounts).sum::<u64>().max(1);
    let mut from = 0;
    let stretches: Vec<(&str, u64, u64)> = parts
        .iter()
        .filter(|(_, accounts)| *accounts > 0)
        .map(|(word, accounts)| {
            // Whatever is there is seen, be it ever so little.
            let width = (accounts * 1_000 / all).max(4);
            from += width;
            (*word, from - width, width)
        })
        .collect();
    html! {
        div.standings {
            svg.stack role="img" aria-label="Accounts by where they stand; the numbers follow" viewBox="0 0 1000 10" preserveAspectRatio="none" {
                @for (word, from, width) in &stretches {
                    rect class={ "f-" (word) } x=(from) width=(width) height="10" {}
                }
            }
            ul.legend {
                @for (word, accounts) in &parts {
                    li.none[*accounts == 0] { (badge(word, &word.replace('_', " "))) " " b { (number_for_people(*accounts)) } }
                }
            }
        }
    }
}

fn waves(caller: &Caller, look: &Look) -> Markup {
    html! {
        div.card {
            h2 { "Waves" }
            div.scroll { table {
                thead { tr { th scope="col" { "Wave" } th scope="col" { "Messages" } th.n scope="col" { "Accounts" } th.n scope="col" { "Done" } th.n scope="col" { "Need you" } th.n scope="col" { "Rate" } } }
                tbody {
                    @for (name, wave) in &look.waves {
                        tr {
                            th scope="row" { a href=(path_of(caller, "waves", name)) { (said(name)) } }
                            td { (progress(wave.messages)) }
                            td.n { (number_for_people(wave.accounts)) }
                            td.n { (number_for_people(wave.accounts_in(Standing::Done))) }
                            @let needs = wave.accounts_in(Standing::Attention);
                            td.n.look[needs > 0] { (number_for_people(needs)) }
                            td.n { (bytes_for_people(wave.bytes_per_second)) "/s" }
                        }
                    }
                }
            } }
        }
    }
}

fn running(caller: &Caller, look: &Look) -> Markup {
    let running = &look.all.running;
    html! {
        div.card {
            h2 { "At work now" }
            @if running.is_empty() { p.soft { "Nothing runs at this moment." } }
            @else {
                ul.rows {
                    @for line in running.iter().take(RUNNING_SHOWN) {
                        li {
                            div { a href=(path_of(caller, "accounts", &line.account)) { (said(&line.account)) } " " span.soft { (kind_words(&line.kind)) } }
                            div.n { (of_messages(line.messages)) " messages" }
                            div.n { (bytes_for_people(line.bytes_per_second)) "/s" }
                            div.soft.wide { (said(&line.doing)) }
                        }
                    }
                }
                @if running.len() > RUNNING_SHOWN { p.soft { "and " (running.len() - RUNNING_SHOWN) " more" } }
            }
        }
    }
}

fn people(caller: &Caller, look: &Look) -> Markup {
    let states: Vec<_> = look.all.states.iter().filter(|state| state.standing == Standing::Attention).collect();
    html! {
        div.card {
            h2 { "Needs you" }
            @if states.is_empty() && look.all.problems.is_empty() { p.soft { (no_trouble(&look.all)) } }
            ul.causes {
                @for state in states {
                    li { (badge("attention", &state_words(&state.state, state.reason.as_deref()))) " " b { (count_of(state.accounts, "account")) } p.soft { (sentence(&state.words)) } }
                }
            }
            ul.problems {
                @for problem in look.all.problems.iter().take(8) {
                    li {
                        div { a href=(path_of(caller, "accounts", &problem.account)) { (said(&problem.account)) } " " span.soft { (moment(problem.unix_secs * 1_000)) } }
                        p.words { (said(&problem.words)) }
                        @if !problem.hint.is_empty() { p.soft { (sentence(&problem.hint)) } }
                    }
                }
            }
        }
    }
}

fn hosts(caller: &Caller, look: &Look) -> Markup {
    html! {
        div.card {
            h2 { "Servers" }
            ul.rows {
                @for end in &look.endpoints {
                    li {
                        div { a href=(path_of(caller, "endpoints", &end.view.row.name)) { (said(&end.view.row.name)) } " " span.soft { (said(&end.view.row.host)) } }
                        div.n { (end.running()) " of " (end.allowed) " connections" }
                        div.soft.wide { (host_words(end)) }
                    }
                }
            }
            @for host in &look.all.resting {
                p.words { (said(&host.host)) " " (said(&host.why)) "; tried again " (moment(host.until_unix_secs * 1_000))
                    @if !host.words.is_empty() { ": " (said(&host.words)) } }
            }
        }
    }
}

/// What is said where nothing went wrong: what is paused does not go on by itself.
fn no_trouble(all: &WaveStatus) -> String {
    let stopped = all.accounts_in(Standing::Stopped);
    if stopped > 0 {
        return format!("Nothing went wrong. {} stopped by an operator.", count_of(stopped, "account"));
    }
    if all.goes_on() { "Nothing. What is left goes on by itself." } else { "Nothing went wrong." }.to_owned()
}

/// Which side slows whom, in a sentence.
pub(super) fn host_words(end: &EndpointStanding) -> Markup {
    let limit = if end.is_learned { "as many as it has shown to bear" } else { "as many as you allow" };
    match end.host {
        HostState::Rests { until_unix_ms, asked } => html! {
        strong.look { @if asked { "It asked to slow down" } @else { "It could not be reached" } } "; left in peace until " (moment(until_unix_ms)) },
        HostState::Tried => html! { strong.look { "One job tries whether it serves again." } },
        HostState::Serves if !end.is_open => html! { "Outside of its hours"
        @if let Some(at) = end.changes_unix_ms { "; opens " (moment(at)) } },
        HostState::Serves if end.running() >= end.allowed => html! { strong { "Full" } ": " (limit) },
        HostState::Serves => html! { "Serves; " (limit) },
    }
}

/// What a kind of job is called.
pub(super) fn kind_words(kind: &str) -> String {
    match kind {
        "bulk" => "first copy".to_owned(),
        "resync" => "re-sync".to_owned(),
        "final" => "final pass".to_owned(),
        "verify" => "comparison".to_owned(),
        "preflight" => "look".to_owned(),
        other => said(other),
    }
}
