//! Messages that are stored one by one while their mailbox is not selected: whatever happens meanwhile is noticed as soon as
//! it can be, and told as what it is.

use super::super::corpus::one_mailbox;
use super::super::pass::{Ended, Order, Reply, Trigger};
use super::super::stage::Stage;
use mailhaul_db::{HostKey, Ledger, OpenOptions, ProfileChange};
use mailhaul_plan::profile::{HostProfile, SingleAppends};
use mailhaul_testing::model::{Answer, Literals, Traits};
use mailhaul_types::Side;
use std::time::{SystemTime, UNIX_EPOCH};

const MESSAGES: u32 = 600;

/// The target is known to be faster without.
fn stage() -> Stage {
    // Each message waits for the target, so that few are on their way at once.
    let target = Traits { multiappend: false, literals: Literals::Synchronising, ..Traits::default() };
    let stage = Stage::new(Traits::default(), target, &one_mailbox(MESSAGES));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let at_unix_secs = i64::try_from(now).expect("a moment");
    let single_appends = SingleAppends { selected_secs: 1.0, unselected_secs: 0.1, at_unix_secs };
    let profile = HostProfile { single_appends, ..HostProfile::default() }.to_json();
    let change: ProfileChange = Box::new(move |_| profile);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let state = stage.state_folder().join("mailhaul.db");
        let ledger = Ledger::open(&state, OpenOptions::default()).await.expect("open");
        ledger.learn(vec![(HostKey::new(Side::Target, "target.simulated", 143), change)]).await;
        ledger.close().await.expect("close");
    });
    stage
}

/// What the target was asked on the connection that left its mailbox, from then on.
fn asked_after_leaving(ended: &Ended) -> Vec<&str> {
    let mut asked = ended.commands.iter().filter(|seen| seen.side == Side::Target);
    let left = asked.by_ref().find(|seen| seen.name == "UNSELECT").expect("it leaves the mailbox");
    asked.filter(|seen| seen.connection == left.connection).map(|seen| seen.name.as_str()).collect()
}

#[test]
fn nothing_more_goes_into_a_mailbox_that_was_made_anew_than_was_on_its_way() {
    let mut stage = stage();
    let anew = Trigger {
        side: Side::Target,
        name: "APPEND",
        containing: String::new(),
        what: Box::new(|_, target, _| target.renumber("INBOX")),
    };
    let ended = stage.pass(Order { triggers: vec![anew], agreed: true, ..Order::default() });
    let appends = asked_after_leaving(&ended).iter().filter(|name| **name == "APPEND").count();
    assert!((1..=20).contains(&appends), "{appends}: {}", ended.in_words());
    assert!(ended.is_complete() && stage.judge().is_equal(), "{}{}", stage.judge(), ended.in_words());
    let unselected = ended.count(Side::Target, "UNSELECT");
    assert_eq!(unselected, 1, "it is not left again in this run");
}

#[test]
fn where_the_source_is_lost_nothing_more_is_asked_of_the_mailbox_that_was_left() {
    let mut stage = stage();
    let lost = Reply { side: Side::Source, name: "UID FETCH".to_owned(), nth: 6, answer: Answer::End };
    let ended = stage.pass(Order { replies: vec![lost], batch_messages: 50, ..Order::default() });
    let asked = asked_after_leaving(&ended);
    assert!(asked.contains(&"APPEND") && !asked.contains(&"SELECT"), "{asked:?}");
    assert!(ended.is_complete() && stage.judge().is_equal(), "{}{}", stage.judge(), ended.in_words());
}
