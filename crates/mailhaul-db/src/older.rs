//! Files of earlier schemas that are only read: what they lack is laid over them, empty, for the time of a snapshot.
//!
//! Reading never migrates, and reports and dry runs must work on the file of the release before. A temporary view hides
//! the table of the same name: it has the columns that later schemas added, without values, which is what a migration
//! would give them. It is made within each snapshot and goes with it, so that a file that somebody migrates meanwhile
//! is seen as it is from the next snapshot on.

use crate::fault::Fault;
use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;

/// What the third schema added.
const THIRD: &str = "
    CREATE TEMP VIEW IF NOT EXISTS mailbox AS
        SELECT mailbox_id, pair_id, source_name, target_name, source_uid_validity, target_uid_validity, target_mark,
               sent_first, sent_last, scan_uid_next, scan_exists, scan_highest_modseq, scan_mailbox_id, copied, adopted,
               adopted_altered, row_count, row_sum, NULL AS sync_sum, NULL AS departed_sum, NULL AS made_as,
               NULL AS kept_as, checksum
        FROM main.mailbox;
    CREATE TEMP TABLE IF NOT EXISTS mailbox_sync (
        mailbox_id, source_uid_validity, uid_next, message_count, highest_modseq, object_id, target_uid_validity,
        skipped, refused, unreadable, exceptions, policy, at_secs, checksum);
    CREATE TEMP TABLE IF NOT EXISTS mailbox_departed (mailbox_id, packed, checksum);
";

/// What the fourth schema added.
const FOURTH: &str = "CREATE TEMP TABLE IF NOT EXISTS host_profile (side, host, port, profile, at_secs, checksum);";

// The fifth schema added `access`, which is read only by those who may also write: a file that is open for them has it.

/// Whether a file lacks what this version reads.
pub(crate) async fn is_older(db: &mut SqliteConnection) -> Result<bool, Fault> {
    Ok(lacks_third(db).await? || lacks_fourth(db).await?)
}

async fn lacks_fourth(db: &mut SqliteConnection) -> Result<bool, Fault> {
    let has = "SELECT COUNT(*) FROM main.sqlite_schema WHERE type = 'table' AND name = 'host_profile'";
    let has: i64 = sqlx::query_scalar(has).fetch_one(db).await?;
    Ok(has == 0)
}

async fn lacks_third(db: &mut SqliteConnection) -> Result<bool, Fault> {
    let has = "SELECT COUNT(*) FROM pragma_table_info('mailbox', 'main') WHERE name = 'sync_sum'";
    let has: i64 = sqlx::query_scalar(has).fetch_one(db).await?;
    Ok(has == 0)
}

/// Lays what is lacking over the file, within a transaction that is never committed.
pub(crate) async fn cover(db: &mut SqliteConnection) -> Result<(), Fault> {
    if lacks_third(db).await? {
        db.execute(THIRD).await?;
    }
    if lacks_fourth(db).await? {
        db.execute(FOURTH).await?;
    }
    Ok(())
}
