//! Any history of writes, with the file closed and opened in between, is what a plain model of it says.

use crate::setup::*;
use mailhaul_db::{
    Exception, ExceptionState, Ledger, MailboxLedger, Mapping, PairLease, Renumbering, Settled, SettledState,
    Settlement, Synced,
};
use mailhaul_types::{Flags, Uid, UidSet, UidValidity};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Something that is asked for one of the mailboxes, by its number.
#[derive(Debug, Clone)]
enum Step {
    Settle(Vec<(u32, u8)>),
    SettleMany(u32, u32),
    SetFlags(Vec<(u32, u8)>),
    Synced(u32, BTreeSet<u32>),
    Forget,
    Departed(BTreeSet<u32>),
    /// Under a new target UIDVALIDITY, or the same again.
    VoidTargets(bool),
    /// Under the same UIDVALIDITY or the next one; every second message is found again.
    RenumberTarget(bool),
    Renumber(u32, u32),
    SetAside(u32),
    MailboxFailed,
    Made,
    NameKept,
    Remap,
    Rename,
    Swap,
    Reopen,
    Look,
}

fn any_step() -> impl Strategy<Value = Step> {
    let uid = 1..2_600u32;
    let few = proptest::collection::vec((uid.clone(), any::<u8>()), 1..30);
    let uids = proptest::collection::btree_set(uid.clone(), 0..20);
    prop_oneof![
        4 => few.clone().prop_map(Step::Settle),
        3 => (uid.clone(), 1..1_500u32).prop_map(|(first, count)| Step::SettleMany(first, count)),
        4 => few.prop_map(Step::SetFlags),
        3 => (uid.clone(), uids.clone()).prop_map(|(next, departed)| Step::Synced(next, departed)),
        1 => Just(Step::Forget),
        2 => uids.prop_map(Step::Departed),
        1 => any::<bool>().prop_map(Step::VoidTargets),
        1 => any::<bool>().prop_map(Step::RenumberTarget),
        2 => (1..4u32, 1..900u32).prop_map(|(validity, by)| Step::Renumber(validity, by)),
        2 => uid.prop_map(Step::SetAside),
        1 => Just(Step::MailboxFailed),
        1 => Just(Step::Made),
        1 => Just(Step::NameKept),
        1 => Just(Step::Remap),
        2 => Just(Step::Rename),
        1 => Just(Step::Swap),
        2 => Just(Step::Reopen),
        3 => Just(Step::Look),
    ]
}

/// What a mailbox should be.
#[derive(Debug, Clone)]
struct Model {
    mapping: Mapping,
    source: UidValidity,
    target: UidValidity,
    messages: BTreeMap<u32, Settled>,
    set_aside: BTreeSet<u32>,
    failed: bool,
    synced: Option<Synced>,
    departed: UidSet,
    made: bool,
    name_kept: bool,
}

impl Model {
    fn new(mapping: Mapping) -> Self {
        Self {
            mapping,
            source: SOURCE,
            target: TARGET,
            messages: BTreeMap::new(),
            set_aside: BTreeSet::new(),
            failed: false,
            synced: None,
            departed: UidSet::new(),
            made: false,
            name_kept: false,
        }
    }

    fn settle(&mut self, message: Settled) {
        self.set_aside.remove(&message.source_uid.0);
        self.messages.insert(message.source_uid.0, message);
    }
}

/// A message that tells its seed: state, target UID and flags vary with it.
fn message(uid: u32, seed: u8) -> Settled {
    let state = [SettledState::Copied, SettledState::Adopted, SettledState::AdoptedAltered][usize::from(seed % 3)];
    let target_uid = (!seed.is_multiple_of(7)).then_some(Uid(uid + u32::from(seed)));
    Settled { target_uid, state, flags: flags(seed), ..copied(uid, 1) }
}

fn flags(seed: u8) -> Flags {
    let keywords: &[&str] = [["$Forwarded", "Work"].as_slice(), &["Work"], &[], &[]][usize::from(seed % 4)];
    Flags::from_parts(seed % 32, keywords.iter().copied())
}

/// The file, with two mailboxes of one pair, and what should be in it.
struct History {
    place: Place,
    open: Option<(Ledger, PairLease, Vec<MailboxLedger>)>,
    models: Vec<Model>,
    names: u32,
    /// Whether the mailboxes are bound. Later they are not even read before something is asked for them.
    begun: bool,
}

