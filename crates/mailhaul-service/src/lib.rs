//! What an operator can do, and the workers that do it.

mod vault;

pub use vault::{Key, KeyError, KeySource, Place, SECRET_BYTES_MAX, Vault, VaultError, reseal};
