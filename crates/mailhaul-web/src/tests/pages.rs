//! The pages: what they show, to whom, and what strangers' words can do in them, which is nothing.

use super::{Desk, FORM, ORIGIN};
use axum::http::StatusCode;
use mailhaul_db::{AccountIdentity, Exception, ExceptionState, Mapping, PairIdentity};
use mailhaul_report::{AccountPreflight, Block, BlockKind, PreflightStep};
use mailhaul_service::{ImportRequest, Role};
use mailhaul_types::{Uid, UidValidity};

/// Names and words that want to be more than that.
const PAYLOADS: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "'onmouseover='alert(1)",
    "</title></style></textarea><svg onload=alert(1)>",
    "{{7*7}}${7*7}",
];

/// Whether something stands in a page as HTML that must be words.
fn is_loose(page: &str) -> Option<&'static str> {
    let bad = [
        "<script>alert",
        "<img src=x",
        "<svg onload",
        "href=\"javascript:",
        "'onmouseover='alert(1)'",
        "</textarea><svg",
    ];
    bad.into_iter().find(|bad| page.contains(bad))
}

async fn desk_of_payloads() -> Desk {
    let desk = Desk::new().await;
    let rows: Vec<serde_json::Value> = PAYLOADS
        .iter()
        .enumerate()
        .map(|(n, payload)| serde_json::json!({ "account": format!("{n}{payload}"), "source_user": format!("u{n}{payload}"), "password": "x", "wave": "staff" }))
        .collect();
    let request = ImportRequest {
        octets: serde_json::to_vec(&rows).expect("JSON"),
        from: Some("old".to_owned()),
        to: Some("new".to_owned()),
        ..ImportRequest::default()
    };
    desk.service.import(request).await.expect("imported");
    desk.service.prepare_run("staff", None).await.expect("queued");
    desk
}

#[tokio::test]
async fn strangers_words_are_words_on_every_page() {
    let desk = desk_of_payloads().await;
    let (cookie, _) = desk.browser(Role::Admin).await;
    let names = desk.service.accounts(None, None).await.expect("read");
    assert_eq!(names.len(), PAYLOADS.len());
    for name in &names {
        let whom = mailhaul_service::Whom::Account(name.name.clone());
        desk.service.pause(&whom, &name.name).await.expect("paused");
    }
    let mut paths =
        vec!["/".to_owned(), "/waves/staff".to_owned(), "/events".to_owned(), "/waves/staff/report".to_owned()];
    for name in &names {
        let encoded = percent_encoding::utf8_percent_encode(&name.name, percent_encoding::NON_ALPHANUMERIC);
        paths.push(format!("/accounts/{encoded}"));
        paths.push(format!("/waves/staff?q={encoded}&summary={encoded}&sort={encoded}"));
        paths.push(format!("/waves/{encoded}"));
        paths.push(format!("/{encoded}"));
    }
    for path in paths {
        let page = desk.ask("GET", &path, &[("cookie", &cookie)], "").await;
        assert_eq!(is_loose(&page.text), None, "{path}");
        assert!(!page.status.is_server_error(), "{path}: {page:?}");
        // Not one script or style of its own, so that the policy can forbid them all.
        if !path.ends_with("/report") {
            assert!(!page.text.contains("<style") && !page.text.contains(" style="), "{path}");
            assert_eq!(page.text.matches("<script").count(), 1, "{path}");
        }
        assert!(!page.text.contains(" onclick="), "{path}");
    }
}

