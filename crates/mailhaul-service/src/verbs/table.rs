//! The accounts of a wave as a table: where each stands, how far its mail is, and why; filtered, sorted, page by page.
//!
//! Tens of thousands of rows are put together in one go and kept for a moment, so that several people who look, sort and
//! page cost little more than one.

use super::words::{hint, is_blocked_look, meaning, reason, standing};
use crate::error::ServiceError;
use crate::service::Service;
use mailhaul_db::queue::{AccountFilter, AccountRow, JobRow, Totals};
use mailhaul_queue::{JobId, JobState};
use mailhaul_report::{Done, Standing};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A table is as good as new for this long.
const FRESH: Duration = Duration::from_millis(900);
/// At most one part in so many of the time is spent on making tables.
const SHARE: u32 = 10;

/// One account and where it stands.
#[derive(Debug, Clone)]
pub struct AccountStanding {
    /// The account.
    pub row: AccountRow,
    /// In one word; `None`: nothing was ever queued for it.
    pub standing: Option<Standing>,
    /// The job that says so.
    pub job: Option<JobId>,
    /// That job's kind.
    pub kind: String,
    /// That job's state, by its word; `not_begun` where there is none, `blocked` where a look found something in the way.
    pub state: String,
    /// What it waits for, or in which way it failed.
    pub reason: Option<&'static str>,
    /// Until when it waits, in milliseconds since 1970.
    pub until_unix_ms: Option<i64>,
    /// What the state means and what would change it.
    pub meaning: &'static str,
    /// How the latest attempt ended, where that still says something; a stranger's text.
    pub words: String,
    /// What to do, where somebody has to.
    pub hint: String,
    /// Messages.
    pub messages: Done,
    /// Octets.
    pub bytes: Done,
    /// Messages and mailboxes that were set aside.
    pub exceptions: u64,
    /// Attempts of that job.
    pub attempts: u32,
    /// When the latest attempt began or ended, in milliseconds since 1970.
    pub moved_unix_ms: Option<i64>,
}

/// By what a table is sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TableSort {
    /// The account's name.
    #[default]
    Name,
    /// What needs somebody first, then what runs, waits, is done.
    State,
    /// Messages.
    Messages,
    /// Octets.
    Size,
    /// How much of it is done.
    Progress,
    /// What was set aside.
    Exceptions,
    /// What moved last.
    Moved,
}

impl TableSort {
    /// All of them with their words.
    pub const WORDS: [(Self, &'static str); 7] = [
        (Self::Name, "name"),
        (Self::State, "state"),
        (Self::Messages, "messages"),
        (Self::Size, "size"),
        (Self::Progress, "progress"),
        (Self::Exceptions, "exceptions"),
        (Self::Moved, "moved"),
    ];

    /// The sort with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(sort, _)| *sort)
    }

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(sort, _)| *sort == self).map_or("name", |(_, word)| word)
    }
}

/// Which rows, and which of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableFilter {
    /// Part of the name, a login, or the words; capitals do not count.
    pub search: String,
    /// One of the five words, or `not_begun`; empty: all.
    pub standing: String,
    /// A state, a reason or a class, by its word; empty: all.
    pub state: String,
    /// In which order.
    pub sort: TableSort,
    /// The other way round.
    pub descending: bool,
    /// After so many.
    pub offset: usize,
    /// At most so many.
    pub limit: usize,
}

/// A page of a table.
#[derive(Debug, Clone)]
pub struct TablePage {
    /// Its rows.
    pub rows: Vec<AccountStanding>,
    /// Rows that fit the filter, on all pages.
    pub fitting: usize,
    /// Rows of the whole table.
    pub all: usize,
    /// All rows by their one word; those that have not begun under `not_begun`.
    pub standings: BTreeMap<&'static str, usize>,
    /// All rows by state and reason.
    pub states: BTreeMap<(String, &'static str), usize>,
}

/// The whole table of a wave at one moment.
#[derive(Debug, Clone)]
pub struct AccountTable {
    rows: Arc<Vec<AccountStanding>>,
    made: Instant,
    took: Duration,
}

impl AccountTable {
    /// Whether it is worth making anew.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.made.elapsed() > FRESH.max(self.took * SHARE)
    }

    /// The account of this name.
    #[must_use]
    pub fn find(&self, account: &str) -> Option<&AccountStanding> {
        self.rows.iter().find(|row| row.row.name == account)
    }

    /// A page of it.
    #[must_use]
    pub fn page(&self, filter: &TableFilter) -> TablePage {
        let (mut standings, mut states) = (BTreeMap::new(), BTreeMap::new());
        for row in self.rows.iter() {
            *standings.entry(row.word()).or_default() += 1;
            *states.entry((row.state.clone(), row.reason.unwrap_or_default())).or_default() += 1;
        }
        let search = filter.search.to_lowercase();
        let mut fitting: Vec<&AccountStanding> = self.rows.iter().filter(|row| row.fits(filter, &search)).collect();
        sort(&mut fitting, filter.sort);
        if filter.descending {
            fitting.reverse();
        }
        let rows = fitting.iter().skip(filter.offset).take(filter.limit).map(|row| (*row).clone()).collect();
        TablePage { rows, fitting: fitting.len(), all: self.rows.len(), standings, states }
    }

