//! Lists of accounts: stored by name, all or none; what a list changes, the jobs follow.

use crate::error::DbError;
use crate::fault::Fault;
use crate::queue::Queue;
use crate::queue::bulk::covered;
use crate::queue::change::{Change, write};
use crate::queue::decode::Cells;
use crate::queue::model::{ImportOutcome, NewAccount, Subject};
use crate::rows::count_to_sql;
use mailhaul_queue::{AccountId, EndpointId, Event};
use serde_json::json;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

impl Queue {
    /// Stores accounts under their names, all or none. The same list twice changes nothing.
    ///
    /// # Errors
    /// If the file cannot be written, or a wave or endpoint does not exist.
    pub async fn import(&self, accounts: Vec<NewAccount>) -> Result<ImportOutcome, DbError> {
        write!(self, change => change.import(&accounts))
    }
}

/// What an account was, as far as an import can change it.
struct Known {
    id: i64,
    wave_id: i64,
    lane_id: i64,
    texts: [String; 5],
    priority: u8,
    size_hint_bytes: Option<i64>,
}

const TEXTS: [&str; 5] = ["source_user", "target_user", "source_owner", "target_owner", "options"];

fn texts(new: &NewAccount) -> [&String; 5] {
    [&new.source_user, &new.target_user, &new.source_owner, &new.target_owner, &new.options]
}