/// What servers call their mailboxes, and what they say when they refuse something: it stands in ledger and preflight.
async fn let_servers_speak(desk: &Desk) {
    for account in desk.service.accounts(None, None).await.expect("read") {
        let end = |host, login: &str| AccountIdentity::new(host, login, None);
        let pair = PairIdentity {
            source: end("old.example", &account.source_owner),
            target: end("new.example", &account.target_owner),
        };
        let lease = desk.service.ledger().claim_pair(&pair).await.expect("free");
        let names = PAYLOADS.iter().map(|name| Mapping { source: (*name).to_owned(), target: format!("to {name}") });
        lease.map_mailboxes(names.collect()).await.expect("mapped");
        for words in PAYLOADS {
            let mailbox = lease.mailbox(words).await.expect("mapped");
            mailbox.bind(UidValidity(1), UidValidity(2), Uid(1)).await.expect("bound");
            let reason = format!("NO {words}");
            let exception = Exception { uid: Some(Uid(7)), state: ExceptionState::Refused, reason, key: None };
            mailbox.record_exception(exception).await.expect("queued");
        }
        lease.release().await.expect("on disk");
        let block = |words: &&str| Block {
            kind: BlockKind::SignIn,
            side: None,
            step: PreflightStep::SignIn,
            words: (*words).to_owned(),
            server_words: Some((*words).to_owned()),
            retry_after_ms: None,
            hint: (*words).to_owned(),
        };
        let found = AccountPreflight { blocks: PAYLOADS.iter().map(block).collect(), ..AccountPreflight::default() };
        desk.service.queue().put_preflight(account.id, &found.to_json().to_string()).await.expect("kept");
    }
}

#[tokio::test]
async fn servers_words_and_names_of_mailboxes_are_words_too() {
    let desk = desk_of_payloads().await;
    let (cookie, _) = desk.browser(Role::Admin).await;
    let_servers_speak(&desk).await;
    let names = desk.service.accounts(None, None).await.expect("read");
    let encoded = percent_encoding::utf8_percent_encode(&names[0].name, percent_encoding::NON_ALPHANUMERIC);
    for (path, least) in [
        (format!("/accounts/{encoded}"), 2 * PAYLOADS.len()),
        ("/waves/staff/preflight".to_owned(), PAYLOADS.len()),
        ("/waves/staff/report".to_owned(), PAYLOADS.len()),
        ("/waves/staff".to_owned(), 1),
        ("/".to_owned(), 0),
    ] {
        let page = desk.ask("GET", &path, &[("cookie", &cookie)], "").await;
        assert_eq!((page.status, is_loose(&page.text)), (StatusCode::OK, None), "{path}");
        let shown = page.text.matches("{{7*7}}").count() + page.text.matches("alert(1)").count();
        assert!(shown >= least, "{path} does not show what was said: {shown} times");
        assert_eq!(tags_of_strangers(&page.text), Vec::<String>::new(), "{path}");
    }
}

/// Elements and attributes that no page of ours has, found as a parser of HTML finds them: whatever stands between `<` and
/// `>` outside of a quoted value.
fn tags_of_strangers(page: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), page);
    while let Some((_, after)) = rest.split_once('<') {
        let (mut quote, mut end) = (None, after.len());
        for (place, character) in after.char_indices() {
            match (quote, character) {
                (None, '"' | '\'') => quote = Some(character),
                (Some(open), _) if open == character => quote = None,
                (None, '>') => {
                    end = place;
                    break;
                }
                _ => {}
            }
        }
        let tag = &after[..end];
        let name: String = tag.chars().take_while(|one| !one.is_whitespace() && *one != '>').collect();
        let is_ours =
            |name: &str| !["img", "svg"].contains(&name) || !tag.contains("onerror") && !tag.contains("onload");
        let outside: String = tag.split('"').step_by(2).collect();
        if !is_ours(&name) || outside.contains(" on") || outside.contains("alert") || outside.contains("javascript:") {
            found.push(tag.to_owned());
        }
        rest = &after[end..];
    }
    found
}

#[test]
fn a_strangers_tag_is_found_where_there_is_one() {
    assert!(tags_of_strangers("<p title=\"a > b\">x</p><a href=\"/x\">alert(1)</a>").is_empty());
    for loose in [
        "<img src=x onerror=alert(1)>",
        "<svg onload=alert(1)>",
        "<a href=\"x\" onclick=\"y\">",
        "<script>alert</script><b alert>",
    ] {
        assert!(!tags_of_strangers(loose).is_empty(), "{loose}");
    }
}

