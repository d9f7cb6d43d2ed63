//! What a scenario stands on: two servers, and what is to be said of a run.

use crate::{Ended, Outcome, Scene};
use mailhaul_testing::imap_client::Outgoing;
use mailhaul_testing::judge::{Account, MailboxPath, Rules, Seen, Snapshot, compare};
use mailhaul_testing::proxy::{Event, Fault, Moment, Plan};
use mailhaul_testing::{Client, Dovecot};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const USER: &str = "alice";
/// How long a run may take to come to a moment that is held.
const HELD_MAX: Duration = Duration::from_secs(20);
const DATE: &str = "09-Sep-2001 01:46:40 +0000";

/// Two servers, and what was seen so far.
pub(super) struct Stage {
    pub(super) scene: Scene,
    name: &'static str,
    outcome: Outcome,
}

impl Stage {
    /// Plays a story, and says what came of it.
    pub(super) fn play(name: &'static str, story: fn(&mut Stage)) -> Outcome {
        let outcome = Outcome { runs: 1, ..Outcome::default() };
        let mut stage = Stage { scene: Scene::start(), name, outcome };
        story(&mut stage);
        stage.outcome
    }

    /// The user at the source.
    pub(super) fn user(&self) -> Client {
        sign_in(&self.scene.source)
    }

    /// The owner of the target.
    pub(super) fn owner(&self) -> Client {
        sign_in(&self.scene.target)
    }

    /// Notes something that is not as the story has it.
    pub(super) fn fail(&mut self, seen: impl std::fmt::Display) {
        self.outcome.fail(format!("--row 10: {}", self.name), seen.to_string());
    }

    /// Copies everything, which must work.
    pub(super) fn copy(&mut self, why: &str) -> Ended {
        self.copy_with(why, &[])
    }

    /// The same with options.
    pub(super) fn copy_with(&mut self, why: &str, more: &[&str]) -> Ended {
        let ended = self.scene.run(USER, more);
        if !ended.is_complete() {
            self.fail(format!("{why}: code {}, {:#}\n{}", ended.code, ended.json, ended.stderr));
        }
        ended
    }

    /// A copy that must end with a question about this mailbox, and must send nothing before it is answered.
    pub(super) fn asks_about(&mut self, mailbox: &str) {
        let before = self.scene.appends();
        let ended = self.scene.run(USER, &[]);
        let asked = ended.json["exceptions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|exception| exception["mailbox"] == mailbox && exception["state"] == "mailbox_stopped");
        let sent = self.scene.appends() - before;
        if ended.code != 6 || !asked || sent > 0 {
            self.fail(format!("no question, or {sent} APPEND: code {}, {:#}", ended.code, ended.json));
        }
    }

    /// Starts a copy whose first connection to one side is held at a moment, and returns when it is held.
    pub(super) fn copy_held(&mut self, side: Side, moment: Moment) -> Child {
        self.copy_held_again(side, [moment])
    }

    /// The same with one moment for each of the connections that follow each other.
    pub(super) fn copy_held_again(&mut self, side: Side, moments: impl IntoIterator<Item = Moment>) -> Child {
        let plans = moments.into_iter().map(|moment| Plan::new().fault(moment, Fault::Hold));
        let proxy = side.proxy(&self.scene);
        let faults = proxy.statistics().faults;
        proxy.set_next_plans(plans);
        let child = self.scene.copy(USER, &[]).spawn().expect("the command starts");
        let held = proxy.wait_at_most(&Event::Fault(faults + 1), HELD_MAX);
        if !held {
            self.fail(format!(
                "the run did not come to the moment at which it was to be held: {:?}",
                side.proxy(&self.scene).statistics().commands
            ));
        }
        child
    }

    /// Waits until this side has been held for the n-th time.
    pub(super) fn is_held(&self, side: Side, nth: u32) -> bool {
        side.proxy(&self.scene).wait_at_most(&Event::Fault(nth), HELD_MAX)
    }

    /// Lets a copy that is held go on to its end.
    pub(super) fn release(&self, child: Child) -> Ended {
        self.scene.source_proxy.release();
        self.scene.target_proxy.release();
        Ended::of(child)
    }

    /// Kills a copy after the target has stored what it was sent of `mailbox`, and before it could say so.
    pub(super) fn kill_with_mail_in_flight(&mut self) {
        let mut child = self.copy_held(Side::Target, Moment::BeforeAnswer("APPEND".to_owned(), 1));
        child.kill().expect("kill -9");
        let _ = Ended::of(child);
    }

    /// What an account holds.
    pub(super) fn snapshot(&self, side: Side) -> Snapshot {
        let server = side.server(&self.scene);
        let account = Account::new(server.address(), USER, server.password());
        Snapshot::take(&account).expect("the account can be read")
    }

    /// The end of most stories: the target holds what the source holds, and a further run sends nothing.
    pub(super) fn ends_equal(&mut self) {
        let expected = self.snapshot(Side::Source);
        self.ends_as(&expected);
    }

    /// The target must hold this, and a further run must send nothing.
    pub(super) fn ends_as(&mut self, expected: &Snapshot) {
        self.holds(expected);
        let before = self.scene.appends();
        self.copy("the run with nothing to do");
        if self.scene.appends() != before {
            self.fail("a run with nothing to do sent APPEND");
        }
        self.holds(expected);
    }

    /// The target must hold this.
    pub(super) fn holds(&mut self, expected: &Snapshot) {
        let judgement = compare(expected, &self.snapshot(Side::Target), &Rules::new());
        self.outcome.take_in(&format!("--row 10: {}", self.name), &judgement);
    }

    /// Puts numbered mail into a mailbox of the source, which is made if need be.
    pub(super) fn deliver(&self, mailbox: &str, numbers: std::ops::Range<u32>) {
        deliver(&mut self.user(), mailbox, numbers);
    }

    /// Gives a mailbox another UIDVALIDITY; its UIDs stay. Whoever has it open is thrown out.
    pub(super) fn renumber(&self, side: Side, mailbox: &str, uid_validity: u32) {
        side.server(&self.scene).set_uid_validity(USER, mailbox, uid_validity);
    }

    /// Keeps the account as it is now.
    pub(super) fn keep(&mut self, side: Side) {
        let kept = self.scene.folder().join("kept");
        let server = side.server_mut(&mut self.scene);
        server.stop();
        copy_tree(&server.home(USER), &kept);
        server.restart();
    }

    /// Puts the account back to what was kept.
    pub(super) fn put_back(&mut self, side: Side) {
        let kept = self.scene.folder().join("kept");
        let server = side.server_mut(&mut self.scene);
        server.stop();
        std::fs::remove_dir_all(server.home(USER)).expect("the account can be removed");
        copy_tree(&kept, &server.home(USER));
        server.restart();
    }
}

/// One of both servers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Source,
    Target,
}

