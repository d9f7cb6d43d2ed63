//! The report of a wave: what the ledger knows of each account, what became of its jobs, and what its attempts counted.

use super::words::state_in_words;
use crate::error::ServiceError;
use crate::kinds::JobKind;
use crate::service::Service;
use mailhaul_db::queue::{AccountFilter, AccountRow, AttemptRow, JobFilter, JobRow};
use mailhaul_db::{ExceptionState as Stored, MailboxReport, PairReport};
use mailhaul_queue::{AccountId, JobId, JobState};
use mailhaul_report::{
    AccountLine, Changes, Counts, Exception, ExceptionState, MailboxLine, Remark, Standing, WaveReport, count_of,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

impl Service {
    /// The report of a wave, from what was recorded up to now.
    ///
    /// # Errors
    /// If there is no such wave, or its ledger cannot be read.
    pub async fn wave_report(&self, wave: &str, made_by: &str) -> Result<WaveReport, ServiceError> {
        let row = self.wave_named(wave).await?;
        let accounts = self.queue.accounts(AccountFilter { wave: Some(row.id), ..AccountFilter::default() }).await?;
        let hosts: BTreeMap<_, _> =
            self.queue.endpoints().await?.into_iter().map(|endpoint| (endpoint.id, endpoint.host)).collect();
        let filter = JobFilter { wave: Some(row.id), superseded: true, ..JobFilter::default() };
        let mut jobs: BTreeMap<AccountId, Vec<JobRow>> = BTreeMap::new();
        for job in self.queue.jobs(filter).await? {
            // A look writes nothing, so it is no part of what is reported.
            if job.kind != JobKind::Preflight.word() {
                jobs.entry(job.account).or_default().push(job);
            }
        }
        // What the ledger has never heard of need not be asked for one by one.
        let totals = self.queue.totals(row.id).await?.accounts.into_iter();
        let known_accounts: BTreeSet<AccountId> =
            totals.filter(|(_, _, totals)| totals.mailboxes > 0).map(|(id, _, _)| id).collect();
        let (mut started, mut finished, mut is_open) = (None::<i64>, None::<i64>, false);
        let mut lines = Vec::with_capacity(accounts.len());
        for account in &accounts {
            let of_account = jobs.remove(&account.id).unwrap_or_default();
            let found = self.found(&of_account).await?;
            let attempts = &found.attempts;
            started = started.into_iter().chain(attempts.first().map(|first| first.started_unix_ms)).min();
            finished = finished.into_iter().chain(attempts.iter().filter_map(|attempt| attempt.ended_unix_ms)).max();
            is_open |= attempts.iter().any(|attempt| attempt.ended_unix_ms.is_none());
            let known = match known_accounts.contains(&account.id) {
                true => self.queue.account_report(account.id).await?,
                false => None,
            };
            let host = |id| hosts.get(&id).map(String::as_str).unwrap_or_default();
            let ends = [
                format!("{} at {}", account.source_user, host(account.source)),
                format!("{} at {}", account.target_user, host(account.target)),
            ];
            lines.push(line(account, ends, &of_account, &found, known.as_ref()));
        }
        Ok(WaveReport {
            wave: row.name,
            accounts: lines,
            started_unix_secs: started.map(|at| at / 1_000),
            finished_unix_secs: finished.filter(|_| !is_open).map(|at| at / 1_000),
            made_unix_secs: self.now_unix_ms() / 1_000,
            made_by: made_by.to_owned(),
        })
    }
}

impl Service {
    /// One account as the report of its wave has it.
    ///
    /// # Errors
    /// If there is no such account, or its ledger cannot be read.
    pub async fn account_line(&self, name: &str) -> Result<AccountLine, ServiceError> {
        let account = self.account_named(name).await?;
        let filter = JobFilter { account: Some(account.id), superseded: true, ..JobFilter::default() };
        let mut jobs = self.queue.jobs(filter).await?;
        jobs.retain(|job| job.kind != JobKind::Preflight.word());
        let found = self.found(&jobs).await?;
        let known = self.queue.account_report(account.id).await?;
        let endpoints = self.queue.endpoints().await?;
        let host = |id| endpoints.iter().find(|row| row.id == id).map(|row| row.host.as_str()).unwrap_or_default();
        let ends = [
            format!("{} at {}", account.source_user, host(account.source)),
            format!("{} at {}", account.target_user, host(account.target)),
        ];
        Ok(line(&account, ends, &jobs, &found, known.as_ref()))
    }

    /// The attempts at a job, the first one first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn attempts(&self, job: JobId) -> Result<Vec<AttemptRow>, ServiceError> {
        Ok(self.queue.attempts(job).await?)
    }

    async fn found(&self, jobs: &[JobRow]) -> Result<Found, ServiceError> {
        let (mut attempts, mut last) = (Vec::new(), None);
        let ended = ended_last(jobs).map(|job| job.id);
        for job in jobs.iter().filter(|job| job.attempts > 0) {
            let of_job = self.queue.attempts(job.id).await?;
            if Some(job.id) == ended {
                last = of_job.last().map(counts);
            }
            attempts.extend(of_job);
        }
        attempts.sort_by_key(|attempt| attempt.started_unix_ms);
        Ok(Found { attempts, last: last.unwrap_or_default() })
    }
}