#[tokio::test]
async fn a_button_does_what_it_says_and_leads_back() {
    let desk = Desk::new().await.with_accounts(3).await;
    let (cookie, csrf) = desk.browser(Role::Operator).await;
    let headers = [("cookie", cookie.as_str()), ("origin", ORIGIN), ("content-type", FORM)];
    let act = async |body: &str| desk.ask("POST", "/act", &headers, &format!("csrf={csrf}&{body}")).await;
    let started = act("scope=wave&name=staff&do=run&back=%2Fwaves%2Fstaff").await;
    assert_eq!(started.header("location"), "/waves/staff", "{started:?}");
    let page = desk.ask("GET", "/waves/staff", &[("cookie", &cookie)], "").await;
    assert!(page.text.contains("3 jobs queued."), "{}", page.text);
    // The script of another tab looks meanwhile, and takes nothing away from the person.
    act("scope=wave&name=staff&do=pause&back=%2Fwaves%2Fstaff").await;
    act("scope=wave&name=staff&do=resume&back=%2Fwaves%2Fstaff").await;
    let script = desk.ask("GET", "/waves/staff", &[("cookie", &cookie), ("x-live", "1")], "").await;
    assert!(!script.text.contains("3 jobs paused."));
    let page = desk.ask("GET", "/", &[("cookie", &cookie)], "").await;
    assert!(
        page.text.contains("3 jobs paused.") && page.text.contains("3 jobs resumed."),
        "both are told: {}",
        page.text
    );
    let again = desk.ask("GET", "/waves/staff", &[("cookie", &cookie)], "").await;
    assert!(!again.text.contains("3 jobs queued."), "a notice is told once");
    act("scope=accounts&name=staff&account=a0&account=a2&do=pause&back=/").await;
    let page = desk.ask("GET", "/waves/staff?summary=stopped", &[("cookie", &cookie)], "").await;
    assert!(page.text.contains(">a0</a>") && page.text.contains(">a2</a>") && !page.text.contains(">a1</a>"));
    act("scope=accounts&name=staff&all_fitting=1&summary=stopped&do=resume&back=/").await;
    assert_eq!(desk.service.queue().holds().await.expect("read").len(), 0);
    let foreign = act("scope=wave&name=staff&do=pause&back=%2F%2Fevil.example").await;
    assert_eq!(foreign.header("location"), "/");
    for scope in ["everything", "endpoint"] {
        act(&format!("scope={scope}&name=old&do=retry&back=/")).await;
        let page = desk.ask("GET", "/", &[("cookie", &cookie)], "").await;
        assert!(page.text.contains("only a wave or an account can be tried again"), "{scope}: {}", page.text);
    }
    let wrong = act("scope=wave&name=nowhere&do=pause&back=/").await;
    assert_eq!(wrong.status, StatusCode::SEE_OTHER);
    let page = desk.ask("GET", "/", &[("cookie", &cookie)], "").await;
    assert!(page.text.contains("there is no wave <code>nowhere</code>"), "an error is told where one was");
}

#[tokio::test]
async fn limits_are_changed_in_the_page() {
    let desk = Desk::new().await;
    let (cookie, csrf) = desk.browser(Role::Operator).await;
    let headers = [("cookie", cookie.as_str()), ("origin", ORIGIN), ("content-type", FORM)];
    // Without windows, work is allowed at all times.
    let open = desk.service.endpoint_standing("old").await.expect("there");
    assert!(open.is_open && open.changes_unix_ms.is_none());
    let body = format!("csrf={csrf}&name=old&connections=7&bytes_per_second=&windows=nights+UTC%0D%0Aweekends+UTC");
    let saved = desk.ask("POST", "/act/limits", &headers, &body).await;
    assert_eq!(saved.header("location"), "/endpoints/old", "{saved:?}");
    let limits = desk.service.endpoint("old").await.expect("there").row.limits;
    assert_eq!((limits.connections, limits.windows.len()), (Some(7), 2));
    let page = desk.ask("GET", "/endpoints/old", &[("cookie", &cookie)], "").await;
    assert!(page.text.contains("value=\"7\"") && page.text.contains("nights UTC\nweekends UTC"), "{}", page.text);
}

#[tokio::test]
async fn a_viewer_is_shown_no_button_that_he_may_not_press() {
    let desk = Desk::new().await.with_accounts(2).await;
    let (cookie, _) = desk.browser(Role::Viewer).await;
    for path in ["/", "/waves/staff", "/accounts/a1", "/endpoints/old"] {
        let page = desk.ask("GET", path, &[("cookie", &cookie)], "").await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.text.contains("action=\"/act"), "{path}");
    }
    let import = desk.ask("POST", "/act", &[("cookie", &cookie), ("origin", ORIGIN)], "").await;
    assert_eq!(import.status, StatusCode::FORBIDDEN);
}
