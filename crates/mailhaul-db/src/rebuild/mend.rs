//! What of the account does not prove itself in the new file, although the check of the old one found nothing.
//!
//! Reading goes by indexes, carrying over by tables. Where the two disagree, a row that is whole by the one is another's
//! or gone by the other; so what was carried over is looked at once more.

use crate::fault::Fault;
use crate::read::read_contents;
use crate::rows::{MailboxRow, PassRow, RemarkRow};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor};

/// Whether a mailbox of the account stands in the file as it was written.
pub(super) async fn is_whole(new: &mut SqliteConnection, pair_id: i64, mailbox_id: i64) -> Result<bool, Fault> {
    let read = async {
        let row = MailboxRow::read(new, mailbox_id).await?;
        read_contents(new, &row, |_, _| {}).await?;
        Ok(row.pair_id == pair_id)
    };
    or_damaged(read.await)
}

/// Takes out what is told of the account's latest passes, if it is not as it was written.
pub(super) async fn drop_untrue_words(new: &mut SqliteConnection, pair_id: i64) -> Result<(), Fault> {
    if !or_damaged(PassRow::read_all(new, pair_id).await.map(|_| true))? {
        let of_account = format!("SELECT mailbox_id FROM main.mailbox WHERE pair_id = {pair_id}");
        let sql = format!("DELETE FROM main.mailbox_pass WHERE mailbox_id IN ({of_account})");
        new.execute(AssertSqlSafe(sql)).await?;
    }
    if !or_damaged(RemarkRow::read_all(new, pair_id).await.map(|_| true))? {
        new.execute(AssertSqlSafe(format!("DELETE FROM main.remark WHERE pair_id = {pair_id}"))).await?;
    }
    Ok(())
}

/// Damage is an answer; anything else is none.
fn or_damaged(read: Result<bool, Fault>) -> Result<bool, Fault> {
    read.or_else(|fault| if fault.damage().is_some() { Ok(false) } else { Err(fault) })
}
