//! What a check of the state file found, in words and for programs.

use mailhaul_db::{AccountCheck, Damage, LedgerCheck, MailboxCheck};
use mailhaul_report::{bytes_for_people, count_of};
use mailhaul_types::{Escaped, escape};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// For people: the file, then account by account, then what to do.
pub(super) fn to_text(checked: &LedgerCheck) -> String {
    let mut out = format!("ledger {}\n", Escaped(&checked.file.to_string_lossy()));
    for line in [about_file(checked), about_structure(checked).to_owned()] {
        let _ = writeln!(out, "  {line}");
    }
    list_damage(&mut out, "    ", &checked.damage);
    for account in &checked.accounts {
        tell_account(&mut out, account);
    }
    if checked.accounts.is_empty() {
        let whole = checked.damage.is_empty();
        out.push_str(if whole { "  no account was ever copied with it\n" } else { "  accounts: none can be read\n" });
    }
    tell_queue(&mut out, checked);
    out.push_str(&verdict(checked));
    out
}

fn about_file(checked: &LedgerCheck) -> String {
    let size = bytes_for_people(checked.length);
    let log = match checked.log {
        Some(log) => format!(
            ", and a log of {} beside it: a process has the file open, or one was killed; log and file belong together",
            bytes_for_people(log)
        ),
        None => String::new(),
    };
    let schema = match checked.schema {
        Some(schema) if schema < checked.schema_known => {
            format!("schema {schema}, of an earlier version (this one will bring it to {})", checked.schema_known)
        }
        Some(schema) => format!("schema {schema}"),
        None => "of an unknown schema".to_owned(),
    };
    format!("file: {size}, {schema}{log}")
}

fn about_structure(checked: &LedgerCheck) -> &'static str {
    if checked.damage.is_empty() { "structure: whole" } else { "structure: DAMAGED" }
}

fn list_damage(out: &mut String, indent: &str, damage: &[Damage]) {
    for damage in damage {
        let _ = writeln!(out, "{indent}{}", Escaped(&damage.to_string()));
    }
}

fn name_of(account: &AccountCheck) -> String {
    account.identity.as_ref().map_or_else(|| format!("account number {}", account.number), ToString::to_string)
}

fn tell_account(out: &mut String, account: &AccountCheck) {
    let settled = account.mailboxes.iter().map(|mailbox| mailbox.settled).sum();
    let damaged: Vec<&MailboxCheck> = account.mailboxes.iter().filter(|mailbox| !mailbox.damage.is_empty()).collect();
    let mailboxes = account.mailboxes.len() as u64;
    let counts = format!("{}, {} settled", count_of(mailboxes, "mailbox"), count_of(settled, "message"));
    if account.is_whole() {
        let _ = writeln!(out, "  {}: whole ({counts})", name_of(account));
        return;
    }
    let _ = writeln!(out, "  {}: DAMAGED", name_of(account));
    list_damage(out, "    ", &account.damage);
    for mailbox in &damaged {
        let _ = writeln!(out, "    mailbox {}: DAMAGED", Escaped(&mailbox.name));
        list_damage(out, "      ", &mailbox.damage);
    }
    match mailboxes - damaged.len() as u64 {
        0 => {}
        1 if damaged.is_empty() => out.push_str("    its mailbox is whole\n"),
        whole if damaged.is_empty() => drop(writeln!(out, "    its {} are whole", count_of(whole, "mailbox"))),
        1 => out.push_str("    the other mailbox is whole\n"),
        whole => drop(writeln!(out, "    the other {} are whole", count_of(whole, "mailbox"))),
    }
}

fn tell_queue(out: &mut String, checked: &LedgerCheck) {
    let rows = |name: &str| checked.queue.rows.iter().find(|(table, _)| table == name).map_or(0, |(_, rows)| *rows);
    if checked.queue.rows.is_empty() && checked.queue.damage.is_empty() {
        return;
    }
    if checked.queue.rows.is_empty() {
        out.push_str("  queue: cannot be read\n");
        return;
    }
    let counts = format!("{}, {}", count_of(rows("account"), "account"), count_of(rows("job"), "job"));
    if checked.queue.damage.is_empty() {
        let _ = writeln!(out, "  queue: readable ({counts}; its rows carry no checksums)");
        return;
    }
    let _ = writeln!(out, "  queue: DAMAGED ({counts})");
    list_damage(out, "    ", &checked.queue.damage);
}

/// The last lines: whether all is whole, and what to do if not.
fn verdict(checked: &LedgerCheck) -> String {
    if checked.is_whole() {
        return "whole: everything in it is as it was written\n".to_owned();
    }
    let damaged = checked.accounts.iter().filter(|account| !account.is_whole()).count() as u64;
    let what = match damaged {
        0 if checked.accounts.is_empty() => "damaged".to_owned(),
        0 => "damaged, but no account is".to_owned(),
        _ => format!("damaged: {} of {}", damaged, count_of(checked.accounts.len() as u64, "account")),
    };
    format!(
        "{what}\nwhat to do: stop what works with the file; then either `mailhaul ledger rebuild --from … --to …` \
         for each damaged account finds out anew from both servers what its rows said, and copies nothing, or put a backup \
         of the file back (alone, with no -wal or -shm of another moment beside it): the next run finds on the target what \
         the backup has forgotten\n"
    )
}

/// For programs.
pub(super) fn to_json(checked: &LedgerCheck) -> Value {
    let accounts: Vec<Value> = checked.accounts.iter().map(account_json).collect();
    let rows: serde_json::Map<String, Value> =
        checked.queue.rows.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
    json!({
        "schema": 1,
        "file": escape(&checked.file.to_string_lossy()),
        "bytes": checked.length,
        "log_bytes": checked.log,
        "file_schema": checked.schema,
        "known_schema": checked.schema_known,
        "whole": checked.is_whole(),
        "damage": damage_json(&checked.damage),
        "accounts": accounts,
        "queue": { "rows": rows, "damage": damage_json(&checked.queue.damage) },
    })
}

fn account_json(account: &AccountCheck) -> Value {
    let mailboxes: Vec<Value> = account.mailboxes.iter().map(mailbox_json).collect();
    let identity = account.identity.as_ref();
    json!({
        "source": identity.map(|identity| escape(&identity.source.to_string())),
        "target": identity.map(|identity| escape(&identity.target.to_string())),
        "whole": account.is_whole(),
        "damage": damage_json(&account.damage),
        "mailboxes": mailboxes,
    })
}

fn mailbox_json(mailbox: &MailboxCheck) -> Value {
    json!({
        "mailbox": escape(&mailbox.name),
        "target": mailbox.mapping.as_ref().map(|mapping| escape(&mapping.target)),
        "settled": mailbox.settled,
        "damage": damage_json(&mailbox.damage),
    })
}

fn damage_json(damage: &[Damage]) -> Vec<Value> {
    damage.iter().map(|damage| json!({ "table": escape(&damage.table), "row": escape(&damage.row) })).collect()
}
