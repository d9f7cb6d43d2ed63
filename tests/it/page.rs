//! The page and the API of a real `serve`, working on two real Dovecots: what an operator does with them on the weekend
//! of the switch, and what nobody else can.

use crate::fleet::{Fleet, PATIENCE, WAVE, Worker, until};
use crate::http::{Browser, Client, Response};
use mailhaul_testing::many::{ManyAccounts, TestAccount};
use mailhaul_testing::proxy::{Direction, Plan};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;

/// A `serve` with its page, and where that is.
struct Served<'f> {
    fleet: &'f Fleet,
    worker: Worker,
    client: Client,
}

impl<'f> Served<'f> {
    fn start(fleet: &'f Fleet, options: &[&str]) -> Self {
        let worker = fleet.start_serve(&[&["--listen", "127.0.0.1:0"], options].concat());
        let mut address = None;
        until("the page is shown", PATIENCE, || {
            let said = worker.said_so_far();
            address = said.split("the page: http://").nth(1).and_then(|rest| rest.lines().next()).map(str::to_owned);
            address.is_some()
        });
        let address = address.expect("it was said").parse().expect("an address");
        Self { fleet, worker, client: Client::new(address) }
    }

    fn sign_in_by_link(&self, name: &str) -> Browser {
        let code = self.fleet.done(&["token", "link", "--name", name]).stdout;
        self.client.sign_in(code.trim()).expect("the code is good")
    }

    fn token(&self, role: &str) -> String {
        let made = self.fleet.json(&["token", "create", role, "--role", role]);
        made["token"].as_str().expect("a secret").to_owned()
    }

    fn end(self) {
        let mut worker = self.worker;
        worker.send(Signal::TERM);
        assert_eq!(worker.ended_within(PATIENCE).code, 0);
    }
}

