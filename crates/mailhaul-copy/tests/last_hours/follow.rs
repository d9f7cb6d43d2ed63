//! An account that is followed: what happens at the source stands on the target soon after, whatever the source can tell
//! of itself, and whatever becomes of the connections.

use crate::setup::{Stage, client, deliver};
use mailhaul_copy::{FollowOptions, Following, Oversight, Progress, StopSwitch, follow_account};
use mailhaul_report::{Followed, RunReport, StopCause, Verdict};
use mailhaul_testing::dovecot::{Dovecot, Offer};
use mailhaul_testing::proxy::{Cut, Direction, Fault, Moment, Plan, Proxy, Reply, Which};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How long something may take that is waited for.
const AT_MOST: Duration = Duration::from_secs(40);

/// Where only one mailbox is listened to, the others are looked at this often.
const OPTIONS: FollowOptions = FollowOptions { poll: Duration::from_secs(1) };

/// Two servers behind proxies, a state file, and a run in the background.
struct Scene {
    source: Dovecot,
    target: Dovecot,
    to_source: Arc<Proxy>,
    to_target: Arc<Proxy>,
    stage: Stage,
}

impl Scene {
    async fn new(source: Dovecot, plan: Plan) -> Self {
        let target = Dovecot::start();
        let to_source = Arc::new(Proxy::with_plan(source.address(), plan));
        let to_target = Arc::new(Proxy::start(target.address()));
        let stage = Stage::between(to_source.address(), to_target.address()).await;
        Self { source, target, to_source, to_target, stage }
    }

    fn follow(&self, options: FollowOptions) -> Follower {
        let (progress, (switch, stop)) = (Arc::new(Progress::default()), StopSwitch::new());
        let (job, ledger) = (self.stage.job.clone(), self.stage.ledger.clone());
        let seen = Arc::clone(&progress);
        let run =
            tokio::spawn(async move { follow_account(&job, &ledger, &Oversight::none(&seen, &stop), &options).await });
        Follower { progress, switch, run, proxy: Arc::clone(&self.to_source) }
    }

    /// Waits until a mailbox on the target holds so many messages.
    async fn holds(&self, mailbox: &'static str, messages: u32) {
        let (mut client, proxy) = (client(&self.target), Arc::clone(&self.to_target));
        let look = tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + AT_MOST;
            loop {
                let now = client.count(mailbox).ok();
                if now == Some(messages) || Instant::now() > deadline {
                    return now;
                }
                something_passes(&proxy);
            }
        });
        assert_eq!(look.await.expect("it looks"), Some(messages), "{mailbox}");
    }
}

/// Waits until something goes over the line, or could have been missed.
fn something_passes(proxy: &Proxy) {
    let before = proxy.statistics();
    let _ = proxy.wait_until(|now| *now != before, Duration::from_millis(300));
}

/// A run in the background.
struct Follower {
    progress: Arc<Progress>,
    switch: StopSwitch,
    run: JoinHandle<RunReport>,
    proxy: Arc<Proxy>,
}

impl Follower {
    /// Waits until the run shows this.
    async fn shows(&self, what: &str, holds: impl Fn(&Following) -> bool) {
        let deadline = Instant::now() + AT_MOST;
        while !self.progress.snapshot().following.as_ref().is_some_and(&holds) {
            assert!(!self.run.is_finished(), "it ended before it was seen that {what}");
            assert!(Instant::now() < deadline, "it was not seen that {what}: {:?}", self.progress.snapshot());
            let proxy = Arc::clone(&self.proxy);
            tokio::task::spawn_blocking(move || something_passes(&proxy)).await.expect("it waits");
        }
    }

    async fn is_in_step(&self) {
        self.shows("both sides are in step", |now| now.in_step_for.is_some()).await;
    }

    async fn stop(self) -> (RunReport, Followed) {
        self.switch.request();
        let report = self.run.await.expect("it ends");
        let followed = report.followed.expect("it was followed");
        (report, followed)
    }
}

