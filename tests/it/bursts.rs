//! Mailboxes that are created together, on a target that bears few commands at a time.

use crate::answers::{MULTI, Mailbox, between, copy, serve};
use mailhaul_testing::scripted::{Command, Handled, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

fn name(command: &Command) -> String {
    command.text.rsplit(' ').next().unwrap_or_default().trim_matches('"').to_owned()
}

#[test]
fn a_target_that_ends_the_connection_over_many_creates_gets_fewer_and_none_twice_that_it_has_made() {
    const MAILBOXES: usize = 12;
    let listed = |command: &Command, session: &mut Session<'_>, _: &mut Mailbox| {
        if command.name == "LIST" {
            (0..MAILBOXES).for_each(|number| session.line(&format!("* LIST () \"/\" \"Box{number}\"")));
        }
        Handled::No
    };
    let source = serve(&Mailbox::empty().shared(), MULTI, listed);
    let made = Arc::new(Mutex::new(Vec::new()));
    let (noted, mut on_connection) = (Arc::clone(&made), BTreeMap::<usize, u32>::new());
    let target = serve(&Mailbox::empty().shared(), MULTI, move |command, _, _| {
        if command.name != "CREATE" {
            return Handled::No;
        }
        let creates = on_connection.entry(command.connection).or_default();
        *creates += 1;
        if *creates > 3 {
            return Handled::Close;
        }
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(name(command));
        Handled::No
    });
    let (code, json) = copy(&between(&source, &target));
    let made = made.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let different: BTreeSet<&String> = made.iter().collect();
    assert_eq!((code, made.len(), different.len()), (0, MAILBOXES, MAILBOXES), "{made:?} {json:#}");
}
