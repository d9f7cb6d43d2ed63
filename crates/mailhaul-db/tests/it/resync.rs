//! What later passes build on: the synced row, what has departed, flags, new source UIDs, new names.

use crate::setup::*;
use mailhaul_db::{
    DbErrorKind, Exception, ExceptionState, MailboxLedger, Mapping, PassCounts, Renumbering, SENT_UNKNOWN, Scan,
    Settled, SettledCounts, SettledState, Settlement, Synced,
};
use mailhaul_types::{Flags, ModSeq, Uid, UidSet, UidValidity};
use sqlx::{Connection, Executor};

async fn messages_of(inbox: &MailboxLedger) -> Vec<Settled> {
    let (mut pages, mut all) = (inbox.messages().await.expect("readable"), Vec::new());
    while let Some(page) = pages.next().await.expect("whole") {
        all.extend(page);
    }
    all.sort_by_key(|settled| settled.source_uid);
    all
}

async fn settle(inbox: &MailboxLedger, uids: impl Iterator<Item = u32>) {
    inbox.settle(settlement(uids.map(|uid| copied(uid, uid)).collect())).await.expect("queued");
}

fn mailbox_failed() -> Exception {
    Exception { uid: None, state: ExceptionState::MailboxFailed, reason: "NO".to_owned(), key: None }
}

fn refused(uid: u32) -> Exception {
    Exception { uid: Some(Uid(uid)), state: ExceptionState::Refused, reason: "NO".to_owned(), key: None }
}

#[tokio::test]
async fn a_synced_row_is_kept_until_it_is_forgotten_and_what_has_departed_outlives_it() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    assert_eq!(inbox.load().await.expect("whole").synced, None, "nothing was ever accounted for");
    settle(&inbox, 1..=20).await;
    let row = Synced { highest_modseq: Some(ModSeq(u64::MAX)), policy: u64::MAX, ..synced(21, set(&[3, 4, 9])) };
    inbox.record_synced(synced(20, set(&[3]))).await.expect("queued");
    inbox.record_synced(row.clone()).await.expect("queued");
    let state = inbox.load().await.expect("whole");
    assert_eq!((state.synced.as_ref(), &state.departed), (Some(&row), &row.departed));
    drop((inbox, lease));
    ledger.close().await.expect("closed");

    let (_ledger, lease, inbox) = place.inbox().await;
    assert_eq!(inbox.load().await.expect("whole").synced, Some(row.clone()));
    assert_eq!(lease.overview().await.expect("whole")[0].synced, Some(row));
    inbox.add_departed(set(&[10, 12])).await.expect("queued");
    inbox.forget_synced().await.expect("queued");
    inbox.forget_synced().await.expect("queued");
    let state = inbox.load().await.expect("whole");
    assert_eq!((state.synced, state.departed.to_string().as_str()), (None, "3:4,9:10,12"));
    inbox.record_synced(synced(21, UidSet::new())).await.expect("queued");
    assert!(inbox.load().await.expect("whole").departed.is_empty(), "the pass knows it all");
}

