//! STORE and UID STORE (RFC 9051 §6.4.6).

use super::dispatch::Session;
use super::mailbox::{FlagSet, flag_set, insert_flag};
use super::parse::Arguments;
use super::reply::{Handled, Output, Verdict};
use super::traits::Alters;
use super::uid_fetch::picked;
use super::view::flags_line;
use super::world::{World, without_keywords};

pub(super) fn store(
    session: &mut Session,
    world: &mut World,
    arguments: &mut Arguments<'_>,
    by_uid: bool,
    output: &mut Output,
) -> Handled {
    let drops_keywords = world.traits.alters == Alters::DropsKeywords;
    // What others changed is told before our own change covers it.
    session.tell(world, by_uid, output);
    let view = session.selected.as_mut().ok_or_else(|| Verdict::bad("no mailbox is selected"))?;
    arguments.space()?;
    let set = arguments.sequence_set()?;
    arguments.space()?;
    let (mode, silent) = read_mode(arguments)?;
    arguments.space()?;
    let named = if arguments.peek() == Some(b'(') { arguments.flags()? } else { vec![arguments.flag()?] };
    arguments.end()?;
    if view.read_only {
        return Err(Verdict::no("", "the mailbox is opened read-only"));
    }
    let mut named = flag_set(named.iter().map(String::as_str));
    if drops_keywords {
        named = without_keywords(named);
    }
    let wanted = picked(view, set, by_uid)?;
    let name = view.find(world).ok_or_else(|| Verdict::no("", "the mailbox is gone"))?;
    let mailbox = world.mailbox_mut(&name).ok_or_else(|| Verdict::no("", "the mailbox is gone"))?;
    for (number, uid) in wanted {
        let changed = mailbox.change_flags(uid, |flags| change(flags, mode, &named));
        if let Some(message) = mailbox.get(uid) {
            if !silent {
                let with_uid = if by_uid { format!("UID {uid} ") } else { String::new() };
                let line = flags_line(number, message, session.enabled);
                output.untagged(&line.replacen("FETCH (FLAGS", &format!("FETCH ({with_uid}FLAGS"), 1));
            } else if changed && session.enabled.condstore {
                // RFC 7162 §3.1.3: also a silent change tells its MODSEQ.
                output.untagged(&format!("{number} FETCH (UID {uid} MODSEQ ({}))", message.modseq));
            }
        }
    }
    view.knows_flags(mailbox);
    Ok(Verdict::ok("flags changed"))
}

#[derive(Clone, Copy)]
enum Mode {
    Add,
    Remove,
    Replace,
}

fn read_mode(arguments: &mut Arguments<'_>) -> Result<(Mode, bool), Verdict> {
    let mode = match arguments.peek() {
        Some(b'+') => Mode::Add,
        Some(b'-') => Mode::Remove,
        _ => Mode::Replace,
    };
    let word = arguments.keyword()?;
    match word.trim_start_matches(['+', '-']) {
        "FLAGS" => Ok((mode, false)),
        "FLAGS.SILENT" => Ok((mode, true)),
        _ => Err(Verdict::bad("an unknown way to store")),
    }
}

fn change(flags: &mut FlagSet, mode: Mode, named: &FlagSet) {
    match mode {
        Mode::Add => named.iter().for_each(|flag| insert_flag(flags, flag)),
        Mode::Remove => flags.retain(|known| !named.iter().any(|flag| flag.eq_ignore_ascii_case(known))),
        Mode::Replace => flags.clone_from(named),
    }
}
