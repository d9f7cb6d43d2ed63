//! From command-line options to the walkers' input, with every mistake named before anything is contacted.

use crate::cli::{EndpointArgs, SelectionArgs, parse_day, parse_map, parse_pin, parse_size};
use crate::endpoint_url;
use crate::exit::{CommandError, Exit};
use crate::secrets::{self, SecretSource};
use mailhaul_copy::{Account, AccountPair};
use mailhaul_imap::{Credentials, Dial, Endpoint, Timeouts, Trust};
use mailhaul_plan::mailboxes::MappingRules;
use mailhaul_plan::selection::Selection;
use mailhaul_service::EndpointUrl;
use mailhaul_types::Side;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Both ends of a copy, with their secrets. Asks on the terminal for what was not given.
pub(crate) fn accounts(args: &EndpointArgs) -> Result<AccountPair, CommandError> {
    let source = endpoint_url::parse(Side::Source, &args.from, &args.allow_plaintext)?;
    let target = endpoint_url::parse(Side::Target, &args.to, &args.allow_plaintext)?;
    let same = source.host.eq_ignore_ascii_case(&target.host) && source.user == target.user;
    if same && source.port == target.port && args.from_authorization_identity == args.to_authorization_identity {
        return Err(CommandError::usage(
            "--from and --to are the same account",
            "mailhaul would copy each mailbox into itself; name two accounts",
        ));
    }
    let source_secret =
        SecretSource { file: args.from_password_file.clone(), command: args.from_password_command.clone() };
    let target_secret = SecretSource { file: args.to_password_file.clone(), command: args.to_password_command.clone() };
    if source_secret.file.as_deref() == Some(Path::new("-")) && source_secret.file == target_secret.file {
        return Err(CommandError::usage(
            "both passwords cannot come from standard input",
            "give one of them by file or by command",
        ));
    }
    let source_trust = trust("--from-pin", &args.from_pin, args.ca_file.as_deref())?;
    let target_trust = trust("--to-pin", &args.to_pin, args.ca_file.as_deref())?;
    let build = |side, url: EndpointUrl, trust, secret: &SecretSource, identity: &Option<String>| {
        let password = secrets::read(side, &url.user, &url.host, secret)?;
        let compress = url.compress.or(args.compress).unwrap_or_default();
        Ok::<_, CommandError>(Account {
            credentials: Credentials { user: url.user, password, authorization_identity: identity.clone() },
            endpoint: Endpoint { host: url.host, port: url.port, tls: url.tls, trust, dial: Dial::Tcp, compress },
            owner: None,
        })
    };
    Ok(AccountPair {
        source: build(Side::Source, source, source_trust, &source_secret, &args.from_authorization_identity)?,
        target: build(Side::Target, target, target_trust, &target_secret, &args.to_authorization_identity)?,
        timeouts: timeouts(Duration::from_secs(args.timeout)),
    })
}

/// Bulk work may be silent for as long as the operator says; shorter dialogues keep their own, smaller bounds.
pub(crate) fn timeouts(idle: Duration) -> Timeouts {
    let Timeouts { connect, control, .. } = Timeouts::default();
    Timeouts { connect: connect.min(idle), control: control.min(idle), idle }
}

pub(crate) fn trust(option: &str, pins: &[String], ca_file: Option<&Path>) -> Result<Trust, CommandError> {
    if !pins.is_empty() {
        return Ok(Trust::Pin(pins.iter().map(|pin| parse_pin(option, pin)).collect::<Result<_, _>>()?));
    }
    let Some(path) = ca_file else { return Ok(Trust::System) };
    match std::fs::File::open(path) {
        Ok(_) => Ok(Trust::CaFile(path.to_owned())),
        Err(error) => Err(CommandError::usage(
            format!("--ca-file: cannot read `{}`: {error}", path.display()),
            "the file holds one or more certificates in PEM form",
        )),
    }
}

/// Which mailboxes, and under which names.
pub(crate) fn rules(args: &SelectionArgs) -> Result<MappingRules, CommandError> {
    Ok(MappingRules {
        map: args.map.iter().map(|map| parse_map(map)).collect::<Result<_, _>>()?,
        include: args.mailbox.clone(),
        exclude: args.exclude.clone(),
        all_namespaces: args.all_namespaces,
    })
}

/// Which messages.
pub(crate) fn selection(args: &SelectionArgs) -> Result<Selection, CommandError> {
    let day = |option, day: &Option<String>| day.as_deref().map(|day| parse_day(option, day)).transpose();
    Ok(Selection {
        since: day("--since", &args.since)?,
        before: day("--before", &args.before)?,
        max_size: args.max_size.as_deref().map(parse_size).transpose()?,
    })
}

/// The state file: as given, or `mailhaul.db` in the user's data directory.
pub(crate) fn state_file(given: Option<&Path>) -> Result<PathBuf, CommandError> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local/share")));
    data.map(|data| data.join("mailhaul/mailhaul.db")).ok_or_else(|| {
        CommandError::usage("there is no home directory to keep the state in", "name a file with --state FILE")
    })
}

/// A failure to open the state file.
pub(crate) fn ledger_error(error: &mailhaul_db::DbError) -> CommandError {
    use mailhaul_db::DbErrorKind::{Internal, NewerSchema, NotALedger};
    let exit = match error.kind() {
        NotALedger | NewerSchema => Exit::Usage,
        Internal => Exit::Internal,
        _ => Exit::Decision,
    };
    CommandError { exit, text: mailhaul_types::escape(&error.to_string()), hint: None }
}
