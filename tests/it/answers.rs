//! Answers as some servers give them: out of order, half-hearted, or about something else. Two scripted servers with
//! one mailbox each, and an oddity on one of them.

use crate::harness::{Bench, finish};
use mailhaul_testing::proxy::{Direction, Fault, Moment, Plan, Proxy};
use mailhaul_testing::scripted::{Command, Handled, Program, ScriptedServer, Session};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const DATE: &str = "09-Sep-2001 01:46:40 +0000";
const LONG: Duration = Duration::from_secs(20);

/// A message as a mailbox holds it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) uid: u32,
    flags: String,
    date: String,
    octets: Vec<u8>,
}

/// What both scripted servers keep.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    pub(crate) messages: Vec<Held>,
    pub(crate) uid_next: u32,
    uid_validity: u32,
    /// Whether APPEND names UIDs.
    pub(crate) names: bool,
}

pub(crate) type Shared = Arc<Mutex<Mailbox>>;

impl Mailbox {
    pub(crate) fn empty() -> Mailbox {
        Mailbox { messages: Vec::new(), uid_next: 1, uid_validity: 7, names: true }
    }

    /// With so many messages, the ones with these UIDs having a keyword.
    pub(crate) fn with_messages(messages: u32, labelled: &[u32]) -> Mailbox {
        let mut mailbox = Mailbox::empty();
        for uid in 1..=messages {
            let flags = if labelled.contains(&uid) { "\\Seen $Label1" } else { "\\Seen" };
            let octets = format!("Message-ID: <{uid}@answers>\r\nSubject: {uid}\r\n\r\nbody {uid}\r\n").into_bytes();
            mailbox.store(Held { uid: 0, flags: flags.to_owned(), date: DATE.to_owned(), octets });
        }
        mailbox
    }

    /// Mail as a scanner sends it: the same header each time, another length, another date.
    pub(crate) fn with_pages(pages: u32) -> Mailbox {
        let mut mailbox = Mailbox::empty();
        for page in 1..=pages {
            let body = "x".repeat(usize::try_from(page).expect("small"));
            let octets = format!("From: scanner@answers\r\nSubject: Page\r\n\r\n{body}\r\n").into_bytes();
            let date = format!("{page:02}-Mar-2024 10:00:00 +0000");
            mailbox.store(Held { uid: 0, flags: "\\Draft".to_owned(), date, octets });
        }
        mailbox
    }

    /// All of them with these flags.
    pub(crate) fn flagged(mut self, flags: &str) -> Mailbox {
        self.messages.iter_mut().for_each(|held| flags.clone_into(&mut held.flags));
        self
    }

    pub(crate) fn shared(self) -> Shared {
        Arc::new(Mutex::new(self))
    }

    pub(crate) fn store(&mut self, message: Held) {
        self.messages.push(Held { uid: self.uid_next, ..message });
        self.uid_next += 1;
    }

    /// Stores what an APPEND brought; the words of a tagged answer.
    fn append(&mut self, command: &Command) -> String {
        let first = self.uid_next;
        for (about, octets) in command.text.split('{').zip(&command.literals) {
            let within = |open: char, close: char| {
                let (_, rest) = about.rsplit_once(open)?;
                Some(rest.split_once(close)?.0.to_owned())
            };
            let flags = within('(', ')').unwrap_or_default();
            let date = about.trim_end().trim_end_matches('"').rsplit('"').next().unwrap_or_default().to_owned();
            self.store(Held { uid: 0, flags, date, octets: octets.clone() });
        }
        if !self.names {
            return "OK stored".to_owned();
        }
        let last = self.uid_next - 1;
        let set = if first == last { first.to_string() } else { format!("{first}:{last}") };
        format!("OK [APPENDUID {} {set}] stored", self.uid_validity)
    }

    fn open(&self, command: &Command, session: &mut Session<'_>) {
        session.line(&format!("* {} EXISTS", self.messages.len()));
        session.line("* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] kept");
        session.line(&format!("* OK [UIDVALIDITY {}] valid", self.uid_validity));
        session.line(&format!("* OK [UIDNEXT {}] next", self.uid_next));
        session.tagged(command, if command.name == "EXAMINE" { "OK [READ-ONLY] open" } else { "OK [READ-WRITE] open" });
    }

