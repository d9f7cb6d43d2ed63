//! What becomes of changes after the first copy: options checked against each other, and the one question that is asked
//! before mail may be removed from a target.

use crate::cli::{ChangeArgs, ChangeWishArgs, CopyArgs};
use crate::endpoint_url;
use crate::exit::CommandError;
use mailhaul_plan::policy::{DeletionPolicy, ResyncPolicy};
use mailhaul_service::CopyOptions;
use mailhaul_types::{Escaped, Side};
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// The answer that counts.
const YES: &str = "yes";

/// What was typed; nothing where nobody can be asked.
pub(crate) type Answer = Result<Option<String>, std::io::Error>;

/// The policy of a copy that is made now. Asks before anything may be removed.
pub(crate) fn policy(args: &CopyArgs, ask: impl FnOnce(&str) -> Answer) -> Result<ResyncPolicy, CommandError> {
    let said = &args.changes;
    let options = CopyOptions {
        switched: said.switched.then_some(true),
        accept_source_change: said.accept_source_change.then_some(true),
        ..said_alike(&said.changes)
    };
    options.check_changes()?;
    check_brake(&said.changes)?;
    if options.mirrors() && !args.dry_run {
        let target = endpoint_url::parse(Side::Target, &args.endpoints.to, &args.endpoints.allow_plaintext)?;
        let owner = args.endpoints.to_authorization_identity.as_deref().unwrap_or(&target.user);
        confirm_mirror(said.changes.yes, &format!("from {} at {}", Escaped(owner), target.host), ask)?;
    }
    Ok(options.resync(said.final_pass))
}

/// What is to be stored for `whom`, beside what is said of mailboxes and selection. Asks before anything may be removed
/// from then on.
pub(crate) fn wishes(args: &ChangeWishArgs, whom: &str) -> Result<CopyOptions, CommandError> {
    let options = CopyOptions {
        switched: args.switched,
        accept_source_change: args.accept_source_change,
        ..said_alike(&args.changes)
    };
    options.check_changes()?;
    if options.mirrors() {
        confirm_mirror(args.changes.yes, &format!("from the targets of {whom}"), ask_on_terminal)?;
    }
    Ok(options)
}

fn said_alike(args: &ChangeArgs) -> CopyOptions {
    CopyOptions {
        flags: args.flags,
        moves: args.moves,
        deletions: args.deletions,
        max_deletions: args.max_deletions,
        max_deletions_percent: args.max_deletions_percent,
        accept_view: (!args.accept_view.is_empty()).then(|| args.accept_view.clone()),
        ..CopyOptions::default()
    }
}

/// A brake without anything to brake is a misunderstanding. (What is stored may be said elsewhere, so it is not asked.)
fn check_brake(args: &ChangeArgs) -> Result<(), CommandError> {
    let brake = match (args.max_deletions, args.max_deletions_percent) {
        (Some(_), _) => "--max-deletions",
        (_, Some(_)) => "--max-deletions-percent",
        (None, None) => return Ok(()),
    };
    if args.deletions.unwrap_or_default() != DeletionPolicy::Ignore {
        return Ok(());
    }
    Err(CommandError::usage(
        format!("{brake} bounds deletions, and without --deletions nothing is deleted"),
        "--deletions flag, trash or mirror says what becomes of copies whose original is deleted",
    ))
}

/// Goes on only where the operator has said that copies may be removed: beforehand, or when asked.
fn confirm_mirror(yes: bool, whence: &str, ask: impl FnOnce(&str) -> Answer) -> Result<(), CommandError> {
    if yes {
        return Ok(());
    }
    let question = format!(
        "--deletions mirror removes {whence}, for good, every copy whose original is not at the source any more,\n\
         as far as mailhaul made it. Type \"{YES}\" to go on: "
    );
    match ask(&question) {
        Ok(Some(answer)) if answer.trim() == YES => Ok(()),
        Ok(Some(_)) => Err(CommandError::usage(
            "--deletions mirror was not confirmed; nothing was done",
            "--deletions trash moves the copies to the target's trash instead",
        )),
        Ok(None) => Err(CommandError::usage(
            format!("--deletions mirror removes mail {whence}, and there is no terminal to ask on"),
            "--yes confirms it beforehand; --deletions trash moves the copies to the target's trash instead",
        )),
        Err(error) => Err(CommandError::usage(
            format!("cannot read the answer from the terminal: {error}"),
            "--yes confirms --deletions mirror beforehand",
        )),
    }
}

