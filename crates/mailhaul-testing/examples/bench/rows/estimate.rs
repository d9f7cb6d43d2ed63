//! What `copy --dry-run` foretells against what the copy takes: after an account of half the size has been copied between the
//! same servers, and, for information, before anything has.

use std::io;

use mailhaul_testing::Store;

use crate::haul::Over;
use crate::mail::{self, Mail};
use crate::rig::{Rig, Server, Stock};
use crate::scale::{SMALL, Scale};
use crate::stage::Stage;
use crate::table::{Bound, Samples, Table};

/// How far off an estimate may be, in per cent of the truth.
const OFF_MOST: f64 = 25.0;
const DISTANCE: u64 = 40;
const SMALL_MESSAGES: usize = 40_000;
const SINGLE_MESSAGES: usize = 8_000;
const MANY_MAILBOXES: usize = 800;
const EACH: usize = 10;
/// So many times 2,000 mails and 148 MiB.
const MIXED: usize = 4;
const MIXED_MAILBOXES: usize = 40;

/// An account, and one of half its size of which is learnt.
struct Kind {
    name: &'static str,
    teacher: Stock,
    stock: Stock,
    /// None: the rig's own.
    target: Option<Server>,
}

pub(crate) fn estimate(rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    for kind in [small, mixed, many, single] {
        let kind = kind(rig, scale)?;
        let target = kind.target.as_ref().unwrap_or(&rig.target);
        for over in scale.ways.iter().copied() {
            if over == Over::Tls && target.tls_address().is_none() {
                continue;
            }
            for millis in [0, DISTANCE] {
                let stage = Stage::new(rig, target, over, millis);
                hold(&kind, &stage, &format!("{}, {millis} ms, {}", kind.name, over.word()), rig, scale, table)?;
            }
        }
        rig.forget(&kind.teacher);
        rig.forget(&kind.stock);
    }
    Ok(())
}

/// Holds what is foretold against what comes.
fn hold(kind: &Kind, stage: &Stage<'_>, name: &str, rig: &Rig, scale: &Scale, table: &mut Table) -> io::Result<()> {
    let [mut told, mut truth, mut off] = std::array::from_fn(|_| Samples::default());
    let mut span = String::new();
    for round in 0..scale.rounds {
        let state = format!("estimate-{}", rig.fresh_user());
        let ([_, least, most], taught) = stage.foretold_and_hauled(&kind.teacher, &state)?;
        if round == 0 {
            span = format!("{least:.2} to {most:.1} s for {taught:.2} s");
        }
        let ([seconds, ..], took) = stage.foretold_and_hauled(&kind.stock, &state)?;
        eprintln!("bench: {name}: {seconds:.2} s foretold, {took:.2} s taken");
        told.push(seconds);
        truth.push(took);
        off.push((seconds / took - 1.0).abs());
        rig.haul.forget(&state);
    }
    table.tell(&format!("{name}: estimated"), told.told(1.0, "s"));
    table.tell("  mailhaul copy", truth.told(1.0, "s"));
    table.tell("  estimated, of the truth", told.over(&truth).told(100.0, "%"));
    table.add("  off by", off.told(100.0, "%"), off.median() * 100.0, Bound::AtMost(OFF_MOST), "%");
    table.tell("  before anything was known, of half the account", span);
    Ok(())
}

fn small(rig: &Rig, scale: &Scale) -> io::Result<Kind> {
    let mails = mail::messages(scale.messages(SMALL_MESSAGES), SMALL);
    let teacher = rig.filled("estimate-few", &mails[..mails.len() / 2])?;
    Ok(Kind { name: "small mail, one mailbox", teacher, stock: rig.filled("estimate", &mails)?, target: None })
}

fn single(rig: &Rig, scale: &Scale) -> io::Result<Kind> {
    let mails = mail::messages(scale.messages(SINGLE_MESSAGES), SMALL);
    let teacher = rig.filled("estimate-few", &mails[..mails.len() / 2])?;
    let stock = rig.filled("estimate", &mails)?;
    let target = rig.another(|builder| builder.store(Store::Maildir).without_capability("MULTIAPPEND"))?;
    Ok(Kind { name: "Maildir without MULTIAPPEND", teacher, stock, target: Some(target) })
}

fn many(rig: &Rig, scale: &Scale) -> io::Result<Kind> {
    let mailboxes = scale.messages(MANY_MAILBOXES);
    let mails = mail::messages(mailboxes * EACH, SMALL);
    let in_mailboxes = |mails: &[Mail], user: &str| {
        let named = |at: usize| if at == 0 { "INBOX".to_owned() } else { format!("Box {at:04}") };
        let mailboxes = mails.chunks(EACH).enumerate().map(|(at, mails)| (named(at), mails.iter().collect()));
        rig.filled_with(user, mailboxes)
    };
    let teacher = in_mailboxes(&mails[..mails.len() / 2], "estimate-few")?;
    Ok(Kind { name: "many mailboxes of ten", teacher, stock: in_mailboxes(&mails, "estimate")?, target: None })
}

fn mixed(rig: &Rig, scale: &Scale) -> io::Result<Kind> {
    let times = (MIXED / scale.divisor).max(2);
    let filled = |times, user: &str| {
        let mails = mail::mixed(times);
        let named = |at: usize| if at == 0 { "INBOX".to_owned() } else { format!("Box {at:02}") };
        let mut mailboxes: Vec<(String, Vec<&Mail>)> = (0..MIXED_MAILBOXES).map(|at| (named(at), Vec::new())).collect();
        for (at, mail) in &mails {
            if let Some((_, mails)) = mailboxes.get_mut(*at) {
                mails.push(mail);
            }
        }
        rig.filled_with(user, mailboxes)
    };
    let (teacher, stock) = (filled(times / 2, "estimate-few")?, filled(times, "estimate")?);
    Ok(Kind { name: "mixed mail, 40 mailboxes", teacher, stock, target: None })
}