async fn follows_changes(offer: Offer) {
    let scene = Scene::new(Dovecot::builder().offer(offer).start(), Plan::new()).await;
    let source = &scene.source;
    deliver(source, "INBOX", 0, 3);
    deliver(source, "Archive", 10, 3);
    let follower = scene.follow(OPTIONS);
    follower.is_in_step().await;
    scene.holds("Archive", 3).await;

    deliver(source, "INBOX", 100, 2);
    scene.holds("INBOX", 5).await;
    deliver(source, "Archive", 200, 1);
    scene.holds("Archive", 4).await;
    deliver(source, "New", 300, 1);
    follower.shows("four changes are brought over", |now| now.brought_over >= 4).await;
    scene.holds("New", 1).await;
    let mut user = client(source);
    user.select("Archive").expect("opened");
    user.store("1", "+FLAGS", &["\\Flagged"]).expect("stored");
    follower.shows("the flag is brought over", |now| now.brought_over >= 5 && now.in_step_for.is_some()).await;

    let (report, followed) = follower.stop().await;
    assert_eq!((report.verdict(), report.totals().copied), (Verdict::Complete, 10), "{}", report.to_text());
    assert_eq!((followed.brought_over, report.changes().flags, followed.in_step), (5, 1, true));
    assert!(followed.rounds > 4 && followed.rounds_with_changes >= 3, "{followed:?}");
    assert!(followed.greatest_lag_secs.is_some() && followed.reconnections == 0, "{followed:?}");
    assert!(report.to_text().contains("\nfollowed: "), "{}", report.to_text());
    let again = scene.stage.copy().await;
    assert_eq!(again.totals().copied, 0, "{}", again.to_text());
}

#[tokio::test]
async fn changes_are_brought_over_as_the_source_notifies_of_them() {
    follows_changes(Offer::Everything).await;
}

#[tokio::test]
async fn changes_are_brought_over_where_only_one_mailbox_can_be_listened_to() {
    follows_changes(Offer::NoNotify).await;
}

#[tokio::test]
async fn changes_are_brought_over_where_nothing_can_be_listened_to() {
    follows_changes(Offer::Bare).await;
}

#[tokio::test]
async fn a_source_that_refuses_notify_and_idle_although_it_announces_them_is_looked_at_again_and_again() {
    let refuses = ["NOTIFY", "IDLE"]
        .into_iter()
        .fold(Plan::new(), |plan, command| plan.reply(command, Which::From(1), Reply::tagged("BAD not today")));
    let scene = Scene::new(Dovecot::start(), refuses).await;
    deliver(&scene.source, "INBOX", 0, 3);
    let follower = scene.follow(OPTIONS);
    follower.is_in_step().await;
    deliver(&scene.source, "INBOX", 100, 1);
    scene.holds("INBOX", 4).await;
    follower.shows("the change is counted", |now| now.brought_over == 1 && now.rounds > 4).await;
    let (report, followed) = follower.stop().await;
    assert_eq!((report.verdict(), followed.reconnections), (Verdict::Complete, 0), "{}", report.to_text());
    let asked = scene.to_source.command_lines().iter().filter(|line| line.starts_with("IDLE")).count();
    assert_eq!(asked, 1, "it is asked once and not again");
}

#[tokio::test]
async fn lost_connections_and_a_source_that_is_down_for_long_are_survived() {
    let scene = Scene::new(Dovecot::start(), Plan::new()).await;
    let Scene { source, to_source, to_target, .. } = &scene;
    deliver(source, "INBOX", 0, 3);
    let follower = scene.follow(OPTIONS);
    follower.is_in_step().await;
    for (number, cut) in [(1, Cut::Rst), (2, Cut::Fin)] {
        to_source.cut_all(cut);
        deliver(source, "INBOX", 100 + number, 1);
        follower.shows("the change is brought over", move |now| now.brought_over >= number as u64).await;
        to_target.cut_all(cut);
    }
    to_source.refuse_connections(true);
    to_source.cut_all(Cut::Rst);
    let (proxy, refused) = (Arc::clone(to_source), to_source.statistics().connections + 3);
    let waits = tokio::task::spawn_blocking(move || proxy.wait_until(|now| now.connections >= refused, AT_MOST));
    assert!(waits.await.expect("it waits"), "it tries again and again: {:?}", follower.progress.snapshot());
    assert_eq!(follower.progress.snapshot().following.expect("followed").in_step_for, None, "it cannot know");
    deliver(source, "INBOX", 300, 2);
    to_source.refuse_connections(false);
    scene.holds("INBOX", 7).await;
    follower.shows("all is counted", |now| now.brought_over == 4 && now.in_step_for.is_some()).await;
    let (report, followed) = follower.stop().await;
    assert_eq!((report.verdict(), report.totals().copied), (Verdict::Complete, 7), "{}", report.to_text());
    assert!(followed.reconnections >= 2 && followed.in_step, "{followed:?}");
}

