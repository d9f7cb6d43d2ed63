//! What is written is what is read, now and after reopening.

use crate::setup::*;
use mailhaul_db::{
    Exception, ExceptionState, PassCounts, Remark, RunVerdict, Scan, Settled, SettledCounts, SettledState, Settlement,
};
use mailhaul_types::{Flags, KeyStrength, MessageKey, ModSeq, Uid, UidValidity};

#[tokio::test]
async fn knows_after_reopening_what_was_settled_marked_and_scanned() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    let scan = Scan {
        uid_next: Some(Uid(5_000)),
        exists: 4_321,
        highest_modseq: Some(ModSeq(u64::MAX - 1)),
        mailbox_id: Some("F2212ea87-6097".to_owned()),
    };
    inbox.record_scan(scan.clone()).await.expect("queued");
    inbox.mark_sent(range(10, 20), Uid(7)).await.expect("queued").wait().await.expect("on disk");
    inbox.mark_sent(range(15, 40), Uid(6)).await.expect("queued").wait().await.expect("on disk");
    let adopted = Settled { state: SettledState::AdoptedAltered, target_uid: None, key: None, ..copied(12, 1) };
    inbox.settle(settlement(vec![copied(11, 7), adopted, copied(10, 9)])).await.expect("queued");
    let before = inbox.load().await.expect("whole");
    lease.finish_run(RunVerdict::Interrupted, "2 of 3").await.expect("on disk");
    drop((inbox, lease));
    ledger.close().await.expect("closed");

    let ledger = place.open().await;
    let view = ledger.find_pair(&identity("alice")).await.expect("readable").expect("known");
    let state = view.load("INBOX").await.expect("whole").expect("mapped");
    assert_eq!(state, before);
    assert_eq!(state.mapping, mapping("INBOX"));
    assert_eq!((state.source_uid_validity, state.target_uid_validity), (Some(SOURCE), Some(TARGET)));
    assert_eq!(state.target_mark, Some(Uid(7)), "the mark never moves back");
    assert_eq!(state.sent, Some(range(10, 40)), "the sent range only grows");
    assert_eq!(state.scan, Some(scan));
    assert_eq!(state.settled.to_string(), "10:12");
    assert_eq!(state.counts, SettledCounts { copied: 2, adopted: 0, adopted_altered: 1 });
    assert_eq!(state.claimed_targets.to_string(), "7,9", "target UIDs above the mark that have an owner");
    assert_eq!(state.targets_unknown, 1);
    assert_eq!(view.load("Sent").await.expect("whole"), None);
    assert_eq!(ledger.find_pair(&identity("bob")).await.expect("readable").map(|_| ()), None);
}

#[tokio::test]
async fn gives_every_message_back_as_it_was_settled() {
    let place = Place::new();
    let (_ledger, _lease, inbox) = place.inbox().await;
    // Odd UIDs first, even ones later, so that segments interleave; keywords, strengths and states vary.
    let message = |uid: u32| Settled {
        target_uid: (!uid.is_multiple_of(5)).then_some(Uid(4_000_000_000 - uid)),
        state: [SettledState::Copied, SettledState::Adopted, SettledState::AdoptedAltered][(uid % 3) as usize],
        key: [None, Some(KeyStrength::Content), Some(KeyStrength::Headers)][(uid % 3) as usize]
            .map(|strength| MessageKey { digest: u64::from(uid) << 32, strength }),
        flags: Flags::from_parts(
            (uid % 32) as u8,
            [["$Label1", "Work"].as_slice(), &[], &["$Forwarded"]][(uid % 3) as usize].iter().copied(),
        ),
        ..copied(uid, 1)
    };
    for chunk in (1..=3_999).step_by(2).collect::<Vec<u32>>().chunks(333) {
        inbox.settle(settlement(chunk.iter().copied().map(message).collect())).await.expect("queued");
    }
    for uid in (2..=4_000).step_by(2) {
        inbox.settle(settlement(vec![message(uid)])).await.expect("queued");
    }
    let mut pages = inbox.messages().await.expect("on disk");
    let (mut all, mut segments) = (Vec::new(), 0);
    while let Some(page) = pages.next().await.expect("whole") {
        assert!(page.len() <= 1_000 && page.is_sorted_by_key(|settled| settled.source_uid));
        segments += 1;
        all.extend(page);
    }
    all.sort_by_key(|settled| settled.source_uid);
    assert_eq!(all, (1..=4_000).map(message).collect::<Vec<_>>());
    assert_eq!(segments, 4, "segments are filled before a new one is begun");
    let state = inbox.load().await.expect("whole");
    assert_eq!(state.settled.to_string(), "1:4000");
    assert_eq!(state.counts.total(), 4_000);
}

