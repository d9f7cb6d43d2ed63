//! The mail of one account: its own, the same each time, with a few odd messages that are other ones in each account.

use std::sync::OnceLock;

use super::{ManyAccounts, TestAccount};
use crate::corpus::{Corpus, CorpusMailbox, CorpusMessage, Numbers, odd_messages, plain};

/// Odd messages larger than this stay out: hundreds of accounts would be all about them.
const ODD_BYTES_MAX: usize = 8 << 10;

/// 1 January 2015.
const FIRST_DAY: i64 = 1_420_070_400;

/// New mail is dated on one of so many days, all of them past: Dovecot takes no date that is still to come.
const NEW_DAYS: usize = 3_000;

/// Flags that go round.
const FLAGS: [&[&str]; 6] =
    [&["\\Seen"], &[], &["\\Seen", "\\Answered"], &["\\Flagged", "\\Seen"], &["\\Seen", "$Forwarded"], &["\\Seen"]];

/// What an account holds: three of five mails in INBOX, one in Sent, one in Archive/2019, and an empty mailbox.
pub(super) fn corpus(settings: &ManyAccounts, account: &TestAccount) -> Corpus {
    let odd = settings.odd.min(settings.mails);
    let mut numbers = Numbers::new(seed(account));
    let own = (0..settings.mails - odd).map(|turn| own_message(&mut numbers, account, turn, settings.mail_bytes));
    let own: Vec<CorpusMessage> = own.collect();
    let strange = odd_share(account, odd);
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for (turn, message) in own.into_iter().chain(strange).enumerate() {
        parts[[0, 1, 0, 2, 0][turn % 5]].push(message);
    }
    let [inbox, sent, archive] = parts;
    Corpus {
        mailboxes: vec![
            CorpusMailbox::new(&["INBOX"], inbox),
            CorpusMailbox::new(&["Sent"], sent),
            CorpusMailbox::new(&["Archive", "2019"], archive),
            CorpusMailbox::new(&["Empty"], Vec::new()).unsubscribed(),
        ],
    }
}

/// Messages that arrive later.
pub(super) fn new_messages(account: &TestAccount, turn: usize, count: usize) -> Vec<CorpusMessage> {
    let shift = u64::try_from(turn).unwrap_or(0) << 32;
    let mut numbers = Numbers::new(seed(account) + shift);
    (0..count).map(|at| own_message(&mut numbers, account, 1_000 + (turn + at) % NEW_DAYS, 1500)).collect()
}

fn seed(account: &TestAccount) -> u64 {
    u64::try_from(account.number).unwrap_or(0) * 1_000_003
}

fn own_message(numbers: &mut Numbers, account: &TestAccount, turn: usize, bytes: usize) -> CorpusMessage {
    let unix_secs = FIRST_DAY + i64::try_from(turn).unwrap_or(0) * 86_413 + i64::try_from(account.number).unwrap_or(0);
    let mut octets = format!("Delivered-To: {}\r\n", account.source_user).into_bytes();
    let size = bytes / 2 + usize::try_from(numbers.below(1024)).unwrap_or(0) * bytes / 1024;
    octets.extend(plain(numbers, unix_secs, size));
    message("own", octets, turn, unix_secs)
}

/// The odd messages that accounts share, made once.
fn odd_pool() -> &'static [(&'static str, Vec<u8>)] {
    static POOL: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    // Dovecot hands out another octet for NUL, so that a judge who reads files would see a difference that is none.
    let fits = |octets: &[u8]| octets.len() <= ODD_BYTES_MAX && !octets.contains(&0);
    POOL.get_or_init(|| odd_messages().into_iter().filter(|(_, octets)| fits(octets)).collect())
}

/// This account's share of the odd messages, beginning elsewhere in each account.
fn odd_share(account: &TestAccount, count: usize) -> impl Iterator<Item = CorpusMessage> {
    let pool = odd_pool();
    let first = account.number * count.max(1);
    (0..count).map(move |turn| {
        let (label, octets) = &pool[(first + turn) % pool.len()];
        let unix_secs = FIRST_DAY - i64::try_from(turn).unwrap_or(0) * 1009;
        message(label, octets.clone(), turn, unix_secs)
    })
}

fn message(label: &str, octets: Vec<u8>, turn: usize, unix_secs: i64) -> CorpusMessage {
    let flags = FLAGS[turn % FLAGS.len()].iter().map(|flag| (*flag).to_owned()).collect();
    CorpusMessage { label: label.to_owned(), octets, flags, unix_secs, zone_minutes: 60 }
}