/// What the attempts at the jobs of an account left behind.
struct Found {
    /// All of them, the first one first.
    attempts: Vec<AttemptRow>,
    /// What the last attempt counted of the job that came to its end last; null if none did.
    last: Value,
}

fn line(
    account: &AccountRow,
    [source, target]: [String; 2],
    jobs: &[JobRow],
    Found { attempts, last }: &Found,
    known: Option<&PairReport>,
) -> AccountLine {
    let decisive = decisive(jobs);
    let standing = decisive.map_or(Standing::Waiting, |job| match &job.state {
        JobState::DoneWithExceptions => Standing::Done,
        state => super::words::standing(state),
    });
    let mailboxes: Vec<MailboxLine> =
        known.map(|known| known.mailboxes.iter().filter_map(mailbox_line).collect()).unwrap_or_default();
    let mut messages = Counts::default();
    for mailbox in &mailboxes {
        messages += mailbox.messages;
    }
    let counts: Vec<Value> = attempts.iter().map(counts).collect();
    let mut exceptions = known.map(exceptions).unwrap_or_default();
    // What was found at the last end and the ledger does not hold: mailboxes that stopped, differences between both sides.
    if standing == Standing::Done {
        exceptions.extend(other_exceptions(last, &exceptions));
    }
    AccountLine {
        account: account.name.clone(),
        source,
        target,
        standing,
        state: decisive.map_or_else(|| "not queued".to_owned(), |job| state_in_words(&job.state)),
        messages: (!mailboxes.is_empty()).then_some(messages),
        target_messages: last["verify"]["target_messages"].as_u64(),
        bytes: counts.iter().filter_map(|counts| counts["bytes"].as_u64()).sum(),
        seconds: attempts.iter().map(seconds).fold(0.0, |sum, seconds| sum + seconds),
        attempts: u32::try_from(attempts.len()).unwrap_or(u32::MAX),
        last_words: decisive
            .filter(|job| job.state != JobState::Done && !job.words.is_empty())
            .map(|job| job.words.clone()),
        exceptions,
        remarks: changes(&counts)
            .into_iter()
            .chain(known.and_then(left_since))
            .chain(known.map(remarks).unwrap_or_default())
            .collect(),
        mailboxes,
    }
}

