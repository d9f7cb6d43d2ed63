//! The judge: reads both accounts and says whether the copy is exact.
//!
//! For each mailbox of the source and its counterpart it compares *multisets* of (SHA-256 of the octets, internal
//! date, flags and keywords). What is left over on either side is named: lost, doubled, altered (same octets, other
//! date or flags) or extra. Nothing of the product is used here.
//!
//! ```no_run
//! use mailhaul_testing::judge::{Account, Rules, assert_equal};
//! # let (source, target): (std::net::SocketAddr, std::net::SocketAddr) = unimplemented!();
//! let rules = Rules::new().map("Sent", "Sent Items").ignore_flag("$Rare", "the target takes no keywords");
//! assert_equal(&Account::new(source, "alice", "x"), &Account::new(target, "alice", "x"), &rules);
//! ```

mod maildir;
mod program;
mod snapshot;

use std::collections::BTreeMap;
use std::fmt;

use crate::imap_client::{ClientError, format_date};
pub use program::program;
pub use snapshot::{Account, Fingerprint, MailboxPath, Seen, Snapshot};

/// Differences that are printed for one mailbox, at most.
const SHOWN_MAX: usize = 20;

/// What may differ, and why. Mailboxes are written as the source's path with `/` between the names, whatever its delimiter;
/// a name that holds a `/` itself cannot be named here.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    map: Vec<(MailboxPath, MailboxPath)>,
    left_out: Vec<(MailboxPath, String)>,
    extra_allowed: Vec<(Option<MailboxPath>, String)>,
    dates_ignored: Vec<(Option<MailboxPath>, String)>,
    flags_ignored: Vec<(Option<MailboxPath>, String)>,
    flag_ignored: Vec<(String, String)>,
    missing_allowed: Vec<([u8; 32], String)>,
    date_max: Option<(i64, String)>,
}

fn path(text: &str) -> MailboxPath {
    MailboxPath::from_server(text, "", Some('/'))
}

/// `*` stands for every mailbox.
fn scope(text: &str) -> Option<MailboxPath> {
    (text != "*").then(|| path(text))
}

impl Rules {
    /// Everything must be equal, under the same paths.
    #[must_use]
    pub fn new() -> Rules {
        Rules::default()
    }

    /// A source mailbox is found on the target under this path.
    #[must_use]
    pub fn map(mut self, source: &str, target: &str) -> Rules {
        self.map.push((path(source), path(target)));
        self
    }

    /// As [`Rules::map`], for names that hold a `/`.
    #[must_use]
    pub fn map_path(mut self, source: MailboxPath, target: MailboxPath) -> Rules {
        self.map.push((source, target));
        self
    }

    /// A source mailbox that was not to be copied.
    #[must_use]
    pub fn leave_out(mut self, mailbox: &str, reason: &str) -> Rules {
        self.left_out.push((path(mailbox), reason.to_owned()));
        self
    }

    /// The target's counterpart of this mailbox (`*`: every mailbox, also such as have no counterpart) may hold more.
    #[must_use]
    pub fn allow_extra(mut self, mailbox: &str, reason: &str) -> Rules {
        self.extra_allowed.push((scope(mailbox), reason.to_owned()));
        self
    }

    /// Internal dates of this mailbox (`*`: of all) are not compared.
    #[must_use]
    pub fn ignore_dates(mut self, mailbox: &str, reason: &str) -> Rules {
        self.dates_ignored.push((scope(mailbox), reason.to_owned()));
        self
    }

    /// Dates after this moment count as equal: Dovecot puts its own clock in the place of a date in the future.
    #[must_use]
    pub fn ignore_dates_after(mut self, unix_secs: i64, reason: &str) -> Rules {
        self.date_max = Some((unix_secs, reason.to_owned()));
        self
    }

    /// Flags of this mailbox (`*`: of all) are not compared.
    #[must_use]
    pub fn ignore_flags(mut self, mailbox: &str, reason: &str) -> Rules {
        self.flags_ignored.push((scope(mailbox), reason.to_owned()));
        self
    }

    /// One flag or keyword is not compared anywhere.
    #[must_use]
    pub fn ignore_flag(mut self, flag: &str, reason: &str) -> Rules {
        self.flag_ignored.push((flag.to_ascii_lowercase(), reason.to_owned()));
        self
    }

    /// Messages with these octets may be missing: the target refuses them.
    #[must_use]
    pub fn allow_missing(mut self, octets: &[u8], reason: &str) -> Rules {
        use sha2::{Digest as _, Sha256};
        self.missing_allowed.push((Sha256::digest(octets).into(), reason.to_owned()));
        self
    }

