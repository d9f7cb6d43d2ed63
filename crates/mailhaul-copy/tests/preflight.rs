//! The look before the first copy, against private Dovecots and scripted servers: what it finds, and that it leaves no
//! trace.

use mailhaul_copy::{
    Account, AccountPair, CopyJob, Oversight, Progress, RetryExceptions, ServerSign, StopSwitch, Supervisor,
    copy_account, preflight_account, preflight_with_oversight, probe_endpoint, probe_without_sign_in,
};
use mailhaul_db::{Ledger, OpenOptions};
use mailhaul_imap::{Credentials, Dial, Endpoint, Timeouts, TlsMode, Trust};
use mailhaul_plan::mailboxes::MappingRules;
use mailhaul_plan::selection::Selection;
use mailhaul_report::{AccountPreflight, BlockKind, PreflightStep, PreflightVerdict, ProbeReport, RemarkKind};
use mailhaul_testing::dovecot::{Dovecot, DovecotBuilder};
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::scripted::{Command, Handled, Program, ScriptedServer, Session};
use mailhaul_testing::tls::TestAuthority;
use mailhaul_types::{Secret, Side};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(5), control: Duration::from_secs(10), idle: Duration::from_secs(10) };

fn account(address: SocketAddr, password: &str) -> Account {
    Account {
        endpoint: Endpoint {
            host: address.ip().to_string(),
            port: address.port(),
            tls: TlsMode::Plain,
            trust: Trust::System,
            dial: Dial::Tcp,
            compress: mailhaul_imap::Compress::Auto,
        },
        credentials: Credentials {
            user: "alice".to_owned(),
            password: Secret::new(password.as_bytes().to_vec()),
            authorization_identity: None,
        },
        owner: None,
    }
}

fn at(dovecot: &Dovecot) -> Account {
    account(dovecot.address(), dovecot.password())
}

fn job(source: Account, target: Account) -> CopyJob {
    CopyJob {
        accounts: AccountPair { source, target, timeouts: TIMEOUTS },
        rules: MappingRules::default(),
        selection: Selection::default(),
        retry_exceptions: RetryExceptions::Nowhere,
        remap: false,
        accept_target_change: false,
        accept_mass_absence: false,
        copy_deleted_flag: false,
        connections: mailhaul_copy::Connections::default(),
        batches: mailhaul_plan::batches::BatchLimits::default(),
        recognise_only: false,
        resync: mailhaul_plan::policy::ResyncPolicy::default(),
    }
}

async fn look(job: &CopyJob) -> AccountPreflight {
    look_with(job, None).await
}

async fn look_with(job: &CopyJob, ledger: Option<&Ledger>) -> AccountPreflight {
    let (_switch, stop) = StopSwitch::new();
    let found = preflight_account(job, ledger, &stop).await;
    // Whatever is found is stored, and must be read back as it was.
    assert_eq!(AccountPreflight::from_json(found.to_json()).expect("readable"), found);
    found
}

fn client(dovecot: &Dovecot) -> Client {
    Client::sign_in(dovecot.address(), "alice", dovecot.password()).expect("signs in")
}

fn message(number: usize, octets: usize) -> Vec<u8> {
    let mut text = format!("Message-ID: <{number}@preflight>\r\nSubject: {number}\r\n\r\n").into_bytes();
    text.resize(octets - 2, b'x');
    text.extend_from_slice(b"\r\n");
    text
}

fn fill(dovecot: &Dovecot, mailbox: &str, messages: usize, octets: usize) {
    let mut client = client(dovecot);
    if mailbox != "INBOX" {
        client.create(mailbox).expect("created");
    }
    for number in 0..messages {
        client.append(mailbox, &[], None, &message(number, octets)).expect("stored");
    }
    client.logout();
}

/// The kinds of everything that an operator should know, but for the plain text of these tests.
fn remarks(found: &AccountPreflight) -> Vec<RemarkKind> {
    let kinds = found.remarks.iter().map(|remark| remark.kind);
    kinds.filter(|kind| kind.weighs() && *kind != RemarkKind::Security).collect()
}

