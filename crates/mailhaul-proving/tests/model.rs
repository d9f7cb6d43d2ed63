//! Every capability may be missing, on either side: what the model does not announce it answers with BAD, and the copy is whole
//! all the same.

use mailhaul_proving::simulation::{Stage, small};
use mailhaul_testing::histories::Dice;
use mailhaul_testing::model::{Literals, Traits};
use mailhaul_types::Side;

/// The model with one thing different, by name.
fn kinds() -> Vec<(&'static str, Traits)> {
    let with = |change: fn(&mut Traits)| {
        let mut traits = Traits::default();
        change(&mut traits);
        traits
    };
    vec![
        ("everything", Traits::default()),
        ("bare", Traits::bare()),
        ("no capabilities unasked", with(|traits| traits.tells_capabilities = false)),
        ("no AUTH=PLAIN", with(|traits| traits.auth_plain = false)),
        ("no SASL-IR", with(|traits| traits.sasl_ir = false)),
        ("no UIDPLUS", with(|traits| traits.uidplus = false)),
        ("no MULTIAPPEND", with(|traits| traits.multiappend = false)),
        ("LITERAL-", with(|traits| traits.literals = Literals::Minus)),
        ("no LITERAL+", with(|traits| traits.literals = Literals::Synchronising)),
        ("no CONDSTORE", with(|traits| traits.condstore = false)),
        ("no QRESYNC", with(|traits| traits.qresync = false)),
        ("no LIST-EXTENDED", with(|traits| traits.list_extended = false)),
        ("no LIST-STATUS", with(|traits| traits.list_status = false)),
        ("no ESEARCH", with(|traits| traits.esearch = false)),
        ("no MOVE", with(|traits| traits.move_ = false)),
        ("no OBJECTID", with(|traits| traits.object_id = false)),
        ("no NAMESPACE", with(|traits| traits.namespace = false)),
        ("no SPECIAL-USE", with(|traits| traits.special_use = false)),
        ("no STATUS=SIZE", with(|traits| traits.status_size = false)),
        ("no IDLE", with(|traits| traits.idle = false)),
        ("no UNSELECT", with(|traits| traits.unselect = false)),
        ("UIDs with holes", with(|traits| traits.holes = true)),
        ("sizes too large", with(|traits| traits.size_lies = 1_000)),
        ("sizes too small", with(|traits| traits.size_lies = -40)),
        (
            "limits",
            with(|traits| {
                traits.append_limit = Some(1 << 20);
                traits.quota_messages = Some(10_000);
            }),
        ),
    ]
}

/// Copies from a server of one kind to one of another, in two passes with new mail between them; what was not right.
fn copy(source: &Traits, target: &Traits, seed: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut stage = Stage::new(source.clone(), target.clone(), &small(&mut Dice::of(seed)));
    for pass in 0..3 {
        let ended = stage.clean_pass();
        if !ended.is_complete() {
            wrong.push(format!("pass {pass}: {}", ended.in_words()));
        }
        let findings = stage.judge();
        if !findings.is_equal() {
            wrong.push(format!("pass {pass}: {findings}"));
        }
        if pass == 2 && ended.count(Side::Target, "APPEND") > 0 {
            wrong.push("the last pass sent APPEND".to_owned());
        }
        if pass == 0 {
            stage.source.deliver("INBOX", b"Subject: new\r\n\r\nnew\r\n", 1_100_000_000, &["\\Seen"]);
        }
    }
    wrong
}

#[test]
fn every_capability_may_be_missing_on_either_side() {
    let honest = Traits::default();
    let mut report = Vec::new();
    for (seed, (name, traits)) in (0..).zip(kinds()) {
        for (side, source, target) in [("source", &traits, &honest), ("target", &honest, &traits)] {
            let wrong = copy(source, target, seed);
            report.extend(wrong.into_iter().map(|what| format!("{name} ({side}), seed {seed}: {what}")));
        }
    }
    report.extend(copy(&Traits::bare(), &Traits::bare(), 1_000));
    assert!(report.is_empty(), "{}", report.join("\n"));
}