    fn target_of(&self, source: &MailboxPath) -> MailboxPath {
        let mapped = self.map.iter().find(|(from, _)| from == source);
        mapped.map_or_else(|| source.clone(), |(_, to)| to.clone())
    }

    fn concerns(rules: &[(Option<MailboxPath>, String)], mailbox: &MailboxPath) -> bool {
        rules.iter().any(|(scope, _)| scope.as_ref().is_none_or(|scope| scope == mailbox))
    }

    /// The fingerprint with everything taken out that is not compared.
    fn relevant(&self, mailbox: &MailboxPath, fingerprint: &Fingerprint) -> Fingerprint {
        let mut relevant = fingerprint.clone();
        if Rules::concerns(&self.dates_ignored, mailbox) {
            relevant.unix_secs = None;
        }
        if let Some((date_max, _)) = &self.date_max {
            relevant.unix_secs = relevant.unix_secs.map(|secs| secs.min(*date_max));
        }
        if Rules::concerns(&self.flags_ignored, mailbox) {
            relevant.flags.clear();
        }
        relevant.flags.retain(|flag| !self.flag_ignored.iter().any(|(ignored, _)| ignored == flag));
        relevant
    }

    fn reasons(&self) -> Vec<String> {
        let name = |scope: &Option<MailboxPath>| scope.as_ref().map_or_else(|| "*".to_owned(), MailboxPath::to_string);
        let mut reasons = Vec::new();
        reasons.extend(self.left_out.iter().map(|(mailbox, why)| format!("left out: {mailbox}: {why}")));
        reasons.extend(self.extra_allowed.iter().map(|(scope, why)| format!("extra allowed: {}: {why}", name(scope))));
        reasons.extend(self.dates_ignored.iter().map(|(scope, why)| format!("dates ignored: {}: {why}", name(scope))));
        reasons.extend(self.flags_ignored.iter().map(|(scope, why)| format!("flags ignored: {}: {why}", name(scope))));
        reasons.extend(self.flag_ignored.iter().map(|(flag, why)| format!("flag ignored: {flag}: {why}")));
        reasons
            .extend(self.missing_allowed.iter().map(|(digest, why)| format!("may be missing: {}: {why}", hex(digest))));
        reasons.extend(
            self.date_max.iter().map(|(secs, why)| format!("late dates ignored: {}: {why}", date(Some(*secs)))),
        );
        reasons
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// At the source and not on the target.
    Lost(Seen),
    /// On the target more often than at the source.
    Doubled(Seen),
    /// Same octets, other date or flags.
    Altered {
        /// As it is at the source.
        source: Seen,
        /// As it is on the target.
        target: Seen,
    },
    /// On the target and not at the source.
    Extra(Seen),
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Lost(seen) => write!(formatter, "lost     {}", shown(seen)),
            Difference::Doubled(seen) => write!(formatter, "doubled  {}", shown(seen)),
            Difference::Extra(seen) => write!(formatter, "extra    {}", shown(seen)),
            Difference::Altered { source, target } => {
                let (was, is) = (&source.fingerprint, &target.fingerprint);
                write!(formatter, "altered  {}", shown(source))?;
                if was.unix_secs != is.unix_secs {
                    write!(formatter, "; date {} became {}", date(was.unix_secs), date(is.unix_secs))?;
                }
                if was.flags != is.flags {
                    write!(formatter, "; flags ({}) became ({})", was.flags.join(" "), is.flags.join(" "))?;
                }
                Ok(())
            }
        }
    }
}

fn shown(seen: &Seen) -> String {
    let Seen { uid, octets, title, fingerprint } = seen;
    format!("uid {uid}, {octets} octets, {}: {title}", hex(&fingerprint.digest))
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().take(6).map(|octet| format!("{octet:02x}")).collect()
}

fn date(unix_secs: Option<i64>) -> String {
    unix_secs.map_or_else(|| "(none)".to_owned(), |secs| format_date(secs, 0))
}

/// What was found about one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxJudgement {
    /// Its path at the source; on the target when it is only there.
    pub mailbox: MailboxPath,
    /// Its path on the target, when that is another one.
    pub target: Option<MailboxPath>,
    /// False when it is missing on the target.
    pub on_target: bool,
    /// False when the source does not have it.
    pub on_source: bool,
    /// Messages at the source.
    pub source_messages: usize,
    /// Messages on the target.
    pub target_messages: usize,
    /// Everything that is not as it should be.
    pub differences: Vec<Difference>,
}