#[tokio::test]
async fn an_ordinary_account_is_ready_and_counted_and_nothing_is_written() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    fill(&source, "INBOX", 3, 1_000);
    fill(&source, "Archive", 2, 5_000);
    let found = look(&job(at(&source), at(&target))).await;
    assert_eq!(remarks(&found), [], "{}", found.to_text());
    assert!(found.blocks.is_empty(), "{}", found.to_text());
    assert_eq!((found.messages(), found.bytes()), (5, 13_000), "{}", found.to_text());
    assert_eq!((found.to_copy_messages(), found.to_copy_bytes()), (5, 13_000));
    let lines: Vec<_> =
        found.mailboxes.iter().map(|line| (line.source.as_str(), line.messages, line.creates)).collect();
    assert_eq!(lines, [("INBOX", 3, false), ("Archive", 2, true)]);
    assert_eq!(found.source.failed.or(found.target.failed), None);
    assert!(found.is_counted() && found.target.passed.contains(&PreflightStep::Quota));
    assert_eq!(client(&target).list().expect("listed").len(), 1, "only INBOX");
}

#[tokio::test]
async fn certificates_and_versions_are_told_under_tls() {
    let authority = Arc::new(TestAuthority::new());
    let server = Dovecot::builder().tls(&authority).start();
    let mut account = account(server.tls_address().expect("a TLS port"), server.password());
    account.endpoint.host = "localhost".to_owned();
    account.endpoint.tls = TlsMode::Implicit;
    account.endpoint.trust = Trust::CaFile(authority.ca_file());
    let report = probe_endpoint(&account, &TIMEOUTS).await;
    assert_eq!(report.failure, None, "{}", report.to_text());
    let tls = report.tls.as_ref().expect("TLS");
    assert_eq!((tls.version.as_str(), tls.sha256.len()), ("TLS 1.3", 64));
    assert!(tls.issuer.is_some() && tls.ends_unix_secs.is_some(), "{tls:?}");
    let text = report.to_text();
    assert!(text.contains("stores up to 200 messages or 2.0 MiB with one APPEND (MULTIAPPEND)"), "{text}");
    assert!(text.contains("1 mailbox") && text.contains("personal: no prefix, delimiter \"/\""), "{text}");
    assert_eq!(ProbeReport::from_json(report.to_json()).expect("readable"), report);

    account.endpoint.trust = Trust::Pin(vec![[7; 32]]);
    let refused = probe_endpoint(&account, &TIMEOUTS).await;
    let failure = refused.failure.as_ref().expect("refused");
    assert_eq!((failure.kind, failure.step, failure.side), (BlockKind::Tls, PreflightStep::Tls, None));
}

#[tokio::test]
async fn a_stranger_is_shown_what_strangers_are_shown() {
    let server = Dovecot::start();
    let endpoint = at(&server).endpoint;
    let report = probe_without_sign_in(&endpoint, &TIMEOUTS).await;
    assert_eq!(report.failure, None, "{}", report.to_text());
    assert!(report.greeting.is_some() && !report.capabilities_before.is_empty());
    assert!(report.capabilities_after.is_empty() && report.as_target.is_empty());
    assert!(report.in_any_case.iter().any(|sentence| sentence.starts_with("signs in by")), "{}", report.to_text());
    assert_eq!(report.passed, [PreflightStep::Resolve, PreflightStep::Connect, PreflightStep::Greeting]);
}

#[tokio::test]
async fn both_wrong_passwords_are_told_with_one_sign_in_each() {
    let refuse = |command: &Command, session: &mut Session<'_>| {
        if command.name != "LOGIN" {
            return Handled::No;
        }
        session.tagged(command, "NO [AUTHENTICATIONFAILED] who are you \u{202e}");
        Handled::Yes
    };
    let servers = [(); 2].map(|()| ScriptedServer::program(Program::new(refuse)));
    let found = look(&job(account(servers[0].address(), "x"), account(servers[1].address(), "x"))).await;
    let blocks: Vec<_> = found.blocks.iter().map(|block| (block.side, block.kind, block.step)).collect();
    let expected = [Side::Source, Side::Target].map(|side| (Some(side), BlockKind::SignIn, PreflightStep::SignIn));
    assert_eq!(blocks, expected);
    assert!(!found.is_to_be_repeated() && found.verdict() == PreflightVerdict::Blocked);
    assert_eq!(found.source.failed, Some(PreflightStep::SignIn));
    let words = found.blocks[0].server_words.as_deref();
    assert_eq!(words, Some("NO [AUTHENTICATIONFAILED] who are you \\u{202e}"));
    assert!(!found.to_text().contains('\u{202e}'));
    for server in &servers {
        let sign_ins = server.commands().iter().filter(|command| *command == "LOGIN").count();
        assert_eq!((server.connections(), sign_ins), (1, 1));
    }
}

