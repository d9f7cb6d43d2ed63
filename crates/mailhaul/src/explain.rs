//! `mailhaul explain`: one paragraph about an account or a job.

use crate::cli::{ExplainArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::{output, store};
use serde_json::{Value, json};

/// Runs the command to its exit code.
pub(crate) async fn run(args: &ExplainArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let explained = store::open_to_look(at).await?.explain(&args.what).await?;
    let text = if args.json.json {
        let jobs: Vec<Value> = explained
            .iter()
            .map(|explained| json!({ "job": explained.job.map(|job| job.0), "text": explained.text }))
            .collect();
        output::json(&json!({ "schema": 1, "explained": jobs }))
    } else {
        explained.iter().map(|explained| format!("{}\n", explained.text)).collect()
    };
    output::data(&text)?;
    Ok(Exit::Done)
}
