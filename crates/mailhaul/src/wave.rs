//! `mailhaul wave`: accounts that are moved together.

use crate::cli::{StoreArgs, WaveCommand};
use crate::columns::table;
use crate::endpoint::copying;
use crate::exit::{CommandError, Exit};
use crate::{output, store, wishes};
use mailhaul_report::{count_of, duration_for_people, moment_for_people, number_for_people};
use mailhaul_service::{JobCount, WaveView};
use mailhaul_types::{Escaped, escape};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Runs the command to its exit code.
pub(crate) async fn run(command: &WaveCommand, at: &StoreArgs) -> Result<Exit, CommandError> {
    match command {
        WaveCommand::List { json } => {
            let views = store::open_to_look(at).await?.waves().await?;
            let waves: Vec<Value> = views.iter().map(to_json).collect();
            output::data(&if json.json {
                output::json(&json!({ "schema": 1, "waves": waves }))
            } else {
                list(&views)
            })?;
        }
        WaveCommand::Show { name, json } => show(&store::open_to_look(at).await?.wave(name).await?, json.json)?,
        WaveCommand::Set { name, plan, copy, json } => {
            let mut change = wishes::plan(plan);
            change.copy = wishes::copy(copy, &format!("all accounts of wave {}", Escaped(name)))?;
            let service = store::open(at).await?;
            let view = service.set_wave(name, change).await?;
            store::close(service).await?;
            show(&view, json.json)?;
        }
        WaveCommand::Close { name, force } => {
            let service = store::open(at).await?;
            let closed = service.close_wave(name, *force).await?;
            store::close(service).await?;
            let again = if closed.was_closed { "was closed already" } else { "is closed" };
            let mut text = format!("wave {} {again}: {} wiped", Escaped(name), count_of(closed.wiped, "password"));
            if closed.cancelled > 0 {
                let _ = write!(text, ", {} cancelled", count_of(closed.cancelled, "job"));
            }
            text.push('\n');
            output::data(&text)?;
        }
    }
    Ok(Exit::Done)
}

fn list(views: &[WaveView]) -> String {
    if views.is_empty() {
        return "there is no wave yet; `mailhaul accounts import FILE --wave NAME` makes one\n".to_owned();
    }
    let rows: Vec<[String; 4]> = views
        .iter()
        .map(|view| {
            let state = if view.row.closed_unix_ms.is_some() { "closed".to_owned() } else { plan(view).join(", ") };
            [escape(&view.row.name), number_for_people(view.row.accounts), counts(&view.counts), state]
        })
        .collect();
    table(["wave", "accounts", "jobs", "plan"], &rows)
}

/// `3 queued, 12 done`.
fn counts(counts: &[JobCount]) -> String {
    let mut words: Vec<(String, u64)> = Vec::new();
    for count in counts {
        let word = count.state.word().replace('_', " ");
        match words.iter_mut().find(|(known, _)| *known == word) {
            Some((_, jobs)) => *jobs += count.jobs,
            None => words.push((word, count.jobs)),
        }
    }
    let words: Vec<String> = words.iter().map(|(word, jobs)| format!("{} {word}", number_for_people(*jobs))).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn plan(view: &WaveView) -> Vec<String> {
    let at = |unix_ms: i64| moment_for_people(unix_ms / 1_000);
    let mut words = vec![view.row.order.word().to_owned()];
    words.extend(view.plan.start_after_unix_ms.map(|unix_ms| format!("start after {}", at(unix_ms))));
    #[expect(clippy::cast_precision_loss, reason = "a duration for people")]
    words.extend(view.plan.every_secs.map(|secs| format!("again every {}", duration_for_people(secs as f64))));
    words.extend(view.plan.complete_after_unix_ms.map(|unix_ms| format!("final after {}", at(unix_ms))));
    words
}

fn show(view: &WaveView, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let mut json = to_json(view);
        json["schema"] = 1.into();
        return output::data(&output::json(&json));
    }
    let accounts = count_of(view.row.accounts, "account");
    let mut out = format!("wave {}: {accounts}\n", Escaped(&view.row.name));
    let _ = writeln!(out, "  plan       {}", plan(view).join(", "));
    let _ = writeln!(out, "  jobs       {}", counts(&view.counts));
    let copying = copying(&view.options);
    if !copying.is_empty() {
        let _ = writeln!(out, "  copying    {}", copying.join(", "));
    }
    if let Some(unix_ms) = view.row.closed_unix_ms {
        let _ = writeln!(out, "  closed     {}", moment_for_people(unix_ms / 1_000));
    }
    output::data(&out)
}

fn to_json(view: &WaveView) -> Value {
    let counts: Vec<Value> = view
        .counts
        .iter()
        .map(|count| json!({ "kind": count.kind, "state": count.state.word(), "jobs": count.jobs }))
        .collect();
    json!({
        "name": escape(&view.row.name),
        "accounts": view.row.accounts,
        "order": view.row.order.word(),
        "plan": view.plan,
        "options": view.options,
        "jobs": counts,
        "created_unix_ms": view.row.created_unix_ms,
        "closed_unix_ms": view.row.closed_unix_ms,
    })
}