#[tokio::test]
async fn trouble_that_passes_is_told_from_a_blocked_account() {
    let source = Dovecot::start();
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let found = look(&job(at(&source), account(nobody, "x"))).await;
    let block = found.gravest_block().expect("blocked");
    assert_eq!((block.side, block.kind, block.step), (Some(Side::Target), BlockKind::Network, PreflightStep::Connect));
    assert!(found.is_to_be_repeated() && !found.is_counted());
    assert!(found.source.passed.contains(&PreflightStep::SignIn));

    let busy = Program::new(|_, _| Handled::No).greeting("* BYE Too many connections");
    let busy = ScriptedServer::program(busy);
    let found = look(&job(account(busy.address(), "x"), at(&source))).await;
    let block = found.gravest_block().expect("blocked");
    assert_eq!((block.side, block.kind), (Some(Side::Source), BlockKind::Throttle));
    assert_eq!(block.step, PreflightStep::Greeting);
    assert!(found.is_to_be_repeated());
}

#[tokio::test]
async fn a_target_without_the_room_is_blocked_and_one_that_may_do_is_remarked_on() {
    let source = Dovecot::start();
    fill(&source, "INBOX", 10, 50_000);
    let target = Dovecot::builder().quota_bytes(300 * 1_024).start();
    let found = look(&job(at(&source), at(&target))).await;
    let block = found.gravest_block().expect("blocked");
    assert_eq!((block.kind, block.side), (BlockKind::Quota, Some(Side::Target)), "{}", found.to_text());
    assert!(block.words.contains("leaves 300.0 KiB (0 B of 300.0 KiB in use)"), "{}", block.words);
    assert_eq!(found.quotas[0].bytes.expect("a limit").limit, 300 * 1_024);

    // As many messages as there are at the source lie on the target: they may be the same ones.
    fill(&target, "INBOX", 10, 20_000);
    let found = look(&job(at(&source), at(&target))).await;
    assert!(found.blocks.is_empty(), "{}", found.to_text());
    assert_eq!(remarks(&found), [RemarkKind::Room], "{}", found.to_text());
    assert_eq!(found.mailboxes[0].unknown_on_target, Some(10));

    let few = Dovecot::builder().quota(10 << 20, 4).start();
    let found = look(&job(at(&source), at(&few))).await;
    let block = found.gravest_block().expect("blocked");
    assert!(block.words.contains("at least 10 messages are needed"), "{}", block.words);
}

#[tokio::test]
async fn mail_above_the_targets_limit_and_changed_names_are_told_before() {
    let source = Dovecot::builder().store(mailhaul_testing::Store::Sdbox).start();
    fill(&source, "INBOX", 2, 1_000);
    fill(&source, "v1.0", 1, 9_000);
    let target = DovecotBuilder::default().delimiter('.').with_capability("APPENDLIMIT=4000").start();
    let found = look(&job(at(&source), at(&target))).await;
    assert_eq!(remarks(&found), [RemarkKind::NameChanged, RemarkKind::TooLarge], "{}", found.to_text());
    assert_eq!(found.append_limit_bytes, Some(4_000));
    assert_eq!(found.mailboxes[1].too_large_messages, 1);
    assert_eq!(found.verdict(), PreflightVerdict::Remarks);
}

#[tokio::test]
async fn what_earlier_runs_settled_is_not_counted_again() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    fill(&source, "INBOX", 4, 2_000);
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Ledger::open(&folder.path().join("state.db"), OpenOptions::default()).await.expect("opens");
    let job = job(at(&source), at(&target));
    let (progress, (_switch, stop)) = (Progress::default(), StopSwitch::new());
    let report = copy_account(&job, &ledger, &Oversight::none(&progress, &stop)).await;
    assert_eq!(report.totals().copied, 4, "{}", report.to_text());
    let mut more = client(&source);
    more.append("INBOX", &[], None, &message(77, 3_000)).expect("stored");
    let found = look_with(&job, Some(&ledger)).await;
    assert!(found.blocks.is_empty(), "{}", found.to_text());
    let line = &found.mailboxes[0];
    assert_eq!((line.messages, line.settled_messages), (5, 4));
    assert_eq!((line.to_copy_messages, line.to_copy_bytes, line.unknown_on_target), (1, 3_000, Some(0)));
    assert_eq!(line.bytes, Some(11_000), "as the server sums it up");
}