#[tokio::test]
async fn settling_again_replaces_the_message_wherever_it_is_stored() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    inbox.settle(settlement((1..=2_500).map(|uid| copied(uid, uid)).collect())).await.expect("queued");
    inbox.flush().await.expect("on disk");
    let again = |uid: u32| Settled { state: SettledState::Adopted, ..copied(uid, uid + 90_000) };
    // In a full segment, in the open one, and one that is new in the same request and twice in it.
    let messages = vec![again(2_501), again(5), again(2_400), copied(2_501, 7)];
    inbox.settle(settlement(messages)).await.expect("queued");
    let state = inbox.load().await.expect("whole");
    assert_eq!(state.counts, SettledCounts { copied: 2_499, adopted: 2, adopted_altered: 0 });
    drop((inbox, lease));
    ledger.close().await.expect("closed");

    let (_ledger, _lease, inbox) = place.inbox().await;
    let mut pages = inbox.messages().await.expect("readable");
    let mut found = Vec::new();
    while let Some(page) = pages.next().await.expect("whole") {
        found.extend(page.into_iter().filter(|settled| [5, 2_400, 2_501].contains(&settled.source_uid.0)));
    }
    assert_eq!(found, [again(5), again(2_400), copied(2_501, 7)]);
}

#[tokio::test]
async fn a_changed_target_uidvalidity_voids_uids_and_keeps_messages() {
    let place = Place::new();
    let (_ledger, _lease, inbox) = place.inbox().await;
    let messages: Vec<_> = (1..=1_500).map(|uid| copied(uid, uid)).collect();
    inbox.settle(Settlement { messages, target_mark: Some(Uid(1_501)), clear_sent: true }).await.expect("queued");
    inbox.void_target_uids(UidValidity(9), Uid(1)).await.expect("on disk");
    let state = inbox.load().await.expect("whole");
    assert_eq!((state.settled.len(), state.targets_unknown), (1_500, 1_500));
    assert_eq!((state.target_uid_validity, state.target_mark), (Some(UidValidity(9)), Some(Uid(1))));
    assert!(state.claimed_targets.is_empty());

    // Found again: one in the full segment, one in the open one; the neighbours stay unknown.
    inbox.settle(settlement(vec![copied(3, 30), copied(1_400, 31)])).await.expect("queued");
    let state = inbox.load().await.expect("whole");
    assert_eq!((state.settled.len(), state.targets_unknown), (1_500, 1_498));
    assert_eq!(state.claimed_targets.to_string(), "30:31");

    // The same UIDVALIDITY again: nothing is void, and the mark goes where it is told, even back.
    inbox.settle(Settlement { target_mark: Some(Uid(900)), ..Settlement::default() }).await.expect("queued");
    inbox.void_target_uids(UidValidity(9), Uid(1)).await.expect("on disk");
    assert_eq!(inbox.load().await.expect("whole"), state);
}

#[tokio::test]
async fn a_renumbered_target_is_on_disk_together_with_what_was_found_on_it() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    let messages: Vec<_> = (1..=1_500).map(|uid| copied(uid, uid)).collect();
    inbox.settle(Settlement { messages, target_mark: Some(Uid(1_501)), clear_sent: true }).await.expect("queued");
    let found: Vec<_> = (1..=1_499).map(|uid| copied(uid, uid + 10)).collect();
    inbox.renumber_target(UidValidity(9), Uid(1), found).await.expect("on disk");
    // Nothing is asked of this process any more.
    drop((inbox, lease));
    ledger.close().await.expect("closed");

    let ledger = place.open().await;
    let lease = ledger.claim_pair(&identity("alice")).await.expect("free");
    let inbox = lease.mailbox("INBOX").await.expect("mapped");
    let state = inbox.load().await.expect("whole");
    assert_eq!((state.settled.len(), state.targets_unknown), (1_500, 1));
    assert_eq!((state.target_uid_validity, state.target_mark), (Some(UidValidity(9)), Some(Uid(1))));
    assert_eq!(state.claimed_targets.to_string(), "11:1509");

    // Put back to an earlier state under the same UIDVALIDITY: the mark goes back, what is not there has no UID.
    inbox.settle(Settlement { target_mark: Some(Uid(1_510)), ..Settlement::default() }).await.expect("queued");
    let gone = vec![Settled { target_uid: None, ..copied(3, 13) }];
    inbox.renumber_target(UidValidity(9), Uid(1), gone).await.expect("on disk");
    let state = inbox.load().await.expect("whole");
    assert_eq!((state.targets_unknown, state.target_mark), (2, Some(Uid(1))));
    assert_eq!(state.claimed_targets.to_string(), "11:12,14:1509");
}