    /// The names of all accounts that fit, whatever the page.
    #[must_use]
    pub fn names(&self, filter: &TableFilter) -> Vec<String> {
        let search = filter.search.to_lowercase();
        self.rows.iter().filter(|row| row.fits(filter, &search)).map(|row| row.row.name.clone()).collect()
    }
}

impl AccountStanding {
    /// Its one word, `not_begun` where there is none.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.standing.map_or("not_begun", Standing::label)
    }

    fn fits(&self, filter: &TableFilter, search: &str) -> bool {
        let contains = |text: &str| text.to_lowercase().contains(search);
        (filter.standing.is_empty() || filter.standing == self.word())
            && (filter.state.is_empty() || filter.state == self.state || Some(filter.state.as_str()) == self.reason)
            && (search.is_empty()
                || contains(&self.row.name)
                || contains(&self.row.source_user)
                || contains(&self.row.target_user)
                || contains(&self.words))
    }

    /// What needs somebody first.
    fn urgency(&self) -> u8 {
        match self.standing {
            Some(Standing::Attention) => 0,
            Some(Standing::Running) => 1,
            Some(Standing::Waiting) => 2,
            Some(Standing::Stopped) => 3,
            None => 4,
            Some(Standing::Done) => 5,
        }
    }

    fn permille(&self) -> u64 {
        let of = |done: Done| done.expected.filter(|all| *all > 0).map(|all| done.done.saturating_mul(1_000) / all);
        of(self.messages).or(of(self.bytes)).unwrap_or(if self.standing == Some(Standing::Done) { 1_000 } else { 0 })
    }
}

fn sort(rows: &mut [&AccountStanding], by: TableSort) {
    let most_first = |number: u64| std::cmp::Reverse(number);
    let size = |done: &Done| done.expected.unwrap_or(done.done);
    match by {
        // As they came: by name.
        TableSort::Name => {}
        TableSort::State => rows.sort_by_key(|row| (row.urgency(), row.state.clone(), row.reason)),
        TableSort::Messages => rows.sort_by_key(|row| most_first(size(&row.messages))),
        TableSort::Size => rows.sort_by_key(|row| most_first(size(&row.bytes))),
        TableSort::Progress => rows.sort_by_key(|row| row.permille()),
        TableSort::Exceptions => rows.sort_by_key(|row| most_first(row.exceptions)),
        TableSort::Moved => rows.sort_by_key(|row| std::cmp::Reverse(row.moved_unix_ms)),
    }
}

impl Service {
    /// The table of a wave, made anew unless the one from before is fresh.
    ///
    /// # Errors
    /// If there is no such wave, or it cannot be read.
    pub async fn account_table(&self, wave: &str, before: Option<AccountTable>) -> Result<AccountTable, ServiceError> {
        let wave = self.wave_named(wave).await?;
        if let Some(before) = before.filter(|before| !before.is_stale()) {
            return Ok(before);
        }
        let began = Instant::now();
        let accounts = self.queue.accounts(AccountFilter { wave: Some(wave.id), ..AccountFilter::default() }).await?;
        let jobs = self.telling_jobs_of(Some(wave.id), None).await?;
        let jobs: HashMap<_, _> = jobs.into_iter().map(|job| (job.account, job)).collect();
        let totals = self.queue.totals(wave.id).await?.accounts.into_iter();
        let totals: HashMap<_, _> = totals.map(|(id, _, totals)| (id, totals)).collect();
        let rows = accounts.into_iter().map(|row| {
            let (job, totals) = (jobs.get(&row.id), totals.get(&row.id).copied().unwrap_or_default());
            account_standing(row, job, &totals)
        });
        let rows = Arc::new(rows.collect());
        Ok(AccountTable { rows, made: Instant::now(), took: began.elapsed() })
    }
}

