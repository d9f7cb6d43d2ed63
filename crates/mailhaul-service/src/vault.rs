//! Passwords and tokens at rest: sealed one by one, under a key that is not in the database.
//!
//! A sealed value is `version · key id · nonce · ciphertext and tag` (XChaCha20-Poly1305, random nonce of 24 octets).
//! Its place (whose secret it is, for which side, which field) is bound in as associated data, so that a value that is
//! moved to another row no longer opens. What is sealed is padded, so that the database does not tell how long a
//! password is.
//!
//! One *check value* lies beside the sealed secrets. It is opened before anything else, so that a wrong key is one clear
//! error and touches nothing. Where the key comes from is the subject of [`KeySource`].

mod key;

pub use key::{Key, KeyError, KeySource};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use mailhaul_queue::{AccountId, EndpointId};
use mailhaul_types::{Secret, Side};
use zeroize::Zeroizing;

/// The first octet of every sealed value.
const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
/// Sealed values are as long as the next multiple of this.
const PADDING_BYTES: usize = 64;
/// In front of a secret stands its length.
const LENGTH_BYTES: usize = 4;
/// A secret longer than this is a mistake. The longest that are known, refresh tokens, have a few KiB.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
const CHECK_WORDS: &[u8] = b"mailhaul: this key is the right one";

/// Where a sealed secret belongs. It opens nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What kind of thing owns it: `account` or `endpoint`.
    pub owner_kind: String,
    /// Which one.
    pub owner_id: i64,
    /// `source`, `target`, or empty where it serves both.
    pub side: String,
    /// What it is: `password`.
    pub field: String,
}

impl Place {
    /// A place by the columns that it is stored under.
    #[must_use]
    pub fn new(owner_kind: &str, owner_id: i64, side: &str, field: &str) -> Self {
        Self { owner_kind: owner_kind.to_owned(), owner_id, side: side.to_owned(), field: field.to_owned() }
    }

    /// An account's own password on one side.
    #[must_use]
    pub fn account_password(account: AccountId, side: Side) -> Self {
        Self::new("account", account.0, &side.to_string(), "password")
    }

    /// The password of an endpoint's admin.
    #[must_use]
    pub fn endpoint_password(endpoint: EndpointId) -> Self {
        Self::new("endpoint", endpoint.0, "", "password")
    }

    /// The place of the check value. No secret has it.
    fn of_check_value() -> Self {
        Self::new("vault", 1, "", "check")
    }

    /// Each part behind its length, so that no two places read the same.
    fn associated_data(&self) -> Vec<u8> {
        let mut octets = b"mailhaul sealed secret 1".to_vec();
        for part in
            [self.owner_kind.as_bytes(), &self.owner_id.to_be_bytes(), self.side.as_bytes(), self.field.as_bytes()]
        {
            octets.extend((part.len() as u64).to_be_bytes());
            octets.extend(part);
        }
        octets
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.side.is_empty() {
            write!(f, "{} ", self.side)?;
        }
        write!(f, "{} of {} {}", self.field, self.owner_kind, self.owner_id)
    }
}

/// Why something cannot be sealed or opened. None of it tells what is sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Sealed under another key than the one at hand.
    #[error("the key {given} is not the one that the secrets are sealed under, which is {needed}")]
    WrongKey {
        /// The id of the key at hand.
        given: String,
        /// The id of the key that it needs.
        needed: String,
    },
    /// Nothing that this vault has written: cut short, of another version, or not sealed at all.
    #[error("{0}: this is not a sealed value of a version that is known here")]
    Garbled(Place),
    /// Changed since it was sealed, or sealed for another place.
    #[error("{0}: the sealed value was changed, or it belongs to another place")]
    Refused(Place),
    /// Larger than any password or token.
    #[error("{0}: a secret of more than {SECRET_BYTES_MAX} bytes is a mistake")]
    TooLong(Place),
    /// The operating system has no random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// The key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Seals and opens secrets under one key.
pub struct Vault {
    cipher: XChaCha20Poly1305,
    key_id: [u8; KEY_ID_BYTES],
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

impl Vault {
    /// A vault under this key. Nothing says yet that it is the right one: see [`Vault::unlock`].
    #[must_use]
    pub fn new(key: &Key) -> Self {
        Self { cipher: XChaCha20Poly1305::new(key.octets().into()), key_id: key.id_octets() }
    }

