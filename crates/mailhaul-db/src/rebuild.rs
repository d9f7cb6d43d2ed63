//! Putting damaged rows of one account aside, so that a run can find out again from both servers what they said.
//!
//! The damaged file is kept beside the state as it was, log included. A new file is made next to it; everything is
//! carried over but what is damaged of this one account; and the new file takes the place of the old one by a rename.
//! Whoever is killed on the way leaves the old file or the new one, and perhaps a copy too many.
//!
//! What is kept of a damaged mailbox is what proves itself: segments whose own checksum holds under a mailbox row whose
//! checksum holds say that these messages were settled, and settled stays settled. Only the others are looked for on
//! the target again, from its first UID on. What belongs to other accounts is carried over as it is, damaged or not.

mod carry;
mod keep;
mod mend;
mod ours;

use crate::check::{AccountCheck, LedgerCheck, check_ledger};
use crate::error::{DbError, DbErrorKind, Doing};
use crate::files;
use crate::ledger::{OpenOptions, lock_opening, path_error};
use crate::model::PairIdentity;
use sqlx::Connection as _;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The ending of the new file while it is being made.
const IN_THE_MAKING: &str = ".rebuilding";

/// What was put aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetAside {
    /// Where the damaged file is kept; `None` if nothing was changed.
    pub kept: Option<PathBuf>,
    /// Mailboxes of the account of which something was damaged, by their source names.
    pub mailboxes: Vec<String>,
    /// How many messages of those mailboxes were still proved to be settled.
    pub messages_kept: u64,
    /// Whether nothing was left of the account at all.
    pub account_lost: bool,
    /// Tables of which rows could not be read; what they held is not in the new file.
    pub tables_lost: Vec<String>,
    /// How many rows were left behind because the account or mailbox that they belong to is not in the file.
    pub strays: u64,
    /// Other accounts that are damaged, for people.
    pub others: Vec<String>,
}

/// Puts aside what is damaged of one account. Does nothing if nothing of it is, or if there is no file. `stamp` tells
/// the kept file from others: a moment, for people.
///
/// Afterwards a run looks at both servers as on first contact for what was put aside.
///
/// # Errors
/// [`DbError::Locked`] while a process works with the file; else if the file is none of ours, or the disk fails: the
/// old file is in its place then.
pub async fn set_damage_aside(
    path: &Path,
    identity: &PairIdentity,
    stamp: &str,
    options: OpenOptions,
) -> Result<SetAside, DbError> {
    let doing = Doing::new("rebuild", path);
    let path = match files::existing_state_file(path) {
        Ok(path) => path,
        Err(files::PathFault::NotFound) => return Ok(SetAside::default()),
        Err(fault) => return Err(path_error(fault, doing)),
    };
    if std::fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
        return Ok(SetAside::default());
    }
    let checked = look(&path, &options).await?;
    let others = checked.iter().flat_map(|checked| others_damaged(checked, identity)).collect();
    if let Some(checked) = &checked
        && !concerns(checked, identity)
        && !has_doubles(&path, checked, identity, &options).await
    {
        return Ok(SetAside { others, ..SetAside::default() });
    }
    let _alone = lock_out_all(&path, &options, &doing).await?;
    // Once more, now that nobody else writes.
    let checked = look(&path, &options).await?;
    let aside = replace(&path, checked.as_ref(), identity, stamp, &options).await?;
    Ok(SetAside { others, ..aside })
}

/// What a check finds; `None` if it cannot be opened at all.
async fn look(path: &Path, options: &OpenOptions) -> Result<Option<LedgerCheck>, DbError> {
    match check_ledger(path, options.clone()).await {
        Ok(checked) => Ok(Some(checked)),
        // What was a ledger has its locks beside it. Any other file is left alone.
        Err(DbError::NotADatabase(_)) if files::has_locks(path) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether something is damaged that the account needs.
fn concerns(checked: &LedgerCheck, identity: &PairIdentity) -> bool {
    let ours = checked.accounts.iter().find(|account| account.identity.as_ref() == Some(identity));
    let nameless = checked.accounts.iter().any(|account| account.identity.is_none());
    !checked.damage.is_empty() || ours.map_or(nameless, |account| !account.is_whole())
}

/// Whether beside the row of the account there is a damaged one that was the account's too.
async fn has_doubles(path: &Path, checked: &LedgerCheck, identity: &PairIdentity, options: &OpenOptions) -> bool {
    if checked.accounts.iter().all(|account| account.identity.is_some()) {
        return false;
    }
    let Ok(mut old) = carry::open_old(path, options).await else { return false };
    let ours = ours::find_ours(&mut old, checked, identity).await;
    let _ = old.close().await;
    ours.is_some_and(|ours| !ours.doubles.is_empty())
}

fn others_damaged(checked: &LedgerCheck, identity: &PairIdentity) -> Vec<String> {
    let others = checked.accounts.iter().filter(|account| account.identity.as_ref() != Some(identity));
    let name = |account: &AccountCheck| match &account.identity {
        Some(identity) => identity.to_string(),
        None => format!("account number {}", account.number),
    };
    others.filter(|account| !account.is_whole()).map(name).collect()
}

/// Every lock that a process could hold which has the file open for work, until they are dropped.
async fn lock_out_all(path: &Path, options: &OpenOptions, doing: &Doing) -> Result<Vec<File>, DbError> {
    let opening = lock_opening(path, options, doing).await?;
    let locks = files::lock_all(path).map_err(|error| path_error(error.into(), doing.clone()))?;
    let mut locks = locks.map_err(|_| DbError::Locked(doing.clone()))?;
    locks.push(opening);
    Ok(locks)
}

async fn replace(
    path: &Path,
    checked: Option<&LedgerCheck>,
    identity: &PairIdentity,
    stamp: &str,
    options: &OpenOptions,
) -> Result<SetAside, DbError> {
    let doing = || Doing::new("rebuild", path);
    let io = |error: std::io::Error| path_error(error.into(), doing());
    let kept = files::keep_copy(path, stamp).map_err(io)?;
    fold_log(path, options).await?;
    let new = files::with_suffix(path, IN_THE_MAKING);
    files::remove_database(&new).map_err(io)?;
    let carried = match carry::carry_over(path, &new, checked, identity, options).await {
        Ok(carried) => carried,
        Err(error) => {
            let _ = files::remove_database(&new);
            return Err(error);
        }
    };
    files::put_in_place(&new, path).map_err(io)?;
    Ok(SetAside { kept: Some(kept), ..carried })
}

/// Brings what stands in the log into the file, so that no log lies beside it when the new file takes its place: it
/// would be taken for that one's. SQLite does it whole or not at all, and only if nobody else has the file open.
async fn fold_log(path: &Path, options: &OpenOptions) -> Result<(), DbError> {
    match carry::leave_log(path, options).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == DbErrorKind::Damaged || error.kind() == DbErrorKind::NotALedger => {
            // No file that can be opened: its log says nothing to anybody. It was kept beside the copy.
            files::remove_log(path).map_err(|error| path_error(error.into(), Doing::new("rebuild", path)))
        }
        Err(error) => Err(error),
    }
}
