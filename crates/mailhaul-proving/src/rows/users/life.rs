//! One life: three passes, with the owner at work between them and within them, and a fourth that has nothing to do.

use super::expectation::{Expectation, Place};
use super::owner::{Done, Owner};
use crate::{Ended, Outcome, Scene};
use mailhaul_testing::histories::{Content, Dice, FlagSet, ViewError};
use mailhaul_testing::imap_client::Outgoing;
use mailhaul_testing::proxy::{Event, Fault, Moment, Plan};
use mailhaul_testing::{Client, Dovecot, Offer, Store};
use std::process::Child;
use std::time::Duration;

const USER: &str = "alice";
/// Where the mail is. The last one gets no new mail, so that its owner can rename its copy without being asked.
const MAILBOXES: [&str; 8] = ["INBOX", "Archive", "Archive/2019", "Lists", "Lists/été", "Post", "Work", "Old"];
const OLD: &str = "Old";
/// Which flags mail may arrive with, and what the user at the source changes later.
const ARRIVES_WITH: FlagSet = FlagSet(1 | 1 << 6);
const SETS: FlagSet = FlagSet(1 << 1);
const TAKES: FlagSet = FlagSet(1 << 6);
/// How often it is looked whether a run has ended that was not held.
const LOOK: Duration = Duration::from_millis(20);

struct Life {
    scene: Scene,
    dice: Dice,
    expected: Expectation,
    /// Mail of the source: where each message is, under which UID it went in, and its flags.
    source: Vec<(Content, &'static str, FlagSet)>,
    user: Client,
    owner: Owner,
    repeat: String,
    outcome: Outcome,
}

/// Lives a life of so many mails, and says what came of it and what the owner did in it.
pub(super) fn live(seed: u64, mails: u16) -> (Outcome, Done) {
    let mut dice = Dice::of(seed);
    let store = dice.one_of(&[Store::Maildir, Store::Sdbox, Store::Mdbox]);
    let offer = dice.one_of(&[Offer::Everything, Offer::Everything, Offer::NoMove, Offer::NoUidplus]);
    let scene = Scene::build(Dovecot::builder(), Dovecot::builder().store(store).offer(offer));
    let sign_in = |server: &Dovecot| Client::sign_in(server.address(), USER, server.password());
    let user = sign_in(&scene.source).expect("the source lets its user in");
    let contents: Vec<Content> = (1..=mails).map(|serial| content(serial, &mut dice)).collect();
    let owner = Owner::new(sign_in(&scene.target).expect("and the target its owner"), &contents, &mut dice);
    let outcome = Outcome { runs: 1, ..Outcome::default() };
    let repeat = format!("--row 9 --seed {seed}");
    let expected = Expectation::default();
    let mut life = Life { scene, dice, expected, source: Vec::new(), user, owner, repeat, outcome };
    for mailbox in &MAILBOXES[1..] {
        life.user.create(mailbox).expect("the source takes mailboxes");
    }
    if let Err(error) = life.go_on(&contents) {
        let repeat = life.repeat.clone();
        life.outcome.fail(repeat, format!("{offer:?}, {store:?}: {error}"));
    }
    (life.outcome, life.owner.done)
}

/// One in eight has no Message-ID.
fn content(serial: u16, dice: &mut Dice) -> Content {
    Content { serial, edition: 0, named: !dice.once_in(8) }
}

impl Life {
    fn go_on(&mut self, contents: &[Content]) -> Result<(), ViewError> {
        // Nine in ten are there from the beginning, the others come later.
        let (first, later) = contents.split_at(contents.len() * 9 / 10);
        let (second, third) = later.split_at(later.len() / 2);
        self.deliver(first, &MAILBOXES)?;
        self.pass_with_company("the first pass")?;
        self.owner.rename(OLD, "Old mail of mine", &mut self.expected)?;
        for (arrived, pass) in [(second, "the second pass"), (third, "the third pass")] {
            self.owner.act(3, false, &mut self.expected, &mut self.dice)?;
            self.deliver(arrived, &MAILBOXES[..7])?;
            self.flag_at_source()?;
            self.pass_with_company(pass)?;
        }
        self.owner.act(1, false, &mut self.expected, &mut self.dice)?;
        let before = self.scene.appends();
        let ended = self.scene.run(USER, &[]);
        self.judge("after a pass with nothing to do", &ended)?;
        let sent = self.scene.appends() - before;
        if sent > 0 {
            self.outcome.fail(&self.repeat, format!("a pass with nothing to do sent {sent} APPEND"));
        }
        Ok(())
    }

