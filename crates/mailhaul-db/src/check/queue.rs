//! The queue: its rows carry no checksums, so what is asked is whether they can be read and are what they must be.

use super::{Damage, QueueCheck, keep};
use crate::fault::Fault;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

/// The tables, and the columns in them that hold JSON.
const TABLES: [(&str, &[&str]); 15] = [
    ("endpoint", &["limits", "options"]),
    ("host", &["health"]),
    ("wave", &["options", "plan"]),
    ("lane", &[]),
    ("account", &["options"]),
    ("secret", &[]),
    ("vault", &[]),
    ("worker", &[]),
    ("job", &["payload"]),
    ("attempt", &["counts"]),
    ("event", &[]),
    ("hold", &[]),
    ("usage", &[]),
    ("preflight", &["report"]),
    ("access", &[]),
];

/// Counts the rows of every table, and tries what is written in JSON.
pub(super) async fn check_queue(db: &mut SqliteConnection) -> Result<QueueCheck, Fault> {
    let mut queue = QueueCheck::default();
    if !has_table(db, "job", &mut queue).await? {
        return Ok(queue);
    }
    for (table, columns) in TABLES {
        // A file of an earlier schema has none; that is no damage.
        if table == "access" && !has_table(db, table, &mut queue).await? {
            continue;
        }
        let rows = keep(count(db, &format!("SELECT COUNT(*) FROM main.{table} NOT INDEXED")).await, &mut queue.damage)?;
        queue.rows.extend(rows.map(|rows| (table.to_owned(), rows)));
        for column in columns {
            let sql = format!("SELECT COUNT(*) FROM main.{table} WHERE NOT json_valid({column})");
            let garbled = keep(count(db, &sql).await, &mut queue.damage)?.unwrap_or(0);
            if garbled > 0 {
                let row = format!("column {column} of {garbled} of its rows cannot be read");
                queue.damage.push(Damage::of(table, row));
            }
        }
    }
    Ok(queue)
}

async fn has_table(db: &mut SqliteConnection, table: &str, queue: &mut QueueCheck) -> Result<bool, Fault> {
    let has = format!("SELECT COUNT(*) FROM main.sqlite_schema WHERE type = 'table' AND name = '{table}'");
    Ok(keep(count(db, &has).await, &mut queue.damage)? == Some(1))
}

async fn count(db: &mut SqliteConnection, sql: &str) -> Result<u64, Fault> {
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(db).await?;
    Ok(count.cast_unsigned())
}
