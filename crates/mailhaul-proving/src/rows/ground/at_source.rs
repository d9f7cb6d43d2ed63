//! What moves at the source.

use super::stage::{Side, Stage, deliver, of};
use mailhaul_testing::proxy::Moment;

/// The target stores what was sent, nobody learns of it, and the source makes the mailbox anew with the same mail under
/// other UIDs. The copies are found by what they say.
pub(super) fn renumbered_in_flight(stage: &mut Stage) {
    stage.deliver("Mail", 0..600);
    stage.kill_with_mail_in_flight();
    stage.user().renumber("Mail", "Aside").expect("renumbered");
    stage.deliver("Mail", 600..620);
    stage.copy("after the kill and the renumbering");
    stage.ends_equal();
}

/// Each time the run comes back to the mailbox, its UIDs mean something else; new mail comes with each of them.
pub(super) fn renumbered_three_times_in_one_run(stage: &mut Stage) {
    stage.deliver("Mail", 0..40);
    stage.copy("the first copy");
    stage.deliver("Mail", 40..60);
    let fetches = |_| Moment::BeforeCommand("UID FETCH".to_owned(), 1);
    let child = stage.copy_held_again(Side::Source, (0..3).map(fetches));
    let mut held = 1;
    for turn in 1..=3 {
        // Whoever has the mailbox open is thrown out.
        stage.renumber(Side::Source, "Mail", 70 + turn);
        stage.deliver("Mail", 50 + turn * 10..60 + turn * 10);
        stage.scene.source_proxy.release();
        held += u32::from(turn < 3 && stage.is_held(Side::Source, turn + 1));
    }
    let ended = stage.release(child);
    if held < 3 || !ended.is_complete() {
        stage.fail(format!("came back {held} times, and ended with {}: {:#}", ended.code, ended.json));
    }
    stage.copy("the run after it");
    stage.ends_equal();
}

/// The same mail under the same name, the newest first, while the owner of the target has removed some of the copies.
/// What he removed stays removed.
pub(super) fn made_anew_in_another_order(stage: &mut Stage) {
    stage.deliver("Mail", 0..60);
    stage.copy("the first copy");
    let mut owner = stage.owner();
    owner.select("Mail").expect("selected");
    owner.uid_expunge("11:14").expect("expunged");
    let mut expected = stage.snapshot(Side::Target);
    let mut user = stage.user();
    user.delete("Mail").expect("deleted");
    deliver(&mut user, "Mail", (0..60).rev());
    deliver(&mut user, "Mail", 60..65);
    stage.copy("after the mailbox was made anew");
    let mut source = stage.snapshot(Side::Source);
    of(&mut expected, "Mail").extend(of(&mut source, "Mail").split_off(60));
    stage.ends_as(&expected);
}

/// The mailbox that was passed already is made anew with more mail before the run concludes, and some of it moves on. That
/// cannot be followed out of a mailbox whose UIDs are new: the earlier copies stay, which the run says.
pub(super) fn made_anew_before_the_conclusion(stage: &mut Stage) {
    stage.deliver("Mail", 0..40);
    stage.deliver("Post", 100..140);
    stage.copy("the first copy");
    stage.deliver("Mail", 40..45);
    // What is deleted stays on the target unless something else is asked for.
    let deleted = of(&mut stage.snapshot(Side::Source), "Post")[..2].to_vec();
    let mut user = stage.user();
    user.select("Post").expect("selected");
    user.uid_expunge("1:2").expect("expunged");
    let child = stage.copy_held(Side::Source, Moment::BeforeCommand("LIST".to_owned(), 2));
    user.renumber("Mail", "Aside").expect("renumbered");
    deliver(&mut user, "Mail", 45..50);
    let moved = of(&mut stage.snapshot(Side::Source), "Mail")[..3].to_vec();
    user.select("Mail").expect("selected");
    user.move_to("1:3", "Post").expect("moved");
    let _ended = stage.release(child);
    let ended = stage.copy("the run after it");
    if !ended.json["remarks"].to_string().contains("3 messages copied earlier are not in it any more") {
        stage.fail(format!("nothing is said of what was copied earlier: {:#}", ended.json["remarks"]));
    }
    let mut expected = stage.snapshot(Side::Source);
    of(&mut expected, "Post").extend(deleted);
    of(&mut expected, "Mail").extend(moved);
    stage.ends_as(&expected);
}

/// The name goes on to a new mailbox while copies of the old one are on their way.
pub(super) fn renamed_and_replaced_in_flight(stage: &mut Stage) {
    stage.deliver("Mail", 0..600);
    stage.kill_with_mail_in_flight();
    let mut user = stage.user();
    user.rename("Mail", "Mail-2025").expect("renamed");
    deliver(&mut user, "Mail", 700..730);
    stage.copy("after the rename");
    stage.ends_equal();
}

/// A snapshot is put back, and UIDs are given out again for other mail. That is a question, because most of what was copied
/// is not there any more; what had come after the snapshot stays on the target.
pub(super) fn put_back(stage: &mut Stage) {
    stage.deliver("Mail", 0..10);
    stage.keep(Side::Source);
    stage.deliver("Mail", 10..40);
    stage.copy("the first copy");
    let copied = stage.snapshot(Side::Target);
    stage.put_back(Side::Source);
    stage.deliver("Mail", 100..120);
    stage.asks_about("Mail");
    stage.holds(&copied);
    stage.copy_with("once the operator has accepted it", &["--accept-source-change"]);
    let mut source = stage.snapshot(Side::Source);
    let mut expected = copied;
    of(&mut expected, "Mail").extend(of(&mut source, "Mail").split_off(10));
    stage.ends_as(&expected);
}

/// A mailbox is deleted, and another one gets its name. That is a question, because under that name nothing is recognised;
/// then the mail of the other moves over on the target too, and the copies of the deleted one stay.
pub(super) fn another_takes_the_name(stage: &mut Stage) {
    stage.deliver("Mail", 0..20);
    stage.deliver("Post", 100..130);
    stage.copy("the first copy");
    let copied = stage.snapshot(Side::Target);
    let mut user = stage.user();
    user.delete("Mail").expect("deleted");
    user.rename("Post", "Mail").expect("renamed");
    deliver(&mut user, "Mail", 130..140);
    stage.asks_about("Mail");
    stage.holds(&copied);
    stage.copy_with("once the operator has accepted it", &["--accept-source-change"]);
    let mut expected = stage.snapshot(Side::Source);
    let mut deleted = copied;
    of(&mut expected, "Mail").append(of(&mut deleted, "Mail"));
    stage.ends_as(&expected);
}
