//! Row 11: memory, while 25 accounts are copied at once over 50 connections, with a mail of 150 MiB among theirs, and
//! against servers that announce more than anybody should keep.

use crate::process::memory_peak;
use crate::{Ask, Outcome, Row, Scale, Wave, mailhaul};
use mailhaul_testing::imap_client::format_date;
use mailhaul_testing::scripted::{Command, Handled, Program, ScriptedServer, Session};
use mailhaul_testing::{Client, Dovecot, ManyAccounts};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) const ROW: Row =
    Row { number: 11, name: "memory: 50 connections, a mail of 150 MiB, hostile servers", play };

const MEMORY_MAX: u64 = 256 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long the wave may take.
const PATIENCE: Duration = Duration::from_secs(80);
/// How long a copy from or to a hostile server is watched: several connections long.
const WATCHED: Duration = Duration::from_secs(85);
/// What an endless answer comes to: much more than the bound, were it kept.
const ENDLESS_BYTES: usize = 400 << 20;
/// More than can be read while somebody watches: what goes on for so long is never over.
const FOR_EVER_BYTES: usize = 64 << 30;
/// So many octets a second go to the target on each connection, at least: accounts are at work together for some
/// seconds.
const SLOW_BYTES_PER_SEC: u64 = 400_000;
const PIECE_BYTES: usize = 1 << 20;

fn play(ask: &Ask) -> Outcome {
    let quick = ask.scale == Scale::Quick;
    let (accounts, large) = if quick { (8, 30 << 20) } else { (25, 150 << 20) };
    // Long enough for several connections, and for the pauses between them; the first connection alone shows the peak.
    let (patience, endless) =
        if quick { (Duration::from_secs(6), ENDLESS_BYTES / 8) } else { (WATCHED, ENDLESS_BYTES) };
    let mut outcome = Outcome::default();
    let highest = std::thread::scope(|scope| {
        let start = |hostility: &'static Hostility| scope.spawn(move || hostile(*hostility, patience, endless));
        let threads: Vec<_> = HOSTILITIES.iter().map(start).collect();
        many_connections(accounts, large, &mut outcome);
        let ends = threads.into_iter().map(|thread| thread.join().expect("a hostile server was met"));
        ends.fold(0, |highest, (peak, of_one)| {
            outcome.add(of_one);
            highest.max(peak)
        })
    });
    outcome.figure(format!("{} MiB at most against {} hostile servers", highest >> 20, HOSTILITIES.len()));
    outcome
}

fn check(peak: u64, repeat: &str, outcome: &mut Outcome) {
    outcome.runs += 1;
    if peak > MEMORY_MAX {
        outcome.fail(repeat, format!("{} MiB of memory", peak >> 20));
    }
}

