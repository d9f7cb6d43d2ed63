//! A message that is moved at the source, and whose earlier copy the target cannot hand out.

use crate::answers::{Mailbox, between, copy, set_of};
use crate::spoilt::set_aside;
use mailhaul_testing::scripted::{Command, Handled, Program, ScriptedServer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The mailboxes of a server, by name.
type Store = Arc<Mutex<BTreeMap<&'static str, Mailbox>>>;

fn store(inbox: Mailbox, other: Mailbox) -> Store {
    Arc::new(Mutex::new(BTreeMap::from([("INBOX", inbox), ("Other", other)])))
}

fn word(command: &Command, place: usize) -> &str {
    command.text.split(' ').nth(place).unwrap_or_default().trim_matches('"')
}

/// A server with all of them, which ends the connection over the body of one message.
fn serve(store: &Store, spoilt: Option<(&'static str, u32)>) -> ScriptedServer {
    let store = Arc::clone(store);
    let mut selected: BTreeMap<usize, String> = BTreeMap::new();
    ScriptedServer::program(
        Program::new(move |command, session| {
            let mut mailboxes = store.lock().unwrap_or_else(PoisonError::into_inner);
            let named = match command.name.as_str() {
                "LIST" => {
                    session.line("* LIST () \"/\" Other");
                    return Handled::No;
                }
                "SELECT" | "EXAMINE" => {
                    selected.insert(command.connection, word(command, 1).to_owned());
                    word(command, 1).to_owned()
                }
                "STATUS" | "APPEND" => word(command, 1).to_owned(),
                _ => selected.get(&command.connection).cloned().unwrap_or_default(),
            };
            let Some(mailbox) = mailboxes.get_mut(named.as_str()) else { return Handled::No };
            let falls = spoilt.is_some_and(|(name, uid)| {
                command.name == "UID FETCH"
                    && command.text.contains("BODY.PEEK[]")
                    && name == named
                    && set_of(command)(uid)
            });
            match falls {
                true => Handled::Close,
                false => mailbox.answer(&named, command, session),
            }
        })
        .capabilities("IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND MOVE"),
    )
}

#[test]
fn what_may_be_there_twice_after_a_move_is_named() {
    let before = Mailbox::with_messages(5, &[]);
    let on_target = store(Mailbox::empty(), Mailbox::empty());
    let target = serve(&on_target, Some(("INBOX", 2)));
    let source = serve(&store(before.clone(), Mailbox::empty()), None);
    let mut bench = between(&source, &target);
    assert_eq!(copy(&bench).0, 0);
    let (mut inbox, mut other) = (before, Mailbox::empty());
    let moved = inbox.messages.remove(1);
    other.store(moved);
    let after = serve(&store(inbox, other), None);
    bench.from = between(&after, &target).from;
    let (code, json) = copy(&bench);
    let named = set_aside(&json);
    assert_eq!((code, named.len()), (5, 1), "{json:#}");
    assert_eq!((named[0].0, named[0].1.as_str()), (1, "possible_duplicate"), "{json:#}");
    assert!(named[0].2.contains("UID 2 on the target"), "{}", named[0].2);
    let held = on_target.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!((held["INBOX"].messages.len(), held["Other"].messages.len()), (5, 1), "nothing is lost");
}
