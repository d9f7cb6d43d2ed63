//! What an operator does wrong on the worst weekend of the year, and what he reads then: one sentence that names the
//! thing, a hint, a documented exit code, and nothing lost or half-written.

use crate::harness::{Bench, Said, USER, finish, mailhaul};
use crate::stage::{Stage, fill};
use mailhaul_testing::dovecot::Dovecot;
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::proxy::{Cut, Plan, Reply, Which};
use mailhaul_testing::tls::{CertificateKind, TestAuthority, old_tls_server};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

fn assert_said(said: &Said, code: i32, words: &[&str]) {
    let all = format!("{}{}", said.stdout, said.stderr);
    assert_eq!(said.code, code, "{all}");
    for word in words {
        assert!(all.contains(word), "`{word}` is missing in: {all}");
    }
}

/// A loopback port on which nobody listens.
fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
}

#[test]
fn usage_errors_name_the_option_and_touch_nothing() {
    let bench = Bench::between(closed_port(), "a", closed_port(), "b");
    for (arguments, words) in [
        (&["copy", "--from", "imaps://a:canary@h", "--to", "imaps://a@h"][..], &["--from", "password"][..]),
        (&["copy", "--from", "nonsense", "--to", "imaps://a@h"], &["--from", "URL"]),
        (&["copy", "--from", "imaps://a@h", "--to", "imaps://a@h"], &["same account"]),
        (&["copy", "--from", "imap://a@old.example?tls=none", "--to", "imaps://a@h"], &["--allow-plaintext"]),
        (&["copy", "--from", "imaps://a@h"], &["--to"]),
        (&["frobnicate"], &["frobnicate"]),
        (
            &["copy", "--from", "imaps://a@h", "--to", "imaps://b@h", "--from-password-file", "/nonexistent/pw"],
            &["--from-password-file", "/nonexistent/pw", "hint"],
        ),
        (&["copy", "--from", "imaps://a@h", "--to", "imaps://b@h"], &["no terminal", "--from-password-file"]),
        (&["report", "--state", "/nonexistent/state.db"], &["/nonexistent/state.db"]),
    ] {
        let mut command = mailhaul();
        command.args(arguments);
        let said = finish(command);
        assert_said(&said, 2, words);
        assert!(!said.stderr.contains("canary"), "{said:?}");
    }
    assert!(!bench.state().exists());
}

#[test]
fn a_wrong_password_ends_after_one_attempt_with_the_servers_words() {
    let stage = Stage::with_messages(1);
    let bench = Bench::between(
        stage.source_proxy.address(),
        "wrong-canary",
        stage.target_proxy.address(),
        stage.target.password(),
    );
    let said = bench.run("copy", &["--json", "-vvv"]);
    assert_said(&said, 3, &["AUTHENTICATIONFAILED", "source"]);
    assert!(!said.stdout.contains("canary") && !said.stderr.contains("canary"), "{said:?}");
    let statistics = stage.source_proxy.statistics();
    assert_eq!(statistics.count("AUTHENTICATE") + statistics.count("LOGIN"), 1, "{statistics:?}");
}

#[test]
fn a_closed_port_and_an_unknown_host_are_unreachable() {
    let server = Dovecot::start();
    let bench = Bench::between(closed_port(), "a", server.address(), server.password());
    assert_said(&bench.run("copy", &[]), 4, &["source", "127.0.0.1", "refused"]);
    let mut bench = Bench::dovecots(&server, &server);
    bench.from = "imaps://alice@no-such-host.invalid".to_owned();
    assert_said(&bench.run("copy", &[]), 4, &["source", "no-such-host.invalid"]);
}