    /// Fetches the key and makes sure that it is the one that `check_value` was sealed under.
    ///
    /// A change of keys that was cut short between the database and the key file is finished here: the successor
    /// beside the key file takes its place when the check value is sealed under it.
    ///
    /// # Errors
    ///
    /// A key that cannot be had, or is another one; a check value that was changed.
    pub fn unlock(source: &KeySource, check_value: &[u8]) -> Result<Self, VaultError> {
        let vault = Self::new(&Key::load(source)?);
        let wrong = match vault.verify(check_value) {
            Ok(()) => return Ok(vault),
            Err(error) => error,
        };
        let KeySource::File(path) = source else { return Err(wrong) };
        let Ok(successor) = Key::load_successor(path) else { return Err(wrong) };
        let vault = Self::new(&successor);
        vault.verify(check_value).map_err(|_| wrong)?;
        Key::promote_successor(path)?;
        Ok(vault)
    }

    /// The id of the key: 16 hexadecimal digits that reveal nothing of it.
    #[must_use]
    pub fn key_id(&self) -> String {
        key::hexadecimal(&self.key_id)
    }

    /// A value that only this key opens, to be stored beside the secrets.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random numbers.
    pub fn check_value(&self) -> Result<Vec<u8>, VaultError> {
        self.seal_octets(&Place::of_check_value(), CHECK_WORDS)
    }

    /// Makes sure that this key is the one that `check_value` was sealed under.
    ///
    /// # Errors
    ///
    /// [`VaultError::WrongKey`] when it is not; others when the value was changed.
    pub fn verify(&self, check_value: &[u8]) -> Result<(), VaultError> {
        self.open(&Place::of_check_value(), check_value).map(drop)
    }

    /// Seals a secret for its place. No two results are equal.
    ///
    /// # Errors
    ///
    /// A secret of more than [`SECRET_BYTES_MAX`], or an operating system without random numbers.
    pub fn seal(&self, place: &Place, secret: &Secret) -> Result<Vec<u8>, VaultError> {
        self.seal_octets(place, secret.expose())
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    ///
    /// Another key, another place, or any octet changed.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Secret, VaultError> {
        let garbled = || VaultError::Garbled(place.clone());
        let (head, body) = sealed.split_at_checked(HEAD_BYTES).ok_or_else(garbled)?;
        let (&version, head) = head.split_first().ok_or_else(garbled)?;
        let (key_id, nonce) = head.split_at(KEY_ID_BYTES);
        if version != VERSION || body.len() < TAG_BYTES {
            return Err(garbled());
        }
        if key_id != self.key_id {
            return Err(VaultError::WrongKey { given: self.key_id(), needed: key::hexadecimal(key_id) });
        }
        let nonce = XNonce::try_from(nonce).map_err(|_| garbled())?;
        let payload = Payload { msg: body, aad: &place.associated_data() };
        let padded = self.cipher.decrypt(&nonce, payload).map_err(|_| VaultError::Refused(place.clone()))?;
        unpad(&Zeroizing::new(padded)).ok_or_else(garbled)
    }

    fn seal_octets(&self, place: &Place, octets: &[u8]) -> Result<Vec<u8>, VaultError> {
        let padded = pad(octets).ok_or_else(|| VaultError::TooLong(place.clone()))?;
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(VaultError::Random)?;
        let payload = Payload { msg: &padded, aad: &place.associated_data() };
        let body = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a message of some KiB is far below the cipher's limit");
        let mut sealed = Vec::with_capacity(HEAD_BYTES + body.len());
        sealed.push(VERSION);
        sealed.extend(self.key_id);
        sealed.extend(nonce);
        sealed.extend(body);
        Ok(sealed)
    }
}

/// Seals everything anew under another key: all of it or, with an error, nothing.
///
/// Nothing is written here. The caller stores the results and the new vault's check value in one transaction.
///
/// # Errors
///
/// The first value that does not open.
pub fn reseal(old: &Vault, new: &Vault, sealed: &[(Place, Vec<u8>)]) -> Result<Vec<(Place, Vec<u8>)>, VaultError> {
    let again = |(place, value): &(Place, Vec<u8>)| Ok((place.clone(), new.seal(place, &old.open(place, value)?)?));
    sealed.iter().map(again).collect()
}

/// Length, octets, zeros up to the next multiple.
fn pad(octets: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let length = u32::try_from(octets.len()).ok().filter(|_| octets.len() <= SECRET_BYTES_MAX)?;
    let size = (LENGTH_BYTES + octets.len()).next_multiple_of(PADDING_BYTES);
    // At its full size from the start: a buffer that grows leaves copies of the secret behind.
    let mut padded = Zeroizing::new(Vec::with_capacity(size));
    padded.extend(length.to_be_bytes());
    padded.extend(octets);
    padded.resize(size, 0);
    Some(padded)
}

fn unpad(padded: &[u8]) -> Option<Secret> {
    let (length, octets) = padded.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    octets.get(..length).map(|octets| Secret::new(octets.to_vec()))
}

#[cfg(test)]
mod tests;
