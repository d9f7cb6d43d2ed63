//! The same with a real server: Cyrus, which puts `X` in place of 8-bit octets of headers without a word.

use super::judge::munged;
use super::mail::shelf;
use crate::{Ended, Outcome, mailhaul};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::imap_client::{Client, format_date};
use mailhaul_testing::proxy::{Cut, Plan, Proxy};
use mailhaul_testing::{Cyrus, Dovecot};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

/// Whose mail it is on both sides.
const USER: &str = "alice";

/// Copies with an answer lost, then once more with the state gone; both times everything must be there once.
pub(super) fn play(seed: u64) -> Outcome {
    let mut outcome = Outcome { runs: 1, ..Outcome::default() };
    let repeat = format!("--row 8 --seed {seed} (Cyrus, munge8bit)");
    let (source, target) = (Dovecot::builder().start(), Cyrus::start());
    let mut owner = Client::sign_in(source.address(), USER, source.password()).expect("the source lets its user in");
    let mut wanted = BTreeMap::new();
    for mail in shelf(&mut Dice::of(seed)).into_iter().flat_map(|(_, mails)| mails) {
        let date = format_date(mail.date, 0);
        owner.append("INBOX", &mail.flags, Some(&date), &mail.octets).expect("the source takes it");
        *wanted.entry(munged(&mail.octets)).or_insert(0i64) += 1;
    }
    let proxy = Proxy::start(target.address());
    proxy.set_next_plans([Plan::new().swallow_answer("APPEND", 1, Cut::Rst)]);
    let folder = tempfile::TempDir::new().expect("a folder");
    for state in ["first", "second"] {
        for turn in ["copies", "has nothing to do"] {
            let before = proxy.statistics().count("APPEND");
            let ended =
                copy(source.address(), source.password(), &proxy, target.password(), &folder.path().join(state));
            let sent = proxy.statistics().count("APPEND") - before;
            let is_first = state == "first" && turn == "copies";
            if !ended.is_complete() || (!is_first && sent > 0) {
                let words =
                    format!("the run under the {state} state that {turn} ended with {}: {sent} APPEND", ended.code);
                outcome.fail(&repeat, format!("{words}\n{}", ended.stderr));
            }
        }
    }
    let mut reader = Client::sign_in(target.address(), USER, target.password()).expect("the target lets its user in");
    reader.select("INBOX").expect("there");
    for message in reader.fetch_all().expect("readable") {
        *wanted.entry(message.octets).or_insert(0) -= 1;
    }
    for (octets, count) in wanted.into_iter().filter(|(_, count)| *count != 0) {
        *(if count > 0 { &mut outcome.lost } else { &mut outcome.doubled }) += count.unsigned_abs();
        outcome.fail(&repeat, format!("{count} of {:?}", String::from_utf8_lossy(&octets)));
    }
    outcome
}

fn copy(source: SocketAddr, password: &str, proxy: &Proxy, target_password: &str, folder: &Path) -> Ended {
    std::fs::create_dir_all(folder).expect("a folder for the state");
    std::fs::write(folder.join("from"), format!("{password}\n")).expect("a password file");
    std::fs::write(folder.join("to"), format!("{target_password}\n")).expect("a password file");
    let mut command = mailhaul();
    command.args(["copy", "--json", "--timeout", "10", "--from", &format!("imap://{USER}@{source}?tls=none")]);
    command.args(["--to", &format!("imap://{USER}@{}?tls=none", proxy.address())]);
    command.arg("--from-password-file").arg(folder.join("from")).arg("--to-password-file").arg(folder.join("to"));
    command.arg("--state").arg(folder.join("mailhaul.db"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ended::of(command.spawn().expect("it can be started"))
}