impl MailboxJudgement {
    /// True when nothing is wrong.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty() && self.on_target && self.on_source
    }
}

impl fmt::Display for MailboxJudgement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.on_target, self.on_source) {
            (false, _) => "missing on the target",
            (_, false) => "only on the target",
            _ if self.differences.is_empty() => "equal",
            _ => "DIFFERENT",
        };
        let target = self.target.as_ref().map_or_else(String::new, |target| format!(" → {target}"));
        let (source_count, target_count) = (self.source_messages, self.target_messages);
        write!(formatter, "{}{target}: {source_count} and {target_count} messages, {verdict}", self.mailbox)?;
        for difference in self.differences.iter().take(SHOWN_MAX) {
            write!(formatter, "\n    {difference}")?;
        }
        let more = self.differences.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            write!(formatter, "\n    and {more} more")?;
        }
        Ok(())
    }
}

/// What was found about two accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Every mailbox of the source, and those of the target that hold something the source does not have.
    pub mailboxes: Vec<MailboxJudgement>,
    /// What was not compared, and why.
    pub leniencies: Vec<String>,
}

impl Judgement {
    /// True when the copy is exact, as far as the rules ask.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.mailboxes.iter().all(MailboxJudgement::is_equal)
    }

    /// All differences of one kind: `judgement.count(|difference| matches!(difference, Difference::Doubled(_)))`.
    #[must_use]
    pub fn count(&self, kind: impl Fn(&Difference) -> bool) -> usize {
        self.mailboxes.iter().flat_map(|mailbox| &mailbox.differences).filter(|difference| kind(difference)).count()
    }

    /// Messages that are lost.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.count(|difference| matches!(difference, Difference::Lost(_)))
    }

    /// Messages that are on the target once too often.
    #[must_use]
    pub fn doubled(&self) -> usize {
        self.count(|difference| matches!(difference, Difference::Doubled(_)))
    }

    /// Messages whose date or flags changed.
    #[must_use]
    pub fn altered(&self) -> usize {
        self.count(|difference| matches!(difference, Difference::Altered { .. }))
    }

    /// Messages that the source does not have.
    #[must_use]
    pub fn extra(&self) -> usize {
        self.count(|difference| matches!(difference, Difference::Extra(_)))
    }

    /// The final line.
    #[must_use]
    pub fn summary(&self) -> String {
        let messages: usize = self.mailboxes.iter().map(|mailbox| mailbox.source_messages).sum();
        let mailboxes = self.mailboxes.iter().filter(|mailbox| mailbox.on_source).count();
        if self.is_equal() {
            let compared =
                if self.leniencies.is_empty() { "octets, dates, flags" } else { "octets; see what was let pass" };
            return format!("equal: {messages} messages in {mailboxes} mailboxes ({compared})");
        }
        let missing = self.mailboxes.iter().filter(|mailbox| !mailbox.on_target).count();
        let (lost, doubled, altered, extra) = (self.lost(), self.doubled(), self.altered(), self.extra());
        format!(
            "DIFFERENT: {lost} lost, {doubled} doubled, {altered} altered, {extra} extra, {missing} mailboxes missing, \
             of {messages} messages in {mailboxes} mailboxes"
        )
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mailbox in &self.mailboxes {
            writeln!(formatter, "{mailbox}")?;
        }
        for leniency in &self.leniencies {
            writeln!(formatter, "let pass: {leniency}")?;
        }
        write!(formatter, "{}", self.summary())
    }
}

/// Reads both accounts and compares them.
///
/// # Errors
/// Either account could not be read.
pub fn judge(source: &Account, target: &Account, rules: &Rules) -> Result<Judgement, ClientError> {
    Ok(compare(&Snapshot::take(source)?, &Snapshot::take(target)?, rules))
}

/// Reads both accounts and fails the test unless the copy is exact.
///
/// # Panics
/// When it is not, or an account cannot be read; the message names every difference.
#[track_caller]
pub fn assert_equal(source: &Account, target: &Account, rules: &Rules) {
    match judge(source, target, rules) {
        Ok(judgement) => assert!(judgement.is_equal(), "{judgement}"),
        Err(error) => panic!("the judge could not read an account: {error}"),
    }
}

