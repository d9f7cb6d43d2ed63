//! Session set-up in round trips: how many pass before the first message flows, and how many each further mailbox costs.
//!
//! The proxies know when a command comes, so this is measured in plain text. TCP's own round trip is not in it.

use std::io;
use std::time::{Duration, Instant};

use mailhaul_testing::proxy::Event;

use crate::mail;
use crate::rig::{Rig, Stock};
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::{Bound, Samples, Table};

const MILLIS: u64 = 200;
const FURTHER: usize = 10;
const BEFORE_FIRST_MOST: f64 = 10.0;
const FURTHER_MOST: f64 = 2.0;
const FIRST_AT_MOST: Duration = Duration::from_secs(60);

pub(crate) fn set_up(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::messages(1 + FURTHER, SMALL);
    let one = rig.filled("setup-one", &mails[..1])?;
    let named = |at: usize| if at == 0 { "INBOX".to_owned() } else { format!("Box {at:02}") };
    let many = rig.filled_with("setup-many", mails.iter().enumerate().map(|(at, mail)| (named(at), vec![mail])))?;
    let [mut first, mut whole, mut more] = std::array::from_fn(|_| Samples::default());
    for _ in 0..scale.rounds {
        let (before, wall) = timed(rig, &one)?;
        first.push(trips(before));
        whole.push(trips(wall));
        more.push((trips(timed(rig, &many)?.1) - trips(wall)) / 10.0);
    }
    let bound = Bound::AtMost(BEFORE_FIRST_MOST);
    table.add("round trips before the first message", first.told(1.0, ""), first.median(), bound, "");
    table.tell("  of a whole copy of one message", whole.told(1.0, ""));
    let bound = Bound::AtMost(FURTHER_MOST);
    table.add("  of each further mailbox", more.told(1.0, ""), more.median(), bound, "");
    rig.forget(&one);
    rig.forget(&many);
    Ok(())
}

fn trips(time: Duration) -> f64 {
    time.as_secs_f64() / Duration::from_millis(MILLIS).as_secs_f64()
}

/// From the first connection to the first APPEND, and to the end.
fn timed(rig: &Rig, stock: &Stock) -> io::Result<(Duration, Duration)> {
    let stage = Stage::understood(rig, MILLIS);
    let Some((near, far)) = stage.links() else { return Err(io::Error::other("no distance")) };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let begun = near.wait_at_most(&Event::Connection(1), FIRST_AT_MOST).then(Instant::now);
            let sent = far.wait_at_most(&Event::Command("APPEND".to_owned(), 1), FIRST_AT_MOST).then(Instant::now);
            begun.zip(sent)
        });
        stage.haul(stock)?;
        let end = Instant::now();
        let seen = first.join().ok().flatten();
        let (begun, sent) = seen.ok_or_else(|| io::Error::other("no APPEND was seen"))?;
        Ok((sent - begun, end - begun))
    })
}
