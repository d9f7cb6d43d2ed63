//! One wave: its accounts as a table that stays usable with tens of thousands, and what can be done with them.

use super::overview::{figures, kind_words, standings_bar};
use super::parts::{
    Button, badge, button, maybe_moment, moment, of_bytes, of_messages, path_of, progress, said, sentence, state_words,
};
use super::shell::{Place, hidden_csrf, page};
use crate::app::Caller;
use crate::problem::Problem;
use axum::extract::{Path, Query};
use axum::response::Response;
use mailhaul_report::{WavePreflight, bytes_for_people, count_of, number_for_people};
use mailhaul_service::{AccountStanding, Role, Subject, TableFilter, TablePage, TableSort, WaveView};
use maud::{Markup, html};
use serde::Deserialize;

/// Rows on a page.
const ROWS: usize = 100;
/// Blocked accounts that the page of the preflight lists.
const BLOCKED_SHOWN: usize = 200;

/// What the table shows; the names are short, for they stand in the address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    q: String,
    summary: String,
    state: String,
    sort: String,
    down: String,
    page: usize,
}

impl Shown {
    pub(super) fn filter(&self) -> TableFilter {
        TableFilter {
            search: self.q.trim().to_owned(),
            standing: self.summary.clone(),
            state: self.state.clone(),
            sort: TableSort::from_word(&self.sort).unwrap_or_default(),
            descending: !self.down.is_empty(),
            offset: self.page.saturating_mul(ROWS),
            limit: ROWS,
        }
    }

