//! What is asked before a copy: quotas, sums of sizes, and what an opening that failed has shown.

use super::peer::{TIMEOUTS, credentials, endpoint, mailbox, pipe, signed_in};
use crate::connect::open_over;
use crate::{ErrorClass, ImapError, Introduction, OpeningStep, QuotaUse, TlsMode, look_without_sign_in};
use mailhaul_types::Side;

#[tokio::test(start_paused = true)]
async fn quotas_come_along_with_their_roots() {
    let (mut connection, mut peer) = signed_in(Side::Target, "QUOTA").await;
    let script = peer.answer(
        "GETQUOTAROOT \"INBOX\"",
        "* QUOTAROOT INBOX \"User quota\" \"nothing\"\r\n* QUOTA \"User quota\" (STORAGE 10 512 MESSAGE 3 1000)\r\n\
         * QUOTA \"nothing\" ()\r\nTAG OK done\r\n",
    );
    let inbox = mailbox("INBOX");
    let (quotas, ()) = tokio::join!(connection.quotas_of(&inbox), script);
    let quotas = quotas.expect("answered");
    assert_eq!(quotas.len(), 1, "{quotas:?}");
    assert_eq!(quotas[0].root, "User quota");
    assert_eq!(quotas[0].storage_bytes, Some(QuotaUse { used: 10_240, limit: 524_288 }));
    assert_eq!(quotas[0].messages, Some(QuotaUse { used: 3, limit: 1_000 }));
}

#[tokio::test(start_paused = true)]
async fn a_root_that_comes_alone_is_asked_for_its_quota() {
    let (mut connection, mut peer) = signed_in(Side::Target, "QUOTA=RES-STORAGE").await;
    let script = async {
        peer.answer("GETQUOTAROOT \"INBOX\"", "* QUOTAROOT INBOX a \"b c\"\r\nTAG OK done\r\n").await;
        peer.answer("GETQUOTA \"a\"", "TAG NO not yours\r\n").await;
        peer.answer("GETQUOTA \"b c\"", "* QUOTA \"b c\" (STORAGE 1 2)\r\nTAG OK done\r\n").await;
    };
    let inbox = mailbox("INBOX");
    let (quotas, ()) = tokio::join!(connection.quotas_of(&inbox), script);
    let quotas = quotas.expect("answered");
    assert_eq!(quotas.iter().map(|quota| quota.root.as_str()).collect::<Vec<_>>(), ["b c"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_a_quota_who_has_none_and_a_refusal_is_told() {
    let inbox = mailbox("INBOX");
    let (mut connection, _peer) = signed_in(Side::Target, "").await;
    assert_eq!(connection.quotas_of(&inbox).await.expect("nothing is asked"), []);
    let (mut connection, mut peer) = signed_in(Side::Target, "QUOTA").await;
    let script = peer.answer("GETQUOTAROOT \"INBOX\"", "TAG BAD what\r\n");
    let (quotas, ()) = tokio::join!(connection.quotas_of(&inbox), script);
    let error = quotas.expect_err("refused");
    assert!(error.leaves_connection_usable(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn sums_and_limits_are_asked_for_only_where_they_are_announced() {
    let name = mailbox("a");
    for (capabilities, asked, answer, expected) in [
        ("", "", "", (None, None)),
        ("STATUS=SIZE", " SIZE", " SIZE 4294967296000", (Some(4_294_967_296_000), None)),
        ("APPENDLIMIT", " APPENDLIMIT", " APPENDLIMIT NIL", (None, None)),
        ("STATUS=SIZE APPENDLIMIT", " SIZE APPENDLIMIT", " SIZE 5 APPENDLIMIT 35651584", (Some(5), Some(35_651_584))),
    ] {
        let (mut connection, mut peer) = signed_in(Side::Source, capabilities).await;
        let command = format!("STATUS \"a\" (MESSAGES UIDNEXT UIDVALIDITY{asked})");
        let answer = format!("* STATUS a (MESSAGES 3{answer})\r\nTAG OK done\r\n");
        let (status, ()) = tokio::join!(connection.status_with_size(&name), peer.answer(&command, &answer));
        let status = status.expect("answered");
        assert_eq!((status.messages, (status.size, status.append_limit)), (Some(3), expected), "{capabilities}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_opening_that_fails_keeps_what_it_saw_and_names_its_step() {
    let (ours, mut peer) = pipe();
    let mut introduction = Introduction::default();
    let (endpoint, credentials) = (endpoint(TlsMode::Plain), credentials());
    let opening = open_over(Side::Source, Box::new(ours), &endpoint, &credentials, &TIMEOUTS, &mut introduction);
    let script = async {
        peer.say("* OK here is old.example\r\n").await;
        peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 LITERAL+\r\nTAG OK done\r\n").await;
        peer.answer("LOGIN \"alice\" \"canary-pass\"", "TAG NO wrong\r\n").await;
    };
    let (opened, ()) = tokio::join!(opening, script);
    assert_eq!(opened.err().map(|error| error.class()), Some(ErrorClass::SignIn));
    assert_eq!((introduction.step(), introduction.passed()), (OpeningStep::SignIn, &[OpeningStep::Greeting][..]));
    assert_eq!(introduction.greeting.as_deref(), Some("here is old.example"));
    assert!(introduction.capabilities.literal_plus() && introduction.signed_in_after.is_none());
    assert!(!format!("{introduction:?}").contains("canary"));
}

#[tokio::test]
async fn a_host_that_is_not_there_fails_at_its_step() {
    let mut nobody = endpoint(TlsMode::Plain);
    nobody.host = "name.invalid".to_owned();
    let mut introduction = Introduction::default();
    let looked = look_without_sign_in(&nobody, &TIMEOUTS, &mut introduction).await;
    assert!(matches!(looked, Err(ImapError::Resolve { .. } | ImapError::TimedOut { .. })), "{looked:?}");
    assert_eq!((introduction.step(), introduction.address), (OpeningStep::Resolve, None));
}