#[tokio::test]
async fn exceptions_are_kept_replaced_cleared_and_outlived_by_settling() {
    let place = Place::new();
    let (_ledger, _lease, inbox) = place.inbox().await;
    let exception = |uid: u32, state, reason: &str| Exception {
        uid: (uid != 0).then_some(Uid(uid)),
        state,
        reason: reason.to_owned(),
        key: Some(key(uid)),
    };
    for (uid, state, reason) in [
        (4, ExceptionState::Refused, "NO [OVERQUOTA] full"),
        (4, ExceptionState::Refused, "NO too big \u{1b}[2J"),
        (5, ExceptionState::Unreadable, "BAD"),
        (6, ExceptionState::Gone, ""),
        (7, ExceptionState::PossibleDuplicate, "hole at 9"),
        (0, ExceptionState::ViewIncomplete, "EXISTS 7, listed 5"),
    ] {
        inbox.record_exception(exception(uid, state, reason)).await.expect("queued");
    }
    inbox.settle(settlement(vec![copied(7, 1)])).await.expect("queued");
    let state = inbox.load().await.expect("whole");
    assert_eq!(state.set_aside().to_string(), "4:6");
    assert_eq!(state.exceptions.len(), 5);
    assert_eq!(state.exceptions[1].exception.reason, "NO too big \u{1b}[2J");
    assert_eq!(state.exceptions[1].at_unix_secs, clock());
    assert_eq!(state.exceptions[0].source_uid_validity, None, "the mailbox's own");

    inbox.settle(settlement(vec![copied(4, 2)])).await.expect("queued");
    inbox.record_exception(exception(7, ExceptionState::Gone, "")).await.expect("queued");
    assert_eq!(inbox.load().await.expect("whole").set_aside().to_string(), "5:6", "4 is settled after all, 7 still");

    inbox.clear_exceptions(&[ExceptionState::Unreadable, ExceptionState::ViewIncomplete]).await.expect("queued");
    let left = inbox.load().await.expect("whole").exceptions;
    assert_eq!(
        left.iter().map(|stored| stored.exception.state.as_str()).collect::<Vec<_>>(),
        ["gone", "possible_duplicate"]
    );
}

#[tokio::test]
async fn remapping_forgets_the_old_target_only() {
    let place = Place::new();
    let (_ledger, lease, inbox) = place.inbox().await;
    lease.map_mailboxes(vec![mapping("Sent"), mapping("INBOX")]).await.expect("equal mappings are left alone");
    let sent = lease.mailbox("Sent").await.expect("mapped");
    sent.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
    for mailbox in [&inbox, &sent] {
        mailbox.settle(settlement((1..=1_200).map(|uid| copied(uid, uid)).collect())).await.expect("queued");
    }
    let other = mailhaul_db::Mapping { source: "INBOX".to_owned(), target: "Other".to_owned() };
    lease.remap_mailbox(other.clone()).await.expect("on disk");
    let state = inbox.load().await.expect("whole");
    assert_eq!((state.mapping, state.settled.len(), state.target_mark), (other.clone(), 0, None));
    assert_eq!(sent.load().await.expect("whole").settled.len(), 1_200);
    inbox.bind(SOURCE, UidValidity(3), Uid(1)).await.expect("first contact again");
    inbox.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
    assert_eq!(inbox.load().await.expect("whole").settled.len(), 1);
    assert_eq!(lease.mappings().await.expect("readable"), [other, mapping("Sent")]);
    assert_eq!(
        lease.map_mailboxes(vec![mapping("INBOX")]).await.expect_err("another").kind(),
        mailhaul_db::DbErrorKind::Internal
    );
}

