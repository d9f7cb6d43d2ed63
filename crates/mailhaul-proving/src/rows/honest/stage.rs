//! Two servers with the same mail, written as files, and the owner's hand on the target.

use crate::Scene;
use mailhaul_testing::Client;
use mailhaul_testing::corpus::{Corpus, CorpusMailbox, CorpusMessage};
use mailhaul_testing::imap_client::Outgoing;
use std::ops::Range;

pub(super) const USER: &str = "alice";

/// Every so many messages one is the same as the one before it, in everything.
const TWINS_EVERY: usize = 100;

/// Both servers, what is on them, and which UID each message has on the target by now.
pub(super) struct Stage {
    pub(super) scene: Scene,
    pub(super) mailboxes: Vec<CorpusMailbox>,
    /// For each mailbox the UIDs on the target, in the order of its messages.
    target_uids: Vec<Vec<u32>>,
    owner: Client,
}

/// One message of the source: its mailbox and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) mailbox: usize,
    pub(super) at: usize,
}

impl Stage {
    /// So many messages in three mailboxes, the same on both sides.
    pub(super) fn with(messages: usize) -> Stage {
        let scene = Scene::start();
        let (most, some) = (messages * 6 / 10, messages * 3 / 10);
        // Cut out of one list, so that no two mailboxes have a message in common.
        let mut all = Corpus::of_size(&["INBOX"], messages, 700).mailboxes.remove(0).messages;
        let lists = CorpusMailbox::new(&["Lists"], all.split_off(most + some));
        let archive = CorpusMailbox::new(&["Archive", "2019"], all.split_off(most));
        let mut mailboxes = vec![CorpusMailbox::new(&["INBOX"], all), archive, lists];
        for mailbox in &mut mailboxes {
            let twins: Vec<usize> = (1..mailbox.messages.len()).filter(|at| is_twin(*at)).collect();
            for at in twins {
                mailbox.messages[at] = mailbox.messages[at - 1].clone();
            }
        }
        let corpus = Corpus { mailboxes };
        for server in [&scene.source, &scene.target] {
            corpus.write_maildir(server, USER).expect("a Maildir takes files");
        }
        let uids = |mailbox: &CorpusMailbox| (1..).take(mailbox.messages.len()).collect();
        let target_uids = corpus.mailboxes.iter().map(uids).collect();
        let owner = Client::sign_in(scene.target.address(), USER, scene.target.password());
        let owner = owner.expect("the target lets its owner in");
        Stage { scene, mailboxes: corpus.mailboxes, target_uids, owner }
    }

    /// A mailbox's name on both servers.
    pub(super) fn name(&self, mailbox: usize) -> String {
        self.mailboxes[mailbox].path.join("/")
    }

    pub(super) fn message(&self, place: Place) -> &CorpusMessage {
        &self.mailboxes[place.mailbox].messages[place.at]
    }

    /// The places of all messages that are the same as this one, itself included.
    pub(super) fn twins(&self, place: Place) -> Range<usize> {
        let last = self.mailboxes[place.mailbox].messages.len() - 1;
        match () {
            () if is_twin(place.at) => place.at - 1..place.at + 1,
            () if place.at < last && is_twin(place.at + 1) => place.at..place.at + 2,
            () => place.at..place.at + 1,
        }
    }

    /// The UID at the source: files were written in order, and nothing has happened there since.
    pub(super) fn source_uid(place: Place) -> u32 {
        u32::try_from(place.at + 1).expect("a hundred thousand fit")
    }

    pub(super) fn target_uid(&self, place: Place) -> u32 {
        self.target_uids[place.mailbox][place.at]
    }

    /// Takes a message away from the target.
    pub(super) fn take_away(&mut self, mailbox: usize, uid: u32) {
        let name = self.name(mailbox);
        self.owner.select(&name).expect("the target's owner selects");
        self.owner.store(&uid.to_string(), "+FLAGS.SILENT", &["\\Deleted"]).expect("and marks");
        self.owner.command(&format!("UID EXPUNGE {uid}")).expect("and expunges");
    }

    /// Puts a message onto the target; its UID there.
    pub(super) fn put(&mut self, mailbox: usize, message: &CorpusMessage) -> u32 {
        let date = message.internal_date();
        let outgoing = Outgoing { flags: &message.flags, date: Some(&date), octets: &message.octets };
        let stored = self.owner.append_all(&self.name(mailbox), &[outgoing]).expect("the target takes it");
        stored.expect("Dovecot has UIDPLUS").uids[0]
    }

    /// Puts the message back that was at this place on the target.
    pub(super) fn put_back(&mut self, place: Place) {
        let message = self.message(place).clone();
        let uid = self.put(place.mailbox, &message);
        self.target_uids[place.mailbox][place.at] = uid;
    }
}

fn is_twin(at: usize) -> bool {
    at % TWINS_EVERY == TWINS_EVERY / 2
}
