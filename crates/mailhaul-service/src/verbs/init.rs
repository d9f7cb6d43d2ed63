//! The beginning: a state file, and the key under which its passwords are sealed.

use crate::error::ServiceError;
use crate::service::Service;
use crate::vault::{Key, KeySource, Vault};
use mailhaul_db::queue::VaultRow;
use std::path::{Path, PathBuf};

/// What the beginning found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialised {
    /// The state file.
    pub state: PathBuf,
    /// The name of the key; it reveals nothing of the key.
    pub key_id: String,
    /// Whether a new key was made. Otherwise one was found.
    pub key_is_new: bool,
    /// Whether the state file had its key already, so that nothing was changed.
    pub was_there: bool,
    /// How many endpoints the state file holds.
    pub endpoints: usize,
    /// How many waves the state file holds.
    pub waves: usize,
    /// How many accounts its waves have.
    pub accounts: u64,
}

impl Service {
    /// Makes the state file and its key where they are missing. Neither is ever overwritten: a second start says what is
    /// there, and that the key still fits.
    ///
    /// # Errors
    /// If the state file is something else, or its key cannot be had or is another one.
    pub async fn init(state: &Path, key: KeySource, who: &str) -> Result<Initialised, ServiceError> {
        let service = Self::open(state, key, who).await?;
        let (was_there, key_id, key_is_new) = match service.queue.vault().await? {
            Some(_) => (true, service.vault().await?.key_id(), false),
            None => {
                let source = service.key.clone();
                let made = tokio::task::spawn_blocking(move || fetch_or_make(&source)).await;
                let (key, is_new) =
                    made.map_err(|error| ServiceError::Stored(format!("making the key failed: {error}")))??;
                let vault = Vault::new(&key);
                let row = VaultRow { key_id: vault.key_id(), check_value: vault.check_value()? };
                service.queue.put_vault(row).await?;
                (false, vault.key_id(), is_new)
            }
        };
        let (endpoints, waves) = (service.queue.endpoints().await?, service.queue.waves().await?);
        let initialised = Initialised {
            state: state.to_owned(),
            key_id,
            key_is_new,
            was_there,
            endpoints: endpoints.len(),
            waves: waves.len(),
            accounts: waves.iter().map(|wave| wave.accounts).sum(),
        };
        service.close().await?;
        Ok(initialised)
    }
}

/// A key file that exists is used: one key may serve several state files.
fn fetch_or_make(source: &KeySource) -> Result<(Key, bool), ServiceError> {
    match source {
        KeySource::File(path) if !path.exists() => Ok((Key::generate(path).map_err(as_service)?, true)),
        other => Ok((Key::load(other).map_err(as_service)?, false)),
    }
}

fn as_service(error: crate::vault::KeyError) -> ServiceError {
    ServiceError::Vault(error.into())
}
