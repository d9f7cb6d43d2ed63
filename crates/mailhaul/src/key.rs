//! `mailhaul key`: the key under which passwords are sealed.

use crate::cli::{KeyCommand, StoreArgs};
use crate::exit::{CommandError, Exit};
use crate::{output, store};
use mailhaul_report::count_of;
use mailhaul_service::KeySource;
use serde_json::json;

/// Runs the command to its exit code.
pub(crate) async fn run(command: &KeyCommand, at: &StoreArgs) -> Result<Exit, CommandError> {
    let KeyCommand::Rotate { new_key_file, new_key_command, json } = command;
    let new = match (new_key_file, new_key_command) {
        (Some(path), _) => Some(KeySource::File(path.clone())),
        (None, Some(command)) => Some(KeySource::Command(command.clone())),
        (None, None) => None,
    };
    let service = store::open(at).await?;
    let rotated = service.rotate_key(new.clone()).await?;
    store::close(service).await?;
    if json.json {
        let rotated = json!({
            "schema": 1, "old_key_id": rotated.old_key_id, "new_key_id": rotated.new_key_id,
            "passwords": rotated.secrets,
        });
        output::data(&output::json(&rotated))?;
        return Ok(Exit::Done);
    }
    let mut text = format!(
        "{} sealed under the new key {}; the key {} is good for nothing any more\n",
        count_of(rotated.secrets as u64, "password"),
        rotated.new_key_id,
        rotated.old_key_id
    );
    if new.is_some() {
        text.push_str("name the new key from now on: --key-file FILE or --key-command CMD\n");
    }
    output::data(&text)?;
    Ok(Exit::Done)
}