impl History {
    async fn begin() -> Self {
        let models = ["A", "B"].map(|name| Model::new(mapping(name))).to_vec();
        let mut history = Self { place: Place::new(), open: None, models, names: 0, begun: false };
        history.reopen().await;
        history
    }

    async fn reopen(&mut self) {
        if let Some((ledger, lease, mailboxes)) = self.open.take() {
            drop((lease, mailboxes));
            ledger.close().await.expect("closed");
        }
        let ledger = self.place.open().await;
        let lease = ledger.claim_pair(&identity("alice")).await.expect("free");
        lease.map_mailboxes(self.models.iter().map(|model| model.mapping.clone()).collect()).await.expect("mapped");
        let mut mailboxes = Vec::new();
        for model in &self.models {
            let mailbox = lease.mailbox(&model.mapping.source).await.expect("mapped");
            if !self.begun {
                mailbox.bind(model.source, model.target, Uid(1)).await.expect("bound");
            }
            mailboxes.push(mailbox);
        }
        self.begun = true;
        self.open = Some((ledger, lease, mailboxes));
    }

    async fn take(&mut self, at: usize, step: &Step) {
        match step {
            Step::Reopen => return self.reopen().await,
            Step::Rename | Step::Swap | Step::Remap => return self.change_names(at, step).await,
            Step::Look => return self.look().await,
            _ => {}
        }
        let (model, mailbox) = (&mut self.models[at], &self.open.as_ref().expect("open").2[at]);
        match step {
            Step::Settle(given) => {
                let messages: Vec<_> = given.iter().map(|(uid, seed)| message(*uid, *seed)).collect();
                messages.iter().cloned().for_each(|message| model.settle(message));
                mailbox.settle(settlement(messages)).await
            }
            Step::SettleMany(first, count) => {
                let messages: Vec<_> = (*first..first + count).map(|uid| message(uid, (uid % 251) as u8)).collect();
                messages.iter().cloned().for_each(|message| model.settle(message));
                mailbox.settle(Settlement { messages, target_mark: None, clear_sent: true }).await
            }
            Step::SetFlags(given) => {
                for (uid, seed) in given {
                    model.messages.entry(*uid).and_modify(|message| message.flags = flags(*seed));
                }
                mailbox.set_flags(given.iter().map(|(uid, seed)| (Uid(*uid), flags(*seed))).collect()).await
            }
            Step::Synced(next, departed) => {
                model.departed = departed.iter().copied().map(Uid).collect();
                let row = synced(*next, model.departed.clone());
                let row = Synced { source_uid_validity: model.source, target_uid_validity: model.target, ..row };
                model.synced = Some(row.clone());
                mailbox.record_synced(row).await
            }
            Step::Forget => {
                model.synced = None;
                mailbox.forget_synced().await
            }
            Step::Departed(more) => {
                let more: UidSet = more.iter().copied().map(Uid).collect();
                model.departed.extend_ranges(&more);
                if let Some(row) = &mut model.synced {
                    row.departed = model.departed.clone();
                }
                mailbox.add_departed(more).await
            }
            Step::VoidTargets(anew) => {
                model.synced = None;
                if *anew {
                    model.target = UidValidity(model.target.0 + 1);
                    model.messages.values_mut().for_each(|message| message.target_uid = None);
                }
                mailbox.void_target_uids(model.target, Uid(1)).await
            }
            Step::RenumberTarget(anew) => {
                model.synced = None;
                if *anew {
                    model.target = UidValidity(model.target.0 + 1);
                    model.messages.values_mut().for_each(|message| message.target_uid = None);
                }
                // Every second message is found again.
                let found = model.messages.values_mut().filter(|message| message.source_uid.0 % 2 == 0);
                let found = found.map(|message| {
                    message.target_uid = Some(Uid(message.source_uid.0 + 7));
                    message.clone()
                });
                let found = found.collect();
                mailbox.renumber_target(model.target, Uid(1), found).await
            }
            Step::Renumber(validity, by) => {
                model.source = UidValidity(*validity);
                // Every third message is not found again.
                let again = std::mem::take(&mut model.messages).into_values();
                let again = again.filter(|message| message.source_uid.0 % 3 != 0);
                let again = again.map(|old| Settled { source_uid: Uid(old.source_uid.0 % 2_000 + by), ..old });
                let messages: Vec<_> = again.collect();
                model.messages = messages.iter().map(|message| (message.source_uid.0, message.clone())).collect();
                (model.synced, model.departed, model.set_aside) = (None, UidSet::new(), BTreeSet::new());
                mailbox.renumber_source(Renumbering { source: model.source, messages, set_aside: Vec::new() }).await
            }
            Step::SetAside(uid) => {
                if !model.messages.contains_key(uid) {
                    model.set_aside.insert(*uid);
                }
                let state = ExceptionState::Refused;
                let exception = Exception { uid: Some(Uid(*uid)), state, reason: "NO".to_owned(), key: None };
                mailbox.record_exception(exception).await
            }
            Step::MailboxFailed => {
                model.failed = true;
                let state = ExceptionState::MailboxFailed;
                let exception = Exception { uid: None, state, reason: "NO".to_owned(), key: None };
                mailbox.record_exception(exception).await
            }
            Step::Made => {
                model.made = true;
                mailbox.note_made().await
            }
            Step::NameKept => {
                model.name_kept = true;
                mailbox.note_name_kept().await
            }
            Step::Reopen | Step::Rename | Step::Swap | Step::Remap | Step::Look => unreachable!("taken above"),
        }
        .expect("queued");
    }