fn get(client: &Client, path: &str, token: &str) -> Value {
    let answer = client.ask("GET", path, &[("Authorization", &format!("Bearer {token}"))], b"");
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn post(client: &Client, path: &str, token: &str, body: &Value) -> Response {
    let headers = [("Authorization", format!("Bearer {token}")), ("Content-Type", "application/json".to_owned())];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.ask("POST", path, &headers, body.to_string().as_bytes())
}

fn messages_done(client: &Client, token: &str) -> u64 {
    get(client, "/api/v1/status", token)["messages"]["done"].as_u64().expect("a number")
}

#[test]
fn a_wave_is_brought_in_started_paused_retried_and_reported_in_the_page() {
    let fleet = Fleet::without_endpoints(ManyAccounts::new(6).mails(40));
    fleet.add_endpoints(&[]);
    // Slow enough to be watched.
    fleet.target.set_plan(Plan::new().bandwidth(Direction::ToServer, 40_000));
    let served = Served::start(&fleet, &[]);
    let browser = served.sign_in_by_link("alice");
    let client = &served.client;
    let token = served.token("viewer");

    // A list is judged, and only then stored.
    let list = fleet.servers.csv().replacen(&fleet.account(1).source_password, "wrong", 1);
    let judged = browser.upload(&format!("/api/v1/import?from=old&to=new&wave={WAVE}&dry_run=true"), list.as_bytes());
    assert_eq!(judged.json()["rows"].as_array().expect("rows").len(), 6, "{judged:?}");
    assert_eq!(get(client, "/api/v1/accounts", &token)["items"].as_array().expect("a list").len(), 0);
    let stored = browser.upload(&format!("/api/v1/import?from=old&to=new&wave={WAVE}"), list.as_bytes());
    assert_eq!(stored.json()["added"], 6, "{stored:?}");

    // Preflight: the wrong password is found before anything is copied.
    browser.press("wave", WAVE, "preflight");
    until("every account was looked at", PATIENCE, || {
        let found = get(client, &format!("/api/v1/waves/{WAVE}/preflight"), &token);
        found["missing"] == 0 && found["counts"]["blocked"] == 1
    });
    let page = browser.page(&format!("/waves/{WAVE}/preflight"));
    assert!(page.contains("5 accounts can begin, 1 are blocked") && page.contains("sign-in"), "{page}");

    // Start, and numbers move without anything being asked of the servers by the page.
    browser.press("wave", WAVE, "run");
    let first = messages_done(client, &token);
    until("numbers move", PATIENCE, || messages_done(client, &token) > first);
    let page = browser.page("/");
    assert!(page.contains("At work now") && page.contains("data-live"), "{page}");

    // Pause: what runs is put down, and nothing moves any more.
    browser.press("wave", WAVE, "pause");
    until("everything is put down", PATIENCE, || fleet.jobs_in("running").is_empty());
    assert!(browser.page(&format!("/waves/{WAVE}")).contains("This wave is paused, by"));
    let events = get(client, "/api/v1/events?limit=500", &token);
    let pause = events["items"].as_array().expect("events").iter().find(|event| event["what"] == "pause").cloned();
    assert_eq!(pause.expect("it is written down")["who"], "alice (web)");

    // On again, faster; the refused sign-in waits for somebody.
    fleet.target.set_plan(Plan::new());
    browser.press("wave", WAVE, "resume");
    until("all but one are done", PATIENCE, || {
        let copies = fleet.copies();
        copies.values().filter(|job| job.state == "done").count() == 5
            && copies.values().any(|job| job.reason.as_deref() == Some("credentials"))
    });
    let refused = fleet.account(1);
    let table = get(client, &format!("/api/v1/waves/{WAVE}/accounts?summary=attention"), &token);
    assert_eq!(table["items"][0]["account"], json!(refused.name), "{table:#}");
    browser.mend(&refused.name, &refused.source_password);
    until("everything is done", PATIENCE, || fleet.copies().values().all(|job| job.state == "done"));

    // The report, as it is signed.
    let report = browser.page(&format!("/waves/{WAVE}/report"));
    assert!(report.contains("Complete: every message is accounted for"), "{report}");
    // What others do in the file is seen at the next look.
    until("the page has seen it", PATIENCE, || get(client, "/api/v1/status", &token)["verdict"]["complete"] == 6);
    let figures = client.ask("GET", "/metrics", &[("Authorization", &format!("Bearer {token}"))], b"").text();
    assert!(figures.contains(&format!("mailhaul_accounts_complete{{wave=\"{WAVE}\"}} 6")), "{figures}");
    assert!(figures.contains("class=\"sign_in\"") && figures.contains("mailhaul_bytes_moved_total{"), "{figures}");
    served.end();
    fleet.assert_exact();
}

#[test]
fn events_are_told_as_they_happen_and_taken_up_where_they_were_left() {
    let fleet = Fleet::of(ManyAccounts::new(2).mails(3));
    let served = Served::start(&fleet, &[]);
    let token = served.token("operator");
    let bearer = format!("Bearer {token}");
    let latest = get(&served.client, "/api/v1/events?limit=1", &token)["items"][0]["id"].as_i64().expect("a number");
    let mut stream = served.client.open("/api/v1/events/stream", &[("Authorization", &bearer)]);
    stream.until(": still here");
    assert_eq!(post(&served.client, &format!("/api/v1/waves/{WAVE}/run"), &token, &json!({})).status, 200);
    let told = stream.until("\"what\":\"end\"");
    assert!(told.contains("event: change\ndata: {") && told.contains("\"what\":\"claim\""), "{told}");
    drop(stream);
    // Everything since, from the start, without a gap and without a repetition.
    until("both are done", PATIENCE, || fleet.copies().values().all(|job| job.state == "done"));
    let last = latest.to_string();
    let mut again =
        served.client.open("/api/v1/events/stream", &[("Authorization", &bearer), ("Last-Event-ID", &last)]);
    let told = again.until("\"to_state\":\"done\"");
    let ids: Vec<i64> = told.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert!(ids.first().is_some_and(|first| *first == latest + 1), "{ids:?}");
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
    // Everybody is let go when the process ends.
    let mut lines = served.client.open(&format!("/api/v1/events/lines?after={latest}"), &[("Authorization", &bearer)]);
    lines.until("\"id\"");
    served.end();
    lines.until_end();
}

#[test]
fn nobody_else_comes_in() {
    let fleet = Fleet::of(ManyAccounts::new(1).mails(1));
    let served = Served::start(&fleet, &[]);
    until("it is said how to sign in", PATIENCE, || served.worker.said_so_far().contains("mailhaul token link"));
    let said = served.worker.said_so_far();
    assert!(!said.contains("mht_"), "nobody sits at this terminal: a code would be kept in a journal: {said}");
    let code = served.sign_in_by_link("alice");
    assert!(code.page("/").contains("admin"));
    let client = &served.client;
    for host in ["evil.example", "127.0.0.1", "evil.example:8025"] {
        assert_eq!(client.ask_as(host, "GET", "/", &[], b"").status, 421, "{host}");
    }
    for (path, status) in
        [("/", 303), ("/api/v1/accounts", 401), ("/metrics", 401), ("/healthz", 200), ("/readyz", 200)]
    {
        assert_eq!(client.ask("GET", path, &[], b"").status, status, "{path}");
    }
    let form = b"scope=everything&do=pause&back=/".as_slice();
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let cookie = ("Cookie", code.cookie());
    assert_eq!(client.ask("POST", "/act", &[kind, cookie, ("Origin", "http://evil.example")], form).status, 403);
    assert_eq!(client.ask("POST", "/act", &[kind, cookie, ("Origin", &client.origin())], form).status, 403);
    assert_eq!(client.ask("POST", "/act", &[kind, cookie], form).status, 403);
    assert!(fleet.json(&["status"])["summary"]["stopped"] == 0, "nothing was paused");

    // A token that is revoked while it is used.
    let token = served.token("viewer");
    get(client, "/api/v1/me", &token);
    fleet.done(&["token", "revoke", "viewer"]);
    let after = client.ask("GET", "/api/v1/me", &[("Authorization", &format!("Bearer {token}"))], b"");
    assert_eq!(after.status, 401);
    served.end();

    let again = Served::start(&fleet, &[]);
    assert_eq!(again.client.ask("GET", "/api/v1/me", &[("Cookie", code.cookie())], b"").status, 401, "another port");
    // A browser that came by a link is seen from the command line, and signed out there.
    let bob = again.sign_in_by_link("bob");
    assert!(bob.page("/").contains("bob"));
    let listed = fleet.json(&["token", "list"]);
    let sessions = listed["sessions"].as_array().expect("a list");
    assert!(sessions.iter().all(|one| one["by_link"] == true), "{listed:#}");
    let number = sessions.iter().find(|one| one["name"] == "bob").expect("there")["session"].to_string();
    fleet.done(&["token", "revoke", "--session", &number]);
    assert_eq!(again.client.ask("GET", "/api/v1/me", &[("Cookie", bob.cookie())], b"").status, 401);
    assert!(fleet.done(&["token", "revoke", "--sessions"]).stdout.starts_with("1 browser signed out"));
    again.end();
}

/// The paths of everything that the API lets an administrator read and that ends, filled with what there is.
fn readable(client: &Client, token: &str, account: &str) -> Vec<String> {
    let document = get(client, "/api/v1/openapi.json", token);
    let paths = document["paths"].as_object().expect("paths").iter();
    let reads = paths.filter(|(path, methods)| {
        methods.get("get").is_some() && !path.ends_with("/stream") && !path.ends_with("/lines")
    });
    let fill = |part: &str| match part {
        "{wave}" => WAVE.to_owned(),
        "{account}" => account.to_owned(),
        "{endpoint}" => "third".to_owned(),
        "{job}" => "1".to_owned(),
        part => part.to_owned(),
    };
    reads.map(|(path, _)| path.split('/').map(fill).collect::<Vec<_>>().join("/")).collect()
}

#[test]
fn no_secret_is_told_by_page_api_log_or_file() {
    let fleet = Fleet::of(ManyAccounts::new(2).mails(2));
    let served = Served::start(&fleet, &["-vvv"]);
    let client = &served.client;
    let admin = served.token("admin");
    let code = fleet.done(&["token", "link", "--name", "alice"]).stdout.trim().to_owned();
    let browser = client.sign_in(&code).expect("the code is good");
    let account = fleet.account(1).name.clone();
    let session = browser.cookie().split_once('=').expect("a value").1.to_owned();

    // Passwords come in by every way there is, wrong ones and misplaced ones too.
    let list = format!("{}ghost,ghost@x,canary-list-1,ghost@y,canary-list-1\n", fleet.servers.csv());
    for dry in ["&dry_run=true", ""] {
        browser
            .upload(&format!("/api/v1/import?from=old&to=new&wave={WAVE}&ignore_unknown=true{dry}"), list.as_bytes());
    }
    let third = json!({ "name": "third", "url": "imaps://nowhere.invalid", "admin_password": "canary-endpoint-2",
                        "admin": { "user": "root", "style": "authorization_identity" } });
    assert_eq!(post(client, "/api/v1/endpoints", &admin, &third).status, 200);
    post(client, "/api/v1/endpoints", &admin, &json!({ "name": "canary-3", "timeout_secs": "canary-wrong-4" }));
    post(client, "/api/v1/tokens", &admin, &json!({ "name": "x", "role": "canary-role-5" }));
    browser.mend(&account, "canary-mended-6");
    browser.mend(&account, &fleet.account(1).source_password);
    client.ask("GET", "/api/v1/me", &[("Authorization", "Bearer mht_canary-bearer-7")], b"");
    client.ask("GET", "/api/v1/me?token=canary-query-8", &[], b"");
    assert!(client.sign_in("canary-form-9").is_none());
    browser.press("wave", WAVE, "run");
    until("both are done", PATIENCE, || fleet.copies().values().filter(|job| job.state == "done").count() == 2);

    let mut secrets: Vec<String> = ["list-1", "endpoint-2", "wrong-4", "mended-6", "bearer-7", "form-9"]
        .iter()
        .map(|name| format!("canary-{name}"))
        .collect();
    secrets.extend([admin.clone(), code, session]);
    for number in 1..=2 {
        let TestAccount { source_password, target_password, .. } = fleet.account(number);
        secrets.extend([source_password.clone(), target_password.clone()]);
    }
    let mut told: Vec<(String, Vec<u8>)> = Vec::new();
    let pages = ["/", "/endpoints", "/endpoints/third", "/events", "/import", "/waves/staff", "/waves/staff/preflight"];
    let pages = pages.iter().map(|path| (*path).to_owned()).chain([format!("/accounts/{account}")]);
    for path in pages.chain(readable(client, &admin, &account)).chain(["/metrics".to_owned()]) {
        let answer = client.ask("GET", &path, &[("Authorization", &format!("Bearer {admin}"))], b"");
        assert!(answer.status < 500, "{path}: {answer:?}");
        told.push((path, format!("{answer:?}").into_bytes()));
    }
    for what in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{what}", served.worker.id());
        told.push((path.clone(), std::fs::read(path).expect("it runs")));
    }
    let said = served.worker.said_so_far();
    assert!(said.contains("TRACE") || said.contains("DEBUG"), "it was asked to say everything: {said}");
    told.push(("what serve said".to_owned(), said.into_bytes()));
    served.end();
    let mut folders = vec![fleet.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.ends_with("spoken") {
                // There lies what the commands said that made the token and the code.
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                told.push((path.display().to_string(), std::fs::read(&path).expect("readable")));
            }
        }
    }
    assert!(told.len() > 30, "{}", told.len());
    for (place, octets) in &told {
        for secret in &secrets {
            let is_there = octets.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{place} tells {secret}");
        }
    }
}