    fn fetch(&self, command: &Command, session: &mut Session<'_>) {
        let wanted = set_of(command);
        for (number, held) in (1..).zip(&self.messages).filter(|(_, held)| wanted(held.uid)) {
            let Held { uid, flags, date, octets } = held;
            let size = octets.len();
            let before =
                format!("* {number} FETCH (UID {uid} FLAGS ({flags}) INTERNALDATE \"{date}\" RFC822.SIZE {size}");
            if command.text.contains("BODY.PEEK[]") {
                session.literal(&format!("{before} BODY[] "), octets, ")");
            } else if command.text.contains("HEADER.FIELDS") {
                let end = octets.windows(4).position(|window| window == b"\r\n\r\n").map_or(size, |place| place + 4);
                session.literal(&format!("{before} BODY[HEADER.FIELDS (SUBJECT MESSAGE-ID)] "), &octets[..end], ")");
            } else {
                session.line(&format!("{before})"));
            }
        }
        session.tagged(command, "OK fetched");
    }

    /// Bodies of these, as a part of an answer.
    pub(crate) fn fetch_some(&self, session: &mut Session<'_>, wanted: impl Fn(u32) -> bool) {
        for (number, held) in (1..).zip(&self.messages).filter(|(_, held)| wanted(held.uid)) {
            let Held { uid, flags, date, octets } = held;
            let before = format!("* {number} FETCH (UID {uid} FLAGS ({flags}) INTERNALDATE \"{date}\" BODY[] ");
            session.literal(&before, octets, ")");
        }
    }

    fn search(&self, command: &Command, session: &mut Session<'_>) {
        let uids: Vec<String> = self.messages.iter().map(|held| held.uid.to_string()).collect();
        session.line(&format!("* SEARCH {}", uids.join(" ")));
        session.tagged(command, "OK searched");
    }

    fn status(&self, name: &str, command: &Command, session: &mut Session<'_>) {
        let Mailbox { messages, uid_next, uid_validity, .. } = self;
        let messages = messages.len();
        session.line(&format!("* STATUS {name} (MESSAGES {messages} UIDNEXT {uid_next} UIDVALIDITY {uid_validity})"));
        session.tagged(command, "OK status");
    }

