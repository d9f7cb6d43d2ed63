//! What an account looks like that has grown over years: forty mailboxes of very different sizes, and a fifth of the octets in
//! large mails.

use std::io;

use crate::contest::Contest;
use crate::mail::{self, Mail};
use crate::rig::Rig;
use crate::scale::Scale;
use crate::stage::Stage;
use crate::table::{Bound, Table};

/// So many times 2,000 mails and 148 MiB.
const TIMES: usize = 8;
const MAILBOXES: usize = 40;
const DISTANCES: [u64; 2] = [0, 40];
const TIMES_MOST: f64 = 1.25;

pub(crate) fn mixed(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let mails = mail::mixed((TIMES / scale.divisor).max(1));
    let mut mailboxes: Vec<(String, Vec<&Mail>)> = (0..MAILBOXES)
        .map(|at| (if at == 0 { "INBOX".to_owned() } else { format!("Box {at:02}") }, Vec::new()))
        .collect();
    for (at, mail) in &mails {
        if let Some((_, mails)) = mailboxes.get_mut(*at) {
            mails.push(mail);
        }
    }
    let octets: usize = mails.iter().map(|(_, mail)| mail.octets.len()).sum();
    let stock = rig.filled_with("mixed", mailboxes)?;
    let name = format!("{} mails, {} MiB, {MAILBOXES} mailboxes", mails.len(), octets >> 20);
    drop(mails);
    for over in scale.ways.iter().copied() {
        for millis in DISTANCES {
            let stage = Stage::plain(rig, over, millis);
            let seen = Contest::new(&stage, &stock, scale).with_mbsync(scale).run()?;
            seen.tell(table, &format!("{name}, {millis} ms, {}", over.word()), Bound::AtMost(TIMES_MOST));
        }
    }
    rig.forget(&stock);
    Ok(())
}
