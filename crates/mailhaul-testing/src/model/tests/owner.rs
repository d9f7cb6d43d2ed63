//! The owner's hand, and states that are put back.

use super::{MESSAGE, append, say, server};
use crate::corpus::Corpus;
use crate::model::{ModelServer, Traits};

#[test]
fn an_earlier_state_comes_back_with_its_uids() {
    let (server, mut alice) = server(Traits::default());
    say(&mut alice, &append("a", "INBOX"));
    let saved = server.snapshot();
    say(&mut alice, &append("b", "INBOX"));
    server.create("Work");
    server.put_back(saved);
    assert_eq!((server.contents().len(), server.uid_next("INBOX")), (1, Some(2)));
    // The UID is given a second time, as after a restored backup.
    assert_eq!(say(&mut alice, &append("c", "INBOX")), "c OK [APPENDUID 1700000001 2] stored\r\n");
    assert_eq!(server.appended(), 3);
}

#[test]
fn who_has_a_mailbox_open_that_is_another_now_is_sent_away() {
    let change: [fn(&ModelServer); 3] = [
        |server| server.renumber("Work"),
        |server| assert!(server.delete_mailbox("Work")),
        |server| server.put_back(server.snapshot()),
    ];
    for change in change {
        let (server, mut alice) = server(Traits::default());
        server.create("Work");
        say(&mut alice, "a SELECT Work");
        change(&server);
        assert!(say(&mut alice, "b UID FETCH 1 (FLAGS)").starts_with("* BYE"));
        assert!(alice.ended());
    }
}

#[test]
fn a_renamed_mailbox_stays_open_and_a_renumbered_one_counts_from_one() {
    let (server, mut alice) = server(Traits::default());
    server.create("Work");
    for _ in 0..3 {
        server.deliver("Work", MESSAGE.as_bytes(), 0, &[]);
    }
    server.expunge("Work", &[1]);
    let validity = server.uid_validity("Work");
    say(&mut alice, "a SELECT Work");
    assert!(server.rename("Work", "Play"));
    assert!(say(&mut alice, "b UID FETCH 1:* (UID)").contains("b OK"));
    assert_eq!(server.uid_validity("Play"), validity);
    server.renumber("Play");
    assert_ne!(server.uid_validity("Play"), validity);
    assert_eq!(server.contents()["Play"].iter().map(|held| held.uid).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_corpus_is_put_in_with_all_its_oddities() {
    let server = ModelServer::new(Traits { holes: true, ..Traits::default() });
    let corpus = Corpus::odd();
    server.fill(&corpus);
    assert_eq!(server.contents().values().map(Vec::len).sum::<usize>(), corpus.count());
    assert!(server.subscriptions().contains("Empty"));
    assert_eq!(server.move_("INBOX", &[u32::MAX], "Empty"), []);
}