/// A source with one mailbox that shows fewer messages than it has.
fn capped(status: u32, exists: u32, listed: u32) -> ScriptedServer {
    let program = Program::new(move |command: &Command, session: &mut Session<'_>| {
        match command.name.as_str() {
            "STATUS" => {
                session.line(&format!("* STATUS INBOX (MESSAGES {status} UIDNEXT 99 UIDVALIDITY 1 SIZE 4096)"));
            }
            "EXAMINE" => {
                session.line(&format!("* {exists} EXISTS"));
                session.line("* OK [UIDVALIDITY 1] ok");
                session.line("* OK [UIDNEXT 99] ok");
            }
            "UID FETCH" => {
                for uid in 1..=listed {
                    session.line(&format!("* {uid} FETCH (UID {uid} RFC822.SIZE 100)"));
                }
            }
            _ => return Handled::No,
        }
        session.tagged(command, "OK");
        Handled::Yes
    });
    ScriptedServer::program(program.capabilities("IMAP4rev1 STATUS=SIZE NAMESPACE"))
}

#[tokio::test]
async fn a_view_that_shows_less_than_there_is_is_told() {
    let target = Dovecot::start();
    let whole = capped(40, 40, 40);
    let found = look(&job(account(whole.address(), "x"), at(&target))).await;
    assert_eq!((remarks(&found), found.bytes()), (vec![], 4_096), "{}", found.to_text());
    assert!(whole.commands().iter().all(|command| !command.starts_with("UID FETCH")), "the sum was enough");

    let cut = capped(80, 40, 40);
    let found = look(&job(account(cut.address(), "x"), at(&target))).await;
    assert_eq!(remarks(&found), [RemarkKind::CappedView], "{}", found.to_text());

    let round = capped(1_000, 1_000, 1_000);
    let found = look(&job(account(round.address(), "x"), at(&target))).await;
    assert_eq!(remarks(&found), [RemarkKind::CappedView], "{}", found.to_text());
    assert!(found.remarks.iter().any(|remark| remark.text.contains("--accept-view 'INBOX'")), "{}", found.to_text());
    let mut accepted = job(account(round.address(), "x"), at(&target));
    accepted.resync.accepted_views = vec!["INBOX".to_owned()];
    let found = look(&accepted).await;
    assert_eq!(remarks(&found), [], "{}", found.to_text());

    let limited = Dovecot::builder().with_capability("APPENDLIMIT=4000").start();
    let silent = capped(40, 40, 30);
    let found = look(&job(account(silent.address(), "x"), at(&limited))).await;
    assert_eq!(remarks(&found), [RemarkKind::CappedView], "{}", found.to_text());
    assert_eq!(found.to_copy_messages(), 30);
}

#[tokio::test]
async fn what_a_poor_target_lacks_is_told_with_its_cost() {
    let source = Dovecot::start();
    let poor = Program::new(|command: &Command, session: &mut Session<'_>| {
        if command.name != "SELECT" && command.name != "EXAMINE" {
            return Handled::No;
        }
        session.line("* 0 EXISTS");
        session.line("* OK [PERMANENTFLAGS (\\Seen \\Answered)] limited");
        session.tagged(command, "OK [READ-WRITE] done");
        Handled::Yes
    });
    let poor = ScriptedServer::program(poor.capabilities("IMAP4rev1"));
    let found = look(&job(at(&source), account(poor.address(), "x"))).await;
    let costs: Vec<_> =
        found.remarks.iter().filter(|remark| remark.kind == RemarkKind::Extension).map(|remark| &remark.text).collect();
    assert_eq!(costs.len(), 3, "{costs:?}");
    assert_eq!(remarks(&found), [RemarkKind::Flags], "{}", found.to_text());
    assert!(
        found.to_text().contains("these flags are not kept: \\Flagged, \\Draft, new keywords"),
        "{}",
        found.to_text()
    );
}

