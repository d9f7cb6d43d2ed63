//! The key of the vault: where it comes from, and what makes it unfit.
//!
//! A key is one line of text, `mailhaul-key-1:` and 32 octets in base64. In a file it must belong to whoever runs this
//! (or to root), and nobody else may read it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::KEY_ID_BYTES;

const KEY_BYTES: usize = 32;
const PREFIX: &str = "mailhaul-key-1:";
/// A key file is shorter than this; anything longer is another file.
const FILE_BYTES_MAX: u64 = 256;
/// What any key's text needs when it is decoded; base64 rounds up.
const DECODED_BYTES_MAX: usize = 48;

/// 32 random octets. They print as nothing and are wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; KEY_BYTES]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key([secret])")
    }
}

/// Where the key is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file of mode 0600.
    File(PathBuf),
    /// What a command prints, run by `/bin/sh -c`.
    Command(String),
    /// A systemd credential of this name, in the directory that `$CREDENTIALS_DIRECTORY` names.
    Credential(String),
}

/// Why a key cannot be had. None of it tells anything of the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is one already; keys are never overwritten.
    #[error("key file `{}` exists already and is not overwritten: what is sealed under it would be lost", .0.display())]
    Exists(PathBuf),
    /// It is not there.
    #[error("key file `{}` does not exist", .0.display())]
    Missing(PathBuf),
    /// Reading or writing failed.
    #[error("key file `{}`: {error}", .path.display())]
    Io {
        /// The file or its directory.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// A directory, a device, a pipe.
    #[error("key file `{}` is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// Somebody else may read it.
    #[error("key file `{}` has mode {mode:04o}: others can read it", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Somebody else owns it, and could exchange it.
    #[error("key file `{}` belongs to user {owner}, not to the one who runs this", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
    },
    /// Somebody else may write in the directory, and could exchange the key.
    #[error("directory `{}` has mode {mode:04o}: others could exchange the key in it", .path.display())]
    OpenDirectory {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Something else than a key.
    #[error("{0} does not hold a key: one line of `{PREFIX}` and 44 characters")]
    NotAKey(String),
    /// The command could not be run.
    #[error("the key command cannot be started: {0}")]
    CommandStart(io::Error),
    /// The command failed.
    #[error("the key command ended with {0}")]
    CommandEnd(ExitStatus),
    /// The name of a credential that is not one file name.
    #[error("`{}` is not the name of a credential", mailhaul_types::Escaped(.0))]
    CredentialName(String),
    /// No credentials were passed.
    #[error("no credentials were passed: CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    /// The operating system has no random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Key {
    /// Makes a new key and writes it to `path` (mode 0600), with its directory (mode 0700) where that is missing.
    ///
    /// # Errors
    ///
    /// When there is a file already, when others can write in its directory, or when it cannot be written.
    pub fn generate(path: &Path) -> Result<Self, KeyError> {
        make_directory(path)?;
        let mut key = Self([0; KEY_BYTES]);
        getrandom::fill(&mut key.0).map_err(KeyError::Random)?;
        key.write_new(path)?;
        Ok(key)
    }

    /// Fetches the key.
    ///
    /// # Errors
    ///
    /// When it is not there, is no key, or is not guarded.
    pub fn load(source: &KeySource) -> Result<Self, KeyError> {
        match source {
            KeySource::File(path) => Self::load_file(path, 0o077),
            // Where systemd grants access by an ACL, its mask shows as the mode's group bits: group is no sign.
            KeySource::Credential(name) => Self::load_file(&credential_path(name)?, 0o007),
            KeySource::Command(command) => Self::from_text(&run_command(command)?, "what the key command printed"),
        }
    }

    /// Makes the key that is to follow the one in `path`, in a file beside it. A successor that was left behind by a
    /// change that never came to the database is removed: call this only when the key in `path` has been verified.
    ///
    /// # Errors
    ///
    /// As [`Key::generate`].
    pub fn generate_successor(path: &Path) -> Result<Self, KeyError> {
        let successor = successor_path(path);
        match fs::remove_file(&successor) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(KeyError::Io { path: successor, error }),
            _ => Self::generate(&successor),
        }
    }

    /// Puts the successor into the place of the key, once everything is sealed under it. The old key is gone then.
    ///
    /// # Errors
    ///
    /// When the files cannot be exchanged.
    pub fn promote_successor(path: &Path) -> Result<(), KeyError> {
        match fs::rename(successor_path(path), path) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => Ok(()),
            Err(error) => Err(KeyError::Io { path: path.to_owned(), error }),
            Ok(()) => sync_directory(path),
        }
    }

    pub(super) fn load_successor(path: &Path) -> Result<Self, KeyError> {
        Self::load_file(&successor_path(path), 0o077)
    }

    /// 16 hexadecimal digits that tell keys apart and reveal nothing of them.
    #[must_use]
    pub fn id(&self) -> String {
        hexadecimal(&self.id_octets())
    }

    pub(super) fn octets(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Of 256 random bits a hash says nothing; the words in front keep it apart from every other use of the key.
    pub(super) fn id_octets(&self) -> [u8; KEY_ID_BYTES] {
        let hash = Sha256::new().chain_update(b"mailhaul key id 1\0").chain_update(self.0).finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&hash[..KEY_ID_BYTES]);
        id
    }

    fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |error| KeyError::Io { path: path.to_owned(), error };
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyError::Exists(path.to_owned()));
            }
            opened => opened.map_err(failed)?,
        };
        let line = Zeroizing::new(format!("{PREFIX}{}\n", Zeroizing::new(STANDARD.encode(self.0)).as_str()));
        // The umask can only take permissions away; a strict one must not leave a key that its owner cannot read.
        let written = file
            .set_permissions(Permissions::from_mode(0o600))
            .and_then(|()| file.write_all(line.as_bytes()))
            .and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Nothing is sealed under it yet, and half a key would only be in the way.
            let _ = fs::remove_file(path);
            return Err(failed(error));
        }
        sync_directory(path)
    }

    fn load_file(path: &Path, forbidden_mode: u32) -> Result<Self, KeyError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => KeyError::Missing(path.to_owned()),
            _ => KeyError::Io { path: path.to_owned(), error },
        };
        // Without NONBLOCK a pipe in its place would hang the start. What is asked below is asked of the open file,
        // so that it cannot be exchanged in between.
        let flags = rustix::fs::OFlags::NONBLOCK.bits();
        let flags = i32::try_from(flags).expect("the flags of open fit into a C int");
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mode = metadata.mode() & 0o7777;
        let owner = metadata.uid();
        if !metadata.is_file() {
            return Err(KeyError::NotRegular(path.to_owned()));
        }
        if mode & forbidden_mode != 0 {
            return Err(KeyError::Exposed { path: path.to_owned(), mode });
        }
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(KeyError::Foreign { path: path.to_owned(), owner });
        }
        let mut octets = Zeroizing::new(Vec::with_capacity(512));
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut octets).map_err(failed)?;
        Self::from_text(&octets, &format!("key file `{}`", path.display()))
    }

    fn from_text(octets: &[u8], where_from: &str) -> Result<Self, KeyError> {
        let decode = || {
            let encoded = octets.trim_ascii().strip_prefix(PREFIX.as_bytes())?;
            let mut decoded = Zeroizing::new([0; DECODED_BYTES_MAX]);
            let length = STANDARD.decode_slice(encoded, decoded.as_mut_slice()).ok()?;
            <[u8; KEY_BYTES]>::try_from(&decoded[..length]).ok().map(Self)
        };
        decode().ok_or_else(|| KeyError::NotAKey(where_from.to_owned()))
    }
}

/// Octets as hexadecimal digits.
pub(super) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn successor_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    PathBuf::from(name)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make_directory(path: &Path) -> Result<(), KeyError> {
    let directory = directory_of(path);
    let failed = |error| KeyError::Io { path: directory.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let mode = fs::metadata(directory).map_err(failed)?.mode() & 0o7777;
    // In a sticky directory others can add files but not exchange ours.
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        return Err(KeyError::OpenDirectory { path: directory.to_owned(), mode });
    }
    Ok(())
}

/// Makes the name of a new file last, not only its contents.
fn sync_directory(path: &Path) -> Result<(), KeyError> {
    let directory = directory_of(path);
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| KeyError::Io { path: directory.to_owned(), error })
}

fn credential_path(name: &str) -> Result<PathBuf, KeyError> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        return Err(KeyError::CredentialName(name.to_owned()));
    }
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(KeyError::NoCredentials)?;
    Ok(Path::new(&directory).join(name))
}

fn run_command(command: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(KeyError::CommandStart)?;
    let printed = Zeroizing::new(output.stdout);
    if output.status.success() { Ok(printed) } else { Err(KeyError::CommandEnd(output.status)) }
}
