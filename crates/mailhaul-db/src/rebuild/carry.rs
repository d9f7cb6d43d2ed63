//! From the damaged file into the new one.

use super::SetAside;
use super::keep::keep;
use super::mend;
use super::ours::{Ours, find_ours};
use crate::check::{LedgerCheck, MailboxCheck};
use crate::error::{DbError, Doing};
use crate::fault::Fault;
use crate::files::{self, PathFault};
use crate::ledger::{OpenOptions, Stop, connect_options, open_for_writing, path_error};
use crate::model::PairIdentity;
use crate::older;
use crate::rows::{LedgerRow, PairRow, RunRow};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use std::collections::BTreeSet;
use std::path::Path;

/// Tables whose rows belong to a mailbox.
const OF_MAILBOX: [&str; 6] =
    ["segment", "keyword_set", "mailbox_exception", "mailbox_pass", "mailbox_sync", "mailbox_departed"];
/// Tables that are made with the file.
const MADE_ANEW: [&str; 2] = ["ledger", "_sqlx_migrations"];
/// How often a range of rows is halved around a place that cannot be read, in one table.
const TRIES_MAX: u32 = 5_000;
/// Rows are looked for up to this number.
const NUMBER_MAX: i64 = 1 << 32;

/// Takes a file out of the mode in which it has a log. That needs the file for oneself alone.
pub(super) async fn leave_log(path: &Path, options: &OpenOptions) -> Result<(), DbError> {
    let outcome = async {
        let mut db = connect_options(path, options).connect().await?;
        let mode = sqlx::query_scalar("PRAGMA journal_mode = DELETE").fetch_one(&mut db).await;
        // The error of closing says less than the one before it.
        let closed = db.close().await;
        let mode: String = mode?;
        closed?;
        if mode == "delete" { Ok(()) } else { Err(Fault::Internal(format!("SQLite keeps the journal mode {mode}"))) }
    };
    outcome.await.map_err(|fault| fault.at(Doing::new("rebuild", path)))
}

/// Fills the new file. If the old one is damaged in such a way that SQLite does nothing while it is attached, the new
/// one stays empty.
pub(super) async fn carry_over(
    path: &Path,
    new: &Path,
    checked: Option<&LedgerCheck>,
    identity: &PairIdentity,
    options: &OpenOptions,
) -> Result<SetAside, DbError> {
    let doing = || Doing::new("rebuild", path);
    let mut db = open_new(new, options).await?;
    let carried = match checked {
        Some(checked) => carry(&mut db, path, checked, identity, options).await,
        None => Ok(nothing_left()),
    };
    let carried = match carried {
        Err(fault) if fault.damage().is_some() => {
            let _ = db.close().await;
            let again = files::remove_database(new).map_err(PathFault::from);
            again.map_err(|fault| path_error(fault, doing()))?;
            db = open_new(new, options).await?;
            SetAside { tables_lost: vec!["all".to_owned()], ..nothing_left() }
        }
        carried => carried.map_err(|fault| fault.at(doing()))?,
    };
    db.close().await.map_err(|error| Stop::from(error).at(doing()))?;
    Ok(carried)
}

fn nothing_left() -> SetAside {
    SetAside { account_lost: true, ..SetAside::default() }
}

/// A ledger with nothing in it, that only its owner can read.
async fn open_new(path: &Path, options: &OpenOptions) -> Result<SqliteConnection, DbError> {
    let doing = || Doing::new("rebuild", path);
    files::prepare_state_file(path).map_err(|fault| path_error(fault, doing()))?;
    let (db, _) = open_for_writing(path, options).await.map_err(|stop| stop.at(doing()))?;
    Ok(db)
}

async fn carry(
    new: &mut SqliteConnection,
    path: &Path,
    checked: &LedgerCheck,
    identity: &PairIdentity,
    options: &OpenOptions,
) -> Result<SetAside, Fault> {
    new.execute("PRAGMA foreign_keys = OFF").await?;
    let Some(mut old) = attach(new, path, options).await? else {
        return Ok(nothing_left());
    };
    // Every statement is a transaction of its own: one that fails at a place that cannot be read must not take others
    // with it. The file counts only once it is whole, and is synced then.
    new.execute("PRAGMA synchronous = OFF").await?;
    let key = LedgerRow::read(&mut old).await.ok().flatten();
    let ours = find_ours(&mut old, checked, identity).await;
    let mut carrier = Carrier { new, aside: SetAside::default(), mailboxes_out: BTreeSet::new() };
    carrier.tables(key.as_ref(), ours.as_ref()).await?;
    match (&key, &ours) {
        (Some(_), Some(ours)) => carrier.account(&mut old, ours, identity, (options.clock)()).await?,
        _ => carrier.aside.account_lost = true,
    }
    carrier.leave_strays().await?;
    let aside = carrier.aside;
    new.execute("DETACH DATABASE old").await?;
    let _ = old.close().await;
    Ok(aside)
}