#[test]
fn a_bad_certificate_is_refused_and_the_failed_check_is_named() {
    let authority = Arc::new(TestAuthority::new());
    let target = Dovecot::start();
    for (kind, word) in [
        (CertificateKind::Expired, "expired"),
        (CertificateKind::WrongName, "not for localhost"),
        (CertificateKind::SelfSigned, "unknown authority"),
    ] {
        let source = Dovecot::builder().tls_with(&authority, kind).start();
        let mut bench = Bench::dovecots(&source, &target);
        let port = source.tls_address().expect("it speaks TLS").port();
        bench.from = format!("imaps://{USER}@localhost:{port}");
        let ca_file = source.ca_file().expect("a CA file");
        let said = bench.run("copy", &["--ca-file", &ca_file.to_string_lossy()]);
        assert_said(&said, 4, &["source", "certificate", word]);
    }
}

#[test]
fn a_good_certificate_and_a_pinned_one_are_accepted() {
    let authority = Arc::new(TestAuthority::new());
    let source = Dovecot::builder().tls(&authority).start();
    let target = Dovecot::start();
    fill(&source, "INBOX", 5);
    let mut bench = Bench::dovecots(&source, &target);
    let tls = source.tls_address().expect("it speaks TLS").port();
    let ca_file = source.ca_file().expect("a CA file").to_string_lossy().into_owned();
    bench.from = format!("imaps://{USER}@localhost:{tls}");
    bench.copy_completely(&["--ca-file", &ca_file]);
    bench.from = format!("imap://{USER}@localhost:{}", source.address().port());
    bench.copy_completely(&["--ca-file", &ca_file]);
}

#[test]
fn a_server_with_old_tls_is_named_with_the_way_out() {
    let target = Dovecot::start();
    let mut bench = Bench::dovecots(&target, &target);
    bench.from = format!("imaps://{USER}@localhost:{}", old_tls_server().port());
    assert_said(&bench.run("copy", &[]), 4, &["TLS 1.0", "stunnel"]);
}

#[test]
fn a_state_file_that_is_none_is_refused_and_left_alone() {
    let stage = Stage::with_messages(1);
    let state = stage.bench.state();
    std::fs::create_dir_all(state.parent().expect("a folder")).expect("a folder");
    std::fs::write(&state, "this is a shopping list\n".repeat(100)).expect("a file");
    assert_said(&stage.bench.run("copy", &[]), 2, &["not a database", "--state"]);
    assert!(std::fs::read_to_string(&state).expect("still there").starts_with("this is a shopping list"));
}

#[test]
fn a_damaged_state_file_is_noticed() {
    let stage = Stage::with_messages(40);
    stage.copy_completely();
    let state = stage.bench.state();
    let mut octets = std::fs::read(&state).expect("a state file");
    let middle = octets.len() / 2;
    for octet in &mut octets[middle..middle + 4096] {
        *octet ^= 0x5a;
    }
    std::fs::write(&state, octets).expect("damaged");
    let appends = stage.appends();
    let said = stage.bench.run("copy", &[]);
    assert_said(&said, 6, &["damaged"]);
    assert_eq!(stage.appends(), appends);
}

#[test]
fn a_mail_that_the_target_refuses_is_named_and_the_rest_goes_on() {
    let stage =
        Stage::build(30, Dovecot::builder().extra("plugin {\n  quota_max_mail_size = 20k\n}\n").quota(1 << 30, 0));
    let mut client = Client::sign_in(stage.source.address(), USER, stage.source.password()).expect("sign in");
    let big = format!("Message-ID: <big@x>\r\nSubject: big\r\n\r\n{}\r\n", "x".repeat(30_000));
    client.append("INBOX", &[], Some("09-Sep-2001 01:46:40 +0000"), big.as_bytes()).expect("append");
    let (code, json) = stage.copy();
    assert_eq!((code, json["verdict"].as_str()), (5, Some("exceptions")), "{json:#}");
    assert_eq!((&json["messages"]["copied"], &json["messages"]["refused"]), (&90.into(), &1.into()), "{json:#}");
    assert_eq!(json["exceptions"][0]["mailbox"], "INBOX");
    assert_eq!(json["exceptions"][0]["uid"], 31, "{json:#}");
}

