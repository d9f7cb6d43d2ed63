//! Things by the names that operators give them; an unknown name is answered with those that are near.

use crate::error::ServiceError;
use crate::service::Service;
use mailhaul_db::queue::{AccountFilter, AccountRow, EndpointRow, WaveRow};
use mailhaul_types::Escaped;

/// Longer names are mistakes.
const NAME_CHARS_MAX: usize = 64;
/// So many near names are shown.
const NEAR_MAX: usize = 3;

impl Service {
    pub(crate) async fn endpoint_named(&self, name: &str) -> Result<EndpointRow, ServiceError> {
        if let Some(row) = self.queue.find_endpoint(name).await? {
            return Ok(row);
        }
        let names: Vec<String> = self.queue.endpoints().await?.into_iter().map(|row| row.name).collect();
        Err(unknown("endpoint", name, &names, "mailhaul endpoint list"))
    }

    pub(crate) async fn wave_named(&self, name: &str) -> Result<WaveRow, ServiceError> {
        if let Some(row) = self.queue.find_wave(name).await? {
            return Ok(row);
        }
        let names: Vec<String> = self.queue.waves().await?.into_iter().map(|row| row.name).collect();
        Err(unknown("wave", name, &names, "mailhaul wave list"))
    }

    pub(crate) async fn account_named(&self, name: &str) -> Result<AccountRow, ServiceError> {
        if let Some(row) = self.queue.find_account(name).await? {
            return Ok(row);
        }
        let rows = self.queue.accounts(AccountFilter::default()).await?;
        let names: Vec<String> = rows.into_iter().map(|row| row.name).collect();
        Err(unknown("account", name, &names, "mailhaul accounts list"))
    }
}

/// Makes sure that a new name can be typed, and shown in a line.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), ServiceError> {
    let odd = |character: char| character.is_control() || character.is_whitespace() || "*?`'\"/\\".contains(character);
    let fault = if name.is_empty() {
        "it is empty"
    } else if name.chars().count() > NAME_CHARS_MAX {
        "it is longer than 64 characters"
    } else if name.starts_with('-') {
        "it begins with a hyphen"
    } else if name.chars().any(odd) || mailhaul_types::escape(name) != name {
        "it holds a space, a quote, a slash, a wildcard or a character that cannot be seen"
    } else {
        return Ok(());
    };
    Err(ServiceError::usage(
        format!("`{}` cannot be the name of {what}: {fault}", Escaped(name)),
        "letters, digits, and signs such as . _ - @ make a good name",
    ))
}

fn unknown(what: &str, name: &str, names: &[String], list: &str) -> ServiceError {
    let near = near(name, names);
    let hint = if names.is_empty() {
        format!("there is no {what} at all yet")
    } else if near.is_empty() {
        format!("`{list}` shows what there is")
    } else {
        let near: Vec<String> = near.iter().map(|name| format!("`{}`", Escaped(name))).collect();
        format!("did you mean {}? `{list}` shows all", near.join(" or "))
    };
    ServiceError::unknown(format!("there is no {what} `{}`", Escaped(name)), hint)
}

/// Names that differ little, the nearest first.
fn near<'a>(name: &str, names: &'a [String]) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let allowed = 1 + wanted.chars().count() / 4;
    let mut found: Vec<(usize, &str)> = names
        .iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let within = wanted.len() >= 3 && (lower.contains(&wanted) || wanted.contains(&lower));
            // Lengths that differ more than allowed need no table.
            let lengths = lower.chars().count().abs_diff(wanted.chars().count());
            let far = if lengths > allowed { usize::MAX } else { distance(&wanted, &lower) };
            (far <= allowed || within).then_some((far, candidate.as_str()))
        })
        .collect();
    found.sort_unstable();
    // What differs only in capitals is meant, and nothing else.
    if found.first().is_some_and(|(far, _)| *far == 0) {
        found.retain(|(far, _)| *far == 0);
    }
    found.truncate(NEAR_MAX);
    found.into_iter().map(|(_, name)| name).collect()
}

/// How many characters have to be put in, taken out, changed or exchanged with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![vec![0; other.len() + 1]; one.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=other.len()).collect();
    for i in 1..=one.len() {
        for j in 1..=other.len() {
            let changed = usize::from(one[i - 1] != other[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        let names = ["alice", "bob", "alina", "staff-2026"].map(str::to_owned);
        assert_eq!(near("alcie", &names), ["alice"]);
        assert_eq!(near("ALICE", &names), ["alice"]);
        assert_eq!(near("staff", &names), ["staff-2026"]);
        assert!(near("zacharias", &names).is_empty());
        let error = unknown("account", "alcie", &names, "mailhaul accounts list");
        assert!(matches!(&error, ServiceError::Unknown { hint, .. } if hint.contains("`alice`")), "{error:?}");
    }

    #[test]
    fn names_that_could_not_be_typed_or_seen_are_refused() {
        for good in ["old", "büro", "a.b_c-d@e", "2026"] {
            assert!(check_name("an endpoint", good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "-x", "a\u{202e}b", "a\nb", "x*", &"x".repeat(65)] {
            assert!(check_name("an endpoint", bad).is_err(), "{bad:?}");
        }
    }
}
