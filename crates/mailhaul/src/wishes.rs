//! From options of the command line to changes of what is stored.

use crate::changes;
use crate::cli::{
    AdminStyleWord, CopyWishArgs, EndpointWishArgs, OrderWord, PlanArgs, parse_day, parse_map, parse_size,
};
use crate::exit::CommandError;
use crate::secrets::{self, SecretSource};
use mailhaul_service::{Admin, AdminStyle, Change, CopyChange, CopyOptions, EndpointChange, WaveChange, WaveOrder};
use mailhaul_types::Escaped;
use std::path::{Path, PathBuf};

/// How mail is to be copied for `whom`.
pub(crate) fn copy(args: &CopyWishArgs, whom: &str) -> Result<CopyChange, CommandError> {
    for (option, day) in [("--since", &args.since), ("--before", &args.before)] {
        day.as_deref().map(|day| parse_day(option, day)).transpose()?;
    }
    let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let map = args.map.iter().map(|map| parse_map(map)).collect::<Result<Vec<_>, _>>()?;
    let say = CopyOptions {
        mailbox: list(&args.mailbox),
        exclude: list(&args.exclude),
        map: (!map.is_empty()).then_some(map),
        all_namespaces: args.all_namespaces,
        since: args.since.clone(),
        before: args.before.clone(),
        max_size: args.max_size.as_deref().map(parse_size).transpose()?,
        copy_deleted_flag: args.copy_deleted_flag,
        remap: args.remap,
        accept_target_change: args.accept_target_change,
        accept_mass_absence: args.accept_mass_absence,
        account_connections: args.account_connections,
        ..changes::wishes(&args.changes, whom)?
    };
    Ok(CopyChange { inherit: args.inherit, say })
}

/// What an endpoint is to be.
pub(crate) fn endpoint(name: &str, url: Option<&str>, args: &EndpointWishArgs) -> Result<EndpointChange, CommandError> {
    let style = match args.admin_style {
        AdminStyleWord::AuthorizationIdentity => AdminStyle::AuthorizationIdentity,
        AdminStyleWord::Master => AdminStyle::Master { separator: args.separator.clone() },
    };
    let admin = match args.admin.clone().unwrap_or_default() {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(user) => Change::Set(Admin { user, style }),
    };
    let password = match (&admin, &args.admin_password_file, &args.admin_password_command) {
        (_, None, None) if !matches!(admin, Change::Set(_)) => None,
        (_, file, command) => {
            let source = SecretSource { file: file.clone(), command: command.clone() };
            Some(secrets::read_for("--admin-password", "the administrator", &source)?)
        }
    };
    Ok(EndpointChange {
        url: url.map(str::to_owned),
        connections: args.max_connections.clone().unwrap_or_default(),
        bulk_connections: args.max_bulk.clone().unwrap_or_default(),
        resync_connections: args.max_resync.clone().unwrap_or_default(),
        messages_per_second: args.messages_per_second.clone().unwrap_or_default(),
        bytes_per_second: args.bytes_per_second.clone().unwrap_or_default(),
        account_messages_per_second: args.account_messages_per_second.clone().unwrap_or_default(),
        account_bytes_per_second: args.account_bytes_per_second.clone().unwrap_or_default(),
        account_bytes_per_day: args.account_bytes_per_day.clone().unwrap_or_default(),
        windows: list("--window", &args.window)?,
        admin,
        admin_password: password,
        ca_file: absolute(args.ca_file.clone().unwrap_or_default())?,
        pins: list("--pin", &args.pin)?,
        timeout_secs: args.timeout.clone().unwrap_or_default(),
        allow_plaintext: allow_plaintext(url, args.allow_plaintext.as_deref())?,
        copy: copy(&args.copy, &format!("all accounts that are copied from or to endpoint {}", Escaped(name)))?,
    })
}

/// When and in which order a wave is to be worked on.
pub(crate) fn plan(args: &PlanArgs) -> WaveChange {
    WaveChange {
        start_after_unix_ms: args.start_after.clone().unwrap_or_default(),
        every_secs: args.every.clone().unwrap_or_default(),
        complete_after_unix_ms: args.complete_after.clone().unwrap_or_default(),
        order: args.order.map(|order| match order {
            OrderWord::Fifo => WaveOrder::Fifo,
            OrderWord::Largest => WaveOrder::Largest,
            OrderWord::Smallest => WaveOrder::Smallest,
        }),
        copy: CopyChange::default(),
    }
}

fn list(option: &str, wishes: &[Change<String>]) -> Result<Change<Vec<String>>, CommandError> {
    let named: Vec<String> = wishes
        .iter()
        .filter_map(|wish| match wish {
            Change::Set(text) => Some(text.clone()),
            Change::Clear | Change::Keep => None,
        })
        .collect();
    match (wishes.is_empty(), named.is_empty(), named.len() == wishes.len()) {
        (true, _, _) => Ok(Change::Keep),
        (false, true, _) => Ok(Change::Clear),
        (false, false, true) => Ok(Change::Set(named)),
        (false, false, false) => Err(CommandError::usage(
            format!("{option}: `none` and others contradict each other"),
            "give one or the other",
        )),
    }
}

/// A worker may be started elsewhere, so a file is remembered from the root.
fn absolute(path: Change<PathBuf>) -> Result<Change<PathBuf>, CommandError> {
    let Change::Set(path) = path else { return Ok(path) };
    std::path::absolute(&path).map(Change::Set).map_err(|error| {
        CommandError::usage(format!("--ca-file: `{}`: {error}", path.display()), "name the file from the root")
    })
}

fn allow_plaintext(url: Option<&str>, host: Option<&str>) -> Result<Option<bool>, CommandError> {
    match (host, url) {
        (None, _) => Ok(None),
        (Some("none"), _) => Ok(Some(false)),
        (Some(""), _) | (Some(_), None) => Ok(Some(true)),
        (Some(host), Some(url)) => match url::Url::parse(url) {
            Ok(url) if url.host_str().is_some_and(|named| named.eq_ignore_ascii_case(host)) => Ok(Some(true)),
            _ => Err(CommandError::usage(
                format!("--allow-plaintext: `{}` is not the host of this endpoint", Escaped(host)),
                "name the host of the URL, or none at all",
            )),
        },
    }
}

/// A password from a file or a command, if one of the two is named.
pub(crate) fn password(
    option: &str,
    whose: &str,
    file: Option<&Path>,
    command: Option<&str>,
) -> Result<Option<mailhaul_types::Secret>, CommandError> {
    if file.is_none() && command.is_none() {
        return Ok(None);
    }
    let source = SecretSource { file: file.map(Path::to_owned), command: command.map(str::to_owned) };
    secrets::read_for(option, whose, &source).map(Some)
}