    /// Answers what concerns a mailbox of this name.
    pub(crate) fn answer(&mut self, name: &str, command: &Command, session: &mut Session<'_>) -> Handled {
        match command.name.as_str() {
            "SELECT" | "EXAMINE" => self.open(command, session),
            "STATUS" => self.status(name, command, session),
            "UID FETCH" => self.fetch(command, session),
            "UID SEARCH" => self.search(command, session),
            "APPEND" => {
                let answer = self.append(command);
                session.tagged(command, &answer);
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    /// The octets of everything in it, in an order of their own.
    pub(crate) fn contents(&self) -> Vec<Vec<u8>> {
        let mut contents: Vec<Vec<u8>> = self.messages.iter().map(|held| held.octets.clone()).collect();
        contents.sort();
        contents
    }
}

/// Which UIDs a UID FETCH asks for.
pub(crate) fn set_of(command: &Command) -> impl Fn(u32) -> bool {
    let set = command.text.split(' ').nth(2).expect("UID FETCH set").to_owned();
    move |uid| {
        set.split(',').any(|range| {
            let (first, last) = range.split_once(':').unwrap_or((range, range));
            let bound = |text: &str| text.parse().unwrap_or(u32::MAX);
            (bound(first)..=bound(last)).contains(&uid)
        })
    }
}

pub(crate) fn lock(mailbox: &Shared) -> MutexGuard<'_, Mailbox> {
    mailbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server with this mailbox; `odd` may answer a command in its own way first.
pub(crate) fn serve(
    mailbox: &Shared,
    capabilities: &str,
    mut odd: impl FnMut(&Command, &mut Session<'_>, &mut Mailbox) -> Handled + Send + 'static,
) -> ScriptedServer {
    let mailbox = Arc::clone(mailbox);
    let program = Program::new(move |command, session| {
        let mut mailbox = lock(&mailbox);
        match odd(command, session, &mut mailbox) {
            Handled::No => {}
            handled => return handled,
        }
        mailbox.answer("INBOX", command, session)
    });
    ScriptedServer::program(program.capabilities(capabilities))
}

pub(crate) const SINGLE: &str = "IMAP4rev1 LITERAL+ UIDPLUS";
pub(crate) const MULTI: &str = "IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND";

pub(crate) fn plain(_: &Command, _: &mut Session<'_>, _: &mut Mailbox) -> Handled {
    Handled::No
}

pub(crate) fn between(source: &ScriptedServer, target: &ScriptedServer) -> Bench {
    Bench::between(source.address(), "x", target.address(), "x")
}

pub(crate) fn copy(bench: &Bench) -> (i32, Value) {
    bench.copy(&["--timeout", "5"])
}

pub(crate) fn assert_same_mail(source: &Shared, target: &Shared) {
    assert_eq!(lock(source).contents(), lock(target).contents());
}

#[test]
fn a_refusal_that_overtakes_an_answer_is_not_put_on_another_message() {
    let (from, to) = (Mailbox::with_messages(3, &[]).shared(), Mailbox::empty().shared());
    let source = serve(&from, MULTI, plain);
    let mut held_back: Option<String> = None;
    let mut done = false;
    // The second message is stored and told before the first one is refused.
    let target = serve(&to, SINGLE, move |command, session, mailbox| {
        if command.name != "APPEND" || done {
            return Handled::No;
        }
        if held_back.is_none() {
            held_back = Some(command.tag.clone());
            return Handled::Yes;
        }
        let answer = mailbox.append(command);
        session.tagged(command, &answer);
        session.line(&format!("{} NO not this one", held_back.take().unwrap_or_default()));
        done = true;
        Handled::Yes
    });
    let bench = between(&source, &target);
    let (code, json) = copy(&bench);
    assert_eq!(
        (code, &json["messages"]["refused"], &json["messages"]["copied"]),
        (5, &1.into(), &2.into()),
        "{json:#}"
    );
    assert_eq!(json["exceptions"][0]["uid"], 1, "{json:#}");
    let (code, json) = bench.copy(&["--timeout", "5", "--retry-exceptions"]);
    assert_eq!(code, 0, "{json:#}");
    assert_same_mail(&from, &to);
}

#[test]
fn a_batch_that_the_source_interrupts_is_matched_with_its_answers_all_the_same() {
    // Two batches whose answers the source mixes: each is opened more than once.
    let (from, to) = (Mailbox::with_messages(400, &[]).shared(), Mailbox::empty().shared());
    let mut first: Option<Command> = None;
    let source = serve(&from, MULTI, move |command, session, mailbox| {
        if command.name != "UID FETCH" || !command.text.contains("BODY.PEEK[]") {
            return Handled::No;
        }
        let Some(earlier) = first.take() else {
            first = Some(command.clone());
            return Handled::Yes;
        };
        let (one, two) = (set_of(&earlier), set_of(command));
        let of = |wanted: &dyn Fn(u32) -> bool| -> Vec<Held> {
            mailbox.messages.iter().filter(|held| wanted(held.uid)).cloned().collect()
        };
        for (one, two) in of(&one).into_iter().zip(of(&two)) {
            for held in [one, two] {
                let about = format!("UID {} FLAGS ({}) INTERNALDATE \"{DATE}\"", held.uid, held.flags);
                session.literal(&format!("* {} FETCH ({about} BODY[] ", held.uid), &held.octets, ")");
            }
        }
        session.tagged(&earlier, "OK fetched");
        session.tagged(command, "OK fetched");
        Handled::Yes
    });
    // The third message that arrives is refused, and that is said after the fifth, of the same batch, is stored.
    let mut appends = 0;
    let mut refused = String::new();
    let target = serve(&to, SINGLE, move |command, session, mailbox| {
        if command.name != "APPEND" {
            return Handled::No;
        }
        appends += 1;
        match appends {
            3 => refused.clone_from(&command.tag),
            5 => {
                let answer = mailbox.append(command);
                session.tagged(command, &answer);
                session.line(&format!("{refused} NO not this one"));
            }
            _ => return Handled::No,
        }
        Handled::Yes
    });
    let bench = between(&source, &target);
    let (code, json) = copy(&bench);
    assert_eq!((code, &json["messages"]["refused"]), (5, &1.into()), "{json:#}");
    let (code, json) = bench.copy(&["--timeout", "5", "--retry-exceptions"]);
    assert_eq!((code, &json["messages"]["copied"]), (0, &1.into()), "{json:#}");
    assert_same_mail(&from, &to);
}

fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::INT).expect("the process is there");
}

#[test]
fn a_refused_message_does_not_answer_for_the_others_of_its_batch() {
    let (from, to) = (Mailbox::with_messages(6, &[]).shared(), Mailbox::empty().shared());
    let source = serve(&from, MULTI, plain);
    let mut appends = 0;
    // The first is refused; the others arrive and are never answered.
    let target = serve(&to, SINGLE, move |command, session, mailbox| {
        if command.name != "APPEND" {
            return Handled::No;
        }
        appends += 1;
        match appends {
            1 => session.tagged(command, "NO not this one"),
            2..=6 => drop(mailbox.append(command)),
            _ => return Handled::No,
        }
        Handled::Yes
    });
    let bench = between(&source, &target);
    let child = bench.start_copy(&["--json"]);
    assert!(target.wait_for_command("APPEND", 6, LONG), "{:?}", target.commands());
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    let json: Value = serde_json::from_slice(&output.stdout).expect("a result");
    let reason = json["stop"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("5 messages were sent and not answered"), "{reason}");
    let (code, json) = bench.copy(&["--timeout", "5", "--retry-exceptions"]);
    assert_eq!((code, &json["messages"]["adopted"]), (0, &5.into()), "{json:#}");
    assert_same_mail(&from, &to);
}

/// A target in trouble: says NO to the second APPEND, and has stored it.
fn no_and_stored(to: &Shared, capabilities: &str, answer: &'static str) -> ScriptedServer {
    let mut appends = 0;
    serve(to, capabilities, move |command, session, mailbox| {
        appends += u32::from(command.name == "APPEND");
        if command.name != "APPEND" || appends != 2 {
            return Handled::No;
        }
        mailbox.append(command);
        session.tagged(command, answer);
        Handled::Yes
    })
}

#[test]
fn a_message_that_was_refused_in_trouble_and_stored_all_the_same_is_not_sent_twice() {
    for answer in ["NO [SERVERBUG] oops", "NO Internal error", "NO [UNAVAILABLE] backend", "NO please try again"] {
        let (from, to) = (Mailbox::with_messages(5, &[]).shared(), Mailbox::empty().shared());
        let source = serve(&from, MULTI, plain);
        let target = no_and_stored(&to, SINGLE, answer);
        let (code, json) = copy(&between(&source, &target));
        assert_eq!((code, &json["messages"]["adopted"]), (0, &1.into()), "{answer}: {json:#}");
        assert_same_mail(&from, &to);
    }
}

#[test]
fn a_message_that_was_refused_in_trouble_is_not_sent_twice_to_a_target_that_names_no_uids() {
    let (from, to) = (Mailbox::with_messages(5, &[]).shared(), Mailbox { names: false, ..Mailbox::empty() }.shared());
    let source = serve(&from, MULTI, plain);
    let target = no_and_stored(&to, "IMAP4rev1 LITERAL+", "NO [SERVERBUG] oops");
    let (code, json) = copy(&between(&source, &target));
    assert_eq!(code, 0, "{json:#}");
    assert_same_mail(&from, &to);
}

/// A source that hands out one message only when it is asked for alone, if ever, and does not find it by SEARCH.
fn elusive(from: &Shared, uid: u32, ever: bool) -> ScriptedServer {
    serve(from, MULTI, move |command, session, mailbox| {
        let mut shown = mailbox.clone();
        shown.messages.retain(|held| held.uid != uid);
        match command.name.as_str() {
            "UID SEARCH" => shown.search(command, session),
            "UID FETCH" if command.text.contains("BODY.PEEK[]") => {
                let alone = command.text.starts_with(&format!("UID FETCH {uid} "));
                if alone && ever { mailbox.fetch(command, session) } else { shown.fetch(command, session) }
            }
            _ => return Handled::No,
        }
        Handled::Yes
    })
}

#[test]
fn a_message_that_search_does_not_find_and_fetch_lists_is_not_gone() {
    let (from, to) = (Mailbox::with_messages(4, &[]).shared(), Mailbox::empty().shared());
    let target = serve(&to, MULTI, plain);
    let (code, json) = copy(&between(&elusive(&from, 2, true), &target));
    assert_eq!((code, &json["messages"]["copied"]), (0, &4.into()), "{json:#}");
    assert_same_mail(&from, &to);

    let to = Mailbox::empty().shared();
    let target = serve(&to, MULTI, plain);
    let (code, json) = copy(&between(&elusive(&from, 2, false), &target));
    assert_eq!(
        (code, &json["messages"]["unreadable"], &json["messages"]["gone"]),
        (5, &1.into(), &0.into()),
        "{json:#}"
    );
}

#[test]
fn a_daily_allowance_of_the_source_is_not_blamed_on_the_target() {
    let (from, to) = (Mailbox::with_messages(4, &[]).shared(), Mailbox::empty().shared());
    let source = serve(&from, MULTI, |command, session, _| {
        if command.name != "UID FETCH" || !command.text.contains("BODY.PEEK[]") {
            return Handled::No;
        }
        session.tagged(command, "NO [OVERQUOTA] daily. Suggested Backoff Time: 10 milliseconds");
        Handled::Yes
    });
    let target = serve(&to, MULTI, plain);
    let (code, json) = copy(&between(&source, &target));
    let reason = json["stop"]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("source: UID FETCH"), "{code} {reason}");
}

#[test]
fn a_message_whose_keyword_is_refused_without_a_word_is_stored_without_it_and_named() {
    for capabilities in [SINGLE, MULTI] {
        let (from, to) = (Mailbox::with_messages(6, &[2, 5]).shared(), Mailbox::empty().shared());
        let source = serve(&from, MULTI, plain);
        let target = serve(&to, capabilities, |command, session, _| {
            if command.name != "APPEND" || !command.text.contains("$Label1") {
                return Handled::No;
            }
            session.tagged(command, "NO APPEND failed");
            Handled::Yes
        });
        let (code, json) = copy(&between(&source, &target));
        assert_eq!((code, &json["messages"]["copied"]), (0, &6.into()), "{json:#}");
        assert!(json.to_string().contains("$Label1 of 2 messages cannot be stored there"), "{json:#}");
        assert!(lock(&to).messages.iter().all(|held| held.flags == "\\Seen"), "system flags stay");
        assert_same_mail(&from, &to);
    }
}

#[test]
fn a_message_that_is_refused_with_and_without_its_keyword_lost_no_flags() {
    let (from, to) = (Mailbox::with_messages(3, &[2]).shared(), Mailbox::empty().shared());
    let source = serve(&from, MULTI, plain);
    let target = serve(&to, SINGLE, |command, session, _| {
        if command.name != "APPEND" || !command.literals[0].starts_with(b"Message-ID: <2@") {
            return Handled::No;
        }
        session.tagged(command, "NO APPEND failed");
        Handled::Yes
    });
    let (code, json) = copy(&between(&source, &target));
    assert_eq!((code, &json["messages"]["refused"]), (5, &1.into()), "{json:#}");
    assert!(!json.to_string().contains("$Label1"), "{json:#}");
    assert_eq!(target.commands().iter().filter(|command| command.starts_with("APPEND")).count(), 4);
}

/// A target whose mailbox is gone from the APPEND with this number on, until CREATE.
fn vanishing(to: &Shared, from: u32) -> ScriptedServer {
    let mut appends = 0;
    let mut gone = false;
    serve(to, MULTI, move |command, session, mailbox| {
        match command.name.as_str() {
            "APPEND" => {
                appends += 1;
                if appends == from {
                    gone = true;
                    *mailbox = Mailbox { uid_validity: 8, ..Mailbox::empty() };
                }
                if !gone {
                    return Handled::No;
                }
                session.tagged(command, "NO [TRYCREATE] no such mailbox");
            }
            "CREATE" if gone => {
                gone = false;
                session.tagged(command, "OK created");
            }
            "CREATE" => session.tagged(command, "NO [ALREADYEXISTS] it is there"),
            _ => return Handled::No,
        }
        Handled::Yes
    })
}

#[test]
fn a_target_mailbox_that_vanishes_before_anything_is_in_it_is_created_once() {
    let (from, to) = (Mailbox::with_messages(5, &[]).shared(), Mailbox::empty().shared());
    let source = serve(&from, MULTI, plain);
    let target = vanishing(&to, 1);
    let (code, json) = copy(&between(&source, &target));
    assert_eq!((code, &json["messages"]["copied"]), (0, &5.into()), "{json:#}");
    assert_eq!(target.commands().iter().filter(|command| command.starts_with("CREATE")).count(), 1);
    assert_same_mail(&from, &to);
}

#[test]
fn a_target_mailbox_that_vanishes_with_copied_mail_is_a_question() {
    let (from, to) = (Mailbox::with_messages(5, &[]).shared(), Mailbox::empty().shared());
    let source = serve(&from, MULTI, plain);
    let target = vanishing(&to, 2);
    let bench = between(&source, &target);
    assert_eq!(copy(&bench).0, 0);
    let more =
        Held { uid: 0, flags: String::new(), date: DATE.to_owned(), octets: b"Subject: new\r\n\r\n.\r\n".to_vec() };
    lock(&from).store(more);
    let (code, json) = copy(&bench);
    assert_eq!((code, &json["exceptions"][0]["state"]), (6, &"mailbox_stopped".into()), "{json:#}");
    assert!(!target.commands().iter().any(|command| command.starts_with("CREATE")), "{:?}", target.commands());
}

#[test]
fn a_target_that_announces_uidplus_and_names_nothing_is_read_again_in_between() {
    // More than the windows of both servers hold.
    let (from, to) =
        (Mailbox::with_messages(12_000, &[]).shared(), Mailbox { names: false, ..Mailbox::empty() }.shared());
    let source = serve(&from, MULTI, plain);
    let target = serve(&to, MULTI, plain);
    let (code, json) = copy(&between(&source, &target));
    assert_eq!((code, &json["messages"]["copied"]), (0, &12_000.into()), "{json:#}");
    let commands = target.commands();
    let appends = |command: &String| command.starts_with("APPEND");
    let first = commands.iter().position(appends).expect("an APPEND");
    let last = commands.iter().rposition(appends).expect("an APPEND");
    let looks = commands[first..last].iter().filter(|command| command.starts_with("STATUS")).count();
    assert!(looks > 0, "everything was sent before the tail was read");
    assert_same_mail(&from, &to);
}

#[test]
fn a_target_without_uidplus_is_copied_in_slices_and_every_uid_is_known() {
    let (from, to) =
        (Mailbox::with_messages(5_000, &[]).shared(), Mailbox { names: false, ..Mailbox::empty() }.shared());
    let source = serve(&from, MULTI, plain);
    let target = serve(&to, "IMAP4rev1 LITERAL+ MULTIAPPEND", plain);
    let bench = between(&source, &target);
    let (code, json) = copy(&bench);
    assert_eq!((code, &json["messages"]["copied"]), (0, &5_000.into()), "{json:#}");
    let said = finish(bench.command("copy", &["--json"]));
    assert_eq!(said.code, 0, "{}", said.stdout);
    assert_same_mail(&from, &to);
}

#[test]
fn a_large_message_is_seen_to_move_while_it_streams() {
    let (from, to) = (Mailbox::empty().shared(), Mailbox::empty().shared());
    let octets = format!("Subject: large\r\n\r\n{}", "All work and no play.\r\n".repeat(400_000)).into_bytes();
    lock(&from).store(Held { uid: 0, flags: String::new(), date: DATE.to_owned(), octets });
    let (source, target) = (serve(&from, MULTI, plain), serve(&to, MULTI, plain));
    // The rest is swallowed, for longer than it takes until a line is written. It is not merely held up: a
    // server that cannot write would keep the mailbox locked against the next connection.
    let proxy = Proxy::start(source.address());
    proxy.set_next_plans([
        Plan::new().fault(Moment::InLiteral(Direction::ToClient, 1, 4 << 20), Fault::Swallow(Direction::ToClient))
    ]);
    let bench = Bench::between(proxy.address(), "x", target.address(), "x");
    let said = bench.run("copy", &["--timeout", "7"]);
    assert_eq!(said.code, 0, "{said:?}");
    let line = said.stderr.lines().next().unwrap_or_default();
    assert!(line.starts_with("0 of 1 message · 4.0 MiB of 8.8 MiB"), "{}", said.stderr);
    assert_same_mail(&from, &to);
}
