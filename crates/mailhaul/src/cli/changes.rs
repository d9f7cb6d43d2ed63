//! What becomes of changes after the first copy: the options of `copy`, and those that are stored.

use super::parse::word;
use clap::Args;
use mailhaul_plan::policy::{DeletionPolicy, FlagPolicy, MovePolicy};

/// What is said alike on the command line and in stored options.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Changes after the first copy")]
pub(crate) struct ChangeArgs {
    /// Flags that change at the source: `merge` brings the changes and leaves what the target's owner changed, `source`
    /// makes the target's equal, `target` leaves messages alone whose flags the owner changed, `none` leaves all
    /// [usual: merge].
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    #[arg(value_parser = word(FlagPolicy::WORDS, FlagPolicy::from_word))]
    pub(crate) flags: Option<FlagPolicy>,
    /// Messages moved and mailboxes renamed at the source: `follow` does the same on the target, `copy` copies them as
    /// new ones [usual: follow].
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    #[arg(value_parser = word(MovePolicy::WORDS, MovePolicy::from_word))]
    pub(crate) moves: Option<MovePolicy>,
    /// Copies whose original is deleted at the source: `ignore` keeps them, `flag` marks them \Deleted, `trash` moves
    /// them to the target's trash, `mirror` removes them for good and asks you first [usual: ignore].
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    #[arg(value_parser = word(DeletionPolicy::WORDS, DeletionPolicy::from_word))]
    pub(crate) deletions: Option<DeletionPolicy>,
    /// Stop a mailbox, and ask you, before more than N of its messages are deleted at once [usual: 1000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_deletions: Option<u64>,
    /// The same before more than P hundredths of it are deleted [usual: 10].
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) max_deletions_percent: Option<u32>,
    /// Say yes to `--deletions mirror` beforehand.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Take this source mailbox for whole, although the server seems to show only part of it. May be repeated.
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) accept_view: Vec<String>,
}

/// The same for one copy that is made now.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Changes after the first copy")]
pub(crate) struct CopyChangeArgs {
    /// Stay connected and bring changes over as they come, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["final_pass", "dry_run"])]
    pub(crate) follow: bool,
    /// The last pass: visit every mailbox, and compare both sides at the end.
    #[arg(long = "final")]
    pub(crate) final_pass: bool,
    /// The users work on the target by now: nothing is deleted there any more, what was found there keeps the flags it
    /// has, and what they removed, filed or flagged is no difference for a last pass. Flags that only the source changes
    /// are still brought over.
    #[arg(long)]
    pub(crate) switched: bool,
    #[command(flatten)]
    pub(crate) changes: ChangeArgs,
    /// Go on in a source mailbox that was renumbered or made anew and holds little of what was copied.
    #[arg(long)]
    pub(crate) accept_source_change: bool,
}

/// The same, to be stored.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Changes after the first copy")]
pub(crate) struct ChangeWishArgs {
    /// The users work on the target by now: nothing is deleted there any more, what was found there keeps the flags it
    /// has, and what they removed, filed or flagged is no difference for a last pass. Flags that only the source changes
    /// are still brought over.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) switched: Option<bool>,
    #[command(flatten)]
    pub(crate) changes: ChangeArgs,
    /// Go on in a source mailbox that was renumbered or made anew and holds little of what was copied.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) accept_source_change: Option<bool>,
}