    async fn change_names(&mut self, at: usize, step: &Step) {
        let (_, lease, mailboxes) = self.open.as_ref().expect("open");
        self.names += 1;
        let name = format!("Name {}", self.names);
        let old = self.models[at].mapping.source.clone();
        match step {
            Step::Remap => {
                let mapping = Mapping { source: old, target: name };
                lease.remap_mailbox(mapping.clone()).await.expect("on disk");
                mailboxes[at].bind(SOURCE, TARGET, Uid(1)).await.expect("bound anew");
                self.models[at] = Model::new(mapping);
            }
            Step::Rename => {
                self.models[at].mapping = mapping(&name);
                self.models[at].name_kept = false;
                lease.rename_mailbox(&old, mapping(&name)).await.expect("on disk");
            }
            _ => {
                let [a, b] = [0, 1].map(|at: usize| self.models[at].mapping.clone());
                (self.models[0].mapping, self.models[1].mapping) = (b.clone(), a.clone());
                self.models.iter_mut().for_each(|model| model.name_kept = false);
                lease.rename_mailboxes(vec![(a.source.clone(), b.clone()), (b.source, a)]).await.expect("on disk");
            }
        }
    }

    async fn look(&self) {
        let (_, lease, mailboxes) = self.open.as_ref().expect("open");
        let briefs = lease.overview().await.expect("whole");
        assert_eq!(briefs.len(), 2);
        for (model, mailbox) in self.models.iter().zip(mailboxes) {
            let state = mailbox.load().await.expect("whole");
            let uids: UidSet = model.messages.keys().copied().map(Uid).collect();
            assert_eq!((&state.mapping, &state.settled), (&model.mapping, &uids));
            assert_eq!(state.source_uid_validity, Some(model.source));
            assert_eq!(state.target_uid_validity, Some(model.target));
            assert_eq!((&state.synced, &state.departed), (&model.synced, &model.departed));
            assert_eq!(state.made, model.made);
            assert_eq!(state.set_aside(), model.set_aside.iter().copied().map(Uid).collect());
            let brief = briefs.iter().find(|brief| brief.mapping == model.mapping).expect("in the overview");
            assert_eq!((&brief.synced, &brief.departed), (&model.synced, &model.departed));
            assert_eq!((brief.counts, brief.made, brief.mailbox_failed), (state.counts, model.made, model.failed));
            assert_eq!(brief.name_kept, model.name_kept);
            let mut asked = UidSet::new();
            asked.insert_range(range(700, 1_900));
            let found = mailbox.settled_in(&asked).await.expect("whole");
            let expected = model.messages.range(700..=1_900).map(|(_, message)| message.clone());
            assert_eq!(found, expected.collect::<Vec<_>>());
            asked.insert_range(range(1, u32::MAX));
            let all = mailbox.settled_in(&asked).await.expect("whole");
            assert_eq!(all, model.messages.values().cloned().collect::<Vec<_>>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]
    #[test]
    fn any_history_of_writes_is_what_a_plain_model_says(
        steps in proptest::collection::vec((0..2usize, any_step()), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut history = History::begin().await;
            for (at, step) in &steps {
                history.take(*at, step).await;
            }
            history.look().await;
            history.reopen().await;
            history.look().await;
        });
    }
}