/// The most memory that a process has held until it ended, or until it was given up.
fn peak_of(child: &mut Child, at_most: Duration) -> (u64, bool) {
    let (began, mut peak) = (Instant::now(), 0);
    loop {
        peak = peak.max(memory_peak(child).unwrap_or(0));
        if child.try_wait().expect("it was started").is_some() {
            return (peak, true);
        }
        if began.elapsed() > at_most {
            return (peak, false);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// All accounts at once, slowly enough that they are at it together.
fn many_connections(accounts: usize, large: usize, outcome: &mut Outcome) {
    let repeat = format!("--row 11 ({accounts} accounts)");
    let wave = Wave::of(ManyAccounts::new(accounts).mails(40).mail_bytes(100_000));
    put_large(&wave, large);
    wave.slow_down(SLOW_BYTES_PER_SEC.max(large as u64 / 10));
    let workers = accounts.to_string();
    let mut worker = wave.start(wave.run_command(&["--workers", &workers]));
    let (peak, ended) = peak_of(&mut worker.child, PATIENCE);
    check(peak, &repeat, outcome);
    if !ended || worker.code(Duration::ZERO) != Some(0) {
        outcome.fail(&repeat, format!("ended {ended}:\n{}", worker.said()));
    }
    let connections = wave.source.statistics().connections_peak.min(wave.target.statistics().connections_peak);
    if (connections as usize) < accounts {
        outcome.fail(&repeat, format!("only {connections} connections at once on each side"));
    }
    for (name, of_account) in &wave.servers.judge().accounts {
        outcome.take_in(&format!("{repeat}, account {name}"), of_account);
    }
    outcome.figure(format!("{} MiB with 2 × {connections} connections and a mail of {} MiB", peak >> 20, large >> 20));
}

/// One mail of that size, for the first account.
fn put_large(wave: &Wave, octets: usize) {
    let account = wave.servers.source_account(&wave.servers.accounts[0]);
    let mut mail = b"Message-ID: <large@x.example>\r\nSubject: large\r\n\r\n".to_vec();
    let line = [&[b'x'; 76][..], b"\r\n"].concat();
    mail.extend(line.iter().cycle().take(octets / line.len() * line.len()));
    let mut client = account.sign_in().expect("the source lets its owner in");
    client.append("INBOX", &[], Some(&format_date(1_000_000_000, 0)), &mail).expect("the source takes a large mail");
}

/// What a server does that nobody should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hostility {
    EndlessGreeting,
    EndlessCapabilities,
    EndlessList,
    NestedList,
    LiteralInList,
    EndlessStatus,
    EndlessUntagged,
    EndlessSearch,
    NestedFetch,
    LiteralNobodyAskedFor,
    LiteralOfHalfAGigabyte,
    LiteralLargerThanSaid,
    LiteralFarLargerThanListed,
    EndlessLiteral,
    NonsenseForEver,
    EndlessListing,
    EndlessAnswerToAppend,
    EndlessUidsOfAppend,
    EndlessContinuation,
}

use Hostility as H;
const HOSTILITIES: &[Hostility] = &[
    H::EndlessGreeting,
    H::EndlessCapabilities,
    H::EndlessList,
    H::NestedList,
    H::LiteralInList,
    H::EndlessStatus,
    H::EndlessUntagged,
    H::EndlessSearch,
    H::NestedFetch,
    H::LiteralNobodyAskedFor,
    H::LiteralOfHalfAGigabyte,
    H::LiteralLargerThanSaid,
    H::LiteralFarLargerThanListed,
    H::EndlessLiteral,
    H::NonsenseForEver,
    H::EndlessListing,
    H::EndlessAnswerToAppend,
    H::EndlessUidsOfAppend,
    H::EndlessContinuation,
];

/// Copies from, or to, a hostile server for so long, and says how much memory that took.
fn hostile(hostility: Hostility, patience: Duration, endless: usize) -> (u64, Outcome) {
    let mut outcome = Outcome::default();
    let repeat = format!("--row 11 ({hostility:?})");
    let honest = Dovecot::start();
    let folder = TempDir::new().expect("a temporary folder");
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{}\n", honest.password())).expect("a password file");
    let is_target = matches!(hostility, H::EndlessAnswerToAppend | H::EndlessUidsOfAppend | H::EndlessContinuation);
    let server = ScriptedServer::program(hostile_server(hostility, endless));
    let (source, target) =
        if is_target { (honest.address(), server.address()) } else { (server.address(), honest.address()) };
    if is_target {
        let mut client = Client::sign_in(honest.address(), "alice", honest.password()).expect("sign in");
        client.append("INBOX", &[], None, b"Subject: one\r\n\r\none\r\n").expect("append");
    }
    let mut command = mailhaul();
    command.args(["copy", "--json", "--timeout", "3"]);
    command.args([
        "--from",
        &format!("imap://alice@{source}?tls=none"),
        "--to",
        &format!("imap://alice@{target}?tls=none"),
    ]);
    command.arg("--from-password-file").arg(&password).arg("--to-password-file").arg(&password);
    command.arg("--state").arg(folder.path().join("state.db"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it can be started");
    let (peak, ended) = peak_of(&mut child, patience);
    check(peak, &repeat, &mut outcome);
    let code = ended.then(|| child.wait().ok().and_then(|status| status.code())).flatten();
    child.kill().expect("kill -9, if it has not ended");
    drop(child.wait());
    match code {
        Some(4..=6) => {}
        // Some of it is only much, and no reason to stop.
        Some(0) if matches!(hostility, H::EndlessUntagged | H::EndlessSearch) => {}
        // There was no time to see its end: several connections with pauses between them.
        None if !ended && patience < WATCHED => {}
        None if !ended => outcome.fail(&repeat, format!("it was still at it after {} seconds", patience.as_secs())),
        other => outcome.fail(&repeat, format!("it ended with {other:?}")),
    }
    (peak, outcome)
}

/// A server with one mailbox of five messages that does what it should not at one place.
fn hostile_server(hostility: Hostility, endless: usize) -> Program {
    let mut left = endless;
    let program = Program::new(move |command, session| {
        let handled = answer(hostility, left, command, session);
        if handled == Handled::Close {
            // The first connection shows what becomes of it; those that follow need not take as long.
            left = PIECE_BYTES;
        }
        handled
    });
    match hostility {
        // One line that is made beforehand, so a shorter one than the others.
        H::EndlessGreeting => program.greeting(&format!("* OK {}", "x".repeat(endless / 8))),
        _ => program,
    }
}

fn answer(hostility: Hostility, endless: usize, command: &Command, session: &mut Session<'_>) -> Handled {
    let name = command.name.as_str();
    match (hostility, name) {
        (H::EndlessCapabilities, "CAPABILITY") => pour(session, "* CAPABILITY IMAP4rev1", " X-ONE-MORE", endless),
        (H::EndlessList, "LIST") => pour(session, "* LIST () \"/\" \"", "x", endless),
        (H::NestedList, "LIST") => pour(session, "* LIST ", "(", endless / 8),
        (H::LiteralInList, "LIST") => pour(session, "* LIST () \"/\" {500000000}\r\n", "x", endless),
        (H::EndlessStatus, "STATUS" | "LIST") => pour(session, "* STATUS INBOX (MESSAGES 5", " X 1", endless),
        (H::EndlessUntagged, "EXAMINE") => pour(session, "", "* OK Still here\r\n", endless / 4),
        (H::EndlessSearch, "EXAMINE") => pour(session, "* SEARCH", " 1", endless),
        (H::NestedFetch, "UID FETCH") => pour(session, "* 1 FETCH (UID 1 BODYSTRUCTURE ", "(", endless / 8),
        (H::LiteralNobodyAskedFor, "UID FETCH") => {
            pour(session, "* 1 FETCH (UID 1 X-GIFT {500000000}\r\n", "x", endless)
        }
        (H::LiteralOfHalfAGigabyte, "UID FETCH") if command.text.contains("BODY.PEEK[]") => {
            pour(session, "* 1 FETCH (UID 1 BODY[] {500000000}\r\n", "x", PIECE_BYTES)
        }
        (H::LiteralLargerThanSaid, "UID FETCH") if command.text.contains("BODY.PEEK[]") => {
            pour(session, "* 1 FETCH (UID 1 BODY[] {99999999999}\r\n", "x", endless)
        }
        (H::LiteralFarLargerThanListed, "UID FETCH") if command.text.contains("BODY.PEEK[]") => {
            pour(session, "* 1 FETCH (UID 1 FLAGS () BODY[] {4000000000}\r\n", "x", FOR_EVER_BYTES)
        }
        (H::EndlessLiteral, "UID FETCH") if command.text.contains("BODY.PEEK[]") => {
            pour(session, "* 1 FETCH (UID 1 BODY[] {4000000000000000000}\r\n", "x", FOR_EVER_BYTES)
        }
        (H::NonsenseForEver, "UID FETCH") => pour(session, "", "Mailbox 7 OK, or so\r\n", FOR_EVER_BYTES),
        (H::EndlessListing, "UID FETCH") => pour(session, "", "* 1 FETCH (UID 1 FLAGS ())\r\n", FOR_EVER_BYTES),
        (H::EndlessAnswerToAppend, "APPEND") => pour(session, &format!("{} OK ", command.tag), "x", endless),
        (H::EndlessUidsOfAppend, "APPEND") => {
            session.tagged(command, "OK [APPENDUID 1 1:4294967295] done");
            return Handled::Yes;
        }
        (H::EndlessContinuation, "APPEND") => pour(session, "", "+ go ahead\r\n", FOR_EVER_BYTES),
        (_, "EXAMINE" | "SELECT") => return select(command, session, hostility),
        (_, "STATUS") => {
            session.line("* STATUS INBOX (MESSAGES 5 UIDNEXT 6 UIDVALIDITY 1)");
            session.tagged(command, "OK status");
            return Handled::Yes;
        }
        (_, "UID FETCH") => {
            for uid in 1..=5 {
                session.line(&format!(
                    "* {uid} FETCH (UID {uid} FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" RFC822.SIZE 30)"
                ));
            }
            session.tagged(command, "OK fetched");
            return Handled::Yes;
        }
        _ => return Handled::No,
    }
    Handled::Close
}

fn select(command: &Command, session: &mut Session<'_>, hostility: Hostility) -> Handled {
    let is_target = matches!(hostility, H::EndlessAnswerToAppend | H::EndlessUidsOfAppend | H::EndlessContinuation);
    let (exists, next) = if is_target { (0, 1) } else { (5, 6) };
    session.line(&format!("* {exists} EXISTS"));
    session.line("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)");
    session.line("* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] kept");
    session.line("* OK [UIDVALIDITY 1] valid");
    session.line(&format!("* OK [UIDNEXT {next}] next"));
    session.tagged(command, "OK [READ-WRITE] selected");
    Handled::Yes
}

/// So many octets of the same, behind a beginning; much sooner over if the client has gone.
fn pour(session: &mut Session<'_>, beginning: &str, more: &str, octets: usize) {
    session.octets(beginning.as_bytes());
    let piece = more.repeat(PIECE_BYTES / more.len());
    for _ in 0..octets.div_ceil(PIECE_BYTES) {
        session.octets(piece.as_bytes());
    }
}
