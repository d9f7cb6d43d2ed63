//! Accounts and their mailboxes, one by one, each row by its own checksum and each mailbox by the sum of its rows.

use super::{AccountCheck, Damage, MailboxCheck, keep};
use crate::fault::Fault;
use crate::read::read_contents;
use crate::rows::{MailboxRow, PairRow, PassRow, RemarkRow, RunRow, StoredRow};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use std::collections::BTreeMap;

/// What stands in a row that has not been verified: enough to find the row, and to call it by a name.
struct Found {
    mailbox_id: i64,
    name: String,
}

/// Reads every account. What belongs to none goes to `found`.
pub(super) async fn check_accounts(
    db: &mut SqliteConnection,
    found: &mut Vec<Damage>,
) -> Result<Vec<AccountCheck>, Fault> {
    let Some(numbers) = keep(pair_numbers(db).await, found)? else { return Ok(Vec::new()) };
    let mut mailboxes = keep(mailbox_numbers(db).await, found)?.unwrap_or_default();
    let mut accounts = Vec::with_capacity(numbers.len());
    for number in numbers {
        accounts.push(check_account(db, number, mailboxes.remove(&number).unwrap_or_default()).await?);
    }
    for (number, strays) in mailboxes {
        let row = format!("{} of its rows belong to account number {number}, which is not there", strays.len());
        found.push(Damage::of(MailboxRow::TABLE, row));
    }
    Ok(accounts)
}

// Indexes are left alone: a damaged one must not hide a row.

async fn pair_numbers(db: &mut SqliteConnection) -> Result<Vec<i64>, Fault> {
    Ok(sqlx::query_scalar("SELECT pair_id FROM pair NOT INDEXED ORDER BY pair_id").fetch_all(db).await?)
}

async fn mailbox_numbers(db: &mut SqliteConnection) -> Result<BTreeMap<i64, Vec<Found>>, Fault> {
    let sql = "SELECT mailbox_id, pair_id, source_name FROM main.mailbox NOT INDEXED ORDER BY mailbox_id";
    let mut by_pair: BTreeMap<i64, Vec<Found>> = BTreeMap::new();
    for row in sqlx::query(sql).fetch_all(db).await? {
        let mailbox_id = row.try_get(0)?;
        let name = row.try_get(2).unwrap_or_else(|_| format!("number {mailbox_id}"));
        by_pair.entry(row.try_get(1)?).or_default().push(Found { mailbox_id, name });
    }
    Ok(by_pair)
}

async fn check_account(db: &mut SqliteConnection, number: i64, mailboxes: Vec<Found>) -> Result<AccountCheck, Fault> {
    let mut account = AccountCheck { number, identity: None, mailboxes: Vec::new(), damage: Vec::new() };
    let found = &mut account.damage;
    let pair = keep(PairRow::read(db, number).await, found)?;
    if let Some(pair) = &pair
        && u32::try_from(mailboxes.len()) != Ok(pair.mailboxes)
    {
        let row = format!("{} rows of its mailboxes where {} were written", mailboxes.len(), pair.mailboxes);
        found.push(Damage::of(MailboxRow::TABLE, row));
    }
    let run = keep(RunRow::read(db, number).await, found)?;
    if let (Some(run), Some(pair)) = (run, &pair)
        && run.is_none_or(|run| run.generation != pair.generation)
    {
        found.push(Damage::of(RunRow::TABLE, "the row of its latest run is not there".to_owned()));
    }
    keep(PassRow::read_all(db, number).await, found)?;
    keep(RemarkRow::read_all(db, number).await, found)?;
    account.identity = pair.map(|pair| pair.identity);
    for mailbox in mailboxes {
        account.mailboxes.push(check_mailbox(db, mailbox).await?);
    }
    Ok(account)
}

async fn check_mailbox(db: &mut SqliteConnection, found: Found) -> Result<MailboxCheck, Fault> {
    let Found { mailbox_id, name } = found;
    let mut damage = Vec::new();
    let row = keep(MailboxRow::read(db, mailbox_id).await, &mut damage)?;
    if let Some(row) = &row {
        keep(read_contents(db, row, |_, _| {}).await, &mut damage)?;
    }
    let settled = row.as_ref().map_or(0, |row| row.counts.total());
    Ok(MailboxCheck { number: mailbox_id, mapping: row.map(|row| row.mapping), name, settled, damage })
}
