//! Copies between a real server and the model that stands in for one in the simulations, in both directions: what is shown
//! there rests on the model behaving like this.

use crate::harness::{Bench, USER};
use crate::stage::fill;
use mailhaul_testing::judge::{Account, Rules, assert_equal};
use mailhaul_testing::model::{ModelServer, PASSWORD, Traits, serve};
use mailhaul_testing::{Corpus, Dovecot, Store};

/// Copies twice, compares, and lets the command itself compare.
fn copy(bench: &Bench, from: &Account, to: &Account, rules: &Rules) {
    bench.copy_completely(&[]);
    assert_equal(from, to, rules);
    let again = bench.copy_completely(&[]);
    assert_eq!(again["messages"]["already"], again["messages"]["source"], "{again:#}");
    let verified = bench.run("verify", &["--level", "bytes"]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
}

fn copies_in_both_directions(traits: Traits) {
    let real = Dovecot::builder().store(Store::Sdbox).start();
    let corpus = Corpus::odd();
    let filled = Account::new(real.address(), USER, real.password());
    corpus.load(&mut filled.sign_in().expect("a new server lets us in")).expect("it takes the corpus");
    // Names that differ only by case or by normalisation are kept apart, and mail marked for deletion arrives unmarked.
    let rules = Rules::new().ignore_flag("\\Deleted", "it is copied only when asked for");
    let apart = rules.clone().map("Case", "Case-2").map("caf\u{e9}", "caf\u{e9}-2");

    let model = ModelServer::new(traits);
    let served = serve(&model);
    let modelled = Account::new(served.address(), USER, PASSWORD);
    let there = Bench::between(real.address(), real.password(), served.address(), PASSWORD);
    copy(&there, &filled, &modelled, &apart);
    assert_eq!(model.appended(), corpus.count() as u64);

    // And back again, to another user of the real one.
    let mut back = Bench::between(served.address(), PASSWORD, real.address(), real.password());
    back.to = format!("imap://bob@{}?tls=none", real.address());
    copy(&back, &modelled, &Account::new(real.address(), "bob", real.password()), &rules);
}

#[test]
fn a_model_with_every_extension_is_as_good_as_a_server() {
    copies_in_both_directions(Traits::default());
}

#[test]
fn a_model_without_any_extension_is_as_good_as_a_server() {
    copies_in_both_directions(Traits::bare());
}

#[test]
fn sizes_that_a_server_announces_wrongly_are_no_differences() {
    let real = Dovecot::start();
    fill(&real, "INBOX", 20);
    let model = ModelServer::new(Traits { size_lies: 1_000, ..Traits::default() });
    let served = serve(&model);
    let bench = Bench::between(real.address(), real.password(), served.address(), PASSWORD);
    bench.copy_completely(&[]);
    let said = bench.run("verify", &["--json"]);
    assert_eq!((said.code, said.json()["differences"].as_array().map(Vec::len)), (0, Some(0)), "{said:?}");

    // The same headers, and a body that is longer by a line: that is one.
    let old = model.contents()["INBOX"][2].clone();
    let longer = [&old.octets[..], b"one line more\r\n"].concat();
    let flags: Vec<&str> = old.flags.iter().map(String::as_str).collect();
    model.expunge("INBOX", &[old.uid]);
    model.deliver("INBOX", &longer, old.date, &flags);
    let said = bench.run("verify", &["--json"]);
    let json = said.json();
    let differences = json["differences"].as_array().expect("a list");
    assert_eq!((said.code, differences.len()), (7, 1), "{json:#}");
    let reason = differences[0]["reason"].as_str().unwrap_or_default();
    assert_eq!(reason, format!("size {} became {}", old.octets.len(), longer.len()));
}