#[test]
fn a_full_target_stops_the_run_and_resumes_when_there_is_room() {
    let mut stage = Stage::build(100, Dovecot::builder().quota_bytes(60_000));
    let (code, json) = stage.copy();
    assert_eq!((code, json["verdict"].as_str()), (6, Some("stopped")), "{json:#}");
    assert!(json["stop"]["reason"].as_str().is_some_and(|reason| reason.contains("OVERQUOTA")), "{json:#}");
    assert!(json["messages"]["remaining"].as_u64() > Some(0), "{json:#}");
    stage.target.reconfigure(mailhaul_testing::dovecot::DovecotBuilder::no_quota);
    stage.target_proxy.set_target(stage.target.address());
    stage.copy_completely();
    stage.assert_exact();
}

#[test]
fn a_source_mailbox_that_is_deleted_in_the_middle_is_said() {
    let stage = Stage::with_messages(10);
    let reply = Reply::tagged("NO [NONEXISTENT] Mailbox doesn't exist: Archive");
    stage.source_proxy.set_plan(Plan::new().reply("EXAMINE", Which::Nth(2), reply));
    let (code, json) = stage.copy();
    assert_eq!(code, 5, "{json:#}");
    assert_eq!(json["exceptions"][0]["state"], "mailbox_failed");
    assert!(json["exceptions"][0]["reason"].as_str().is_some_and(|words| words.contains("NONEXISTENT")), "{json:#}");
    stage.source_proxy.set_plan(Plan::new());
    stage.copy_completely();
    stage.assert_exact();
}

/// Every command that decides, answered in every way that is not its own OK: never taken for *empty* or *done*.
#[test]
fn an_answer_that_is_not_ok_never_means_empty() {
    for command in ["LIST", "EXAMINE", "UID FETCH", "SELECT", "STATUS", "APPEND", "CREATE"] {
        for (name, reply) in [
            ("NO", Reply::tagged("NO something is wrong")),
            ("BAD", Reply::tagged("BAD what")),
            ("BYE", Reply::bye("see you")),
            ("EOF", Reply::cut(Cut::Fin)),
            ("silence", Reply::silence()),
        ] {
            if (command, name) == ("APPEND", "silence") {
                // Covered by the swallowed answers; a time-out on APPEND is followed by a long quarantine.
                continue;
            }
            let stage = Stage::with_messages(12);
            let plan = Plan::new().reply(command, Which::From(1), reply.clone());
            let on_target = matches!(command, "SELECT" | "STATUS" | "APPEND" | "CREATE");
            let proxy = if on_target { &stage.target_proxy } else { &stage.source_proxy };
            proxy.set_next_plans([plan]);
            let (code, json) = stage.bench.copy(&["--timeout", "1"]);
            let all_copied = json["messages"]["copied"] == 36;
            assert!(all_copied || code != 0, "{command} answered by {name}: {json:#}");
            proxy.set_plan(Plan::new());
            stage.bench.copy_completely(&["--timeout", "5", "--retry-exceptions"]);
            stage.assert_exact();
        }
    }
}

#[test]
fn a_pinned_certificate_is_trusted_by_its_digest_alone() {
    let authority = Arc::new(TestAuthority::new());
    let source = Dovecot::builder().tls_with(&authority, CertificateKind::SelfSigned).start();
    let target = Dovecot::start();
    fill(&source, "INBOX", 3);
    let mut bench = Bench::dovecots(&source, &target);
    bench.from = format!("imaps://{USER}@localhost:{}", source.tls_address().expect("it speaks TLS").port());
    let digest = source.certificate().expect("a certificate").sha256;
    let pin: String = digest.iter().map(|octet| format!("{octet:02X}:")).collect();
    let pin = pin.trim_end_matches(':');
    bench.copy_completely(&["--from-pin", pin]);
    let other = pin.replace(&pin[..2], if pin.starts_with("00") { "01" } else { "00" });
    assert_said(&bench.run("copy", &["--from-pin", &other]), 4, &["none of the pinned ones"]);
}