#[tokio::test]
async fn a_synced_row_of_another_uidvalidity_is_refused() {
    for (row, words) in [
        (Synced { source_uid_validity: UidValidity(3), ..synced(2, UidSet::new()) }, "source UIDVALIDITY"),
        (Synced { target_uid_validity: UidValidity(3), ..synced(2, UidSet::new()) }, "target UIDVALIDITY"),
        (synced(2, set(&[0])), "UID 0"),
    ] {
        let place = Place::new();
        let (_ledger, lease, inbox) = place.inbox().await;
        inbox.record_synced(row).await.expect("queued");
        let error = lease.flush().await.expect_err("it belongs elsewhere");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn the_synced_row_goes_with_what_it_rests_on() {
    let place = Place::new();
    let (_ledger, lease, inbox) = place.inbox().await;
    settle(&inbox, 1..=9).await;
    // Another UIDVALIDITY, and the same with the mark put back.
    for _ in 0..2 {
        let target = inbox.load().await.expect("whole").target_uid_validity.expect("bound");
        let row = Synced { target_uid_validity: target, ..synced(10, set(&[2])) };
        inbox.record_synced(row).await.expect("queued");
        inbox.void_target_uids(UidValidity(8), Uid(1)).await.expect("on disk");
        let state = inbox.load().await.expect("whole");
        assert_eq!(state.synced, None);
        assert_eq!(state.departed.to_string(), "2", "the source's UIDs mean what they meant");
    }
    let row = Synced { target_uid_validity: UidValidity(8), ..synced(10, set(&[2])) };
    inbox.record_synced(row).await.expect("queued");
    inbox.note_made().await.expect("queued");
    let other = Mapping { source: "INBOX".to_owned(), target: "Other".to_owned() };
    lease.remap_mailbox(other).await.expect("on disk");
    let state = inbox.load().await.expect("whole");
    assert_eq!((state.synced, state.departed, state.made), (None, UidSet::new(), false));
}

#[tokio::test]
async fn flags_are_replaced_wherever_a_message_is_stored_and_nothing_else_is() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    // Odd UIDs in the first segments, even ones in the later: every segment spans many UIDs.
    settle(&inbox, (1..=3_999).step_by(2)).await;
    settle(&inbox, (2..=2_400).step_by(2)).await;
    inbox.flush().await.expect("on disk");
    let mut expected = messages_of(&inbox).await;
    let answered = |uid: u32| Flags::from_parts(2, [["Work"].as_slice(), &[]][(uid % 2) as usize].iter().copied());
    let changes = (1..=4_100).filter(|uid| uid % 5 != 0).map(|uid| (Uid(uid), answered(uid))).collect();
    inbox.set_flags(changes).await.expect("queued");
    // A message that is settled anew afterwards has the flags that it was settled with; one that is new in the same
    // group is found too; of two changes the later counts.
    inbox.settle(settlement(vec![copied(6, 6), copied(9_001, 1), copied(9_002, 2)])).await.expect("queued");
    inbox.set_flags(vec![(Uid(9_001), answered(1)), (Uid(7), Flags::new())]).await.expect("queued");
    expected.extend([copied(9_001, 1), copied(9_002, 2)]);
    for settled in &mut expected {
        let uid = settled.source_uid.0;
        settled.flags = match uid {
            6 | 9_002 => copied(uid, 1).flags,
            7 => Flags::new(),
            uid if uid % 5 != 0 => answered(uid),
            _ => continue,
        };
    }
    assert_eq!(messages_of(&inbox).await, expected);
    let before = inbox.load().await.expect("whole");
    assert_eq!(before.counts.total(), 3_202);
    drop((inbox, lease));
    ledger.close().await.expect("closed");
    let (_ledger, _lease, inbox) = place.inbox().await;
    assert_eq!(inbox.load().await.expect("whole"), before);
    assert_eq!(messages_of(&inbox).await, expected);
}

#[tokio::test]
async fn many_flag_changes_write_each_segment_once() {
    let place = Place::new();
    let (_ledger, _lease, inbox) = place.inbox().await;
    settle(&inbox, 1..=50_000).await;
    inbox.flush().await.expect("on disk");
    let mut db = place.raw().await;
    for sql in [
        "CREATE TABLE written (ordinal INTEGER)",
        "CREATE TRIGGER note AFTER UPDATE ON segment BEGIN INSERT INTO written VALUES (new.ordinal); END",
    ] {
        db.execute(sql).await.expect("made");
    }
    let changes = |bits| (10..=50_000).step_by(10).map(move |uid| (Uid(uid), Flags::from_parts(bits, [])));
    inbox.set_flags(changes(31).collect()).await.expect("queued");
    inbox.flush().await.expect("on disk");
    let count = "SELECT COUNT(*) FROM written";
    let written: i64 = sqlx::query_scalar(count).fetch_one(&mut db).await.expect("counted");
    assert_eq!(written, 50, "5,000 messages in 50 segments");
    // Asked for one at a time: as many more as groups begin in the middle of a segment, and the same again nowhere.
    for change in changes(17).chain(changes(17)) {
        inbox.set_flags(vec![change]).await.expect("queued");
    }
    inbox.flush().await.expect("on disk");
    let written: i64 = sqlx::query_scalar(count).fetch_one(&mut db).await.expect("counted");
    assert!(written <= 50 + 50 + 10, "{written} segments were written");
    db.close().await.expect("closed");
}

#[tokio::test]
async fn settled_messages_are_found_by_uid_whatever_else_is_there() {
    let place = Place::new();
    let (_ledger, _lease, inbox) = place.inbox().await;
    settle(&inbox, (1..=3_999).step_by(2)).await;
    settle(&inbox, (2..=2_400).step_by(2)).await;
    inbox.record_exception(refused(4_000)).await.expect("queued");
    let all = messages_of(&inbox).await;
    for (first, last) in [(1, 1), (2_399, 2_404), (3_990, 9_999), (1, 10_000), (4_000, 4_000)] {
        let mut asked = UidSet::new();
        asked.insert_range(range(first, last));
        asked.insert(Uid(2_001));
        let expected: Vec<_> = all.iter().filter(|settled| asked.contains(settled.source_uid)).cloned().collect();
        assert_eq!(inbox.settled_in(&asked).await.expect("whole"), expected, "{asked}");
    }
    assert!(inbox.settled_in(&UidSet::new()).await.expect("whole").is_empty());
    inbox.void_target_uids(UidValidity(3), Uid(1)).await.expect("on disk");
    let found = inbox.settled_in(&set(&[7])).await.expect("whole");
    assert_eq!(found, [Settled { target_uid: None, ..copied(7, 7) }]);
}

#[tokio::test]
async fn new_source_uids_replace_all_that_named_the_old_ones() {
    for source in [UidValidity(5), SOURCE] {
        let place = Place::new();
        let (ledger, lease, inbox) = place.inbox().await;
        let tagged = |uid: u32| Settled { flags: Flags::from_parts(1, ["Work"]), ..copied(uid, uid) };
        inbox.settle(settlement((1..=2_500).map(tagged).collect())).await.expect("queued");
        inbox.settle(Settlement { target_mark: Some(Uid(2_501)), ..Settlement::default() }).await.expect("queued");
        inbox.mark_sent(range(2_501, 2_600), Uid(2_501)).await.expect("queued").wait().await.expect("on disk");
        inbox
            .record_scan(Scan { uid_next: None, exists: 9, highest_modseq: None, mailbox_id: None })
            .await
            .expect("ok");
        for exception in [refused(2_700), mailbox_failed()] {
            inbox.record_exception(exception).await.expect("queued");
        }
        inbox.record_synced(synced(2_501, set(&[1]))).await.expect("queued");
        inbox.set_flags(vec![(Uid(2), Flags::new())]).await.expect("queued");

        let again = |uid: u32| Settled {
            source_uid: Uid(10_000 - uid),
            state: [SettledState::Adopted, SettledState::Copied][(uid % 2) as usize],
            ..copied(uid, uid)
        };
        let mut messages: Vec<_> = (1..=2_200).map(again).collect();
        messages.push(Settled { target_uid: None, ..again(7) });
        let renumbering = Renumbering { source, messages: messages.clone(), set_aside: vec![refused(30_000)] };
        inbox.renumber_source(renumbering).await.expect("on disk");
        messages.swap_remove(6);
        messages.sort_by_key(|settled| settled.source_uid);
        assert_eq!(messages_of(&inbox).await, messages);
        let state = inbox.load().await.expect("whole");
        assert_eq!((state.source_uid_validity, state.target_uid_validity), (Some(source), Some(TARGET)));
        assert_eq!((state.settled.to_string().as_str(), state.target_mark), ("7800:9999", Some(Uid(2_501))));
        assert_eq!(state.counts, SettledCounts { copied: 1_100, adopted: 1_100, adopted_altered: 0 });
        assert_eq!((state.scan, state.synced, state.departed), (None, None, UidSet::new()));
        assert_eq!(state.sent, Some(SENT_UNKNOWN), "what was in flight is so still, under whatever UID");
        let named: Vec<_> = state.exceptions.iter().map(|stored| stored.exception.uid).collect();
        assert_eq!(named, [None, Some(Uid(30_000))], "that of the mailbox itself, and what came with the new UIDs");
        assert!(state.exceptions.iter().all(|stored| stored.source_uid_validity.is_none_or(|known| known == source)));

        // What comes after goes on from there: into the open segment, and into a full one.
        inbox.settle(settlement(vec![copied(20_000, 9), tagged(9_000)])).await.expect("queued");
        inbox.set_flags(vec![(Uid(9_999), Flags::from_parts(4, []))]).await.expect("queued");
        let before = inbox.load().await.expect("whole");
        assert_eq!(before.counts.total(), 2_201);
        drop((inbox, lease));
        ledger.close().await.expect("closed");
        let ledger = place.open().await;
        let lease = ledger.claim_pair(&identity("alice")).await.expect("free");
        let inbox = lease.mailbox("INBOX").await.expect("mapped");
        assert_eq!(inbox.load().await.expect("whole"), before);
        inbox
            .renumber_source(Renumbering { source: SOURCE, messages: Vec::new(), set_aside: Vec::new() })
            .await
            .expect("on disk");
        assert!(inbox.load().await.expect("whole").settled.is_empty());
    }
}

#[tokio::test]
async fn the_overview_tells_of_every_mailbox_what_loading_it_would() {
    let place = Place::new();
    let (_ledger, lease, inbox) = place.inbox().await;
    lease.map_mailboxes(vec![mapping("Sent"), mapping("Drafts")]).await.expect("mapped");
    let sent = lease.mailbox("Sent").await.expect("mapped");
    sent.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
    sent.note_made().await.expect("queued");
    settle(&inbox, 1..=1_500).await;
    settle(&sent, 1..=3).await;
    inbox.record_synced(synced(1_501, set(&[5]))).await.expect("queued");
    sent.record_synced(Synced { mailbox_id: Some("M2".to_owned()), ..synced(4, UidSet::new()) }).await.expect("queued");
    sent.record_exception(refused(9)).await.expect("queued");
    let stopped = Exception { state: ExceptionState::MailboxStopped, ..mailbox_failed() };
    let doubtful = Exception { state: ExceptionState::ViewDoubtful, ..mailbox_failed() };
    for exception in [stopped, doubtful] {
        inbox.record_exception(exception).await.expect("queued");
    }
    let briefs = lease.overview().await.expect("whole");
    assert_eq!(
        briefs.iter().map(|brief| brief.mapping.source.as_str()).collect::<Vec<_>>(),
        ["Drafts", "INBOX", "Sent"]
    );
    for brief in &briefs {
        let state = lease.mailbox(&brief.mapping.source).await.expect("mapped").load().await.expect("whole");
        assert_eq!(brief.source_uid_validity, state.source_uid_validity);
        assert_eq!(brief.target_uid_validity, state.target_uid_validity);
        assert_eq!((brief.target_mark, brief.sent, &brief.scan), (state.target_mark, state.sent, &state.scan));
        assert_eq!((brief.counts, brief.made, &brief.synced), (state.counts, state.made, &state.synced));
        assert_eq!(brief.departed, state.departed);
    }
    assert_eq!(briefs[1].mailbox_exceptions, [ExceptionState::ViewDoubtful, ExceptionState::MailboxStopped]);
    assert_eq!(briefs.iter().map(|brief| brief.mailbox_failed).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(briefs.iter().map(|brief| brief.made).collect::<Vec<_>>(), [false, false, true]);
}

fn renamed(old: &str, source: &str, target: &str) -> (String, Mapping) {
    (old.to_owned(), Mapping { source: source.to_owned(), target: target.to_owned() })
}

#[tokio::test]
async fn a_renamed_mailbox_keeps_everything_under_its_new_names() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    lease.map_mailboxes(vec![mapping("Archive")]).await.expect("mapped");
    let archive = lease.mailbox("Archive").await.expect("mapped");
    archive.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
    archive.note_made().await.expect("queued");
    settle(&archive, 1..=1_200).await;
    archive.record_exception(refused(2_000)).await.expect("queued");
    archive.record_synced(synced(1_201, set(&[7]))).await.expect("queued");
    let before = archive.load().await.expect("whole");
    assert!(before.made);

    let (old, new) = renamed("Archive", "Archive-2025", "Copy/Archive-2025");
    lease.rename_mailbox(&old, new.clone()).await.expect("on disk");
    lease.map_mailboxes(vec![mapping("Archive")]).await.expect("the old name is free for a new mailbox");
    let expected = mailhaul_db::MailboxState { mapping: new, ..before };
    assert_eq!(archive.load().await.expect("whole"), expected, "made by us under its new name too");
    assert_eq!(lease.overview().await.expect("whole").len(), 3);

    // Only the target has another name.
    let (_, elsewhere) = renamed("", "Archive-2025", "Copy/Old");
    lease.rename_mailbox("Archive-2025", elsewhere.clone()).await.expect("on disk");
    settle(&archive, 1_201..=1_300).await;
    let state = archive.load().await.expect("whole");
    assert_eq!((state.mapping, state.made, state.settled.len()), (elsewhere, true, 1_300));
    drop((archive, inbox, lease));
    ledger.close().await.expect("closed");
    let (_ledger, lease, _inbox) = place.inbox().await;
    let names: Vec<_> = lease.mappings().await.expect("whole").into_iter().map(|mapping| mapping.source).collect();
    assert_eq!(names, ["Archive", "Archive-2025", "INBOX"]);
}

#[tokio::test]
async fn mailboxes_change_places_in_one_go_and_an_empty_one_makes_room() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    let all = ["Work", "Work/a", "Play"].map(mapping).to_vec();
    lease.map_mailboxes(all).await.expect("mapped");
    let empty = lease.mailbox("Play").await.expect("mapped");
    empty.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
    empty.record_exception(mailbox_failed()).await.expect("queued");
    empty.record_exception(refused(4)).await.expect("queued");
    empty.record_synced(synced(5, set(&[3]))).await.expect("queued");
    empty.record_pass(PassCounts::default(), Vec::new()).await.expect("queued");
    for (at, name) in ["Work", "Work/a"].into_iter().enumerate() {
        let mailbox = lease.mailbox(name).await.expect("mapped");
        mailbox.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
        settle(&mailbox, 1..=(10 + u32::try_from(at).expect("small"))).await;
    }
    settle(&inbox, 1..=5).await;
    let moves = vec![
        renamed("Work", "INBOX", "Copy/INBOX"),
        renamed("INBOX", "Work", "Copy/Work"),
        renamed("Work/a", "Play", "Copy/Play"),
    ];
    lease.rename_mailboxes(moves).await.expect("on disk");
    let counts = |briefs: Vec<mailhaul_db::MailboxBrief>| -> Vec<_> {
        briefs.into_iter().map(|brief| (brief.mapping.source, brief.counts.total())).collect()
    };
    let expected = [("INBOX", 10), ("Play", 11), ("Work", 5)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counts(lease.overview().await.expect("as many as the pair says")), expected);
    assert_eq!(ledger.read_report().await.expect("whole")[0].mailboxes.len(), 3);
    let mut db = place.raw().await;
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM mailbox_exception").fetch_one(&mut db).await.expect("ok");
    assert_eq!(left, 0, "nothing of it is left");
    db.close().await.expect("closed");

    let error = lease.rename_mailbox("Work", mapping("Play")).await.expect_err("mail is settled there");
    assert_eq!(error.kind(), DbErrorKind::Internal);
    assert!(error.to_string().contains("renamed to Play, where mail is settled"), "{error}");
    drop((inbox, empty, lease));
    ledger.close().await.expect("closed");
    let ledger = place.open().await;
    let lease = ledger.claim_pair(&identity("alice")).await.expect("free");
    assert_eq!(counts(lease.overview().await.expect("whole")), expected, "none of them was renamed");
    lease.rename_mailbox("None", mapping("New")).await.expect_err("it was never mapped");
}