#[tokio::test]
async fn a_mailbox_that_cannot_be_opened_does_not_hide_the_others() {
    let target = Dovecot::start();
    let source = ScriptedServer::program(Program::new(|command: &Command, session: &mut Session<'_>| {
        match command.name.as_str() {
            "LIST" => {
                session.line("* LIST () \"/\" INBOX");
                session.line("* LIST () \"/\" broken");
                session.tagged(command, "OK");
                Handled::Yes
            }
            "EXAMINE" if command.text.contains("broken") => {
                session.tagged(command, "NO [NOPERM] not yours");
                Handled::Yes
            }
            _ => Handled::No,
        }
    }));
    let found = look(&job(account(source.address(), "x"), at(&target))).await;
    assert_eq!(remarks(&found), [RemarkKind::MailboxFailed], "{}", found.to_text());
    assert!(found.to_text().contains("remark: broken: source: EXAMINE: server refused"), "{}", found.to_text());
    assert_eq!(found.mailboxes.len(), 2);
}

#[tokio::test]
async fn rules_that_cannot_be_followed_block_the_account() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    let mut unused = job(at(&source), at(&target));
    unused.rules.map.push(("Nowhere".to_owned(), "Somewhere".to_owned()));
    let found = look(&unused).await;
    let block = found.gravest_block().expect("blocked");
    assert_eq!((block.kind, block.side, block.step), (BlockKind::Usage, None, PreflightStep::Mapping));
    fill(&source, "A", 1, 200);
    fill(&source, "B", 1, 200);
    let mut merged = job(at(&source), at(&target));
    merged.rules.map = ["A", "B"].map(|name| (name.to_owned(), "C".to_owned())).to_vec();
    let found = look(&merged).await;
    assert_eq!(found.gravest_block().map(|block| block.kind), Some(BlockKind::Decision), "{}", found.to_text());
}

#[tokio::test]
async fn a_stop_ends_the_look_at_once() {
    let silent =
        ScriptedServer::program(Program::new(
            |command: &Command, _: &mut Session<'_>| {
                if command.name == "LIST" { Handled::Silence } else { Handled::No }
            },
        ));
    let target = Dovecot::start();
    let job = job(account(silent.address(), "x"), at(&target));
    let (switch, stop) = StopSwitch::new();
    let waiting = async {
        while !silent.commands().iter().any(|command| command.starts_with("LIST")) {
            tokio::task::yield_now().await;
        }
        switch.request();
    };
    let (found, ()) = tokio::join!(preflight_account(&job, None, &stop), waiting);
    let block = found.gravest_block().expect("blocked");
    assert_eq!((block.kind, block.step), (BlockKind::Interrupted, PreflightStep::Mailboxes));
    assert!(found.is_to_be_repeated());
}

/// Writes down what it is told.
#[derive(Default)]
struct Listener(Mutex<Vec<(Side, ServerSign)>>);

impl Supervisor for Listener {
    fn sign(&self, side: Side, sign: ServerSign) {
        self.0.lock().expect("nobody panicked").push((side, sign));
    }
}

#[tokio::test]
async fn who_runs_many_is_told_what_the_servers_showed_and_sees_it_move() {
    let source = Dovecot::start();
    let busy = Program::new(|_, _| Handled::No).greeting("* BYE Too many connections");
    let busy = ScriptedServer::program(busy);
    let listener = Arc::new(Listener::default());
    let (progress, (_switch, stop)) = (Progress::default(), StopSwitch::new());
    let before = progress.beats();
    let oversight = Oversight { supervisor: Arc::clone(&listener) as _, ..Oversight::none(&progress, &stop) };
    let job = job(at(&source), account(busy.address(), "x"));
    let found = preflight_with_oversight(&job, None, &oversight).await;
    assert!(found.is_to_be_repeated(), "{}", found.to_text());
    let heard = listener.0.lock().expect("nobody panicked");
    assert_eq!(*heard, [(Side::Source, ServerSign::Served), (Side::Target, ServerSign::Throttled(None))]);
    assert_ne!(progress.beats(), before);
}