fn account_standing(row: AccountRow, job: Option<&JobRow>, totals: &Totals) -> AccountStanding {
    let counted = totals.last_pass;
    let settled = totals.settled.copied + totals.settled.adopted + totals.settled.adopted_altered;
    let is_whole = totals.mailboxes > 0 && totals.mailboxes == totals.passed;
    // What was skipped, refused or is gone is accounted for as well.
    let aside = counted.skipped + counted.refused + counted.gone + counted.unreadable;
    let messages = Done {
        done: if is_whole { settled.max(counted.source.saturating_sub(counted.remaining + aside)) } else { settled },
        expected: is_whole.then(|| counted.source.saturating_sub(aside).max(settled)),
    };
    let hint_bytes = Some(totals.size_hint_bytes).filter(|bytes| *bytes > 0);
    let is_done = is_whole && counted.remaining == 0;
    let bytes = match (hint_bytes, is_done) {
        (Some(hint), true) => Done { done: hint, expected: Some(hint) },
        (Some(hint), false) => Done { done: totals.moved_bytes.min(hint), expected: Some(hint) },
        (None, true) => Done { done: totals.moved_bytes, expected: Some(totals.moved_bytes) },
        (None, false) => Done { done: totals.moved_bytes, expected: None },
    };
    let mut found = AccountStanding {
        row,
        standing: None,
        job: None,
        kind: String::new(),
        state: "not_begun".to_owned(),
        reason: None,
        until_unix_ms: None,
        meaning: "Nothing was queued for it yet.",
        words: String::new(),
        hint: String::new(),
        messages,
        bytes,
        exceptions: totals.exceptions,
        attempts: 0,
        moved_unix_ms: None,
    };
    let Some(job) = job else { return found };
    let is_look = job.kind == crate::kinds::JobKind::Preflight.word();
    if is_look && matches!(job.state, JobState::Done | JobState::Cancelled) {
        found.meaning = "It was looked at, and may begin.";
        return found;
    }
    let is_blocked = is_blocked_look(job);
    found.standing = Some(if is_blocked { Standing::Attention } else { standing(&job.state) });
    found.job = Some(job.id);
    found.kind.clone_from(&job.kind);
    found.state = if is_blocked { "blocked".to_owned() } else { job.state.word().to_owned() };
    found.reason = reason(&job.state);
    if let JobState::Waiting { until_unix_ms, .. } = job.state {
        found.until_unix_ms = until_unix_ms;
    }
    found.meaning = if is_blocked { "A preflight found something in the way." } else { meaning(&job.state) };
    if !matches!(job.state, JobState::Done | JobState::Running) {
        found.words.clone_from(&job.words);
    }
    found.hint = hint(job);
    found.attempts = job.attempts;
    found.moved_unix_ms = job.finished_unix_ms.max(job.started_unix_ms);
    found
}

#[cfg(test)]
mod tests {
    use super::super::standing::tests::job;
    use super::*;
    use crate::kinds::JobKind;
    use mailhaul_db::{PassCounts, SettledCounts};
    use mailhaul_queue::{AccountId, EndpointId, Priority, WaitReason, WaveId};

    fn row(name: &str) -> AccountRow {
        AccountRow {
            id: AccountId(1),
            name: name.to_owned(),
            wave: WaveId(1),
            wave_name: "staff".to_owned(),
            source: EndpointId(1),
            source_name: "old".to_owned(),
            target: EndpointId(2),
            target_name: "new".to_owned(),
            source_user: format!("{name}@old.example"),
            target_user: format!("{name}@new.example"),
            source_owner: String::new(),
            target_owner: String::new(),
            priority: Priority::USUAL,
            options: String::new(),
            revision: 1,
            size_hint_bytes: None,
        }
    }

    fn table() -> AccountTable {
        let parked = JobState::Waiting { reason: WaitReason::Quota, until_unix_ms: None };
        let half = Totals {
            mailboxes: 1,
            passed: 1,
            settled: SettledCounts { copied: 5, ..SettledCounts::default() },
            last_pass: PassCounts { source: 10, remaining: 5, ..PassCounts::default() },
            ..Totals::default()
        };
        let rows = vec![
            account_standing(row("ann"), Some(&job(1, 1, JobKind::Bulk, JobState::Done)), &Totals::default()),
            account_standing(row("bob"), Some(&job(2, 2, JobKind::Bulk, parked)), &half),
            account_standing(row("cy"), None, &Totals::default()),
            account_standing(row("di"), Some(&job(4, 4, JobKind::Preflight, JobState::Done)), &Totals::default()),
        ];
        AccountTable { rows: Arc::new(rows), made: Instant::now(), took: Duration::ZERO }
    }

    fn names(filter: &TableFilter) -> Vec<String> {
        let page = table().page(&TableFilter { limit: 50, ..filter.clone() });
        page.rows.into_iter().map(|row| row.row.name).collect()
    }

    #[test]
    fn rows_are_filtered_sorted_and_cut_into_pages() {
        let all = TableFilter::default();
        assert_eq!(names(&all), ["ann", "bob", "cy", "di"]);
        assert_eq!(names(&TableFilter { standing: "not_begun".into(), ..all.clone() }), ["cy", "di"]);
        assert_eq!(names(&TableFilter { state: "quota".into(), ..all.clone() }), ["bob"]);
        assert_eq!(names(&TableFilter { search: "ANN@OLD".into(), ..all.clone() }), ["ann"]);
        assert_eq!(names(&TableFilter { sort: TableSort::State, ..all.clone() }), ["bob", "cy", "di", "ann"]);
        let page = table().page(&TableFilter { offset: 1, limit: 2, ..all.clone() });
        assert_eq!((page.rows.len(), page.fitting, page.all), (2, 4, 4));
        assert_eq!(page.standings["not_begun"], 2);
        assert_eq!(table().names(&all).len(), 4, "names are of all pages");
    }

    #[test]
    fn a_row_says_how_far_its_mail_is_and_never_guesses_the_whole() {
        let table = table();
        let bob = table.find("bob").expect("there");
        assert_eq!((bob.messages, bob.word()), (Done { done: 5, expected: Some(10) }, "attention"));
        assert_eq!(table.find("ann").expect("there").messages.expected, None);
    }
}
