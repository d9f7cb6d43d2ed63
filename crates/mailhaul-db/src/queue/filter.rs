//! Which jobs an operator means, as SQL over `job j`.

use crate::queue::jobs_model::JobFilter;
use sqlx::{QueryBuilder, Sqlite};

/// Adds what the filter asks for, each part with AND in front. Limit and offset are left to the caller.
pub(super) fn push_filter(sql: &mut QueryBuilder<Sqlite>, filter: &JobFilter) {
    if let Some(job) = filter.job {
        sql.push(" AND j.job_id = ").push_bind(job.0);
    }
    if let Some(wave) = filter.wave {
        sql.push(" AND j.wave_id = ").push_bind(wave.0);
    }
    if let Some(account) = filter.account {
        sql.push(" AND j.account_id = ").push_bind(account.0);
    }
    if !filter.accounts.is_empty() {
        // One argument, however many there are.
        let ids: Vec<i64> = filter.accounts.iter().map(|id| id.0).collect();
        sql.push(" AND j.account_id IN (SELECT value FROM json_each(");
        sql.push_bind(serde_json::json!(ids).to_string()).push("))");
    }
    if let Some(endpoint) = filter.endpoint {
        sql.push(" AND j.lane_id IN (SELECT lane_id FROM lane WHERE source_endpoint_id = ").push_bind(endpoint.0);
        sql.push(" OR target_endpoint_id = ").push_bind(endpoint.0).push(")");
    }
    push_words(sql, "j.kind", &filter.kinds);
    push_words(sql, "j.state", &filter.states);
    if let Some(class) = filter.failure_class {
        // What is about to be tried again failed in this way as well.
        sql.push(
            " AND COALESCE(j.failure_class, (SELECT failure_class FROM attempt a WHERE a.job_id = j.job_id \
                   AND a.number = j.attempts AND j.state IN ('waiting', 'paused'))) = ",
        );
        sql.push_bind(class.word());
    }
    if let Some(reason) = filter.wait_reason {
        sql.push(" AND j.wait_reason = ").push_bind(reason.word());
    }
    if filter.needs_attention {
        sql.push(
            " AND (j.state IN ('failed', 'done_with_exceptions') \
                   OR (j.state = 'waiting' AND j.wait_until_ms IS NULL))",
        );
    }
    if !filter.superseded && filter.job.is_none() {
        sql.push(" AND j.superseded = 0");
    }
}

fn push_words(sql: &mut QueryBuilder<Sqlite>, column: &str, words: &[String]) {
    if words.is_empty() {
        return;
    }
    sql.push(" AND ").push(column).push(" IN (");
    let mut list = sql.separated(", ");
    for word in words {
        list.push_bind(word.clone());
    }
    sql.push(")");
}