/// The job that says where the account stands: one that is not over, or else the one that was over last.
fn decisive(jobs: &[JobRow]) -> Option<&JobRow> {
    let open = jobs.iter().filter(|job| !job.state.is_terminal());
    // What needs somebody is told before what goes on by itself.
    let rank = |job: &&JobRow| match job.state {
        JobState::Running => 0,
        _ if job.state.is_parked() => 1,
        JobState::Paused => 2,
        _ => 3,
    };
    // A cancelled job says nothing about an account of which another one was done.
    let over = jobs.iter().max_by_key(|job| (job.state != JobState::Cancelled, job.finished_unix_ms, job.id));
    open.min_by_key(rank).or(over)
}

/// The job that copied or compared and came to its end last: what it found holds until another one comes to its end. One
/// that failed, or was cancelled or put down, has not seen everything.
fn ended_last(jobs: &[JobRow]) -> Option<&JobRow> {
    let ended = jobs.iter().filter(|job| matches!(job.state, JobState::Done | JobState::DoneWithExceptions));
    ended.max_by_key(|job| (job.finished_unix_ms, job.id))
}

fn counts(attempt: &AttemptRow) -> Value {
    serde_json::from_str(&attempt.counts).unwrap_or_default()
}

fn seconds(attempt: &AttemptRow) -> f64 {
    let Some(ended) = attempt.ended_unix_ms else { return 0.0 };
    #[expect(clippy::cast_precision_loss, reason = "a duration for people")]
    let milliseconds = ended.saturating_sub(attempt.started_unix_ms).max(0) as f64;
    milliseconds / 1_000.0
}

/// A mailbox as its last finished pass counted it; one that never had a pass, as it was listed.
fn mailbox_line(mailbox: &MailboxReport) -> Option<MailboxLine> {
    let settled = &mailbox.settled;
    let is_gone = mailbox.is_gone();
    let messages = match (&mailbox.last_pass, &mailbox.scan) {
        _ if is_gone => Counts::default(),
        (Some((pass, _)), _) => {
            let counts = Counts {
                source: pass.source,
                already: pass.already,
                copied: pass.copied,
                adopted: pass.adopted,
                skipped: pass.skipped,
                refused: pass.refused,
                gone: pass.gone,
                unreadable: pass.unreadable,
                remaining: pass.remaining,
            };
            in_all(counts, settled.copied, settled.adopted + settled.adopted_altered)
        }
        (None, Some(scan)) => {
            let source = u64::from(scan.exists);
            let already = settled.total().min(source);
            Counts { source, already, remaining: source - already, ..Counts::default() }
        }
        (None, None) => return None,
    };
    let bytes = mailbox.last_pass.as_ref().map_or(0, |(pass, _)| pass.bytes);
    let (source, target) = (mailbox.mapping.source.clone(), Some(mailbox.mapping.target.clone()));
    Some(MailboxLine { source, target, messages, bytes, visited: !is_gone, ..MailboxLine::default() })
}

/// What earlier passes copied and found, told as what all passes together did. Where messages have left the source since,
/// the two cannot be told apart, and the counts stay as the last pass has them.
fn in_all(counts: Counts, copied: u64, adopted: u64) -> Counts {
    let settled = counts.already + counts.copied + counts.adopted;
    if copied + adopted == settled { Counts { already: 0, copied, adopted, ..counts } } else { counts }
}

fn exceptions(known: &PairReport) -> Vec<Exception> {
    let mut found = Vec::new();
    for mailbox in &known.mailboxes {
        for stored in &mailbox.exceptions {
            let state = match stored.exception.state {
                Stored::Refused => ExceptionState::Refused,
                Stored::Unreadable => ExceptionState::Unreadable,
                Stored::PossibleDuplicate => ExceptionState::PossibleDuplicate,
                Stored::ViewIncomplete => ExceptionState::ViewIncomplete,
                Stored::ViewDoubtful => ExceptionState::ViewDoubtful,
                Stored::MailboxStopped => ExceptionState::MailboxStopped,
                Stored::MailboxFailed => ExceptionState::MailboxFailed,
                // What left the source is a remark.
                Stored::Gone => continue,
            };
            found.push(Exception {
                mailbox: mailbox.mapping.source.clone(),
                uid: stored.exception.uid.map(|uid| uid.0),
                state,
                reason: stored.exception.reason.clone(),
            });
        }
    }
    found
}

