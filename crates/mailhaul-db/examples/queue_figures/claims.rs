//! Claims and ends, with ten thousand accounts in the file and with a hundred thousand.

use crate::setting::Setting;
use crate::told::{Bound, Times, say};
use mailhaul_db::DbError;
use mailhaul_db::queue::Subject;
use mailhaul_queue::LeaseKey;
use std::error::Error;
use std::time::Instant;

const CLAIMS_PER_SEC_LEAST: f64 = 1_000.0;
/// So many claims, or ends, are one sample.
const SAMPLE: u32 = 200;
const SAMPLES: u32 = 5;
/// Slots of a tick that takes many jobs at once, as a worker does when it starts.
const MANY: u32 = 100;

pub(crate) async fn measure() -> Result<(), Box<dyn Error>> {
    let setting = Setting::make().await?;
    setting.enqueue(0..10_000, "bulk").await?;
    figures(&setting, "10,000").await?;
    setting.enqueue(10_000..100_000, "bulk").await?;
    figures(&setting, "100,000").await?;
    let mut times = Times::default();
    let at = Instant::now();
    setting.queue.pause(Subject::Everything, "").await?;
    times.took("100,000 jobs paused", at);
    let at = Instant::now();
    setting.queue.resume(Subject::Everything).await?;
    times.took("100,000 jobs resumed", at);
    times.say(|_| Bound::None);
    setting.close().await?;
    Ok(())
}

/// By turns, so that every figure meets the same machine.
async fn figures(setting: &Setting, accounts: &str) -> Result<(), DbError> {
    let (mut single, mut many, mut ends, mut both) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let at = Instant::now();
        let mut keys = claim(setting, 1).await?;
        single.push(per_second(at));
        let at = Instant::now();
        keys.extend(claim(setting, MANY).await?);
        many.push(per_second(at));
        let at = Instant::now();
        finish(setting, &keys[..200]).await?;
        ends.push(per_second(at));
        finish(setting, &keys[200..]).await?;
        let at = Instant::now();
        let keys = claim(setting, MANY).await?;
        finish(setting, &keys).await?;
        both.push(per_second(at));
    }
    let least = Bound::AtLeast(CLAIMS_PER_SEC_LEAST);
    say(&format!("claims with {accounts} accounts, one at a time"), "/s", least, &single);
    say(&format!("claims with {accounts} accounts, {MANY} at a time"), "/s", least, &many);
    say(&format!("ends of attempts with {accounts} accounts"), "/s", Bound::None, &ends);
    say(&format!("claims and their ends with {accounts} accounts"), "/s", Bound::None, &both);
    Ok(())
}

fn per_second(since: Instant) -> f64 {
    f64::from(SAMPLE) / since.elapsed().as_secs_f64()
}

async fn claim(setting: &Setting, slots: u32) -> Result<Vec<LeaseKey>, DbError> {
    let mut keys = Vec::new();
    for _ in 0..SAMPLE / slots {
        keys.extend(setting.claim(usize::try_from(slots).unwrap_or(usize::MAX)).await?);
    }
    assert_eq!(keys.len(), 200, "there is a job for every slot");
    Ok(keys)
}

async fn finish(setting: &Setting, keys: &[LeaseKey]) -> Result<(), DbError> {
    for key in keys {
        setting.finish(*key, "complete: 40 copied", "{}").await?;
    }
    Ok(())
}
