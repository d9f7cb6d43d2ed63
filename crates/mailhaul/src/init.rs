//! `mailhaul init`: the state file and its key.

use crate::cli::{InitArgs, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::{output, setup, store};
use mailhaul_report::count_of;
use mailhaul_service::{KeySource, Service};
use serde_json::json;

/// Runs the command to its exit code.
pub(crate) async fn run(args: &InitArgs, at: &StoreArgs) -> Result<Exit, CommandError> {
    let path = setup::state_file(at.state.as_deref())?;
    let key = store::key_source(at)?;
    let where_key = match &key {
        KeySource::File(path) => format!("key file `{}`", path.display()),
        KeySource::Command(_) => "the key command".to_owned(),
        KeySource::Credential(name) => format!("credential `{name}`"),
    };
    let made = Service::init(&path, key, "init").await?;
    if args.json.json {
        let made = json!({
            "schema": 1, "state": made.state.display().to_string(), "key_id": made.key_id, "new_key": made.key_is_new,
            "new_state": !made.was_there, "endpoints": made.endpoints, "waves": made.waves, "accounts": made.accounts,
        });
        output::data(&output::json(&made))?;
        return Ok(Exit::Done);
    }
    let state = made.state.display();
    let text = if made.was_there {
        format!(
            "state file `{state}` is there already, with {}, {} and {}; nothing was changed\n\
             {where_key} fits: key {}\n",
            count_of(made.endpoints as u64, "endpoint"),
            count_of(made.waves as u64, "wave"),
            count_of(made.accounts, "account"),
            made.key_id
        )
    } else {
        let key = if made.key_is_new { "made" } else { "taken" };
        format!(
            "state file `{state}` is ready\n{where_key} was {key}: key {}\n\
             Keep a copy of the key apart from the state file: without it the stored passwords are lost.\n",
            made.key_id
        )
    };
    output::data(&text)?;
    Ok(Exit::Done)
}
