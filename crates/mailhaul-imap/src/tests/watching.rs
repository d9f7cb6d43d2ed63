//! NOTIFY, IDLE and neither: each ending of a waiting, and that the connection is in step after it.

use super::peer::{Peer, mailbox, signed_in};
use crate::{Connection, ImapError, News};
use mailhaul_types::Side;
use std::future::{pending, ready};
use std::time::Duration;
use tokio::sync::oneshot;

const HOUR: Duration = Duration::from_secs(3_600);
const NOTIFY: &str = "NOTIFY SET STATUS (selected-delayed (MessageNew MessageExpunge FlagChange)) (personal (MessageNew \
                      MessageExpunge FlagChange MailboxName SubscriptionChange))";

async fn notifying(capabilities: &str) -> (Connection, Peer) {
    let (mut connection, mut peer) = signed_in(Side::Source, &format!("NOTIFY {capabilities}")).await;
    let script = peer.answer(NOTIFY, "* STATUS a (MESSAGES 3)\r\n* STATUS b (MESSAGES 3)\r\nTAG OK done\r\n");
    let (begun, ()) = tokio::join!(connection.begin_notify(), script);
    assert!(begun.expect("answered"));
    (connection, peer)
}

fn names(news: &News) -> Vec<&str> {
    news.mailboxes.iter().map(|name| name.text()).collect()
}

#[tokio::test(start_paused = true)]
async fn with_notify_nothing_is_sent_to_hear_of_every_mailbox() {
    let (mut connection, mut peer) = notifying("IDLE").await;
    let script = async {
        peer.say("* OK Still here\r\n* STATUS b (HIGHESTMODSEQ 9)\r\n* LIST () \"/\" new\r\n").await;
    };
    let (news, ()) = tokio::join!(connection.wait_for_news(HOUR, pending()), script);
    let news = news.expect("told");
    assert_eq!((names(&news), news.list, news.selected), (vec!["b", "new"], true, false));
    let (status, ()) = tokio::join!(
        async { connection.status(&mailbox("b")).await },
        peer.answer("STATUS \"b\" (MESSAGES UIDNEXT UIDVALIDITY)", "* STATUS b (MESSAGES 4)\r\nTAG OK done\r\n")
    );
    assert_eq!(status.expect("in step").messages, Some(4));
    assert!(connection.wait_for_news(HOUR, ready(())).await.expect("stopped").is_empty());
}

#[tokio::test(start_paused = true)]
async fn fewer_events_are_asked_for_where_some_are_refused() {
    let (mut connection, mut peer) = signed_in(Side::Source, "NOTIFY").await;
    let selected = "NOTIFY SET STATUS (selected-delayed (MessageNew MessageExpunge FlagChange))";
    let script = async {
        peer.answer(NOTIFY, "TAG NO [BADEVENT SubscriptionChange] no\r\n").await;
        peer.answer(&format!("{selected} (personal (MessageNew MessageExpunge FlagChange MailboxName))"), "TAG OK\r\n")
            .await;
    };
    let (begun, ()) = tokio::join!(connection.begin_notify(), script);
    assert!(begun.expect("answered") && connection.is_notifying());
    assert!(connection.begin_notify().await.expect("it is not asked twice"));
    let (mut connection, mut peer) = signed_in(Side::Source, "NOTIFY").await;
    let script = async {
        for _ in 0..4 {
            let (tag, _) = peer.any_command().await;
            peer.say(&format!("{tag} BAD what\r\n")).await;
        }
    };
    let (begun, ()) = tokio::join!(connection.begin_notify(), script);
    assert!(!begun.expect("answered") && !connection.is_notifying());
}

#[tokio::test(start_paused = true)]
async fn an_overflow_is_news_of_everything_and_ends_the_notifying() {
    let (mut connection, mut peer) = notifying("").await;
    let script = peer.say("* OK [NOTIFICATIONOVERFLOW] too much\r\n");
    let (news, ()) = tokio::join!(connection.wait_for_news(HOUR, pending()), script);
    assert!(news.expect("told").overflow && !connection.is_notifying());
}

#[tokio::test(start_paused = true)]
async fn idle_is_ended_by_done_at_the_first_news() {
    let (mut connection, mut peer) = signed_in(Side::Source, "IDLE").await;
    let script = async {
        let tag = peer.command("IDLE").await;
        peer.say("+ idling\r\n* OK Still here\r\n").await;
        peer.say("* 4 EXISTS\r\n* 1 RECENT\r\n").await;
        assert_eq!(peer.line().await, "DONE");
        peer.say(&format!("* 3 EXPUNGE\r\n{tag} OK done\r\n")).await;
        peer.answer("NOOP", "TAG OK done\r\n").await;
    };
    let asking = async {
        let news = connection.wait_for_news(HOUR, pending()).await;
        connection.noop().await.expect("in step");
        news
    };
    let (news, ()) = tokio::join!(asking, script);
    assert_eq!(news.expect("told"), News { selected: true, ..News::default() });
}

