//! Greeting, STARTTLS and sign-in: every way in, and every way of being lured.

use super::peer::{Peer, credentials, open_with};
use crate::{Connection, Credentials, ErrorClass, ImapError, TlsCheck, TlsMode};
use mailhaul_types::{Secret, Side};

async fn open(
    tls: TlsMode,
    credentials: &Credentials,
    script: impl AsyncFnOnce(&mut Peer),
) -> (Result<Connection, ImapError>, Peer) {
    open_with(Side::Source, tls, credentials, |mut peer| async move {
        script(&mut peer).await;
        peer
    })
    .await
}

fn with_password(password: &[u8]) -> Credentials {
    Credentials { password: Secret::new(password.to_vec()), ..credentials() }
}

async fn greet(peer: &mut Peer, capabilities: &str) {
    peer.say("* OK ready\r\n").await;
    peer.answer("CAPABILITY", &format!("* CAPABILITY IMAP4rev1 {capabilities}\r\nTAG OK done\r\n")).await;
}

async fn finish(peer: &mut Peer, tag: &str) {
    peer.say(&format!("{tag} OK in\r\n")).await;
    peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_greeting_is_told_with_its_words() {
    for (greeting, words) in [
        ("* BYE Too many connections\r\n", "BYE Too many connections"),
        ("+OK POP3 ready\r\n", "+OK POP3 ready"),
        ("220 smtp.example ESMTP\r\n", "220 smtp.example ESMTP"),
        ("* 3 EXISTS\r\n", "* 3 EXISTS"),
        ("\u{16}\u{3}\r\n", "not an IMAP server"),
    ] {
        let (opened, _) = open(TlsMode::Plain, &credentials(), async |peer: &mut Peer| peer.say(greeting).await).await;
        match opened {
            Err(ImapError::Greeting { text, .. }) => assert!(text.contains(words), "{text}"),
            other => panic!("{greeting:?}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_signed_in_already() {
    for tls in [TlsMode::Plain, TlsMode::StartTls] {
        let script = async |peer: &mut Peer| peer.say("* PREAUTH welcome back\r\n").await;
        let (opened, mut peer) = open(tls, &credentials(), script).await;
        assert!(matches!(opened, Err(ImapError::PreAuth { .. })), "{opened:?}");
        assert!(peer.is_closed().await);
    }
}

#[tokio::test(start_paused = true)]
async fn without_starttls_nothing_is_said_in_plain_text() {
    let (opened, mut peer) =
        open(TlsMode::StartTls, &credentials(), async |peer: &mut Peer| greet(peer, "AUTH=PLAIN").await).await;
    assert!(matches!(opened, Err(ImapError::Tls { check: TlsCheck::StartTlsRefused(_), .. })), "{opened:?}");
    assert!(peer.is_closed().await, "not one octet of the credentials");

    let (opened, mut peer) = open(TlsMode::StartTls, &credentials(), async |peer: &mut Peer| {
        greet(peer, "STARTTLS AUTH=PLAIN").await;
        peer.answer("STARTTLS", "TAG NO [UNAVAILABLE] no certificate\r\n").await;
    })
    .await;
    let refused = "NO [UNAVAILABLE] no certificate".to_owned();
    assert!(
        matches!(&opened, Err(ImapError::Tls { check: TlsCheck::StartTlsRefused(words), .. }) if *words == refused),
        "{opened:?}"
    );
    assert!(peer.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn octets_behind_the_answer_to_starttls_are_an_injection() {
    for injected in ["* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", "M3 OK in\r\n", "x"] {
        let (opened, mut peer) = open(TlsMode::StartTls, &credentials(), async |peer: &mut Peer| {
            greet(peer, "STARTTLS").await;
            peer.answer("STARTTLS", &format!("TAG OK go\r\n{injected}")).await;
        })
        .await;
        assert!(matches!(opened, Err(ImapError::Tls { check: TlsCheck::StartTlsInjection, .. })), "{opened:?}");
        assert!(peer.is_closed().await);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_before_the_question_is_not_taken() {
    // The answer to STARTTLS comes before STARTTLS was sent, with the tag that it will have.
    let (opened, _) = open(TlsMode::StartTls, &credentials(), async |peer: &mut Peer| {
        peer.say("* OK ready\r\n").await;
        peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK done\r\nM2 OK go\r\n").await;
    })
    .await;
    assert!(matches!(opened, Err(ImapError::Tls { check: TlsCheck::StartTlsInjection, .. })), "{opened:?}");
}

#[tokio::test(start_paused = true)]
async fn login_quotes_what_it_can_and_sends_the_rest_as_literals() {
    let script = async |peer: &mut Peer| {
        greet(peer, "").await;
        let line = peer.line().await;
        assert_eq!(line, "M2 LOGIN \"alice\" {8}");
        peer.say("* OK patience\r\n+ go\r\n").await;
        assert_eq!(peer.octets(10).await, b"p\xe4\"s\\\r\n!\r\n");
        finish(peer, "M2").await;
    };
    let (opened, _) = open(TlsMode::Plain, &with_password(b"p\xe4\"s\\\r\n!"), script).await;
    opened.expect("opens");

    let script = async |peer: &mut Peer| {
        greet(peer, "LITERAL+").await;
        assert_eq!(peer.line().await, "M2 LOGIN \"alice\" {2+}");
        assert_eq!(peer.octets(4).await, b"\xe4\xe4\r\n");
        finish(peer, "M2").await;
    };
    let (opened, _) = open(TlsMode::Plain, &with_password(b"\xe4\xe4"), script).await;
    opened.expect("opens");
}

#[tokio::test(start_paused = true)]
async fn plain_is_preferred_with_and_without_initial_response() {
    // base64 of NUL alice NUL canary-pass
    let response = "AGFsaWNlAGNhbmFyeS1wYXNz";
    let script = async |peer: &mut Peer| {
        greet(peer, "AUTH=PLAIN SASL-IR").await;
        let tag = peer.command(&format!("AUTHENTICATE PLAIN {response}")).await;
        finish(peer, &tag).await;
    };
    let (opened, _) = open(TlsMode::Plain, &credentials(), script).await;
    opened.expect("opens");

    let script = async |peer: &mut Peer| {
        greet(peer, "AUTH=PLAIN LOGINDISABLED").await;
        let tag = peer.command("AUTHENTICATE PLAIN").await;
        peer.say("* OK patience\r\n+ \r\n").await;
        assert_eq!(peer.line().await, response);
        finish(peer, &tag).await;
    };
    let (opened, _) = open(TlsMode::Plain, &credentials(), script).await;
    opened.expect("opens");
}

#[tokio::test(start_paused = true)]
async fn an_authorization_identity_goes_first_and_needs_plain() {
    let mut master = credentials();
    master.authorization_identity = Some("bob".to_owned());
    let script = async |peer: &mut Peer| {
        greet(peer, "AUTH=PLAIN SASL-IR").await;
        let tag = peer.command("AUTHENTICATE PLAIN Ym9iAGFsaWNlAGNhbmFyeS1wYXNz").await;
        finish(peer, &tag).await;
    };
    let (opened, _) = open(TlsMode::Plain, &master, script).await;
    opened.expect("opens");

    let (opened, mut peer) = open(TlsMode::Plain, &master, async |peer: &mut Peer| greet(peer, "").await).await;
    assert!(matches!(opened, Err(ImapError::SignInImpossible { .. })), "{opened:?}");
    assert!(peer.is_closed().await, "LOGIN would open the wrong account");
}

#[tokio::test(start_paused = true)]
async fn logindisabled_is_respected() {
    let (opened, mut peer) =
        open(TlsMode::Plain, &credentials(), async |peer: &mut Peer| greet(peer, "LOGINDISABLED").await).await;
    assert!(matches!(opened, Err(ImapError::SignInImpossible { .. })), "{opened:?}");
    assert!(peer.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_once_and_told_in_the_servers_words() {
    let words = "NO [AUTHENTICATIONFAILED] Authentication failed.";
    for capabilities in ["", "AUTH=PLAIN", "AUTH=PLAIN SASL-IR"] {
        let script = async |peer: &mut Peer| {
            greet(peer, capabilities).await;
            let (tag, text) = peer.any_command().await;
            if text == "AUTHENTICATE PLAIN" {
                peer.say("+ \r\n").await;
                peer.line().await;
            }
            peer.say(&format!("{tag} {words}\r\n")).await;
        };
        let (opened, mut peer) = open(TlsMode::Plain, &credentials(), script).await;
        let error = opened.expect_err("refused");
        assert_eq!(error.server_words().as_deref(), Some(words));
        assert_eq!(error.class(), ErrorClass::SignIn);
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert!(peer.is_closed().await, "no second attempt");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_before_the_challenge_keeps_the_password_at_home() {
    let script = async |peer: &mut Peer| {
        greet(peer, "AUTH=PLAIN").await;
        let tag = peer.command("AUTHENTICATE PLAIN").await;
        peer.say(&format!("{tag} NO [UNAVAILABLE] try again later\r\n")).await;
    };
    let (opened, mut peer) = open(TlsMode::Plain, &credentials(), script).await;
    let error = opened.expect_err("refused");
    assert!(matches!(error, ImapError::SignIn { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Server, "not the password's fault");
    assert!(peer.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn an_error_challenge_is_given_up_with_a_star() {
    let script = async |peer: &mut Peer| {
        greet(peer, "AUTH=PLAIN SASL-IR").await;
        let (tag, _) = peer.any_command().await;
        peer.say("+ eyJzdGF0dXMiOiI0MDAifQ==\r\n").await;
        assert_eq!(peer.line().await, "*");
        peer.say(&format!("{tag} NO no\r\n")).await;
    };
    let (opened, _) = open(TlsMode::Plain, &credentials(), script).await;
    assert!(matches!(opened, Err(ImapError::SignIn { .. })), "{opened:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_not_sent() {
    for bad in [
        Credentials { user: "a\r\nM9 LOGOUT".to_owned(), ..credentials() },
        Credentials { user: "a\0b".to_owned(), ..credentials() },
        with_password(b"a\0b"),
        Credentials { authorization_identity: Some("a\nb".to_owned()), ..credentials() },
    ] {
        let (opened, mut peer) =
            open(TlsMode::Plain, &bad, async |peer: &mut Peer| greet(peer, "AUTH=PLAIN SASL-IR").await).await;
        assert!(matches!(opened, Err(ImapError::SignInImpossible { .. })), "{opened:?}");
        assert!(peer.is_closed().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_while_we_open_is_timed_out() {
    for steps in 0..3 {
        let (opened, _peer) = open(TlsMode::Plain, &credentials(), async |peer: &mut Peer| {
            if steps > 0 {
                peer.say("* OK ready\r\n").await;
            }
            if steps > 1 {
                peer.answer("CAPABILITY", "* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n").await;
            }
        })
        .await;
        assert!(matches!(opened, Err(ImapError::TimedOut { .. })), "{opened:?}");
    }
}