/// Compares two snapshots.
#[must_use]
pub fn compare(source: &Snapshot, target: &Snapshot, rules: &Rules) -> Judgement {
    let mut mailboxes = Vec::new();
    // Several source mailboxes may have been mapped onto one on purpose: they are judged together.
    let mut groups: BTreeMap<MailboxPath, Vec<&MailboxPath>> = BTreeMap::new();
    for mailbox in source.mailboxes.keys() {
        if !rules.left_out.iter().any(|(left_out, _)| left_out == mailbox) {
            groups.entry(rules.target_of(mailbox)).or_default().push(mailbox);
        }
    }
    for (counterpart, members) in &groups {
        mailboxes.push(judge_mailbox(source, members, target.mailboxes.get(counterpart), counterpart, rules));
    }
    for (mailbox, messages) in &target.mailboxes {
        // A mailbox that servers make by themselves, with nothing in it, is nobody's mistake.
        let ignored = messages.is_empty() || rules.extra_allowed.iter().any(|(scope, _)| scope.is_none());
        if ignored || groups.contains_key(mailbox) {
            continue;
        }
        mailboxes.push(MailboxJudgement {
            mailbox: mailbox.clone(),
            target: None,
            on_target: true,
            on_source: false,
            source_messages: 0,
            target_messages: messages.len(),
            differences: messages.iter().cloned().map(Difference::Extra).collect(),
        });
    }
    Judgement { mailboxes, leniencies: rules.reasons() }
}

fn judge_mailbox(
    source: &Snapshot,
    members: &[&MailboxPath],
    target: Option<&Vec<Seen>>,
    counterpart: &MailboxPath,
    rules: &Rules,
) -> MailboxJudgement {
    let mailbox = members[0].clone();
    let expected: Vec<&Seen> = members.iter().flat_map(|member| &source.mailboxes[*member]).collect();
    let found: Vec<&Seen> = target.into_iter().flatten().collect();
    let mut differences = differences(&mailbox, &expected, &found, rules);
    if Rules::concerns(&rules.extra_allowed, &mailbox) {
        differences.retain(|difference| !matches!(difference, Difference::Extra(_)));
    }
    differences.retain(|difference| match difference {
        Difference::Lost(seen) => !rules.missing_allowed.iter().any(|(digest, _)| *digest == seen.fingerprint.digest),
        _ => true,
    });
    MailboxJudgement {
        target: (mailbox != *counterpart).then(|| counterpart.clone()),
        mailbox,
        on_target: target.is_some(),
        on_source: true,
        source_messages: expected.len(),
        target_messages: found.len(),
        differences,
    }
}

/// Takes equal fingerprints away in pairs, then equal octets; what is left has no partner.
fn differences(mailbox: &MailboxPath, source: &[&Seen], target: &[&Seen], rules: &Rules) -> Vec<Difference> {
    let relevant = |seen: &Seen| rules.relevant(mailbox, &seen.fingerprint);
    let (source_left, target_left) = without_pairs(source, target, relevant);
    let (lost, surplus, altered) = pairs_by_octets(&source_left, &target_left);
    let known = |seen: &Seen| source.iter().any(|other| other.fingerprint.digest == seen.fingerprint.digest);
    let mut differences: Vec<Difference> = lost.into_iter().cloned().map(Difference::Lost).collect();
    let altered = altered.into_iter();
    differences
        .extend(altered.map(|(source, target)| Difference::Altered { source: source.clone(), target: target.clone() }));
    differences.extend(
        surplus
            .into_iter()
            .cloned()
            .map(|seen| if known(&seen) { Difference::Doubled(seen) } else { Difference::Extra(seen) }),
    );
    differences
}