impl Side {
    fn server(self, scene: &Scene) -> &Dovecot {
        match self {
            Side::Source => &scene.source,
            Side::Target => &scene.target,
        }
    }

    fn server_mut(self, scene: &mut Scene) -> &mut Dovecot {
        match self {
            Side::Source => &mut scene.source,
            Side::Target => &mut scene.target,
        }
    }

    fn proxy(self, scene: &Scene) -> &mailhaul_testing::Proxy {
        match self {
            Side::Source => &scene.source_proxy,
            Side::Target => &scene.target_proxy,
        }
    }
}

fn sign_in(server: &Dovecot) -> Client {
    Client::sign_in(server.address(), USER, server.password()).expect("the server lets its user in")
}

/// Puts numbered mail into a mailbox, which is made if need be. Of each ten, two are twins, one has no Message-ID, and one
/// has the Message-ID of the one before it and says something else.
pub(super) fn deliver(client: &mut Client, mailbox: &str, numbers: impl IntoIterator<Item = u32>) {
    if mailbox != "INBOX" && client.status(mailbox).is_err() {
        client.create(mailbox).expect("a mailbox can be made");
    }
    let texts: Vec<String> = numbers.into_iter().map(text).collect();
    let flags = ["\\Seen".to_owned(), "$Label1".to_owned()];
    for part in texts.chunks(100) {
        let outgoing = part.iter().map(|text| Outgoing {
            flags: &flags[..text.len() % 3],
            date: Some(DATE),
            octets: text.as_bytes(),
        });
        client.append_all(mailbox, &outgoing.collect::<Vec<_>>()).expect("the server takes mail");
    }
}

fn text(number: u32) -> String {
    let (number, body) = match number % 10 {
        5 => (number - 1, number - 1),
        9 => (number - 1, number),
        _ => (number, number),
    };
    let id = if number % 10 == 7 { String::new() } else { format!("Message-ID: <{number}@ground.example>\r\n") };
    let filler = "All work and no play makes Jack a dull boy.\r\n".repeat(1 + (number as usize * 7) % 40);
    format!(
        "From: a@example.org\r\nTo: b@example.org\r\nDate: Sun, 09 Sep 2001 01:46:40 +0000\r\n{id}Subject: {number}\r\n\
         \r\nnumber {body:06}\r\n{filler}"
    )
}

/// What a snapshot says of a mailbox; it must have it.
pub(super) fn of<'a>(snapshot: &'a mut Snapshot, mailbox: &str) -> &'a mut Vec<Seen> {
    snapshot.mailboxes.get_mut(&MailboxPath::of(&[mailbox])).expect("the mailbox is there")
}

fn copy_tree(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp is there");
    assert!(done.success(), "{} cannot be copied", from.display());
}