fn other_exceptions(counts: &Value, known: &[Exception]) -> Vec<Exception> {
    let words = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let uid = |value: &Value, name: &str| value[name].as_u64().and_then(|uid| u32::try_from(uid).ok());
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let stopped = list(&counts["exceptions"]).into_iter().filter_map(|found| {
        let state = match found["state"].as_str()? {
            "mailbox_stopped" => ExceptionState::MailboxStopped,
            "does_not_add_up" => ExceptionState::DoesNotAddUp,
            "mailbox_failed" => ExceptionState::MailboxFailed,
            "view_incomplete" => ExceptionState::ViewIncomplete,
            "view_doubtful" => ExceptionState::ViewDoubtful,
            _ => return None,
        };
        let (mailbox, reason) = (words(&found, "mailbox"), words(&found, "reason"));
        let is_new = !known.iter().any(|known| known.mailbox == mailbox && known.state == state);
        is_new.then_some(Exception { mailbox, uid: uid(&found, "uid"), state, reason })
    });
    let differs = list(&counts["verify"]["differences"]).into_iter().map(|found| Exception {
        mailbox: words(&found, "mailbox"),
        uid: uid(&found, "source_uid"),
        state: ExceptionState::DoesNotAddUp,
        reason: format!("the comparison found: {}", words(&found, "reason")),
    });
    stopped.chain(differs).collect()
}

/// What all attempts together changed on the target besides delivering mail.
fn changes(counts: &[Value]) -> Option<Remark> {
    let mut all = Changes::default();
    for counted in counts.iter().map(|counts| &counts["changes"]) {
        let number = |name: &str| counted[name].as_u64().unwrap_or_default();
        all += Changes {
            flags: number("flags"),
            moved: number("moved"),
            left_to_owner: number("left_to_owner"),
            deleted: number("deleted"),
            carried_over: number("carried_over"),
        };
    }
    let text = format!("after the first copy: {}", all.in_words());
    (!all.is_empty()).then_some(Remark { mailbox: None, text })
}

/// What was settled and is not at the source any more, in no column therefore.
fn left_since(known: &PairReport) -> Option<Remark> {
    let left: u64 = known.mailboxes.iter().map(|mailbox| known.left_since(mailbox)).sum();
    let gone = known.mailboxes.iter().filter(|mailbox| mailbox.is_gone());
    let gone: Vec<String> = gone.map(|mailbox| format!("`{}`", mailbox.mapping.source)).collect();
    let mut text = match left {
        0 => return None,
        1 => "1 message left the source after it was copied or found, and is not counted here".to_owned(),
        _ => format!(
            "{} left the source after they were copied or found, and are not counted here",
            count_of(left, "message")
        ),
    };
    if !gone.is_empty() {
        text = format!("{text}; mailboxes that are not at the source any more: {}", gone.join(", "));
    }
    Some(Remark { mailbox: None, text })
}