    /// Mail arrives at the source.
    fn deliver(&mut self, contents: &[Content], into: &[&'static str]) -> Result<(), ViewError> {
        let mut arriving: Vec<(Content, &'static str, FlagSet)> = Vec::new();
        for content in contents {
            let flags = FlagSet(u8::try_from(self.dice.below(256)).unwrap_or(0)).common(ARRIVES_WITH);
            arriving.push((*content, self.dice.one_of(into), flags));
        }
        for mailbox in into {
            let here: Vec<_> = arriving.iter().filter(|(_, name, _)| name == mailbox).collect();
            for part in here.chunks(100) {
                let raw: Vec<_> = part
                    .iter()
                    .map(|(content, _, flags)| {
                        (
                            content.octets(),
                            content.date(),
                            flags.names().into_iter().map(str::to_owned).collect::<Vec<_>>(),
                        )
                    })
                    .collect();
                let outgoing = raw.iter().map(|(octets, date, flags)| Outgoing { flags, date: Some(date), octets });
                self.user.append_all(mailbox, &outgoing.collect::<Vec<_>>())?;
            }
        }
        for (content, mailbox, flags) in &arriving {
            self.expected.0.insert(*content, Place::ToCome { mailbox: (*mailbox).to_owned(), flags: *flags });
        }
        self.source.extend(arriving);
        Ok(())
    }

    /// The user at the source flags some mail, of that which the owner of the target leaves where it is.
    fn flag_at_source(&mut self) -> Result<(), ViewError> {
        for mailbox in MAILBOXES.iter().filter(|mailbox| **mailbox != OLD) {
            let view = mailhaul_testing::histories::read_mailbox(&mut self.user, mailbox)?;
            let mut uids = Vec::new();
            for (uid, message) in &view.messages {
                if self.dice.once_in(10) && self.owner.leaves(message.content) {
                    uids.push(uid.to_string());
                    if let Some(Place::Here { flags, .. } | Place::ToCome { flags, .. }) =
                        self.expected.0.get_mut(&message.content)
                    {
                        *flags = flags.with(SETS).without(TAKES);
                    }
                }
            }
            if !uids.is_empty() {
                self.user.store(&uids.join(","), "+FLAGS.SILENT", &SETS.names())?;
                self.user.store(&uids.join(","), "-FLAGS.SILENT", &TAKES.names())?;
            }
        }
        self.user.examine("INBOX")?;
        Ok(())
    }

    /// A pass that is held now and then, and the owner uses the time.
    fn pass_with_company(&mut self, pass: &str) -> Result<(), ViewError> {
        let mut plan = Plan::new();
        for _ in 0..6 {
            let nth = u32::try_from(self.dice.below(10)).unwrap_or(0) + 1;
            plan = plan.fault(self.dice.one_of(&MOMENTS)(nth), Fault::Hold);
        }
        let proxy = &self.scene.target_proxy;
        let mut faults = proxy.statistics().faults;
        proxy.set_next_plans([plan]);
        let mut child = self.scene.copy(USER, &[]).spawn().expect("the command starts");
        while self.is_held_again(faults, &mut child) {
            faults += 1;
            let acted = self.owner.act(4, true, &mut self.expected, &mut self.dice);
            self.scene.target_proxy.release();
            acted?;
        }
        let ended = Ended::of(child);
        self.expected.all_came();
        self.judge(&format!("after {pass}"), &ended)
    }

    /// False when the run has ended.
    fn is_held_again(&self, faults: u32, child: &mut Child) -> bool {
        loop {
            if self.scene.target_proxy.wait_at_most(&Event::Fault(faults + 1), LOOK) {
                return true;
            }
            if child.try_wait().expect("its status").is_some() {
                return false;
            }
        }
    }

    fn judge(&mut self, when: &str, ended: &Ended) -> Result<(), ViewError> {
        if !ended.is_complete() {
            let said = format!("{when}: code {}, {:#}\n{}", ended.code, ended.json, ended.stderr);
            self.outcome.fail(&self.repeat, said);
        }
        let view = self.owner.look()?;
        self.expected.judge(&view, when, &self.repeat, &mut self.outcome);
        Ok(())
    }
}

/// Moments at which a pass is held, by the how manieth of its kind.
const MOMENTS: [fn(u32) -> Moment; 6] = [
    |nth| Moment::BeforeAnswer("APPEND".to_owned(), nth),
    |nth| Moment::BeforeCommand("APPEND".to_owned(), nth),
    |nth| Moment::BeforeAnswer("SELECT".to_owned(), nth),
    |nth| Moment::BeforeAnswer("UID STORE".to_owned(), nth),
    |nth| Moment::BeforeAnswer("UID FETCH".to_owned(), nth),
    |nth| Moment::BeforeCommand("STATUS".to_owned(), nth),
];
