//! ENABLE, IDLE, and quotas (RFC 5161, RFC 2177, RFC 9208).

use super::dispatch::{Session, Step};
use super::parse::Arguments;
use super::reply::{Handled, Output, Verdict, mailbox_name};
use super::world::World;

pub(super) fn enable(
    session: &mut Session,
    world: &World,
    arguments: &mut Arguments<'_>,
    output: &mut Output,
) -> Handled {
    if session.selected.is_some() {
        return Err(Verdict::bad("ENABLE comes before a mailbox is selected"));
    }
    let mut enabled = String::from("ENABLED");
    arguments.space()?;
    loop {
        // RFC 5161 §3.1: what is not known is passed over.
        match arguments.keyword()?.as_str() {
            "QRESYNC" if world.traits.has_qresync() => {
                session.enabled.qresync = true;
                session.enabled.condstore = true;
                enabled.push_str(" QRESYNC");
            }
            "CONDSTORE" if world.traits.condstore => {
                session.enabled.condstore = true;
                enabled.push_str(" CONDSTORE");
            }
            _ => {}
        }
        if !arguments.take(b' ') {
            break;
        }
    }
    arguments.end()?;
    output.untagged(&enabled);
    Ok(Verdict::ok("enabled"))
}

pub(super) fn idle(world: &World, arguments: &Arguments<'_>) -> Step {
    if !world.traits.idle {
        return Step::Ended(Verdict::bad("unknown command IDLE"));
    }
    match arguments.end() {
        Ok(()) => Step::Idle,
        Err(verdict) => Step::Ended(verdict),
    }
}

/// GETQUOTAROOT: one root, whose name is empty, for every mailbox.
pub(super) fn quota_root(world: &World, arguments: &mut Arguments<'_>, output: &mut Output) -> Handled {
    let quota = world.traits.quota_messages.ok_or_else(|| Verdict::bad("unknown command GETQUOTAROOT"))?;
    arguments.space()?;
    let name = arguments.mailbox()?;
    arguments.end()?;
    output.untagged(&format!("QUOTAROOT {} \"\"", mailbox_name(&name)));
    output.untagged(&quota_line(world, quota));
    Ok(Verdict::ok("told"))
}

pub(super) fn quota(world: &World, arguments: &mut Arguments<'_>, output: &mut Output) -> Handled {
    let quota = world.traits.quota_messages.ok_or_else(|| Verdict::bad("unknown command GETQUOTA"))?;
    arguments.space()?;
    if !arguments.astring()?.is_empty() {
        return Err(Verdict::no("NONEXISTENT", "no such quota root"));
    }
    arguments.end()?;
    output.untagged(&quota_line(world, quota));
    Ok(Verdict::ok("told"))
}

fn quota_line(world: &World, quota: u64) -> String {
    format!("QUOTA \"\" (MESSAGE {} {quota})", world.messages())
}