#[test]
fn a_signal_ends_it_whatever_anybody_is_in_the_middle_of() {
    use std::io::{Read as _, Write as _};
    let fleet = Fleet::of(ManyAccounts::new(1).mails(1));
    let mut served = Served::start(&fleet, &[]);
    let token = served.token("viewer");
    let mut streams: Vec<_> = (0..3)
        .map(|_| served.client.open("/api/v1/events/stream", &[("Authorization", &format!("Bearer {token}"))]))
        .collect();
    for stream in &mut streams {
        stream.until(": still here");
    }
    // More than there are places for, each with a form of which the last octet never comes.
    let Client::Tcp(address) = &served.client else { panic!("it listens on a port") };
    let head = format!(
        "POST /sign-in HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nContent-Length: 9\r\n\r\nsecret=a"
    );
    let mut halves = Vec::new();
    for _ in 0..600 {
        let Ok(mut stream) = std::net::TcpStream::connect(address) else { break };
        stream.write_all(head.as_bytes()).expect("sent");
        halves.push(stream);
    }
    assert!(halves.len() > 512, "{}", halves.len());
    served.worker.send(Signal::TERM);
    let said = served.worker.ended_within(PATIENCE);
    assert_eq!(said.code, 0, "{said:?}");
    for stream in &mut streams {
        stream.until_end();
    }
    let mut rest = Vec::new();
    let _ = halves[0].read_to_end(&mut rest);
    // It has tidied up: what it wrote is in the one file.
    assert!(!fleet.state().with_extension("db-wal").exists(), "the file was not closed");
}