impl Change<'_> {
    async fn import(&mut self, accounts: &[NewAccount]) -> Result<ImportOutcome, Fault> {
        let mut lanes = HashMap::new();
        for new in accounts {
            if let Entry::Vacant(entry) = lanes.entry((new.source, new.target)) {
                entry.insert(self.lane(new.source, new.target).await?);
            }
        }
        let names = names_json(accounts)?;
        let known = self.known_accounts(&names).await?;
        let lane = |new: &NewAccount| lanes[&(new.source, new.target)];
        let fresh = |new: &&NewAccount| !known.contains_key(&new.name);
        let added: Vec<_> = accounts.iter().filter(fresh).map(|new| (new, lane(new))).collect();
        let mut outcome = ImportOutcome { added: added.len(), ..ImportOutcome::default() };
        self.insert_accounts(&added).await?;
        self.touch_none().await?;
        for (new, known) in accounts.iter().filter_map(|new| Some((new, known.get(&new.name)?))) {
            let what = differences(known, new, lane(new));
            if what.is_empty() {
                outcome.unchanged += 1;
                continue;
            }
            self.update_account(known, new, lane(new), &what).await?;
            outcome.changed.push((new.name.clone(), what));
        }
        if !outcome.changed.is_empty() {
            self.follow_accounts().await?;
        }
        outcome.ids = self.account_ids(&names).await?;
        Ok(outcome)
    }

    async fn lane(&mut self, source: EndpointId, target: EndpointId) -> Result<i64, Fault> {
        sqlx::query("INSERT INTO lane (source_endpoint_id, target_endpoint_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(source.0)
            .bind(target.0)
            .execute(self.db())
            .await?;
        let sql = "SELECT lane_id FROM lane WHERE source_endpoint_id = $1 AND target_endpoint_id = $2";
        Ok(sqlx::query_scalar(sql).bind(source.0).bind(target.0).fetch_one(self.db()).await?)
    }

    async fn known_accounts(&mut self, names: &str) -> Result<HashMap<String, Known>, Fault> {
        let rows = sqlx::query(
            "SELECT a.name, a.account_id, a.wave_id, a.lane_id, a.source_user, a.target_user, a.source_owner, \
                    a.target_owner, a.options, a.priority, a.size_hint_bytes \
             FROM json_each($1) n CROSS JOIN account a ON a.name = n.value",
        )
        .bind(names)
        .fetch_all(self.db())
        .await?;
        let known = |row| {
            let mut cells = Cells::of(row, "account");
            let name = cells.take()?;
            let known = Known {
                id: cells.take()?,
                wave_id: cells.take()?,
                lane_id: cells.take()?,
                texts: [cells.take()?, cells.take()?, cells.take()?, cells.take()?, cells.take()?],
                priority: cells.number()?,
                size_hint_bytes: cells.take()?,
            };
            Ok((name, known))
        };
        rows.iter().map(known).collect()
    }

    /// The numbers of accounts, in the order of the names.
    async fn account_ids(&mut self, names: &str) -> Result<Vec<AccountId>, Fault> {
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT a.account_id FROM json_each($1) n CROSS JOIN account a ON a.name = n.value ORDER BY n.key",
        )
        .bind(names)
        .fetch_all(self.db())
        .await?;
        Ok(ids.into_iter().map(AccountId).collect())
    }

    async fn insert_accounts(&mut self, added: &[(&NewAccount, i64)]) -> Result<(), Fault> {
        let row = |(new, lane): &(&NewAccount, i64)| {
            let [source_user, target_user, source_owner, target_owner, options] = texts(new);
            let size = new.size_hint_bytes.map(count_to_sql);
            let priority = new.priority.get();
            json!([
                new.name,
                new.wave.0,
                lane,
                source_user,
                target_user,
                source_owner,
                target_owner,
                priority,
                options,
                size
            ])
        };
        let rows = serde_json::Value::Array(added.iter().map(row).collect()).to_string();
        let (now, who) = (self.now.unix_ms, self.who());
        sqlx::query(
            "INSERT INTO account (name, wave_id, lane_id, source_user, target_user, source_owner, target_owner, \
                 priority, options, revision, size_hint_bytes, created_at_ms) \
             SELECT n.value ->> 0, n.value ->> 1, n.value ->> 2, n.value ->> 3, n.value ->> 4, n.value ->> 5, \
                    n.value ->> 6, n.value ->> 7, n.value ->> 8, 1, n.value ->> 9, $2 \
             FROM json_each($1) n ORDER BY n.key",
        )
        .bind(&rows)
        .bind(now)
        .execute(self.db())
        .await?;
        sqlx::query(
            "INSERT INTO event (at_ms, who, what, account_id, why) SELECT $2, $3, 'import', a.account_id, 'added' \
             FROM json_each($1) n CROSS JOIN account a ON a.name = n.value ->> 0 ORDER BY n.key",
        )
        .bind(&rows)
        .bind(now)
        .bind(who)
        .execute(self.db())
        .await?;
        Ok(())
    }

    async fn update_account(
        &mut self,
        known: &Known,
        new: &NewAccount,
        lane: i64,
        what: &[&'static str],
    ) -> Result<(), Fault> {
        sqlx::query(
            "UPDATE account SET wave_id = $2, lane_id = $3, source_user = $4, target_user = $5, source_owner = $6, \
                 target_owner = $7, priority = $8, options = $9, revision = revision + $10, \
                 size_hint_bytes = COALESCE($11, size_hint_bytes) \
             WHERE account_id = $1",
        )
        .bind(known.id)
        .bind(new.wave.0)
        .bind(lane)
        .bind(&new.source_user)
        .bind(&new.target_user)
        .bind(&new.source_owner)
        .bind(&new.target_owner)
        .bind(new.priority.get())
        .bind(&new.options)
        .bind(what != ["size"])
        .bind(new.size_hint_bytes.map(count_to_sql))
        .execute(self.db())
        .await?;
        let id = AccountId(known.id);
        self.note("import", Subject::Account(id), &format!("changed: {}", what.join(", "))).await?;
        sqlx::query("INSERT INTO temp.touched (job_id) SELECT job_id FROM job WHERE account_id = $1")
            .bind(known.id)
            .execute(self.db())
            .await?;
        Ok(())
    }

    /// Lets the touched jobs follow their accounts: wave, endpoints, place in line, options, pauses.
    async fn follow_accounts(&mut self) -> Result<(), Fault> {
        // A job that runs, runs on where it was claimed, is told to take up its options, and follows when it is back.
        sqlx::query(
            "UPDATE job AS j SET wave_id = a.wave_id, lane_id = a.lane_id FROM account a \
             WHERE a.account_id = j.account_id AND j.state <> 'running' \
               AND j.job_id IN (SELECT job_id FROM temp.touched)",
        )
        .execute(self.db())
        .await?;
        sqlx::query(
            "UPDATE job SET wanted = 'options' WHERE state = 'running' AND wanted IS NULL \
                 AND job_id IN (SELECT job_id FROM temp.touched)",
        )
        .execute(self.db())
        .await?;
        self.rank_touched().await?;
        self.settle_pauses().await
    }

    /// Pauses those of the touched jobs that a pause covers now, and resumes those that none covers any more.
    async fn settle_pauses(&mut self) -> Result<(), Fault> {
        const UNCOVERED: &str = concat!(
            "DELETE FROM temp.touched WHERE job_id IN \
                 (SELECT j.job_id FROM job j WHERE j.job_id IN (SELECT job_id FROM temp.touched) AND NOT ",
            covered!(),
            ")"
        );
        // The state function refuses to resume what is still covered.
        self.apply_to_touched(&Event::Resume, "its account was changed").await?;
        sqlx::query(UNCOVERED).execute(self.db()).await?;
        self.apply_to_touched(&Event::Pause, "its account was changed").await?;
        Ok(())
    }
}

/// The names as a JSON array. A list that names an account twice cannot say what it is to become.
fn names_json(accounts: &[NewAccount]) -> Result<String, Fault> {
    let mut seen = HashSet::new();
    if let Some(twice) = accounts.iter().find(|new| !seen.insert(&new.name)) {
        return Err(Fault::Internal(format!("account {} stands twice in a list", mailhaul_types::escape(&twice.name))));
    }
    Ok(serde_json::Value::from_iter(accounts.iter().map(|new| new.name.as_str())).to_string())
}

fn differences(known: &Known, new: &NewAccount, lane: i64) -> Vec<&'static str> {
    let mut what = Vec::new();
    if known.wave_id != new.wave.0 {
        what.push("wave");
    }
    if known.lane_id != lane {
        what.push("endpoints");
    }
    for ((before, after), name) in known.texts.iter().zip(texts(new)).zip(TEXTS) {
        if before != after {
            what.push(name);
        }
    }
    if known.priority != new.priority.get() {
        what.push("priority");
    }
    if new.size_hint_bytes.is_some_and(|bytes| known.size_hint_bytes != Some(count_to_sql(bytes))) {
        what.push("size");
    }
    what
}