#[tokio::test(start_paused = true)]
async fn idle_is_renewed_and_ends_at_the_limit() {
    let (mut connection, mut peer) = signed_in(Side::Source, "IDLE").await;
    let script = async {
        for _ in 0..3 {
            let tag = peer.command("IDLE").await;
            peer.say("+ idling\r\n").await;
            assert_eq!(peer.line().await, "DONE");
            peer.say(&format!("{tag} OK done\r\n")).await;
        }
    };
    let begun = tokio::time::Instant::now();
    let (news, ()) = tokio::join!(connection.wait_for_news(Duration::from_secs(25 * 60), pending()), script);
    assert!(news.expect("waited").is_empty());
    assert_eq!(begun.elapsed(), Duration::from_secs(25 * 60));
    connection.wire_for_tests().step_out("a test").expect("in step");
}

#[tokio::test(start_paused = true)]
async fn idle_is_ended_from_outside() {
    let (mut connection, mut peer) = signed_in(Side::Source, "IDLE").await;
    let (stop, stopped) = oneshot::channel::<()>();
    let script = async {
        let tag = peer.command("IDLE").await;
        peer.say("+ idling\r\n* OK half a li").await;
        stop.send(()).expect("somebody waits");
        assert_eq!(peer.line().await, "DONE");
        peer.say(&format!("ne\r\n{tag} OK done\r\n")).await;
    };
    let (news, ()) = tokio::join!(connection.wait_for_news(HOUR, async { drop(stopped.await) }), script);
    assert!(news.expect("stopped").is_empty());
    connection.wire_for_tests().step_out("a test").expect("in step");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_idle_by_itself_is_asked_again_and_a_refusal_is_told() {
    let (mut connection, mut peer) = signed_in(Side::Source, "IDLE").await;
    let script = async {
        peer.answer("IDLE", "+ idling\r\nTAG OK enough\r\n").await;
        peer.answer("IDLE", "TAG NO not now\r\n").await;
        peer.answer("NOOP", "TAG OK done\r\n").await;
    };
    let asking = async {
        let refused = connection.wait_for_news(HOUR, pending()).await;
        connection.noop().await.expect("in step");
        refused
    };
    let (refused, ()) = tokio::join!(asking, script);
    assert!(matches!(refused, Err(ImapError::Refused { command: "IDLE", .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn without_either_the_server_is_asked_at_the_end() {
    let (mut connection, mut peer) = signed_in(Side::Source, "").await;
    let script = peer.answer("NOOP", "* 4 EXISTS\r\nTAG OK done\r\n");
    let (news, ()) = tokio::join!(connection.wait_for_news(Duration::from_secs(60), pending()), script);
    assert!(news.expect("asked").selected);
}

#[tokio::test(start_paused = true)]
async fn news_in_the_middle_of_commands_are_kept_for_the_next_waiting() {
    let (mut connection, mut peer) = notifying("IDLE").await;
    let script = async {
        peer.answer("EXAMINE \"a\"", "* 3 EXISTS\r\n* STATUS b (MESSAGES 9)\r\nTAG OK done\r\n").await;
        peer.answer("UID SEARCH UID 3", "* SEARCH 3\r\n* 4 EXISTS\r\nTAG OK done\r\n").await;
    };
    let asking = async {
        connection.examine(&mailbox("a")).await.expect("opened");
        connection.uid_search_present(&[mailhaul_types::Uid(3)].into_iter().collect()).await.expect("searched");
        connection.wait_for_news(HOUR, pending()).await
    };
    let (news, ()) = tokio::join!(asking, script);
    let news = news.expect("told");
    assert_eq!((names(&news), news.selected), (vec!["b"], true));
}

#[tokio::test(start_paused = true)]
async fn a_good_bye_and_a_silent_end_are_errors_in_every_waiting() {
    for capabilities in ["NOTIFY", "IDLE", ""] {
        for farewell in ["* BYE shutting down\r\n", "", "M99 OK what\r\n"] {
            let (mut connection, mut peer) = match capabilities {
                "NOTIFY" => notifying("").await,
                other => signed_in(Side::Source, other).await,
            };
            let script = async move {
                if capabilities == "IDLE" {
                    peer.command("IDLE").await;
                    peer.say("+ idling\r\n").await;
                }
                peer.say(farewell).await;
                drop(peer);
            };
            let (ended, ()) = tokio::join!(connection.wait_for_news(HOUR, pending()), script);
            let error = ended.expect_err("the connection is gone");
            let fits = match farewell {
                "" => matches!(error, ImapError::Closed { .. }),
                "M99 OK what\r\n" => matches!(error, ImapError::Protocol { .. }),
                _ => matches!(error, ImapError::Bye { .. }),
            };
            assert!(fits && !error.leaves_connection_usable(), "{capabilities:?} {farewell:?} {error:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_done_is_given_up() {
    let (mut connection, mut peer) = signed_in(Side::Source, "IDLE").await;
    let script = async {
        peer.command("IDLE").await;
        peer.say("+ idling\r\n").await;
        assert_eq!(peer.line().await, "DONE");
        assert!(peer.is_closed().await);
    };
    let waiting = async move { connection.wait_for_news(Duration::from_secs(5), pending()).await };
    let (ended, ()) = tokio::join!(waiting, script);
    assert!(matches!(ended, Err(ImapError::TimedOut { during: "IDLE", .. })), "{ended:?}");
}
