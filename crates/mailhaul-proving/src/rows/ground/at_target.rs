//! What moves on the target.

use super::stage::{Side, Stage, deliver, of};

/// The owner deletes the mailbox and makes one of his own with that name. That is a question; what he deleted stays deleted,
/// and what is new goes beside his mail.
pub(super) fn made_anew_by_its_owner(stage: &mut Stage) {
    stage.deliver("Mail", 0..40);
    stage.copy("the first copy");
    let mut owner = stage.owner();
    owner.delete("Mail").expect("deleted");
    deliver(&mut owner, "Mail", 1_000..1_010);
    let mut expected = stage.snapshot(Side::Target);
    stage.deliver("Mail", 40..45);
    stage.asks_about("Mail");
    stage.holds(&expected);
    stage.copy_with("once the operator has accepted it", &["--accept-target-change"]);
    let mut source = stage.snapshot(Side::Source);
    of(&mut expected, "Mail").extend(of(&mut source, "Mail").split_off(40));
    stage.ends_as(&expected);
}

/// The target is put back to a snapshot and renumbered, and its owner files what he finds. That is a question, because much
/// of what was copied is not there; a fresh state then finds what is there and copies the rest, which is what was lost.
pub(super) fn put_back_and_renumbered(stage: &mut Stage) {
    stage.deliver("Mail", 0..20);
    stage.copy("the first copy");
    stage.keep(Side::Target);
    stage.deliver("Mail", 20..60);
    stage.copy("the second copy");
    stage.put_back(Side::Target);
    stage.renumber(Side::Target, "Mail", 77);
    stage.user().renumber("Mail", "Aside").expect("renumbered");
    stage.asks_about("Mail");
    std::fs::remove_dir_all(stage.scene.folder().join("state")).expect("the state can be removed");
    stage.copy("with a fresh state");
    stage.ends_equal();
}
