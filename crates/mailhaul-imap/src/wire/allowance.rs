//! How many responses a server may send before it ends a command.
//!
//! Memory is bounded without this; time is not: a server that pours lines for ever, each of them well-formed, moves octets
//! all the while, and so no deadline notices it.

use crate::error::ImapError;

/// What any command may be answered with: LIST with STATUS for as many mailboxes as are taken, and then some.
const BASE: u64 = 400_000;
/// For each message of the selected mailbox. Four commands may be in flight, and some servers split the response to one
/// message in two.
const PER_MESSAGE: u64 = 8;

/// Counts responses between two verdicts.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    since_verdict: u64,
    /// How many messages the selected mailbox has, as far as the server has told.
    exists: u64,
    /// The most that it had since then.
    most_exists: u64,
}

impl Allowance {
    /// Something else is asked from here on.
    pub(crate) fn begin(&mut self) {
        self.since_verdict = 0;
        self.most_exists = self.exists;
    }

    /// Takes note of a response, or of the beginning of one.
    ///
    /// # Errors
    /// [`ImapError::LimitExceeded`] where a server has sent more than any answer can need.
    pub(crate) fn spend(&mut self, response: &[u8], during: &str) -> Result<(), ImapError> {
        if is_tagged(response) {
            self.begin();
            return Ok(());
        }
        if let Some(exists) = exists(response) {
            self.exists = exists;
            self.most_exists = self.most_exists.max(exists);
        }
        self.since_verdict += 1;
        if self.since_verdict > self.most() {
            return Err(ImapError::LimitExceeded {
                what: format!("more than {} responses while {during}, and the command is not ended", self.most()),
            });
        }
        Ok(())
    }

    fn most(&self) -> u64 {
        BASE.saturating_add(self.most_exists.saturating_mul(PER_MESSAGE))
    }
}

/// Whether it begins with a tag as they are given here, by us (`M12`) or the control library (`A0012`). Whether that command
/// was sent is seen where the verdict is read.
fn is_tagged(response: &[u8]) -> bool {
    let Some((b'M' | b'A', rest)) = response.split_first() else { return false };
    let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
    digits > 0 && rest.get(digits) == Some(&b' ')
}

/// The number in `* n EXISTS`.
fn exists(response: &[u8]) -> Option<u64> {
    const LONGEST: usize = b"* 4294967295 EXISTS\r\n".len();
    let number = response.strip_prefix(b"* ").filter(|_| response.len() <= LONGEST)?;
    let (number, word) = number.split_at(number.iter().position(|octet| *octet == b' ')?);
    if !word.trim_ascii().eq_ignore_ascii_case(b"EXISTS") {
        return None;
    }
    Some(std::str::from_utf8(number).ok()?.parse::<u32>().ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(allowance: &mut Allowance, responses: u64) -> Result<(), ImapError> {
        (0..responses).try_for_each(|_| allowance.spend(b"* 1 FETCH (UID 1)\r\n", "UID FETCH"))
    }

    #[test]
    fn a_command_that_never_ends_is_given_up() {
        let mut allowance = Allowance::default();
        spent(&mut allowance, BASE).expect("as much as may be");
        let error = spent(&mut allowance, 1).expect_err("one more");
        assert!(matches!(&error, ImapError::LimitExceeded { what } if what.contains("UID FETCH")), "{error}");
    }

    #[test]
    fn a_verdict_and_another_command_begin_anew() {
        let mut allowance = Allowance::default();
        spent(&mut allowance, BASE).expect("as much as may be");
        allowance.spend(b"M7 OK done\r\n", "UID FETCH").expect("a verdict costs nothing");
        spent(&mut allowance, BASE).expect("as much again");
        allowance.begin();
        spent(&mut allowance, BASE).expect("and again");
    }

    #[test]
    fn lines_that_are_nothing_are_no_verdicts() {
        let mut allowance = Allowance::default();
        let pour =
            |allowance: &mut Allowance, line: &[u8]| (0..=BASE).try_for_each(|_| allowance.spend(line, "UID FETCH"));
        for line in [&b"x\r\n"[..], b"\r\n", b"M OK\r\n", b"Mailbox 7\r\n", b"7 OK\r\n"] {
            allowance.begin();
            pour(&mut allowance, line).expect_err("it never ends");
        }
    }

    #[test]
    fn a_mailbox_may_be_emptied_and_get_new_mail_before_the_verdict() {
        let mut allowance = Allowance::default();
        allowance.spend(b"* 500000 EXISTS\r\n", "EXAMINE").expect("one response");
        spent(&mut allowance, 500_000).expect("all of it goes");
        allowance.spend(b"* 1 EXISTS\r\n", "IDLE").expect("and one comes");
    }

    #[test]
    fn a_large_mailbox_may_be_listed_as_a_whole() {
        let mut allowance = Allowance::default();
        allowance.spend(b"* 1000000 exists\r\n", "EXAMINE").expect("one response");
        spent(&mut allowance, 4_000_000).expect("four listings of it");
        allowance.spend(b"* 5 EXISTS\r\n", "EXAMINE").expect("it was large a moment ago");
        allowance.begin();
        spent(&mut allowance, 4_000_000).expect_err("too many for a mailbox of five");
    }

    #[test]
    fn only_exists_is_taken_for_it() {
        assert_eq!(exists(b"* 12 EXISTS\r\n"), Some(12));
        for other in [
            &b"* 12 RECENT\r\n"[..],
            b"* x EXISTS\r\n",
            b"* 99999999999 EXISTS\r\n",
            b"* EXISTS\r\n",
            b"+ 1 EXISTS\r\n",
        ] {
            assert_eq!(exists(other), None, "{}", other.escape_ascii());
        }
    }
}
