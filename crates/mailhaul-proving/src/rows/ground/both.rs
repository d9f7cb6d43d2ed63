//! What moves on both sides at once.

use super::stage::{Side, Stage, deliver, of};

/// Copies whose answers were lost, and then neither side's UIDs mean what they meant.
pub(super) fn renumbered_in_flight(stage: &mut Stage) {
    stage.deliver("Mail", 0..40);
    stage.copy("the first copy");
    stage.deliver("Mail", 40..640);
    stage.kill_with_mail_in_flight();
    stage.user().renumber("Mail", "Aside").expect("renumbered");
    stage.owner().renumber("Mail", "Aside").expect("renumbered");
    stage.deliver("Mail", 640..650);
    stage.copy("after both were renumbered");
    stage.ends_equal();
}

/// Each mailbox takes the name of the next one, with new mail in each; then one of them is made anew, and the copies of two
/// others are renumbered.
pub(super) fn chain_of_names_renumbered(stage: &mut Stage) {
    stage.deliver("One", 0..20);
    stage.deliver("Two", 100..130);
    stage.deliver("Three", 200..240);
    stage.copy("the first copy");
    let mut user = stage.user();
    for (from, to) in [("Three", "Four"), ("Two", "Three"), ("One", "Two")] {
        user.rename(from, to).expect("renamed");
    }
    deliver(&mut user, "Two", 20..25);
    deliver(&mut user, "Three", 130..135);
    deliver(&mut user, "Four", 240..245);
    stage.copy("after the change of names");
    stage.ends_equal();
    user.renumber("Four", "Aside").expect("renumbered");
    stage.renumber(Side::Source, "Three", 77);
    stage.renumber(Side::Target, "Three", 78);
    stage.renumber(Side::Target, "Two", 79);
    for (mailbox, numbers) in [("Two", 25..30), ("Three", 135..140), ("Four", 245..250)] {
        stage.deliver(mailbox, numbers);
    }
    stage.copy("after the renumbering");
    stage.ends_equal();
}

/// The user gives the mailbox one name, the owner of its copy another. The owner keeps his, and it is a question where new
/// mail is to go.
pub(super) fn renamed_by_both(stage: &mut Stage) {
    stage.deliver("Mail", 0..40);
    stage.copy("the first copy");
    stage.user().rename("Mail", "Post").expect("renamed");
    stage.owner().rename("Mail", "Briefe").expect("renamed");
    let mut expected = stage.snapshot(Side::Target);
    stage.deliver("Post", 40..45);
    stage.asks_about("Post");
    stage.holds(&expected);
    stage.copy_with("once the operator has accepted it", &["--accept-target-change"]);
    let mut source = stage.snapshot(Side::Source);
    let new = of(&mut source, "Post").split_off(40);
    expected.mailboxes.insert(mailhaul_testing::judge::MailboxPath::of(&["Post"]), new);
    stage.ends_as(&expected);
}