/// Asks where somebody can be asked.
pub(crate) fn ask_on_terminal(question: &str) -> Answer {
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Ok(None);
    }
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(Some(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;
    use mailhaul_plan::policy::{DeletionBrake, FlagPolicy, MovePolicy};

    fn copy(words: &str) -> Box<CopyArgs> {
        let ends = "mailhaul copy --from imaps://ann@old.example --to imaps://ann@new.example";
        let words = ends.split(' ').chain(words.split(' ').filter(|word| !word.is_empty()));
        match Cli::try_parse_from(words).expect("it can be read").command {
            Command::Copy(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn refused(words: &str) -> String {
        let error = policy(&copy(words), |_| Ok(None)).expect_err("it is refused");
        assert_eq!(error.exit, crate::exit::Exit::Usage);
        error.to_string()
    }

    #[test]
    fn the_words_of_the_command_line_reach_the_policy() {
        let plain = policy(&copy(""), |_| Ok(None)).expect("nothing is said");
        assert_eq!(plain, ResyncPolicy::default());
        let words = "--flags target --moves copy --deletions trash --max-deletions 5 --max-deletions-percent 50 \
                     --switched --accept-source-change --accept-view INBOX --accept-view Archive --final";
        let expected = ResyncPolicy {
            flags: FlagPolicy::Target,
            moves: MovePolicy::Copy,
            deletions: DeletionPolicy::Trash,
            deletion_brake: DeletionBrake { percent: 50, messages: 5 },
            switched: true,
            accept_source_change: true,
            accepted_views: vec!["INBOX".to_owned(), "Archive".to_owned()],
            thorough: true,
        };
        assert_eq!(policy(&copy(words), |_| Ok(None)).expect("all of it can be"), expected);
    }

    #[test]
    fn a_brake_needs_something_to_brake() {
        assert!(refused("--max-deletions 5").contains("--max-deletions bounds deletions"));
        assert!(refused("--max-deletions-percent 5 --deletions ignore").contains("--max-deletions-percent bounds"));
        assert!(policy(&copy("--max-deletions 5 --deletions flag"), |_| Ok(None)).is_ok());
    }

    #[test]
    fn mirror_asks_unless_it_was_confirmed_or_nothing_is_written() {
        let error = refused("--deletions mirror");
        assert!(error.contains("ann at new.example") && error.contains("--yes"), "{error}");
        for words in ["--deletions mirror --yes", "--deletions mirror --dry-run"] {
            assert_eq!(
                policy(&copy(words), |_| panic!("somebody was asked")).expect("it can be").deletions,
                DeletionPolicy::Mirror
            );
        }
        let error = refused("--deletions mirror --yes --switched");
        assert!(error.contains("contradict each other"), "{error}");
    }

    #[test]
    fn only_yes_is_a_yes() {
        let whence = "from ann at new.example";
        for (answer, counts) in
            [("yes\n", true), (" yes ", true), ("y\n", false), ("\n", false), ("", false), ("no", false)]
        {
            let mut asked = String::new();
            let ask = |question: &str| {
                asked = question.to_owned();
                Ok(Some(answer.to_owned()))
            };
            let said = confirm_mirror(false, whence, ask);
            assert!(asked.contains(whence) && asked.contains("for good"), "{asked}");
            assert_eq!(said.is_ok(), counts, "{answer:?}");
        }
        confirm_mirror(true, whence, |_| panic!("asked although it was confirmed")).expect("confirmed");
    }
}