/// What remains of both sides when messages with equal keys are taken away two by two.
fn without_pairs<'a, K: Ord>(
    source: &[&'a Seen],
    target: &[&'a Seen],
    key: impl Fn(&Seen) -> K,
) -> (Vec<&'a Seen>, Vec<&'a Seen>) {
    let mut waiting: BTreeMap<K, Vec<&Seen>> = BTreeMap::new();
    for seen in source {
        waiting.entry(key(seen)).or_default().push(seen);
    }
    let mut target_left = Vec::new();
    for seen in target {
        if waiting.get_mut(&key(seen)).and_then(Vec::pop).is_none() {
            target_left.push(*seen);
        }
    }
    let mut source_left: Vec<&Seen> = waiting.into_values().flatten().collect();
    source_left.sort_by_key(|seen| seen.uid);
    (source_left, target_left)
}

type Paired<'a> = (Vec<&'a Seen>, Vec<&'a Seen>, Vec<(&'a Seen, &'a Seen)>);

/// Pairs what is left by its octets alone: (lost, surplus, altered).
fn pairs_by_octets<'a>(source: &[&'a Seen], target: &[&'a Seen]) -> Paired<'a> {
    let mut waiting: BTreeMap<[u8; 32], Vec<&Seen>> = BTreeMap::new();
    for seen in source.iter().rev() {
        waiting.entry(seen.fingerprint.digest).or_default().push(seen);
    }
    let (mut surplus, mut altered) = (Vec::new(), Vec::new());
    for seen in target {
        match waiting.get_mut(&seen.fingerprint.digest).and_then(Vec::pop) {
            Some(partner) => altered.push((partner, *seen)),
            None => surplus.push(*seen),
        }
    }
    let mut lost: Vec<&Seen> = waiting.into_values().flatten().collect();
    lost.sort_by_key(|seen| seen.uid);
    (lost, surplus, altered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(uid: u32, content: u8, unix_secs: i64, flags: &[&str]) -> Seen {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let fingerprint = Fingerprint { digest: [content; 32], unix_secs: Some(unix_secs), flags };
        Seen { uid, octets: 1, title: format!("message {content}"), fingerprint }
    }

    fn account(mailboxes: &[(&str, Vec<Seen>)]) -> Snapshot {
        Snapshot { mailboxes: mailboxes.iter().map(|(name, messages)| (path(name), messages.clone())).collect() }
    }

    fn counts(judgement: &Judgement) -> (usize, usize, usize, usize) {
        (judgement.lost(), judgement.doubled(), judgement.altered(), judgement.extra())
    }

    #[test]
    fn equal_multisets_are_equal_in_any_order() {
        let source = account(&[("INBOX", vec![seen(1, 1, 5, &[]), seen(2, 1, 5, &[]), seen(3, 2, 6, &["\\seen"])])]);
        let target = account(&[("INBOX", vec![seen(7, 2, 6, &["\\seen"]), seen(8, 1, 5, &[]), seen(9, 1, 5, &[])])]);
        assert!(compare(&source, &target, &Rules::new()).is_equal());
    }

    #[test]
    fn every_kind_of_difference_is_told_from_the_others() {
        let source = account(&[("INBOX", vec![seen(1, 1, 5, &[]), seen(2, 2, 5, &[]), seen(3, 3, 5, &[])])]);
        let target = vec![seen(1, 1, 5, &[]), seen(2, 1, 5, &[]), seen(3, 3, 6, &["\\seen"]), seen(4, 9, 5, &[])];
        let judgement = compare(&source, &account(&[("INBOX", target)]), &Rules::new());
        assert_eq!(counts(&judgement), (1, 1, 1, 1));
        assert!(!judgement.is_equal());
        let text = judgement.to_string();
        assert!(text.contains("flags () became (\\seen)") && text.contains("DIFFERENT: 1 lost, 1 doubled"), "{text}");
    }

    #[test]
    fn one_of_two_twins_missing_is_lost() {
        let source = account(&[("INBOX", vec![seen(1, 1, 5, &[]), seen(2, 1, 5, &[])])]);
        let target = account(&[("INBOX", vec![seen(1, 1, 5, &[])])]);
        assert_eq!(counts(&compare(&source, &target, &Rules::new())), (1, 0, 0, 0));
    }

    #[test]
    fn an_empty_mailbox_must_be_there_too() {
        let source = account(&[("INBOX", vec![]), ("Empty", vec![])]);
        let judgement = compare(&source, &account(&[("INBOX", vec![])]), &Rules::new());
        assert!(!judgement.is_equal());
        assert!(judgement.summary().contains("1 mailboxes missing"), "{}", judgement.summary());
    }

    #[test]
    fn rules_let_pass_what_they_name_and_nothing_else() {
        let source = account(&[("Sent", vec![seen(1, 1, 5, &["$rare"])]), ("Other", vec![seen(1, 2, 5, &[])])]);
        let target = account(&[
            ("Sent Items", vec![seen(1, 1, 6, &[]), seen(2, 8, 8, &[])]),
            ("Other", vec![seen(1, 2, 5, &[])]),
        ]);
        let rules = Rules::new().map("Sent", "Sent Items");
        assert_eq!(counts(&compare(&source, &target, &rules)), (0, 0, 1, 1));
        let rules = rules.ignore_dates("Sent", "a").ignore_flag("$Rare", "b").allow_extra("Sent", "c");
        let judgement = compare(&source, &target, &rules);
        assert!(judgement.is_equal(), "{judgement}");
        assert_eq!(judgement.leniencies.len(), 3);
        assert!(!compare(&source, &account(&[("Sent Items", vec![])]), &rules).is_equal());
    }
}
