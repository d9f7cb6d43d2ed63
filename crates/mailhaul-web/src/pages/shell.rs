//! What every page has: head, bar, notice, foot.

use super::assets::NAMES;
use super::parts::{moment, said, sentence};
use crate::app::{App, Caller};
use crate::door::PAGE_POLICY;
use crate::problem::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mailhaul_service::Role;
use maud::{DOCTYPE, Markup, html};

/// Where in the bar a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Endpoints,
    Import,
    Events,
    Elsewhere,
}

/// A whole page for somebody who is signed in.
pub(super) fn page(caller: &Caller, place: Place, title: &str, body: &Markup) -> Response {
    let app = &caller.app;
    let notices = if caller.is_script { Vec::new() } else { app.take_notices(&caller.visitor) };
    let can_change = caller.visitor.role >= Role::Operator;
    let link = |to: Place, path: &str, words: &str| {
        html! { a href=(caller.path(path)) aria-current=[(to == place).then_some("page")] { (words) } }
    };
    let inner = html! {
        a.skip href="#content" { "To the content" }
        header.bar-top {
            a.brand href=(caller.path("/")) { img src=(asset(app, 2)) alt="" width="20" height="20"; "mailhaul" }
            nav aria-label="Pages" {
                (link(Place::Overview, "/", "Overview"))
                (link(Place::Endpoints, "/endpoints", "Endpoints"))
                @if can_change { (link(Place::Import, "/import", "Import")) }
                (link(Place::Events, "/events", "Events"))
            }
            span.line #line role="status" data-said="live" hidden {}
            form.who method="post" action=(caller.path("/sign-out")) {
                (hidden_csrf(caller))
                span { (said(&caller.visitor.name)) " · " (caller.visitor.role.word()) }
                button.quiet type="submit" { "Sign out" }
            }
        }
        main #content tabindex="-1" {
            div data-live="sight" { (out_of_sight(app)) }
            @for notice in &notices {
                div.notice.bad[notice.is_error] role=(if notice.is_error { "alert" } else { "status" }) {
                    p { (sentence(&notice.text)) }
                    @if !notice.hint.is_empty() { p.soft { (sentence(&notice.hint)) } }
                }
            }
            (body)
        }
    };
    answer(StatusCode::OK, document(app, title, caller.csrf.as_deref(), &inner))
}

/// That what is shown is old, and why nothing newer is.
fn out_of_sight(app: &App) -> Markup {
    let blind = app.pulse.blind();
    html! {
        @if let Some(blind) = blind {
            div.notice.bad role="alert" data-blind="" {
                p { "The state file cannot be read. "
                    @if let Some(at) = blind.seen_unix_ms { "Numbers are those of " (moment(at)) "." } @else { "Nothing was seen yet." } }
                @if !blind.words.is_empty() { p.soft { (sentence(&blind.words)) } }
            }
        }
    }
}

/// A page for somebody who is not signed in.
pub(super) fn bare(app: &App, status: StatusCode, title: &str, body: &Markup) -> Response {
    let inner = html! { main.alone #content { (body) } };
    answer(status, document(app, title, None, &inner))
}

/// A problem, told.
pub(super) fn problem_page(app: &App, problem: &Problem) -> Response {
    let status = problem.status();
    let heading = match status {
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::FORBIDDEN => "That is not allowed",
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => "That cannot be",
        StatusCode::TOO_MANY_REQUESTS => "Too often",
        _ => "That did not work",
    };
    let body = html! {
        div.card.problem {
            h1 { (heading) }
            p { (sentence(&problem.detail)) }
            @if !problem.hint.is_empty() && status != StatusCode::NOT_FOUND { p.soft { (sentence(&problem.hint)) } }
            p { a href={ (app.hosts.prefix()) "/" } { "To the overview" } }
        }
    };
    bare(app, status, heading, &body)
}

fn document(app: &App, title: &str, csrf: Option<&str>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="same-origin";
                @if let Some(csrf) = csrf { meta name="csrf" content=(csrf); }
                meta name="prefix" content=(app.hosts.prefix());
                title { (said(title)) " · mailhaul" }
                link rel="icon" href=(asset(app, 2));
                link rel="stylesheet" href=(asset(app, 0));
                script src=(asset(app, 1)) defer {}
            }
            body { (body) }
        }
    }
}

fn asset(app: &App, which: usize) -> String {
    format!("{}/assets/{}", app.hosts.prefix(), NAMES[which])
}

fn answer(status: StatusCode, page: Markup) -> Response {
    let mut response =
        (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    response
}

/// What a form of ours sends along.
pub(super) fn hidden_csrf(caller: &Caller) -> Markup {
    html! { input type="hidden" name="csrf" value=(caller.csrf.as_deref().unwrap_or_default()); }
}
