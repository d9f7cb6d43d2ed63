//! The odd corpus through every shape of real server: stores, delimiters, prefixes, capabilities taken away one by one,
//! Dovecot and Cyrus in both directions. The judge compares; the proxy shows which commands were really used.

use crate::harness::{Bench, USER};
use mailhaul_testing::corpus::Corpus;
use mailhaul_testing::cyrus::Cyrus;
use mailhaul_testing::dovecot::{Dovecot, DovecotBuilder, Store};
use mailhaul_testing::imap_client::Client;
use mailhaul_testing::judge::{Account, Rules, assert_equal};
use mailhaul_testing::proxy::{Proxy, Statistics};
use serde_json::Value;
use std::net::SocketAddr;

/// One end: where it listens and how to sign in.
struct End<'a> {
    address: SocketAddr,
    password: &'a str,
}

impl End<'_> {
    fn client(&self) -> Client {
        Client::sign_in(self.address, USER, self.password).expect("sign in")
    }

    fn account(&self) -> Account {
        Account::new(self.address, USER, self.password)
    }
}

fn dovecot(server: &Dovecot) -> End<'_> {
    End { address: server.address(), password: server.password() }
}

fn cyrus(server: &Cyrus) -> End<'_> {
    End { address: server.address(), password: server.password() }
}

/// Loads, copies, judges, copies again; returns the first result and what the target was told.
fn copy_and_judge(source: &End<'_>, target: &End<'_>, corpus: &Corpus, rules: &Rules) -> (Value, Statistics) {
    corpus.load(&mut source.client()).expect("the corpus is loaded");
    copy_loaded(source, target, corpus, rules)
}

