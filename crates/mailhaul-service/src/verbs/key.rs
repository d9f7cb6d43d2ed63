//! A new key: everything is sealed under it anew, in one transaction, and then it takes the place of the old one.

use crate::error::ServiceError;
use crate::service::Service;
use crate::vault::{Key, KeySource, Place, Vault, reseal};
use mailhaul_db::queue::{SealedSecret, SecretOwner, SecretPlace, VaultRow};
use mailhaul_queue::Side;

/// What a change of keys did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The name of the key that was used so far.
    pub old_key_id: String,
    /// The name of the key that is used from now on.
    pub new_key_id: String,
    /// How many passwords were sealed anew.
    pub secrets: usize,
}

impl Service {
    /// Changes the key. A key file gets a new key in its place; of keys that come from elsewhere, `new` says where the
    /// new one comes from.
    ///
    /// # Errors
    /// If the old key does not fit, the new one cannot be had, or work is going on under the old one.
    pub async fn rotate_key(&self, new: Option<KeySource>) -> Result<Rotated, ServiceError> {
        let workers = self.queue.workers().await?;
        if let Some(worker) = workers.first() {
            return Err(ServiceError::usage(
                format!("process {} (`mailhaul {}`) works with the key that would go", worker.process, worker.what),
                "stop it first; what it does goes on where it was when it is started again",
            ));
        }
        let old = self.vault().await?;
        let source = self.key.clone();
        let (made, given) = (source.clone(), new.clone());
        let key = tokio::task::spawn_blocking(move || next_key(&made, given.as_ref())).await;
        let new_vault =
            Vault::new(&key.map_err(|error| ServiceError::Stored(format!("making a key failed: {error}")))??);
        let stored = self.queue.secrets().await?;
        let sealed: Vec<(Place, Vec<u8>)> =
            stored.iter().map(|secret| (place_of(&secret.place), secret.sealed.clone())).collect();
        let sealed = reseal(&old, &new_vault, &sealed)?;
        let key_id = new_vault.key_id();
        let secrets: Vec<SealedSecret> = stored
            .iter()
            .zip(sealed)
            .map(|(before, (_, sealed))| SealedSecret { place: before.place.clone(), key_id: key_id.clone(), sealed })
            .collect();
        let count = secrets.len();
        let row = VaultRow { key_id: key_id.clone(), check_value: new_vault.check_value()? };
        self.queue.replace_secrets(stored, secrets, row).await?;
        if let (KeySource::File(path), None) = (&source, &new) {
            // If this is cut short, the successor is found and put into its place when the vault is next unlocked.
            Key::promote_successor(path).map_err(|error| ServiceError::Vault(error.into()))?;
        }
        Ok(Rotated { old_key_id: old.key_id(), new_key_id: key_id, secrets: count })
    }
}

fn next_key(current: &KeySource, new: Option<&KeySource>) -> Result<Key, ServiceError> {
    let key = match (current, new) {
        (_, Some(KeySource::File(path))) if !path.exists() => Key::generate(path),
        (_, Some(source)) => Key::load(source),
        (KeySource::File(path), None) => Key::generate_successor(path),
        (KeySource::Command(_) | KeySource::Credential(_), None) => {
            return Err(ServiceError::usage(
                "the key does not come from a file that could be replaced",
                "name where the new one comes from: --new-key-file FILE or --new-key-command CMD",
            ));
        }
    };
    key.map_err(|error| ServiceError::Vault(error.into()))
}

/// What a stored secret is bound to.
fn place_of(stored: &SecretPlace) -> Place {
    let (kind, id) = match stored.owner {
        SecretOwner::Account(id) => ("account", id.0),
        SecretOwner::Endpoint(id) => ("endpoint", id.0),
    };
    let side = match stored.side {
        Some(Side::Source) => "source",
        Some(Side::Target) => "target",
        None => "",
    };
    Place::new(kind, id, side, &stored.field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailhaul_queue::{AccountId, EndpointId};

    #[test]
    fn a_stored_place_is_the_one_that_was_sealed_for() {
        for side in [mailhaul_types::Side::Source, mailhaul_types::Side::Target] {
            let (place, stored) = super::super::import::password_places(AccountId(7), side);
            assert_eq!(place_of(&stored), place);
        }
        let stored =
            SecretPlace { owner: SecretOwner::Endpoint(EndpointId(3)), side: None, field: "password".to_owned() };
        assert_eq!(place_of(&stored), Place::endpoint_password(EndpointId(3)));
    }
}
