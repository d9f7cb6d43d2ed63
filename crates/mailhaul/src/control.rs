//! `pause`, `resume`, `cancel`, `retry`: heard at once by whoever is working, and kept where nobody is.

use crate::cli::{PauseArgs, RetryArgs, StoreArgs, WhomArgs};
use crate::exit::{CommandError, Exit};
use crate::{output, store};
use mailhaul_report::count_of;
use mailhaul_service::{Controlled, HoldRow, JobId, Retry, Service, Subject, Whom};
use mailhaul_types::Escaped;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// `mailhaul pause`.
pub(crate) async fn pause(args: &PauseArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let service = store::open(at).await?;
    let whom = whom(&args.whom);
    let done = service.pause(&whom, &args.reason).await?;
    tell("paused", &whom, &done, args.json.json, &service).await?;
    store::close(service).await?;
    Ok(Exit::Done)
}

/// `mailhaul resume`.
pub(crate) async fn resume(args: &WhomArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let service = store::open(at).await?;
    let whom = whom(&args.whom);
    let done = service.resume(&whom).await?;
    tell("resumed", &whom, &done, args.json.json, &service).await?;
    store::close(service).await?;
    Ok(Exit::Done)
}

/// `mailhaul cancel`.
pub(crate) async fn cancel(args: &PauseArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let service = store::open(at).await?;
    let whom = whom(&args.whom);
    let done = service.cancel(&whom, &args.reason).await?;
    tell("cancelled", &whom, &done, args.json.json, &service).await?;
    store::close(service).await?;
    Ok(Exit::Done)
}

/// `mailhaul retry`.
pub(crate) async fn retry(args: &RetryArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let retry = Retry {
        wave: args.wave.clone(),
        account: args.account.clone(),
        accounts: Vec::new(),
        failed: args.failed,
        class: args.class,
        exceptions: args.exceptions,
        mailboxes: args.mailbox.clone(),
    };
    let service = store::open(at).await?;
    let done = service.retry(&retry).await?;
    store::close(service).await?;
    if args.json.json {
        let json = json!({ "schema": 1, "jobs": done.jobs, "exceptions": done.exceptions, "heard": done.heard });
        output::data(&output::json(&json))?;
        return Ok(Exit::Done);
    }
    let mut text = match (done.jobs, done.exceptions) {
        (0, 0) => "there is nothing to try again\n".to_owned(),
        (jobs, 0) => format!("{} in line again\n", count_of(jobs, "job")),
        (0, passes) => format!("{} queued to try again what was set aside\n", count_of(passes, "job")),
        (jobs, passes) => {
            format!("{} in line again, and {passes} queued to try again what was set aside\n", count_of(jobs, "job"))
        }
    };
    if done.heard == 0 && done.jobs + done.exceptions > 0 {
        text.push_str(NOBODY);
    }
    output::data(&text)?;
    Ok(Exit::Done)
}

const NOBODY: &str = "nobody is working: `mailhaul run --wave WAVE` or `mailhaul serve` goes on with it\n";

fn whom(group: &crate::cli::WhomGroup) -> Whom {
    match (group.job, &group.account, &group.wave, &group.endpoint) {
        (Some(job), ..) => Whom::Job(JobId(job)),
        (_, Some(account), ..) => Whom::Account(account.clone()),
        (_, _, Some(wave), _) => Whom::Wave(wave.clone()),
        (_, _, _, Some(endpoint)) => Whom::Endpoint(endpoint.clone()),
        _ => Whom::Everything,
    }
}

fn in_words(whom: &Whom) -> String {
    match whom {
        Whom::Job(id) => format!("job {id}"),
        Whom::Account(name) => format!("account {}", Escaped(name)),
        Whom::Accounts(names) => mailhaul_report::count_of(names.len() as u64, "account"),
        Whom::Wave(name) => format!("wave {}", Escaped(name)),
        Whom::Endpoint(name) => format!("endpoint {}", Escaped(name)),
        Whom::Everything => "everything".to_owned(),
    }
}

async fn tell(
    verb: &str,
    whom: &Whom,
    done: &Controlled,
    as_json: bool,
    service: &Service,
) -> Result<(), CommandError> {
    let mut holds = Vec::new();
    for hold in &done.holds {
        holds.push((subject_in_words(service, &hold.subject).await?, hold));
    }
    if as_json {
        let holds: Vec<Value> = holds.iter().map(|(subject, hold)| hold_json(subject, hold)).collect();
        let json = json!({ "schema": 1, "jobs": done.jobs, "heard": done.heard, "holds": holds });
        return output::data(&output::json(&json));
    }
    let mut text = format!("{verb} {}: {}\n", in_words(whom), count_of(done.jobs, "job"));
    if verb == "resumed" {
        for (subject, hold) in holds {
            let why = if hold.why.is_empty() { String::new() } else { format!(" ({})", Escaped(&hold.why)) };
            let _ = writeln!(text, "still paused: {subject}, by {}{why}", Escaped(&hold.who));
        }
    }
    output::data(&text)
}

fn hold_json(subject: &str, hold: &HoldRow) -> Value {
    json!({
        "subject": subject,
        "who": Escaped(&hold.who).to_string(),
        "why": Escaped(&hold.why).to_string(),
        "at_unix_ms": hold.at_unix_ms,
    })
}

async fn subject_in_words(service: &Service, subject: &Subject) -> Result<String, CommandError> {
    Ok(match subject {
        Subject::Everything => "everything".to_owned(),
        Subject::Job(id) => format!("job {id}"),
        Subject::Endpoint(id) => {
            let views = service.endpoints().await?;
            let name = views.into_iter().find(|view| view.row.id == *id).map(|view| view.row.name);
            format!("endpoint {}", Escaped(&name.unwrap_or_else(|| id.to_string())))
        }
        Subject::Wave(id) => {
            let views = service.waves().await?;
            let name = views.into_iter().find(|view| view.row.id == *id).map(|view| view.row.name);
            format!("wave {}", Escaped(&name.unwrap_or_else(|| id.to_string())))
        }
        Subject::Account(id) => {
            let rows = service.accounts(None, None).await?;
            let name = rows.into_iter().find(|row| row.id == *id).map(|row| row.name);
            format!("account {}", Escaped(&name.unwrap_or_else(|| id.to_string())))
        }
    })
}