fn copy_loaded(source: &End<'_>, target: &End<'_>, corpus: &Corpus, rules: &Rules) -> (Value, Statistics) {
    let proxy = Proxy::start(target.address);
    let bench = Bench::between(source.address, source.password, proxy.address(), target.password);
    let first = bench.copy_completely(&[]);
    assert_eq!(first["messages"]["copied"], corpus.count() as u64, "{first:#}");
    assert_equal(&source.account(), &target.account(), rules);
    let told = proxy.statistics();
    let again = bench.copy_completely(&[]);
    assert_eq!(again["messages"]["already"], corpus.count() as u64, "{again:#}");
    assert_eq!(proxy.statistics().count("APPEND"), told.count("APPEND"), "the second run sent APPEND");
    let verified = bench.run("verify", &["--level", "bytes", "--json"]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
    (first, told)
}

/// What the copy is meant to change: names that differ only by case or by Unicode normalisation are kept apart, and mail
/// marked for deletion arrives unmarked.
fn rules() -> Rules {
    Rules::new()
        .map("Case", "Case-2")
        .map("caf\u{e9}", "caf\u{e9}-2")
        .ignore_flag("\\Deleted", "it is copied only when asked for")
}

fn between_dovecots(source: DovecotBuilder, target: DovecotBuilder, corpus: &Corpus) -> (Value, Statistics) {
    between_dovecots_by(source, target, corpus, &rules())
}

fn between_dovecots_by(
    source: DovecotBuilder,
    target: DovecotBuilder,
    corpus: &Corpus,
    rules: &Rules,
) -> (Value, Statistics) {
    let (source, target) = (source.start(), target.start());
    copy_and_judge(&dovecot(&source), &dovecot(&target), corpus, rules)
}

#[test]
fn copies_oddities_from_maildir_to_sdbox() {
    let source = Dovecot::builder().store(Store::Maildir);
    let target = Dovecot::builder().store(Store::Sdbox);
    between_dovecots(source, target, &Corpus::odd().for_delimiter('.'));
}

#[test]
fn copies_oddities_from_sdbox_to_maildir() {
    let source = Dovecot::builder().store(Store::Sdbox);
    let target = Dovecot::builder().store(Store::Maildir);
    between_dovecots(source, target, &Corpus::odd().for_delimiter('.'));
}

#[test]
fn strips_a_prefix_that_only_the_source_has() {
    let source = Dovecot::builder().delimiter('.').prefix("INBOX.");
    between_dovecots(source, Dovecot::builder().delimiter('/'), &Corpus::odd().for_delimiter('.').for_delimiter('/'));
}

#[test]
fn adds_a_prefix_that_only_the_target_has() {
    let target = Dovecot::builder().delimiter('.').prefix("INBOX.");
    let corpus = Corpus::odd().for_delimiter('.').for_delimiter('/');
    // Below `INBOX.` nothing can be told from a mailbox beside INBOX.
    let rules = rules().map("INBOX/child of INBOX", "child of INBOX");
    between_dovecots_by(Dovecot::builder().delimiter('/'), target, &corpus, &rules);
}

fn without(name: &str) -> Statistics {
    let corpus = Corpus::odd().for_delimiter('.').for_delimiter('/');
    between_dovecots(Dovecot::builder(), Dovecot::builder().without_capability(name), &corpus).1
}

#[test]
fn sends_no_literal_without_waiting_where_that_is_not_announced() {
    let told = without("LITERAL+");
    assert_eq!(told.eager_literals, 0, "{told:?}");
    assert!(told.waiting_literals > 0, "{told:?}");
}

#[test]
fn sends_one_message_a_command_where_multiappend_is_not_announced() {
    let told = without("MULTIAPPEND");
    let messages = Corpus::odd().for_delimiter('.').for_delimiter('/').count();
    assert_eq!(told.count("APPEND") as usize, messages, "{told:?}");
}

#[test]
fn learns_uids_by_looking_where_uidplus_is_not_announced() {
    without("UIDPLUS");
}

#[test]
fn maps_without_special_use_and_without_namespace() {
    without("SPECIAL-USE");
    without("NAMESPACE");
}

#[test]
fn copies_from_a_source_without_extensions() {
    let corpus = Corpus::odd().for_delimiter('.').for_delimiter('/');
    let mut source = Dovecot::builder();
    for name in ["LITERAL+", "UIDPLUS", "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "ESEARCH", "CONDSTORE", "ID"] {
        source = source.without_capability(name);
    }
    between_dovecots(source, Dovecot::builder(), &corpus);
}

#[test]
fn copies_from_dovecot_to_cyrus() {
    let (source, target) = (Dovecot::start(), Cyrus::builder().unix_hierarchy(true).alt_namespace(true).start());
    let corpus = Corpus::odd().for_cyrus().for_delimiter('/').for_delimiter('.');
    copy_and_judge(&dovecot(&source), &cyrus(&target), &corpus, &rules());
}

#[test]
fn copies_from_cyrus_to_dovecot() {
    let (source, target) = (Cyrus::start(), Dovecot::start());
    let corpus = Corpus::odd().for_cyrus().for_delimiter('/').for_delimiter('.');
    copy_and_judge(&cyrus(&source), &dovecot(&target), &corpus, &rules());
}

#[test]
fn copies_between_the_two_name_styles_of_cyrus() {
    let source = Cyrus::builder().unix_hierarchy(false).alt_namespace(false).start();
    let target = Cyrus::builder().unix_hierarchy(true).alt_namespace(true).start();
    let corpus = Corpus::odd().for_cyrus().for_delimiter('/').for_delimiter('.');
    copy_and_judge(&cyrus(&source), &cyrus(&target), &corpus, &rules());
}

#[test]
fn names_every_mail_that_a_strict_cyrus_refuses_and_copies_the_rest() {
    let (source, target) = (Dovecot::start(), Cyrus::builder().reject_8bit().start());
    let corpus = Corpus::odd().for_delimiter('.').for_delimiter('/');
    corpus.load(&mut dovecot(&source).client()).expect("the corpus is loaded");
    let proxy = Proxy::start(target.address());
    let bench = Bench::between(source.address(), source.password(), proxy.address(), target.password());
    let (code, json) = bench.copy(&[]);
    assert_eq!((code, json["verdict"].as_str()), (5, Some("exceptions")), "{json:#}");
    let messages = &json["messages"];
    let refused = messages["refused"].as_u64().expect("a number");
    assert!(refused > 0 && messages["remaining"] == 0, "{json:#}");
    assert_eq!(messages["copied"].as_u64().expect("a number") + refused, corpus.count() as u64, "{json:#}");
    let appends = proxy.statistics().count("APPEND");
    let (code, again) = bench.copy(&[]);
    assert_eq!((code, &again["messages"]["refused"]), (5, &messages["refused"]), "{again:#}");
    assert_eq!(proxy.statistics().count("APPEND"), appends, "a refused mail was offered again unasked");
}

#[test]
fn copies_a_large_mail_from_literal_to_literal() {
    let corpus = Corpus::one_large(40 << 20);
    between_dovecots(Dovecot::builder(), Dovecot::builder(), &corpus);
    between_dovecots(Dovecot::builder(), Dovecot::builder().without_capability("LITERAL+"), &corpus);
}

#[test]
fn hands_over_the_deleted_flag_when_asked_to() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    let corpus =
        Corpus::odd().for_delimiter('.').for_delimiter('/').keep_mailboxes(|mailbox| mailbox.path == ["INBOX"]);
    corpus.load(&mut dovecot(&source).client()).expect("the corpus is loaded");
    Bench::dovecots(&source, &target).copy_completely(&["--copy-deleted-flag"]);
    assert_equal(&dovecot(&source).account(), &dovecot(&target).account(), &Rules::new());
}

#[test]
fn adopts_mail_that_another_tool_has_copied() {
    let (source, target) = (Dovecot::start(), Dovecot::start());
    let corpus = Corpus::odd().for_delimiter('.').for_delimiter('/');
    corpus.load(&mut dovecot(&source).client()).expect("the corpus is loaded");
    corpus.load(&mut dovecot(&target).client()).expect("the other tool's copy");
    let proxy = Proxy::start(target.address());
    let bench = Bench::between(source.address(), source.password(), proxy.address(), target.password());
    let json = bench.copy_completely(&[]);
    assert_eq!(json["messages"]["adopted"], corpus.count() as u64, "{json:#}");
    assert_eq!(proxy.statistics().count("APPEND"), 0);
    assert_equal(&dovecot(&source).account(), &dovecot(&target).account(), &Rules::new());
}