    /// The same table with something else about it.
    fn address(&self, path: &str, with: &[(&str, &str)]) -> String {
        let page = self.page.to_string();
        let mine = [
            ("q", self.q.as_str()),
            ("summary", &self.summary),
            ("state", &self.state),
            ("sort", &self.sort),
            ("down", &self.down),
            ("page", &page),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in mine {
            let value = with.iter().find(|(other, _)| *other == name).map_or(value, |(_, value)| value);
            let is_first_page = name == "page" && value == "0";
            if !value.is_empty() && !is_first_page {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

pub(super) async fn show(
    caller: Caller,
    Path(name): Path<String>,
    Query(shown): Query<Shown>,
) -> Result<Response, Problem> {
    let view = caller.service.wave(&name).await?;
    let look = match caller.app.pulse.look().await? {
        look if look.waves.contains_key(&name) => look,
        // It was made since the last look.
        _ => caller.app.pulse.look_now().await?,
    };
    let Some(status) = look.waves.get(&name) else { return Err(Problem::not_found()) };
    let hold = look.holds.iter().find(|hold| hold.subject == Subject::Wave(view.row.id));
    let table = caller.app.table(&name).await?.page(&shown.filter());
    let here = path_of(&caller, "waves", &name);
    let body = html! {
        nav.crumbs aria-label="Where you are" { a href=(caller.path("/")) { "Overview" } " / wave" }
        div data-live="head" {
            div.title-row {
                div {
                    h1 { (said(&name)) }
                    p.verdict-line { (status.tally.line()) }
                }
                (actions(&caller, &view, hold.is_some()))
            }
            @if let Some(hold) = hold {
                p.notice.bad { "This wave is paused, by " (said(&hold.who)) ", since " (moment(hold.at_unix_ms))
                    @if !hold.why.is_empty() { ": " (said(&hold.why)) } "." }
            }
            @if view.row.closed_unix_ms.is_some() { p.notice { "This wave is closed: its passwords are wiped. Its report can still be had." } }
            (figures(status))
            div.card.thin { (standings_bar(status)) (schedule(&view)) }
        }
        section.card.table-card aria-label="Accounts" {
            (filters(&here, &shown, &table))
            (rows(&caller, &name, &here, &shown, &table))
        }
    };
    Ok(page(&caller, Place::Elsewhere, &name, &body))
}

fn actions(caller: &Caller, view: &WaveView, is_paused: bool) -> Markup {
    let name = view.row.name.as_str();
    let back = format!("/waves/{}", percent(name));
    let has_begun = view.counts.iter().any(|count| count.kind == "bulk");
    let one = |what, words, class, confirm| {
        button(caller, &back, &Button { what, scope: "wave", name, words, class, confirm })
    };
    html! {
        div.actions {
            @if caller.visitor.role >= Role::Operator && view.row.closed_unix_ms.is_none() {
                @if !has_begun { (one("preflight", "Preflight", "", None)) (one("run", "Start", "main", None)) }
                @else {
                    (one("resync", "Re-sync", "", None))
                    (one("final", "Final pass", "", Some("Queue the final pass for every account? It visits every mailbox and compares both sides.")))
                    (one("retry", "Retry failed", "", None))
                }
                @if is_paused { (one("resume", "Resume", "main", None)) } @else { (one("pause", "Pause", "", None)) }
            }
            a.button href={ (path_of(caller, "waves", name)) "/preflight" } { "Preflight results" }
            a.button href={ (path_of(caller, "waves", name)) "/report" } { "Report" }
        }
    }
}

fn percent(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn schedule(view: &WaveView) -> Markup {
    let plan = &view.plan;
    let says_nothing =
        plan.start_after_unix_ms.is_none() && plan.every_secs.is_none() && plan.complete_after_unix_ms.is_none();
    html! {
        @if !says_nothing {
            p.soft.schedule {
                "Schedule: "
                @if let Some(at) = plan.start_after_unix_ms { "begins " (moment(at)) ". " }
                @if let Some(secs) = plan.every_secs { "Re-sync every " (super::parts::about(secs)) ". " }
                @if let Some(at) = plan.complete_after_unix_ms { "Final pass from " (moment(at)) ". " }
            }
        }
    }
}

fn filters(here: &str, shown: &Shown, table: &TablePage) -> Markup {
    let words = ["attention", "running", "waiting", "stopped", "not_begun", "done"];
    html! {
        form.filters method="get" action=(here) data-filter="" role="search" {
            label.search { span.hidden { "Search accounts" } input #search type="search" name="q" value=(said(&shown.q)) placeholder="Search name, login, words   /" autocomplete="off"; }
            @if !shown.summary.is_empty() { input type="hidden" name="summary" value=(said(&shown.summary)); }
            @if !shown.sort.is_empty() { input type="hidden" name="sort" value=(said(&shown.sort)); }
            @if !shown.down.is_empty() { input type="hidden" name="down" value="1"; }
            button.quiet type="submit" { "Search" }
        }
        ul.chips data-live="chips" aria-label="Filter by where accounts stand" {
            li { a href=(shown.address(here, &[("summary", ""), ("state", ""), ("page", "")])) aria-current=[shown.summary.is_empty().then_some("true")] { "all " b { (number_for_people(table.all as u64)) } } }
            @for word in words {
                @let accounts = table.standings.get(word).copied().unwrap_or_default();
                @if accounts > 0 || shown.summary == word {
                    li { a href=(shown.address(here, &[("summary", word), ("state", ""), ("page", "")])) aria-current=[(shown.summary == word).then_some("true")] { (badge(word, &word.replace('_', " "))) " " b { (number_for_people(accounts as u64)) } } }
                }
            }
            @if shown.summary == "attention" {
                @for ((state, reason), accounts) in &table.states {
                    @if matches!(state.as_str(), "failed" | "blocked" | "done_with_exceptions") || (state == "waiting" && matches!(*reason, "credentials" | "quota" | "operator")) {
                        @let word = if reason.is_empty() { state.as_str() } else { reason };
                        li { a.sub href=(shown.address(here, &[("state", word), ("page", "")])) aria-current=[(shown.state == word).then_some("true")] { (state_words(state, Some(*reason).filter(|reason| !reason.is_empty()))) " " b { (number_for_people(*accounts as u64)) } } }
                    }
                }
            }
        }
    }
}

fn rows(caller: &Caller, wave: &str, here: &str, shown: &Shown, table: &TablePage) -> Markup {
    let can_change = caller.visitor.role >= Role::Operator;
    let heading = |sort: TableSort, words: &str, class: &str| {
        let is_it = shown.filter().sort == sort;
        let down = if is_it && shown.down.is_empty() { "1" } else { "" };
        let order = match (is_it, shown.down.is_empty()) {
            (false, _) => None,
            (true, true) => Some("ascending"),
            (true, false) => Some("descending"),
        };
        html! { th class=(class) scope="col" aria-sort=[order] { a href=(shown.address(here, &[("sort", sort.word()), ("down", down), ("page", "")])) { (words) } } }
    };
    html! {
        form #selection method="post" action=[can_change.then(|| caller.path("/act"))] {
            (hidden_csrf(caller))
            input type="hidden" name="scope" value="accounts";
            input type="hidden" name="name" value=(wave);
            input type="hidden" name="back" value=(shown.address(&format!("/waves/{}", percent(wave)), &[]));
            input type="hidden" name="q" value=(said(&shown.q));
            input type="hidden" name="summary" value=(said(&shown.summary));
            input type="hidden" name="state" value=(said(&shown.state));
            div.scroll data-live="rows" {
                table.accounts {
                    thead { tr {
                        @if can_change { th.check scope="col" { input type="checkbox" data-all="" aria-label="Select all accounts on this page"; } }
                        (heading(TableSort::Name, "Account", ""))
                        (heading(TableSort::State, "State", ""))
                        (heading(TableSort::Progress, "Progress", ""))
                        (heading(TableSort::Messages, "Messages", "n"))
                        (heading(TableSort::Size, "Size", "n"))
                        (heading(TableSort::Exceptions, "Set aside", "n"))
                        (heading(TableSort::Moved, "Moved last", "n"))
                    } }
                    tbody {
                        @for row in &table.rows { (account_row(caller, row, can_change)) }
                        @if table.rows.is_empty() { tr.none { td colspan="8" {
                            @if table.all == 0 { "This wave has no accounts yet. " a href=(caller.path("/import")) { "Import a list" } }
                            @else { "No account fits. " a href=(here) { "Show all " (number_for_people(table.all as u64)) } }
                        } } }
                    }
                }
            }
            (pages(here, shown, table))
            @if can_change { (selection_bar(table)) }
        }
    }
}

fn account_row(caller: &Caller, row: &AccountStanding, can_change: bool) -> Markup {
    let state = match row.state.as_str() {
        "not_begun" => "not begun".to_owned(),
        "running" if !row.kind.is_empty() => kind_words(&row.kind),
        state => state_words(state, row.reason),
    };
    html! {
        tr {
            @if can_change { td.check { input type="checkbox" name="account" value=(row.row.name) aria-label={ "Select " (said(&row.row.name)) }; } }
            th scope="row" { a href=(path_of(caller, "accounts", &row.row.name)) { (said(&row.row.name)) } }
            td.state title=(row.meaning) {
                (badge(row.word(), &state))
                @if let Some(at) = row.until_unix_ms { " " span.soft { "until " (moment(at)) } }
                @if !row.words.is_empty() { span.words { (said(&row.words)) } }
            }
            td.how-far { (progress(row.messages)) }
            td.n { (of_messages(row.messages)) }
            td.n { (of_bytes(row.bytes)) }
            td.n.look[row.exceptions > 0] { (number_for_people(row.exceptions)) }
            td.n { (maybe_moment(row.moved_unix_ms)) }
        }
    }
}

fn pages(here: &str, shown: &Shown, table: &TablePage) -> Markup {
    let last = table.fitting.saturating_sub(1) / ROWS;
    let page = shown.page.min(last);
    let to = |page: usize| shown.address(here, &[("page", &page.to_string())]);
    let first_row = (page * ROWS + 1).min(table.fitting);
    html! {
        nav.pages aria-label="Pages of the table" data-live="pages" {
            span.soft { (number_for_people(first_row as u64)) "–" (number_for_people(((page + 1) * ROWS).min(table.fitting) as u64)) " of " (count_of(table.fitting as u64, "account")) }
            @if last > 0 {
                @if page > 0 { a.button href=(to(page - 1)) rel="prev" { "Previous" } }
                span.soft { "page " (page + 1) " of " (last + 1) }
                @if page < last { a.button href=(to(page + 1)) rel="next" { "Next" } }
            }
        }
    }
}

/// Shown by the script while something is selected; without one, always.
fn selection_bar(table: &TablePage) -> Markup {
    html! {
        div.selection #selection-bar {
            span data-count="" { "Selected accounts" }
            label.all-fitting { input type="checkbox" name="all_fitting" value="1"; " all " (number_for_people(table.fitting as u64)) " that fit" }
            button type="submit" name="do" value="pause" data-confirm-all="Pause all accounts that fit when this is sent?" { "Pause" }
            button type="submit" name="do" value="resume" data-confirm-all="Resume all accounts that fit when this is sent?" { "Resume" }
            button type="submit" name="do" value="retry" data-confirm="Try again what failed or waits of the selected accounts? What was cancelled is taken up again too." { "Retry" }
            button.danger type="submit" name="do" value="cancel" data-confirm="Cancel the jobs of the selected accounts? What was copied stays copied." { "Cancel jobs" }
        }
    }
}

/// What the latest looks found.
pub(super) async fn preflight(caller: Caller, Path(name): Path<String>) -> Result<Response, Problem> {
    let found = caller.app.preflight(&name).await?;
    let counts = found.wave.counts();
    let body = html! {
        nav.crumbs aria-label="Where you are" { a href=(caller.path("/")) { "Overview" } " / " a href=(path_of(&caller, "waves", &name)) { (said(&name)) } " / preflight" }
        div data-live="preflight" {
            div.title-row { div {
                h1 { "Preflight of " (said(&name)) }
                p.verdict-line { (count_of(counts.ready + counts.remarks, "account")) " can begin, " (number_for_people(counts.blocked)) " are blocked" @if found.missing > 0 { ", " (number_for_people(found.missing)) " were not looked at yet" } "." }
            } }
            dl.figures {
                (super::parts::figure("Messages", &html! { (number_for_people(counts.messages)) }, &html! { (number_for_people(counts.to_copy_messages)) " left to copy" }))
                (super::parts::figure("Mail", &html! { (bytes_for_people(counts.bytes)) }, &html! { (bytes_for_people(counts.to_copy_bytes)) " left to copy" }))
                (super::parts::figure("Mailboxes", &html! { (number_for_people(counts.mailboxes)) }, &html! { "in " (count_of(counts.counted, "account")) }))
            }
            (blocked(&caller, &found.wave))
        }
    };
    Ok(page(&caller, Place::Elsewhere, &format!("Preflight of {name}"), &body))
}

fn blocked(caller: &Caller, wave: &WavePreflight) -> Markup {
    let blocked: Vec<_> = wave.accounts.iter().filter(|(_, found)| !found.blocks.is_empty()).collect();
    html! {
        div.card {
            h2 { "What is in the way" }
            @if blocked.is_empty() { p.soft { "Nothing that was found." } }
            ul.problems {
                @for (account, found) in blocked.iter().take(BLOCKED_SHOWN) {
                    li {
                        div { a href=(path_of(caller, "accounts", account)) { (said(account)) } }
                        @for block in &found.blocks {
                            p.words { (badge("attention", block.kind.as_str())) " " (said(&block.words)) }
                            @if !block.hint.is_empty() { p.soft { (sentence(&block.hint)) } }
                        }
                    }
                }
            }
            @if blocked.len() > BLOCKED_SHOWN { p.soft { "and " (number_for_people((blocked.len() - BLOCKED_SHOWN) as u64)) " more" } }
        }
    }
}