#[tokio::test]
async fn a_target_made_by_us_is_ours_only_while_it_is_mapped_there() {
    let place = Place::new();
    let (_ledger, lease, inbox) = place.inbox().await;
    assert!(!inbox.load().await.expect("whole").made);
    inbox.note_made().await.expect("queued");
    inbox.note_made().await.expect("queued");
    assert!(inbox.load().await.expect("whole").made);
    lease.remap_mailbox(Mapping { source: "INBOX".to_owned(), target: "Theirs".to_owned() }).await.expect("on disk");
    assert!(!inbox.load().await.expect("whole").made);
    lease.remap_mailbox(mapping("INBOX")).await.expect("on disk");
    assert!(!inbox.load().await.expect("whole").made, "somebody else may have made it since");
}

#[tokio::test]
async fn a_name_that_is_kept_is_kept_only_while_the_target_has_it() {
    let place = Place::new();
    let (ledger, lease, inbox) = place.inbox().await;
    lease.map_mailboxes(vec![mapping("Archive")]).await.expect("mapped");
    let archive = lease.mailbox("Archive").await.expect("mapped");
    archive.bind(SOURCE, TARGET, Uid(1)).await.expect("bound");
    archive.note_name_kept().await.expect("queued");
    let (old, new) = renamed("Archive", "Archive-2025", &mapping("Archive").target);
    lease.rename_mailbox(&old, new).await.expect("on disk");
    drop((archive, inbox, lease));
    ledger.close().await.expect("closed");

    let (_ledger, lease, _inbox) = place.inbox().await;
    let kept = async || {
        let briefs = lease.overview().await.expect("whole");
        briefs.into_iter().filter(|brief| brief.name_kept).map(|brief| brief.mapping.source).collect::<Vec<_>>()
    };
    assert_eq!(kept().await, ["Archive-2025"]);
    let (old, new) = renamed("Archive-2025", "Archive-2025", "Archive-2025");
    lease.rename_mailbox(&old, new).await.expect("on disk");
    assert!(kept().await.is_empty(), "a rule leads there");
    // The old name is come back to, by a rule this time.
    let (old, new) = renamed("Archive-2025", "Archive-2025", &mapping("Archive").target);
    lease.rename_mailbox(&old, new).await.expect("on disk");
    assert!(kept().await.is_empty(), "what was decided about it is long settled");
}