/// Attaches the damaged file to the new one, and opens it beside; `None` if its schema cannot be read: nothing in it can
/// be then.
async fn attach(
    new: &mut SqliteConnection,
    path: &Path,
    options: &OpenOptions,
) -> Result<Option<SqliteConnection>, Fault> {
    let attached = async {
        sqlx::query("ATTACH DATABASE $1 AS old").bind(path.to_str()).execute(&mut *new).await?;
        // Attaching reads no schema; a malformed one would spoil every later statement, whatever it is about.
        new.execute("SELECT type, name FROM old.sqlite_schema").await?;
        open_old(path, options).await
    };
    match attached.await {
        Ok(old) => Ok(Some(old)),
        Err(fault) => {
            let _ = new.execute("DETACH DATABASE old").await;
            fault.damage().map(|_| None).ok_or(fault)
        }
    }
}

/// The damaged file, for reading.
pub(super) async fn open_old(path: &Path, options: &OpenOptions) -> Result<SqliteConnection, Fault> {
    let mut old = connect_options(path, options).read_only(true).pragma("temp_store", "MEMORY").connect().await?;
    // What an older file lacks.
    older::cover(&mut old).await?;
    Ok(old)
}

struct Carrier<'a> {
    new: &'a mut SqliteConnection,
    aside: SetAside,
    /// Mailboxes whose rows are not carried over as they are.
    mailboxes_out: BTreeSet<i64>,
}