#[test]
fn what_keeps_the_page_from_opening_is_said_before_any_work_is_begun() {
    let fleet = Fleet::of(ManyAccounts::new(1).mails(1));
    fleet.done(&["run", "--wave", WAVE, "--detach"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    for options in [
        vec!["--listen", "127.0.0.1:0", "--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"],
        vec!["--listen", &taken],
        vec!["--listen", "192.0.2.1:1"],
    ] {
        let mut refused = fleet.start_serve(&options);
        let said = refused.ended_within(PATIENCE);
        assert_ne!(said.code, 0, "{options:?}: {said:?}");
    }
    let job = fleet.copies().into_values().next().expect("it is queued");
    assert_eq!((job.state.as_str(), job.attempts), ("queued", 0), "nobody took it up");
    assert_eq!(fleet.source.statistics().connections, 0, "no server was asked");
}

#[test]
fn the_page_can_be_had_at_a_socket_or_not_at_all() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = Fleet::of(ManyAccounts::new(1).mails(1));
    let socket = fleet.folder().join("page.sock");
    let path = socket.to_str().expect("letters").to_owned();
    let mut served = fleet.start_serve(&["--socket", &path]);
    until("the socket is there", PATIENCE, || socket.exists());
    let mode = std::fs::metadata(&socket).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let client = Client::at_socket(&socket);
    until("it answers", Duration::from_secs(60), || client.ask("GET", "/healthz", &[], b"").status == 200);
    served.send(Signal::TERM);
    assert_eq!(served.ended_within(PATIENCE).code, 0);
    assert!(!socket.exists(), "the socket goes with its process");
    let mut silent = fleet.start_serve(&["--no-page"]);
    until("it works", PATIENCE, || fleet.json(&["status"])["workers"] == 1);
    assert!(!silent.said_so_far().contains("the page"));
    silent.send(Signal::TERM);
    assert_eq!(silent.ended_within(PATIENCE).code, 0);
}

#[test]
#[ignore = "makes pictures: `make page-pictures`"]
fn the_page_is_drawn_at_three_widths_in_light_and_dark() {
    let fleet = Fleet::without_endpoints(ManyAccounts::new(24).mails(60));
    fleet.add_endpoints(&["--max-connections", "12"]);
    let mut list = fleet.servers.csv();
    for number in [3, 11] {
        list = list.replacen(&fleet.account(number).source_password, "wrong", 1);
    }
    fleet.import(&list, &[]);
    fleet.target.set_plan(Plan::new().bandwidth(Direction::ToServer, 60_000));
    let served = Served::start(&fleet, &["--workers", "6"]);
    let token = served.token("admin");
    let folder = std::env::var("PAGE_PICTURES").unwrap_or_else(|_| "target/page-pictures".to_owned());
    let draw = |pages: &[String]| {
        let mut command = std::process::Command::new("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/page_pictures.py"));
        command.args(["chromium", &served.client.origin(), &token, &folder]).args(pages);
        assert!(command.status().expect("python3 is there").success(), "a page is not as it should be");
    };
    let name = |number: usize| fleet.account(number).name.clone();
    draw(&["/=empty-wave-overview".to_owned()]);
    post(&served.client, &format!("/api/v1/waves/{WAVE}/run"), &token, &json!({ "kind": "preflight" }));
    until("every account was looked at", PATIENCE, || {
        get(&served.client, &format!("/api/v1/waves/{WAVE}/preflight"), &token)["missing"] == 0
    });
    post(&served.client, &format!("/api/v1/waves/{WAVE}/run"), &token, &json!({}));
    let paused = [name(20), name(21)];
    post(&served.client, "/api/v1/pause", &token, &json!({ "accounts": paused, "reason": "on holiday" }));
    until("some are done", PATIENCE, || fleet.copies().values().filter(|job| job.state == "done").count() > 6);
    draw(&[
        "/=overview".to_owned(),
        format!("/waves/{WAVE}=wave"),
        format!("/waves/{WAVE}?summary=attention=attention"),
        format!("/waves/{WAVE}/preflight=preflight"),
        format!("/accounts/{}=account", name(3)),
        format!("/accounts/{}=account-done", name(1)),
        "/endpoints=endpoints".to_owned(),
        "/endpoints/new=endpoint".to_owned(),
        "/import=import".to_owned(),
        "/events=events".to_owned(),
        format!("/waves/{WAVE}/report=report"),
    ]);
    served.end();
}
