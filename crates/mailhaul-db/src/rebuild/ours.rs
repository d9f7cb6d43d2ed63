//! Which rows of a damaged file are of one account.
//!
//! The row that is whole and says its names is. A row that cannot be believed is proved to have been the account's by
//! any of three things: it still says the names, the index of the names leads to it, or its checksum is right as soon as
//! the account's names stand in it. Without such a proof a row that says five of the six names is taken for the
//! account's only if there is no other, and nothing that hangs on it is believed.

use crate::check::{AccountCheck, LedgerCheck};
use crate::model::PairIdentity;
use crate::rows::PairRow;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

/// The account in the damaged file.
pub(super) struct Ours<'a> {
    pub(super) account: &'a AccountCheck,
    pub(super) generation: u64,
    /// Whether what is settled in it may be believed to be of this account.
    pub(super) is_certain: bool,
    /// Other rows that were this account's: one was damaged, and a run that did not know it began anew beside it.
    pub(super) doubles: Vec<i64>,
}

/// How surely a row is the account's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bond {
    /// One name differs, and nothing proves what it was.
    Near,
    /// It is damaged, and was the account's.
    Proved,
    /// It is whole.
    Whole,
}

/// The row of the account: the surest, and of several the one with which runs worked last.
pub(super) async fn find_ours<'a>(
    old: &mut SqliteConnection,
    checked: &'a LedgerCheck,
    identity: &PairIdentity,
) -> Option<Ours<'a>> {
    let mut bound: Vec<(Bond, &AccountCheck)> = Vec::new();
    for account in &checked.accounts {
        bound.extend(bond(old, account, identity).await.map(|bond| (bond, account)));
    }
    let &(surest, account) = bound.iter().max_by_key(|(bond, account)| (*bond, account.number))?;
    let others = bound.iter().filter(|(bond, other)| *bond > Bond::Near && other.number != account.number);
    let doubles = others.map(|(_, other)| other.number).collect();
    let generation = PairRow::generation_under(old, account.number, identity).await.ok().flatten().unwrap_or(1);
    Some(Ours { account, generation, is_certain: surest > Bond::Near, doubles })
}

async fn bond(old: &mut SqliteConnection, account: &AccountCheck, identity: &PairIdentity) -> Option<Bond> {
    if let Some(found) = &account.identity {
        return (found == identity).then_some(Bond::Whole);
    }
    let number = account.number;
    let by_checksum = matches!(PairRow::generation_under(old, number, identity).await, Ok(Some(_)));
    if by_checksum || PairRow::indexed(old, identity).await.is_ok_and(|numbers| numbers.contains(&number)) {
        return Some(Bond::Proved);
    }
    match differing_names(old, number, identity).await? {
        0 => Some(Bond::Proved),
        1 => Some(Bond::Near),
        _ => None,
    }
}

/// In how many of the six names a row that cannot be believed differs from an account.
async fn differing_names(old: &mut SqliteConnection, number: i64, identity: &PairIdentity) -> Option<usize> {
    let sql = "SELECT source_host, source_login, source_authz, target_host, target_login, target_authz FROM pair \
               NOT INDEXED WHERE pair_id = $1";
    let row = sqlx::query(sql).bind(number).fetch_optional(old).await.ok()??;
    let (source, target) = (&identity.source, &identity.target);
    let names = [
        source.host(),
        source.login(),
        source.authorization_identity().unwrap_or_default(),
        target.host(),
        target.login(),
        target.authorization_identity().unwrap_or_default(),
    ];
    let differs = |(at, name): (usize, &&str)| row.try_get::<String, _>(at).ok().as_deref() != Some(*name);
    Some(names.iter().enumerate().filter(|pair| differs(*pair)).count())
}