fn remarks(known: &PairReport) -> Vec<Remark> {
    let of_account = known.remarks.iter().map(|remark| Remark { mailbox: None, text: remark.text.clone() });
    let of_mailboxes = known.mailboxes.iter().flat_map(|mailbox| {
        let name = mailbox.mapping.source.clone();
        mailbox.remarks.iter().map(move |remark| Remark { mailbox: Some(name.clone()), text: remark.text.clone() })
    });
    of_account.chain(of_mailboxes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_db::{AccountIdentity, Mapping, PairIdentity, PassCounts, RunReport, RunVerdict, SettledCounts};

    #[test]
    fn passes_are_told_together_where_the_sum_allows_it() {
        let counts = Counts { source: 10, already: 7, copied: 2, refused: 1, ..Counts::default() };
        let all = in_all(counts, 5, 4);
        assert_eq!((all.already, all.copied, all.adopted), (0, 5, 4));
        assert!(all.adds_up());
        // Three of those settled have left the source since.
        assert_eq!(in_all(counts, 8, 4), counts);
    }

    #[test]
    fn mailboxes_that_are_gone_count_nothing_and_what_left_the_source_is_a_remark() {
        let mailbox = |source: &str, copied: u64, pass: PassCounts, departed: u64| MailboxReport {
            mapping: Mapping { source: source.to_owned(), target: source.to_owned() },
            settled: SettledCounts { copied, ..SettledCounts::default() },
            departed,
            sent: None,
            scan: None,
            last_pass: Some((pass, 0)),
            exceptions: Vec::new(),
            remarks: Vec::new(),
        };
        let [first, all] = [PassCounts { source: 30, copied: 30, ..PassCounts::default() }; 2];
        let less = PassCounts { source: 8, already: 8, ..PassCounts::default() };
        let ends = ["old.example", "new.example"].map(|host| AccountIdentity::new(host, "alice", None));
        let [source, target] = ends;
        let run = RunReport {
            started_unix_secs: 0,
            finished_unix_secs: Some(60),
            verdict: Some(RunVerdict::Complete),
            detail: String::new(),
        };
        let mailboxes = vec![mailbox("INBOX", 9, less, 1), mailbox("Old", 30, first, 30), mailbox("Sent", 30, all, 0)];
        let mut known = PairReport { identity: PairIdentity { source, target }, run, mailboxes, remarks: Vec::new() };
        let lines: Vec<_> = known.mailboxes.iter().filter_map(mailbox_line).collect();
        assert_eq!(lines.iter().map(|line| line.messages.source).collect::<Vec<_>>(), [8, 0, 30]);
        assert!(lines.iter().all(|line| line.messages.adds_up()));
        assert_eq!(
            left_since(&known).expect("some left").text,
            "31 messages left the source after they were copied or found, and are not counted here; mailboxes that are \
             not at the source any more: `Old`"
        );
        known.mailboxes.remove(1);
        let one = left_since(&known).expect("one left").text;
        assert_eq!(one, "1 message left the source after it was copied or found, and is not counted here");
        known.mailboxes.remove(0);
        assert_eq!(left_since(&known), None);
    }

    #[test]
    fn changes_of_all_passes_are_told_together() {
        let pass = |changes: Changes| serde_json::json!({ "changes": changes, "bytes": 7 });
        let first = pass(Changes { flags: 3, deleted: 1, ..Changes::default() });
        let second = pass(Changes { flags: 1, moved: 2, left_to_owner: 1, carried_over: 4, ..Changes::default() });
        let told = changes(&[Value::Null, first, second]).expect("there were some").text;
        let expected = Changes { flags: 4, moved: 2, left_to_owner: 1, deleted: 1, carried_over: 4 };
        assert_eq!(told, format!("after the first copy: {}", expected.in_words()));
        assert_eq!(changes(&[pass(Changes::default()), Value::Null]), None);
    }

    #[test]
    fn what_was_found_last_is_told_until_another_job_comes_to_its_end() {
        use super::super::standing::tests::job;
        let ended = |jobs: &[JobRow]| ended_last(jobs).map(|job| job.id.0);
        let at = |job: JobRow, at: i64| JobRow { finished_unix_ms: Some(at), ..job };
        let done = at(job(1, 1, JobKind::Bulk, JobState::DoneWithExceptions), 10);
        let cancelled = at(job(2, 1, JobKind::Resync, JobState::Cancelled), 20);
        let running = job(3, 1, JobKind::Final, JobState::Running);
        assert_eq!(ended(&[done.clone(), cancelled.clone(), running]), Some(1));
        let compared = at(job(3, 1, JobKind::Final, JobState::Done), 30);
        assert_eq!(ended(&[done, cancelled.clone(), compared]), Some(3));
        assert_eq!(ended(&[cancelled]), None);
    }
}
