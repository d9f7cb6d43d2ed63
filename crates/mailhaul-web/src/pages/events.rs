//! Who changed what, when and why, of everything.

use super::parts::{moment, path_of};
use super::shell::{Place, page};
use crate::app::Caller;
use crate::problem::Problem;
use axum::response::Response;
use mailhaul_service::EventQuery;
use maud::html;

/// Events on the page.
const SHOWN: u32 = 200;

pub(super) async fn show(caller: Caller) -> Result<Response, Problem> {
    let events = caller.service.events(&EventQuery { limit: SHOWN, ..EventQuery::default() }).await?;
    let body = html! {
        div.title-row { div { h1 { "Events" } p.soft { "The latest " (SHOWN) ": who changed what, and why. Sign-ins are among them." } } }
        div.card data-live="events" {
            @if events.is_empty() { p.soft { "Nothing has happened yet." } }
            @else { div.scroll { table.events {
                thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "About" } th scope="col" { "Change" } th scope="col" { "Why" } } }
                tbody { @for event in events.iter().rev() {
                    tr {
                        td { (moment(event.at_unix_ms)) }
                        td { (event.who) }
                        td { (event.what.replace('_', " ")) }
                        td {
                            @if let Some(account) = &event.account { a href=(path_of(&caller, "accounts", account)) { (account) } }
                            @else if let Some(wave) = &event.wave { a href=(path_of(&caller, "waves", wave)) { (wave) } }
                            @else if let Some(endpoint) = &event.endpoint { a href=(path_of(&caller, "endpoints", endpoint)) { (endpoint) } }
                        }
                        td { @if let (Some(from), Some(to)) = (&event.from_state, &event.to_state) { (from.replace('_', " ")) " → " (to.replace('_', " ")) } }
                        td.words { (event.why) }
                    }
                } }
            } } }
        }
    };
    Ok(page(&caller, Place::Events, "Events", &body))
}
