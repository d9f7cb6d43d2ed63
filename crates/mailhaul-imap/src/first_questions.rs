//! What is asked on a session that has just signed in: everything that can be asked together is asked in one round trip.
//!
//! Which of these questions go together follows from what the server announced. LIST comes along where one command tells
//! everything of all mailboxes, and where nothing that is asked with it can change how names are spelt.

use crate::capabilities::Capabilities;
use crate::command::Command;
use crate::enable;
use crate::error::ImapError;
use crate::list::{self, Collector, ListedMailbox};
use crate::namespace::{self, Namespaces};
use crate::response::Response;
use crate::software;
use crate::status::items_for_changes;
use crate::status_line::Status;
use crate::wire::Wire;
use mailhaul_types::NameEncoding;
use std::time::Duration;

const UTF8: &str = "UTF8=ACCEPT";

/// What is wanted of a server that has just let us in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The greeting's words: what the server is taken for until it says who it is.
    pub(crate) greeting: &'a str,
    /// Whether UTF8=ACCEPT is to be enabled.
    pub(crate) utf8: bool,
    /// Whether the mailboxes are to be listed with their figures, if that can be asked along.
    pub(crate) list: bool,
}

/// What the server said. Whatever it refused is not known; where it has to be known, it is asked again, and the refusal
/// reported then.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Its name and version.
    pub(crate) software: Option<String>,
    pub(crate) namespaces: Option<Namespaces>,
    /// Whether UTF8=ACCEPT is enabled, if it was asked for; a refusal is an error.
    pub(crate) utf8: Option<Result<bool, ImapError>>,
    /// Every mailbox with its figures, in the order of the names' octets.
    pub(crate) listed: Option<Vec<ListedMailbox>>,
}

/// The questions that are asked, in the order in which they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Utf8,
    Id,
    Namespace,
    List,
}

/// Asks. `deadline` does not hold for LIST: an account may have thousands of mailboxes.
pub(crate) async fn ask(
    wire: &mut Wire,
    capabilities: &Capabilities,
    wanted: Wanted<'_>,
    deadline: Duration,
) -> Result<Told, ImapError> {
    let believed = {
        let mut believed = capabilities.clone();
        believed.distrust(Some(wanted.greeting));
        believed
    };
    let questions = questions(&believed, wanted);
    let items = items_for_changes(&believed);
    let command = |question: &Question| match question {
        Question::Utf8 => enable::command(UTF8),
        Question::Id => software::command(),
        Question::Namespace => namespace::command(),
        Question::List => list::extended_command(&believed, Some(&items)),
    };
    let commands: Vec<Command> = questions.iter().map(command).collect();
    let (mut told, mut enabled) = (Told::default(), false);
    let mut collector = Collector::new("LIST", NameEncoding::ModifiedUtf7);
    let lists = questions.contains(&Question::List);
    let mut take = |response: Response<'_>| {
        enabled |= enable::tells(&response, UTF8);
        told.software = software::read(&response).or(told.software.take());
        told.namespaces = namespace::read(&response).or(told.namespaces.take());
        if lists {
            collector.take(&response);
        }
    };
    let verdicts = wire.run_together(&commands, (!lists).then_some(deadline), &mut take).await?;
    let verdict =
        |question| questions.iter().zip(&verdicts).find(|(asked, _)| **asked == question).map(|(_, line)| line);
    let is_ok = |question| verdict(question).is_some_and(|line| line.status == Status::Ok);
    // What came before a refusal proves nothing.
    told.software = told.software.filter(|_| is_ok(Question::Id));
    told.namespaces = told.namespaces.filter(|_| is_ok(Question::Namespace));
    told.utf8 = verdict(Question::Utf8).map(|line| match line.status {
        Status::Ok => Ok(enabled),
        _ => Err(ImapError::Refused { command: "ENABLE", status: line.clone() }),
    });
    if is_ok(Question::List) {
        let listed: Vec<ListedMailbox> = collector.finish()?.into_values().collect();
        // By its name it may be a server of which less is believed.
        let mut known = capabilities.clone();
        known.distrust(told.software.as_deref().or(Some(wanted.greeting)));
        told.listed = Some(listed).filter(|_| items_for_changes(&known) == items);
    }
    Ok(told)
}

fn questions(capabilities: &Capabilities, wanted: Wanted<'_>) -> Vec<Question> {
    // Under UTF8=ACCEPT names are spelt otherwise, and whether it is enabled is known only by the answer.
    let list = wanted.list && !wanted.utf8 && capabilities.list_status() && capabilities.list_extended();
    // Without something to go along with, it is asked by whoever needs it.
    let namespace = capabilities.namespace() && (capabilities.id() || wanted.list);
    let asked = [
        (wanted.utf8, Question::Utf8),
        (capabilities.id(), Question::Id),
        (namespace, Question::Namespace),
        (list, Question::List),
    ];
    asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, question)| question).collect()
}