#[tokio::test]
async fn a_stop_while_the_target_may_be_behind_is_an_interruption() {
    let scene = Scene::new(Dovecot::start(), Plan::new()).await;
    deliver(&scene.source, "INBOX", 0, 3);
    let follower = scene.follow(OPTIONS);
    follower.is_in_step().await;
    scene.to_source.refuse_connections(true);
    scene.to_source.cut_all(Cut::Rst);
    follower.shows("it is not known what happens", |now| now.in_step_for.is_none()).await;
    let (report, followed) = follower.stop().await;
    assert_eq!((report.verdict(), report.totals().copied), (Verdict::Interrupted, 3), "{}", report.to_text());
    assert!(!followed.in_step && report.stop.is_some_and(|stop| stop.cause == StopCause::Interrupted));
}

#[tokio::test]
async fn a_source_that_goes_away_in_the_middle_of_a_look_is_not_shown_in_step_while_it_is_tried_again() {
    let gone = Plan::new().cut_after_bytes(Direction::ToClient, 1, Cut::Rst);
    let scene = Scene::new(Dovecot::start(), gone).await;
    let look = Moment::BeforeCommand("LIST".to_owned(), 2);
    scene.to_source.set_next_plans([Plan::new().fault(look, Fault::Cut(Cut::Rst))]);
    let follower = scene.follow(OPTIONS);
    follower.is_in_step().await;
    deliver(&scene.source, "INBOX", 0, 1);
    follower.shows("it is not known what happens", |now| now.in_step_for.is_none()).await;
    scene.to_source.set_plan(Plan::new());
    scene.holds("INBOX", 1).await;
    follower.shows("both sides are in step again", |now| now.in_step_for.is_some()).await;
    let (report, followed) = follower.stop().await;
    assert_eq!((report.verdict(), followed.in_step), (Verdict::Complete, true), "{}", report.to_text());
}

#[tokio::test]
async fn an_account_that_cannot_be_signed_in_to_is_not_followed_for_ever() {
    let mut scene = Scene::new(Dovecot::start(), Plan::new()).await;
    scene.stage.job.accounts.source.credentials.password = mailhaul_types::Secret::new(b"wrong".to_vec());
    let report = scene.follow(OPTIONS).run.await.expect("it ends");
    assert_eq!(report.stop.map(|stop| stop.cause), Some(StopCause::SignIn));
}

#[tokio::test]
async fn a_round_after_news_costs_a_list_and_the_mailboxes_that_changed() {
    let scene = Scene::new(Dovecot::start(), Plan::new()).await;
    for number in 0..6 {
        deliver(&scene.source, &format!("Archive/{number}"), number, 1);
    }
    let follower = scene.follow(FollowOptions::default());
    // The second round is the one after NOTIFY was asked for.
    follower.shows("it listens", |now| now.rounds == 2).await;
    let before = scene.to_source.statistics();
    deliver(&scene.source, "Archive/3", 100, 1);
    follower.shows("the change is brought over", |now| now.rounds == 4 && now.brought_over == 1).await;
    let cost = scene.to_source.statistics().since(&before);
    // Another round may have begun by now, if the source has told of its change twice.
    let (rounds, opened) = (cost.count("LIST"), (cost.count("EXAMINE"), cost.count("STATUS")));
    assert!((2..=3).contains(&rounds) && opened == (1, 0), "{cost:?}");
    let (report, _) = follower.stop().await;
    assert_eq!(report.verdict(), Verdict::Complete, "{}", report.to_text());
}
