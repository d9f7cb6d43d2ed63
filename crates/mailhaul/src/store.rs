//! The state file as the subcommands open it, and what the service's errors mean for the command.

use crate::cli::StoreArgs;
use crate::exit::{CommandError, Exit};
use crate::setup;
use mailhaul_service::{KeyError, KeySource, Service, ServiceError, VaultError};
use std::path::{Path, PathBuf};

/// The name of the credential that a systemd unit passes.
const CREDENTIAL: &str = "mailhaul-key";

/// Opens a state file that is there, for work.
pub(crate) async fn open(args: &StoreArgs) -> Result<Service, CommandError> {
    let path = existing(args)?;
    Service::open(&path, key_source(args)?, &operator()).await.map_err(CommandError::from)
}

/// Opens a state file that is there, for looking only.
pub(crate) async fn open_to_look(args: &StoreArgs) -> Result<Service, CommandError> {
    let path = existing(args)?;
    Service::open_read_only(&path, key_source(args)?, &operator()).await.map_err(CommandError::from)
}

/// Writes what is queued, and closes.
pub(crate) async fn close(service: Service) -> Result<(), CommandError> {
    service.close().await.map_err(CommandError::from)
}

fn existing(args: &StoreArgs) -> Result<PathBuf, CommandError> {
    let path = setup::state_file(args.state.as_deref())?;
    if path.exists() {
        return Ok(path);
    }
    Err(CommandError::usage(
        format!("there is no state file `{}`", path.display()),
        "`mailhaul init` makes one; --state FILE names another",
    ))
}

/// Where the key comes from: as said, else a credential that was passed, else a file in the user's configuration.
pub(crate) fn key_source(args: &StoreArgs) -> Result<KeySource, CommandError> {
    if let Some(path) = &args.key_file {
        return Ok(KeySource::File(path.clone()));
    }
    if let Some(command) = &args.key_command {
        return Ok(KeySource::Command(command.clone()));
    }
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if from("CREDENTIALS_DIRECTORY").is_some_and(|directory| directory.join(CREDENTIAL).exists()) {
        return Ok(KeySource::Credential(CREDENTIAL.to_owned()));
    }
    let directory = from("XDG_CONFIG_HOME").or_else(|| from("HOME").map(|home| home.join(".config")));
    directory.map(|directory| KeySource::File(directory.join("mailhaul/mailhaul.key"))).ok_or_else(|| {
        CommandError::usage("there is no home directory to keep the key in", "name a file with --key-file FILE")
    })
}

/// Who stands in the event log: the login name, also where only the system's list of users knows it.
fn operator() -> String {
    let variables = ["SUDO_USER", "USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok());
    let uid = rustix::process::getuid().as_raw();
    variables
        .into_iter()
        .find(|name| !name.is_empty())
        .or_else(|| login_name(&std::fs::read_to_string("/etc/passwd").ok()?, uid))
        .unwrap_or_else(|| format!("uid {uid}"))
}

/// The name of a user in the text of the system's list: `name:x:uid:…`.
fn login_name(users: &str, uid: u32) -> Option<String> {
    let mut names = users.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    });
    names.next()
}

impl From<ServiceError> for CommandError {
    fn from(error: ServiceError) -> Self {
        let text = mailhaul_types::escape(&error.to_string());
        let hint = |exit, hint: Option<&str>| Self { exit, text: text.clone(), hint: hint.map(str::to_owned) };
        match &error {
            ServiceError::Usage { hint, .. } | ServiceError::Unknown { hint, .. } => {
                Self { exit: Exit::Usage, text: text.clone(), hint: (!hint.is_empty()).then(|| hint.clone()) }
            }
            ServiceError::Db(error) => setup::ledger_error(error),
            ServiceError::Vault(error) => hint(exit_of_vault(error), hint_of_vault(error)),
            ServiceError::Stored(_) | ServiceError::Io { .. } | ServiceError::Local(_) => hint(Exit::Decision, None),
        }
    }
}

fn exit_of_vault(error: &VaultError) -> Exit {
    match error {
        VaultError::Garbled(_) | VaultError::Refused(_) => Exit::Decision,
        VaultError::Random(_) => Exit::Internal,
        _ => Exit::Usage,
    }
}

fn hint_of_vault(error: &VaultError) -> Option<&'static str> {
    match error {
        VaultError::WrongKey { .. } => Some("nothing was touched; name the right key with --key-file or --key-command"),
        VaultError::Key(KeyError::Missing(_)) => {
            Some("name it with --key-file or --key-command; `mailhaul init` makes one for a new state file")
        }
        VaultError::Key(KeyError::Exposed { .. }) => Some("chmod 600 makes it yours alone"),
        VaultError::Refused(_) | VaultError::Garbled(_) => {
            Some("give the password again: `mailhaul accounts set NAME --source-password-file FILE`")
        }
        _ => None,
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), CommandError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let written = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| CommandError {
        exit: Exit::Decision,
        text: format!("cannot write `{}`: {error}", path.display()),
        hint: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_as_the_system_names_him() {
        let users = "root:x:0:0::/root:/bin/sh\nbroken\nalice:x:1000:1000:,,,:/home/alice:/bin/sh\n";
        assert_eq!(login_name(users, 1_000).as_deref(), Some("alice"));
        assert_eq!(login_name(users, 0).as_deref(), Some("root"));
        assert_eq!(login_name(users, 7), None);
    }
}