impl Carrier<'_> {
    /// Everything but what is put aside. Without the key under which it was made, nothing of the ledger can be used.
    async fn tables(&mut self, key: Option<&LedgerRow>, ours: Option<&Ours<'_>>) -> Result<(), Fault> {
        if let Some(key) = key {
            self.new.execute("DELETE FROM main.ledger").await?;
            key.insert(self.new).await?;
        }
        let (mut pair, mut pairs, mut told) = (0, "0".to_owned(), false);
        if let Some(ours) = ours {
            pair = ours.account.number;
            let numbers = std::iter::once(&pair).chain(&ours.doubles).map(i64::to_string);
            pairs = numbers.collect::<Vec<_>>().join(", ");
            told = !ours.account.damage.is_empty();
            let out = ours.account.mailboxes.iter().filter(|mailbox| !ours.is_certain || !mailbox.damage.is_empty());
            self.mailboxes_out = out.map(|mailbox| mailbox.number).collect();
        }
        let out = self.mailboxes_out.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        let tables =
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *self.new).await?;
        for table in tables {
            let of_mailbox = OF_MAILBOX.contains(&table.as_str());
            let of_ledger = of_mailbox || matches!(table.as_str(), "pair" | "run" | "mailbox" | "remark");
            if MADE_ANEW.contains(&table.as_str()) || (of_ledger && key.is_none()) {
                continue;
            }
            let all_out = ours.is_some_and(|ours| !ours.is_certain);
            let which = match table.as_str() {
                "pair" | "run" => format!("pair_id NOT IN ({pairs})"),
                "remark" if told || all_out => format!("pair_id <> {pair}"),
                "mailbox_pass" if told => format!(
                    "mailbox_id NOT IN ({out}) AND mailbox_id NOT IN (SELECT mailbox_id FROM old.mailbox WHERE pair_id = {pair})"
                ),
                "mailbox" => format!("mailbox_id NOT IN ({out})"),
                _ if of_mailbox => format!("mailbox_id NOT IN ({out})"),
                _ => "TRUE".to_owned(),
            };
            self.copy_table(&table, &which).await?;
        }
        Ok(())
    }

    /// Rows that belong to an account or a mailbox which is not there say nothing to anybody.
    async fn leave_strays(&mut self) -> Result<(), Fault> {
        let of_pair = ["run", "mailbox", "remark"].map(|table| (table, "pair", "pair_id"));
        let of_mailbox = OF_MAILBOX.map(|table| (table, "mailbox", "mailbox_id"));
        for (table, parent, key) in of_pair.into_iter().chain(of_mailbox) {
            let sql = format!("DELETE FROM main.{table} WHERE {key} NOT IN (SELECT {key} FROM main.{parent})");
            self.aside.strays += self.new.execute(AssertSqlSafe(sql)).await?.rows_affected();
        }
        Ok(())
    }

    /// Copies the rows of a table for which `which` holds, as they are; around what cannot be read.
    async fn copy_table(&mut self, table: &str, which: &str) -> Result<(), Fault> {
        let columns = |schema: &str| format!("SELECT name FROM pragma_table_info('{table}', '{schema}')");
        let known: Vec<String> = sqlx::query_scalar(AssertSqlSafe(columns("main"))).fetch_all(&mut *self.new).await?;
        let found = sqlx::query_scalar(AssertSqlSafe(columns("old"))).fetch_all(&mut *self.new).await;
        let found: Vec<String> = found.unwrap_or_default();
        let shared: Vec<&str> = known.iter().filter(|name| found.contains(name)).map(String::as_str).collect();
        if shared.is_empty() {
            // A table that the schema of the file does not know yet, or a schema that cannot be read.
            return Ok(());
        }
        let columns = shared.join(", ");
        let insert = format!("INSERT OR IGNORE INTO main.{table} ({columns}) SELECT {columns} FROM old.{table}");
        if self.try_to(&format!("{insert} NOT INDEXED WHERE {which}")).await? {
            return Ok(());
        }
        self.aside.tables_lost.push(table.to_owned());
        let Some(number) = number_of(&mut *self.new, table).await? else { return Ok(()) };
        let mut tries = TRIES_MAX;
        let mut ranges = vec![(0, NUMBER_MAX)];
        while let Some((first, last)) = ranges.pop() {
            if tries == 0 {
                break;
            }
            tries -= 1;
            let sql = format!("{insert} WHERE {number} BETWEEN {first} AND {last} AND {which}");
            if !self.try_to(&sql).await? && first < last {
                let middle = first + (last - first) / 2;
                ranges.push((middle + 1, last));
                ranges.push((first, middle));
            }
        }
        Ok(())
    }

    /// Whether it could be done. That a place cannot be read is none of the new file's business.
    async fn try_to(&mut self, sql: &str) -> Result<bool, Fault> {
        match self.new.execute(AssertSqlSafe(sql.to_owned())).await {
            Ok(_) => Ok(true),
            Err(error) => {
                let fault = Fault::from(error);
                if fault.damage().is_some() { Ok(false) } else { Err(fault) }
            }
        }
    }

    /// The account itself, and what is left of its damaged mailboxes.
    async fn account(
        &mut self,
        old: &mut SqliteConnection,
        ours: &Ours<'_>,
        identity: &PairIdentity,
        now: i64,
    ) -> Result<(), Fault> {
        let pair_id = ours.account.number;
        let is_out = |mailbox: &&MailboxCheck| self.mailboxes_out.contains(&mailbox.number);
        let damaged: Vec<&MailboxCheck> = ours.account.mailboxes.iter().filter(is_out).collect();
        for mailbox in damaged {
            if ours.is_certain {
                self.keep(old, pair_id, mailbox).await?;
            } else {
                self.aside.mailboxes.push(mailbox.name.clone());
            }
        }
        if ours.is_certain {
            self.mend(old, ours).await?;
        }
        let count = "SELECT COUNT(*) FROM main.mailbox WHERE pair_id = $1";
        let mailboxes: i64 = sqlx::query_scalar(count).bind(pair_id).fetch_one(&mut *self.new).await?;
        let mailboxes = u32::try_from(mailboxes).unwrap_or(u32::MAX);
        // No process is left that works under an earlier claim.
        let generation = ours.generation + 1;
        PairRow { pair_id, identity: identity.clone(), generation, mailboxes }.insert(self.new).await?;
        let run = RunRow { pair_id, generation, started_at_secs: now, finished: None, detail: String::new() };
        run.put(self.new).await?;
        self.aside.account_lost = !ours.is_certain;
        Ok(())
    }

    /// Mailboxes that were whole in the old file and are not in the new one.
    async fn mend(&mut self, old: &mut SqliteConnection, ours: &Ours<'_>) -> Result<(), Fault> {
        let pair_id = ours.account.number;
        let is_carried = |mailbox: &&MailboxCheck| !self.mailboxes_out.contains(&mailbox.number);
        let carried: Vec<&MailboxCheck> = ours.account.mailboxes.iter().filter(is_carried).collect();
        for mailbox in carried {
            if mend::is_whole(self.new, pair_id, mailbox.number).await? {
                continue;
            }
            for table in OF_MAILBOX.into_iter().chain(["mailbox"]) {
                let sql = format!("DELETE FROM main.{table} WHERE mailbox_id = {}", mailbox.number);
                self.new.execute(AssertSqlSafe(sql)).await?;
            }
            self.keep(old, pair_id, mailbox).await?;
        }
        mend::drop_untrue_words(self.new, pair_id).await
    }

    /// What is left of a mailbox of the account is put into the new file.
    async fn keep(&mut self, old: &mut SqliteConnection, pair_id: i64, mailbox: &MailboxCheck) -> Result<(), Fault> {
        self.aside.mailboxes.push(mailbox.name.clone());
        if let Some(kept) = keep(old, mailbox.number).await.filter(|kept| kept.row.pair_id == pair_id) {
            self.aside.messages_kept += kept.messages();
            kept.put(self.new).await?;
        }
        Ok(())
    }
}

/// The column by whose number rows can be found without reading all: the row's own number, or the first of its key.
async fn number_of(db: &mut SqliteConnection, table: &str) -> Result<Option<String>, Fault> {
    let sql = format!("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = '{table}'");
    let without_number: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *db).await?;
    if without_number == 0 {
        return Ok(Some("rowid".to_owned()));
    }
    let sql = format!("SELECT name FROM pragma_table_info('{table}', 'main') WHERE pk = 1 AND type = 'INTEGER'");
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(db).await?)
}
