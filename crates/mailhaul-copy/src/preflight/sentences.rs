//! What mailhaul does with a server's extensions, and what their absence costs, in sentences.

use crate::bounds;
use mailhaul_imap::{Capabilities, LiteralMode, TlsMode};
use mailhaul_plan::batches::BatchLimits;
use mailhaul_report::{bytes_for_people, count_of, number_for_people};

/// What the lack of an extension costs on a target.
pub(super) fn costs(capabilities: &Capabilities) -> Vec<String> {
    let mut costs = Vec::new();
    if !capabilities.multiappend() {
        costs.push("no MULTIAPPEND: every message is a command of its own".to_owned());
    }
    match capabilities.literal_mode() {
        LiteralMode::NonSynchronising => {}
        LiteralMode::NonSynchronisingSmall => costs.push(format!(
            "LITERAL- only: each message of more than {} octets costs a round trip",
            number_for_people(LiteralMode::SMALL_OCTETS_MAX)
        )),
        LiteralMode::Synchronising => costs.push("no LITERAL+: each message costs a round trip".to_owned()),
    }
    if !capabilities.uidplus() {
        costs.push("no UIDPLUS: what was stored has to be found again by its headers".to_owned());
    }
    costs
}

/// What holds on either side.
pub(super) fn in_any_case(before: &Capabilities, tls: TlsMode, signed_in: Option<&Capabilities>) -> Vec<String> {
    let mut sentences = vec![match tls {
        TlsMode::Implicit => "speaks TLS from the first byte, and checks the certificate.".to_owned(),
        TlsMode::StartTls => "starts TLS before anything else (STARTTLS), and checks the certificate.".to_owned(),
        TlsMode::Plain => "speaks plain text, because it was told to.".to_owned(),
    }];
    sentences.push(sign_in(before).to_owned());
    if let Some(capabilities) = signed_in {
        sentences.push(match capabilities.namespace() {
            true => "learns from NAMESPACE where names begin.".to_owned(),
            false => "takes the delimiter from LIST: no NAMESPACE.".to_owned(),
        });
        sentences.push(match capabilities.special_use() {
            true => "knows Sent, Drafts, Trash and the like by their use (SPECIAL-USE).".to_owned(),
            false => "knows Sent, Drafts, Trash and the like by their names: no SPECIAL-USE.".to_owned(),
        });
    }
    sentences
}

fn sign_in(before: &Capabilities) -> &'static str {
    match (before.has("AUTH=PLAIN"), before.has("SASL-IR"), before.has("LOGINDISABLED")) {
        (true, true, _) => "signs in by AUTHENTICATE PLAIN in one round trip; an administrator may sign in for others.",
        (true, false, _) => "signs in by AUTHENTICATE PLAIN; an administrator may sign in for others.",
        (false, _, false) => {
            "signs in by LOGIN: no AUTH=PLAIN, so nobody can sign in for others but by a master login."
        }
        (false, _, true) => "cannot sign in: neither AUTH=PLAIN nor LOGIN is offered.",
    }
}

/// What is done when this server is read from.
pub(super) fn as_source(capabilities: &Capabilities) -> Vec<String> {
    let BatchLimits { messages, bytes, .. } = BatchLimits::default();
    let mut sentences = vec![format!(
        "fetches up to {} or {} with one command, several commands at once.",
        count_of(messages, "message"),
        bytes_for_people(bytes)
    )];
    let list_status = capabilities.list_extended() && capabilities.has("LIST-STATUS");
    sentences.push(match list_status {
        true => "learns the number of messages of all mailboxes with one command (LIST-STATUS).".to_owned(),
        false => "asks each mailbox for its number of messages: no LIST-STATUS.".to_owned(),
    });
    sentences.push(match capabilities.status_size() {
        true => "asks for the sum of sizes when it looks ahead (STATUS=SIZE).".to_owned(),
        false => "lists the sizes of all messages when it looks ahead: no STATUS=SIZE.".to_owned(),
    });
    if capabilities.has("UTF8=ACCEPT") || capabilities.has("UTF8=ONLY") {
        sentences.push("asks for names and headers in UTF-8 (UTF8=ACCEPT), lest the server rewrite mail.".to_owned());
    }
    if capabilities.iter().any(|name| name.starts_with("MESSAGELIMIT")) {
        sentences.push("asks again for what MESSAGELIMIT cuts off.".to_owned());
    }
    sentences
}

/// What is done when this server is written to.
pub(super) fn as_target(capabilities: &Capabilities, append_limit_bytes: Option<u64>) -> Vec<String> {
    let BatchLimits { messages, bytes, .. } = BatchLimits::default();
    let mut sentences = vec![match capabilities.multiappend() {
        true => format!(
            "stores up to {} or {} with one APPEND (MULTIAPPEND): all of them or none.",
            count_of(messages, "message"),
            bytes_for_people(bytes)
        ),
        false => "stores each message with an APPEND of its own: no MULTIAPPEND.".to_owned(),
    }];
    sentences.push(match capabilities.literal_mode() {
        LiteralMode::NonSynchronising => "sends without asking first (LITERAL+), as far as the window goes.".to_owned(),
        LiteralMode::NonSynchronisingSmall => format!(
            "asks before each message of more than {} octets and waits for the answer: LITERAL- only.",
            number_for_people(LiteralMode::SMALL_OCTETS_MAX)
        ),
        LiteralMode::Synchronising => "asks before each message and waits for the answer: no LITERAL+.".to_owned(),
    });
    sentences.push(match capabilities.uidplus() {
        true => "learns from the answer which UIDs were given (UIDPLUS).".to_owned(),
        false => {
            format!("looks what was stored after every {} batches, by the headers: no UIDPLUS.", bounds::UNNAMED_SLICE)
        }
    });
    sentences.push(match append_limit_bytes {
        Some(limit) => format!("sets messages of more than {} aside unsent (APPENDLIMIT).", bytes_for_people(limit)),
        None => "finds out by trying how large a message may be: no APPENDLIMIT.".to_owned(),
    });
    sentences.push(match capabilities.has("QUOTA") || capabilities.iter().any(|name| name.starts_with("QUOTA=")) {
        true => "compares the quota with what is to come before it begins (QUOTA).".to_owned(),
        false => "finds out by trying whether there is room: no QUOTA.".to_owned(),
    });
    sentences
}