#[tokio::test]
async fn the_report_tells_runs_counts_exceptions_and_remarks() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    let bob = ledger.claim_pair(&identity("bob")).await.expect("free");
    let counts = PassCounts { source: 3, copied: 1, remaining: 1, refused: 1, bytes: 77, ..PassCounts::default() };
    let remark = |text: &str| Remark { kind: "flags".to_owned(), text: text.to_owned(), messages: 2 };
    inbox.record_pass(PassCounts::default(), vec![remark("old"), remark("older")]).await.expect("queued");
    inbox.record_pass(counts, vec![remark("new")]).await.expect("queued");
    inbox.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
    inbox.mark_sent(range(2, 3), Uid(2)).await.expect("queued").wait().await.expect("on disk");
    lease.replace_remarks(vec![remark("plain text")]).await.expect("on disk");
    lease.finish_run(RunVerdict::Exceptions, "1 refused").await.expect("on disk");

    let report = ledger.read_report().await.expect("whole");
    assert_eq!(report.len(), 2);
    assert_eq!((&report[0].identity, &report[1].identity), (&identity("alice"), &identity("bob")));
    let run = &report[0].run;
    assert_eq!((run.verdict, run.finished_unix_secs), (Some(RunVerdict::Exceptions), Some(clock())));
    assert_eq!(run.detail, "1 refused");
    let mailbox = &report[0].mailboxes[0];
    assert_eq!((mailbox.last_pass, mailbox.settled.copied), (Some((counts, clock())), 1));
    assert_eq!((mailbox.sent, &mailbox.remarks), (Some(range(2, 3)), &vec![remark("new")]));
    assert_eq!(report[0].remarks, [remark("plain text")]);
    let run = &report[1].run;
    assert_eq!((run.started_unix_secs, run.finished_unix_secs), (clock(), None), "still running, or killed");
    bob.release().await.expect("released");
}

#[tokio::test]
async fn a_full_group_is_committed_though_nobody_waits() {
    let place = Place::new();
    let (ledger, _lease, inbox) = place.inbox().await;
    inbox.settle(settlement((1..=2_000).map(|uid| copied(uid, uid)).collect())).await.expect("queued");
    let view = ledger.find_pair(&identity("alice")).await.expect("readable").expect("known");
    while view.load("INBOX").await.expect("whole").expect("mapped").settled.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn refuses_to_settle_what_is_not_bound_and_other_uidvalidities() {
    let place = Place::new();
    let ledger = place.open().await;
    for login in ["alice", "bob"] {
        let lease = ledger.claim_pair(&identity(login)).await.expect("free");
        lease.map_mailboxes(vec![mapping("INBOX")]).await.expect("mapped");
        let inbox = lease.mailbox("INBOX").await.expect("mapped");
        if login == "alice" {
            inbox.settle(settlement(vec![copied(1, 1)])).await.expect("queued");
            let error = inbox.flush().await.expect_err("not bound");
            assert!(error.to_string().contains("before it was bound"), "{error}");
        } else {
            inbox.bind(SOURCE, TARGET, Uid(5)).await.expect("first contact");
            inbox.bind(SOURCE, TARGET, Uid(1)).await.expect("the same again");
            assert_eq!(inbox.load().await.expect("whole").target_mark, Some(Uid(5)));
            let error = inbox.bind(SOURCE, UidValidity(3), Uid(1)).await.expect_err("another");
            assert!(error.to_string().contains("target UIDVALIDITY 1800000000 and was given 3"), "{error}");
        }
        assert!(!lease.is_valid() && !lease.validity().is_valid());
        assert!(lease.failure().is_some());
    }
    assert!(ledger.claim_pair(&identity("carol")).await.expect("others go on").is_valid());
}

#[tokio::test]
async fn works_from_several_threads_and_says_so_when_it_is_closed() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    let settled = tokio::spawn({
        let inbox = inbox.clone();
        async move {
            inbox.settle(settlement(vec![copied(1, 1)])).await?;
            let committed = inbox.mark_sent(range(2, 3), Uid(2)).await?;
            committed.wait().await?;
            inbox.load().await
        }
    });
    assert_eq!(settled.await.expect("no panic").expect("written").settled.len(), 1);
    tokio::spawn(ledger.clone().close()).await.expect("no panic").expect("closed");
    for error in [
        inbox.load().await.expect_err("closed"),
        lease.flush().await.expect_err("closed"),
        ledger.read_report().await.expect_err("closed"),
        ledger.claim_pair(&identity("bob")).await.expect_err("closed"),
    ] {
        assert!(matches!(error, mailhaul_db::DbError::Closed(_)), "{error}");
    }
    ledger.close().await.expect("twice is no error");
}
