//! Servers: connections in use and allowed, what they have shown, and what the operator allows.

use super::overview::host_words;
use super::parts::{Button, button, figure, moment, path_of, said};
use super::shell::{Place, hidden_csrf, page};
use crate::app::Caller;
use crate::problem::Problem;
use axum::extract::Path;
use axum::response::Response;
use mailhaul_report::{Done, number_for_people};
use mailhaul_service::{EndpointStanding, HostState, Limits, Role, Subject};
use maud::{Markup, html};

pub(super) async fn list(caller: Caller) -> Result<Response, Problem> {
    let look = caller.app.pulse.look().await?;
    let body = html! {
        div.title-row { div { h1 { "Endpoints" } p.soft { "The servers, how they stand, and what they may be asked." } } }
        div.card data-live="endpoints" {
            @if look.endpoints.is_empty() {
                p { "There is none yet. " code { "mailhaul endpoint add old imaps://mail.old.example" } " adds one." }
            } @else {
                div.scroll { table {
                    thead { tr { th scope="col" { "Endpoint" } th scope="col" { "Address" } th scope="col" { "Connections" } th.n scope="col" { "Accounts" } th scope="col" { "Standing" } } }
                    tbody { @for end in &look.endpoints {
                        tr {
                            th scope="row" { a href=(path_of(&caller, "endpoints", &end.view.row.name)) { (said(&end.view.row.name)) } }
                            td { (said(&end.view.row.url)) }
                            td { (connections(end)) }
                            td.n { (number_for_people(end.view.row.accounts)) }
                            td { (host_words(end)) }
                        }
                    } }
                } }
            }
        }
    };
    Ok(page(&caller, Place::Endpoints, "Endpoints", &body))
}

fn connections(end: &EndpointStanding) -> Markup {
    let used = Done { done: u64::from(end.running()), expected: Some(u64::from(end.allowed)) };
    let tenths = super::parts::permille(used).unwrap_or_default();
    html! {
        span.progress {
            svg.bar aria-hidden="true" viewBox="0 0 100 6" preserveAspectRatio="none" { rect.fill.full[tenths == 1_000] width=(tenths / 10) height="6" {} }
            span.n { (end.running()) " of " (end.allowed) }
        }
    }
}

pub(super) async fn show(caller: Caller, Path(name): Path<String>) -> Result<Response, Problem> {
    let end = caller.service.endpoint_standing(&name).await?;
    let look = caller.app.pulse.look().await?;
    let hold = look.holds.iter().find(|hold| hold.subject == Subject::Endpoint(end.view.row.id));
    let back =
        format!("/endpoints/{}", percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC));
    let can_change = caller.visitor.role >= Role::Operator;
    let one = |what, words, class| {
        button(&caller, &back, &Button { what, scope: "endpoint", name: &name, words, class, confirm: None })
    };
    let body = html! {
        nav.crumbs aria-label="Where you are" { a href=(caller.path("/endpoints")) { "Endpoints" } " / " (said(&name)) }
        div data-live="head" {
            div.title-row {
                div { h1 { (said(&name)) } p.soft { (said(&end.view.row.url)) } }
                @if can_change { div.actions { @if hold.is_some() { (one("resume", "Resume", "main")) } @else { (one("pause", "Pause what uses it", "")) } } }
            }
            @if let Some(hold) = hold { p.notice.bad { "What uses this endpoint is paused, by " (said(&hold.who)) ", since " (moment(hold.at_unix_ms)) "." } }
            dl.figures {
                (figure("Connections in use", &html! { (end.running()) " of " (end.allowed) }, &connections(&end)))
                (figure("First copies", &html! { (end.running_bulk) }, &html! { "connections" }))
                (figure("Later passes", &html! { (end.running_resync) }, &html! { "connections" }))
                (figure("Standing", &html! { @match end.host { HostState::Serves => { "Serves" } HostState::Rests { .. } => { span.look { "Rests" } } HostState::Tried => { span.look { "Is tried" } } } }, &host_words(&end)))
            }
        }
        div.columns {
            div { (limits(&caller, &name, &end.view.row.limits, can_change)) }
            div { (facts(&end)) }
        }
    };
    Ok(page(&caller, Place::Endpoints, &name, &body))
}

fn limits(caller: &Caller, name: &str, limits: &Limits, can_change: bool) -> Markup {
    let small = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let large = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let field = |id: &str, words: &str, unit: &str, value: &str| {
        html! {
            label { (words) span.unit { input type="number" min="1" step="1" inputmode="numeric" name=(id) value=(value) placeholder="no limit" disabled[!can_change]; span.soft { (unit) } } }
        }
    };
    html! {
        div.card {
            h2 { "Limits" }
            p.soft { "What you change takes effect within seconds, also for what runs. Empty means no limit." }
            form.fields.pairs method="post" action=[can_change.then(|| caller.path("/act/limits"))] {
                (hidden_csrf(caller))
                input type="hidden" name="name" value=(name);
                (field("connections", "Connections at once", "connections", &small(limits.connections)))
                (field("bulk_connections", "Of these, for first copies", "connections", &small(limits.bulk_connections)))
                (field("resync_connections", "Of these, for later passes", "connections", &small(limits.resync_connections)))
                (field("messages_per_second", "Messages, all together", "messages/s", &large(limits.messages_per_second)))
                (field("bytes_per_second", "Mail, all together", "octets/s", &large(limits.bytes_per_second)))
                (field("account_messages_per_second", "Messages, each account", "messages/s", &large(limits.account_messages_per_second)))
                (field("account_bytes_per_second", "Mail, each account", "octets/s", &large(limits.account_bytes_per_second)))
                (field("account_bytes_per_day", "Mail a day, each account", "octets", &large(limits.account_bytes_per_day)))
                label.whole { "Hours, one window a line" textarea name="windows" rows="3" placeholder="Mon-Fri 20:00-06:00 Europe/Berlin" disabled[!can_change] { (said(&limits.windows.join("\n")).replace("\\u{a}", "\n")) } }
                @if can_change { button.main type="submit" { "Save limits" } }
            }
        }
    }
}

fn facts(end: &EndpointStanding) -> Markup {
    let options = &end.view.options;
    html! {
        div.card {
            h2 { "Facts" }
            dl.facts {
                dt { "Host" } dd { (said(&end.view.row.host)) }
                dt { "Accounts" } dd { (number_for_people(end.view.row.accounts)) }
                dt { "Sign-in" } dd { @match &options.admin {
                    Some(admin) => { (said(&admin.user)) " for all accounts" @if !end.view.has_admin_password { ", " strong.look { "no password stored" } } }
                    None => { "each account with its own password" }
                } }
                dt { "Trust" } dd { @if !options.pins.is_empty() { "only " (options.pins.len()) " named certificates" } @else if let Some(file) = &options.ca_file { "only the authorities in " (said(&file.display().to_string())) } @else { "the system's authorities" } }
                @if options.allow_plaintext { dt { "Security" } dd { strong.look { "Plain text is allowed" } ": passwords and mail can be read on the way" } }
                @if let Some(secs) = options.timeout_secs { dt { "Patience" } dd { (secs) " s of silence" } }
            }
            p.soft { "Address, trust and administrator decide where passwords are sent. They are changed with " code { "mailhaul endpoint set" } ", or through the API by an administrator." }
        }
    }
}
