//! What an operator does with ten thousand accounts.

use crate::setting::Setting;
use crate::told::{Bound, Times};
use mailhaul_db::queue::{AccountFilter, JobFilter, Subject, WaveOrder};
use mailhaul_queue::JobState;
use std::error::Error;
use std::time::Instant;

const ACCOUNTS: u32 = 10_000;
const ROUNDS: usize = 5;
const IMPORT_MS_MOST: f64 = 5_000.0;
const CHANGE_MS_MOST: f64 = 200.0;

pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    let mut times = Times::default();
    for _ in 0..ROUNDS {
        let setting = Setting::make().await?;
        import(&setting, &mut times).await?;
        look(&setting, &mut times).await?;
        change(&setting, &mut times).await?;
        setting.close().await?;
    }
    times.say(|name| match name {
        name if name.contains("imported") => Bound::AtMost(IMPORT_MS_MOST),
        name if name.starts_with("10,000 jobs") => Bound::AtMost(CHANGE_MS_MOST),
        _ => Bound::None,
    });
    Ok(())
}

async fn import(setting: &Setting, times: &mut Times) -> Result<(), Box<dyn Error>> {
    let at = Instant::now();
    setting.queue.import(setting.accounts(0..ACCOUNTS)).await?;
    times.took("10,000 accounts imported", at);
    let at = Instant::now();
    assert_eq!(setting.queue.import(setting.accounts(0..ACCOUNTS)).await?.unchanged, 10_000);
    times.took("10,000 accounts imported again", at);
    setting.enqueue(0..ACCOUNTS, "bulk").await?;
    Ok(())
}

async fn look(setting: &Setting, times: &mut Times) -> Result<(), Box<dyn Error>> {
    let queue = &setting.queue;
    let at = Instant::now();
    let jobs = queue.jobs(JobFilter::default()).await?;
    times.took("10,000 jobs listed", at);
    assert_eq!(jobs.len(), 10_000);
    let at = Instant::now();
    let found = queue.jobs(JobFilter { needs_attention: true, ..JobFilter::default() }).await?;
    times.took("10,000 jobs filtered by what needs somebody", at);
    assert!(found.is_empty());
    let at = Instant::now();
    let page = queue.jobs(JobFilter { wave: Some(setting.wave), limit: Some(100), ..JobFilter::default() }).await?;
    times.took("10,000 jobs, the first 100 of a wave", at);
    assert_eq!(page.len(), 100);
    let at = Instant::now();
    let counts = queue.counts(Some(setting.wave)).await?;
    times.took("10,000 jobs counted by state", at);
    assert!(counts.iter().any(|count| count.state == JobState::Queued && count.jobs == 10_000));
    let at = Instant::now();
    queue.totals(setting.wave).await?;
    times.took("totals of 10,000 accounts", at);
    let at = Instant::now();
    queue.accounts(AccountFilter { name: Some("user0099*".to_owned()), ..AccountFilter::default() }).await?;
    times.took("accounts found by pattern", at);
    let at = Instant::now();
    queue.place_in_line(jobs[9_999].id).await?;
    times.took("the place of the last job", at);
    Ok(())
}

async fn change(setting: &Setting, times: &mut Times) -> Result<(), Box<dyn Error>> {
    let (queue, wave) = (&setting.queue, setting.wave);
    let all = JobFilter { wave: Some(wave), ..JobFilter::default() };
    let at = Instant::now();
    assert_eq!(queue.pause(Subject::Wave(wave), "lunch").await?, 10_000);
    times.took("10,000 jobs paused", at);
    let at = Instant::now();
    assert_eq!(queue.resume(Subject::Wave(wave)).await?, 10_000);
    times.took("10,000 jobs resumed", at);
    let at = Instant::now();
    assert_eq!(queue.cancel(all.clone(), "no").await?, 10_000);
    times.took("10,000 jobs cancelled", at);
    let at = Instant::now();
    assert_eq!(queue.retry(all).await?, 10_000);
    times.took("10,000 jobs retried", at);
    let at = Instant::now();
    queue.set_order(wave, WaveOrder::Largest).await?;
    times.took("10,000 jobs put in order", at);
    Ok(())
}
