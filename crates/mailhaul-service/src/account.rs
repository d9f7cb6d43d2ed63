//! From stored rows to what the walkers take: both ends of an account, with credentials, trust and options.

use crate::endpoint_url::EndpointUrl;
use crate::error::ServiceError;
use crate::options::{Admin, AdminStyle, CopyOptions, EndpointOptions};
use crate::vault::{Place, Vault};
use mailhaul_copy::{Account, AccountPair};
use mailhaul_db::queue::{AccountRow, EndpointRow, Queue, SecretOwner, SecretPlace, WaveRow};
use mailhaul_imap::{Credentials, Dial, Endpoint, Timeouts, Trust};
use mailhaul_types::{Secret, Side};
use std::time::Duration;

/// An account with everything that applies to it.
pub(crate) struct Prepared {
    pub(crate) row: AccountRow,
    pub(crate) wave: WaveRow,
    pub(crate) source: EndpointRow,
    pub(crate) target: EndpointRow,
    pub(crate) pair: AccountPair,
    pub(crate) options: CopyOptions,
}

/// Why an account cannot be worked on as it is stored.
pub(crate) enum NotPrepared {
    /// A password is missing: which.
    NoPassword(String),
    /// Something else.
    Service(ServiceError),
}

impl<E: Into<ServiceError>> From<E> for NotPrepared {
    fn from(error: E) -> Self {
        Self::Service(error.into())
    }
}

/// Reads everything about an account.
pub(crate) async fn prepare(queue: &Queue, vault: &Vault, row: AccountRow) -> Result<Prepared, NotPrepared> {
    let missing = |what: &str| ServiceError::Stored(format!("{what} of account {} is not stored any more", row.name));
    let wave = queue.find_wave(&row.wave_name).await?.ok_or_else(|| missing("the wave"))?;
    let source = queue.find_endpoint(&row.source_name).await?.ok_or_else(|| missing("the source endpoint"))?;
    let target = queue.find_endpoint(&row.target_name).await?.ok_or_else(|| missing("the target endpoint"))?;
    let (at_source, at_target) = (endpoint_options(&source)?, endpoint_options(&target)?);
    let timeouts = timeouts(&at_source, &at_target);
    let pair = AccountPair {
        source: side(queue, vault, &row, Side::Source, &source, &at_source).await?,
        target: side(queue, vault, &row, Side::Target, &target, &at_target).await?,
        timeouts,
    };
    let stored = |text: &str, whose: String| {
        serde_json::from_str::<CopyOptions>(if text.is_empty() { "{}" } else { text })
            .map_err(|error| ServiceError::Stored(format!("the stored options of {whose} cannot be read: {error}")))
    };
    let options = stored(&row.options, format!("account {}", row.name))?
        .or(stored(&wave.options, format!("wave {}", wave.name))?)
        .or(at_target.copy)
        .or(at_source.copy);
    Ok(Prepared { row, wave, source, target, pair, options })
}

/// The stored options of an endpoint.
pub(crate) fn endpoint_options(endpoint: &EndpointRow) -> Result<EndpointOptions, ServiceError> {
    serde_json::from_str(if endpoint.options.is_empty() { "{}" } else { &endpoint.options }).map_err(|error| {
        ServiceError::Stored(format!("the stored options of endpoint {} cannot be read: {error}", endpoint.name))
    })
}

/// How an endpoint is connected to.
pub(crate) fn connection(endpoint: &EndpointRow, options: &EndpointOptions) -> Result<Endpoint, ServiceError> {
    let plaintext = if options.allow_plaintext { vec![endpoint.host.clone()] } else { Vec::new() };
    let url = EndpointUrl::parse(&endpoint.url, &plaintext)
        .map_err(|fault| ServiceError::Stored(format!("endpoint {}: {fault}", endpoint.name)))?;
    let trust = match (&options.ca_file, options.pins.as_slice()) {
        (_, [_, ..]) => Trust::Pin(options.pins.iter().filter_map(|pin| pin_octets(pin)).collect()),
        (Some(file), []) => Trust::CaFile(file.clone()),
        (None, []) => Trust::System,
    };
    let compress = url.compress.unwrap_or_default();
    let dial = if options.only_public { Dial::PublicTcp } else { Dial::Tcp };
    Ok(Endpoint { host: url.host, port: url.port, tls: url.tls, trust, dial, compress })
}

/// A SHA-256 in hex, with or without colons.
#[must_use]
pub(crate) fn pin_octets(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| *character != ':')
        .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let octets: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |value, digit| value << 4 | digit)).collect();
    if digits.len() == 64 { octets.try_into().ok() } else { None }
}

/// Bulk work may be silent for as long as the more patient endpoint says.
pub(crate) fn timeouts(source: &EndpointOptions, target: &EndpointOptions) -> Timeouts {
    let given = source.timeout_secs.max(target.timeout_secs).map(Duration::from_secs);
    let Timeouts { connect, control, idle } = Timeouts::default();
    let idle = given.unwrap_or(idle);
    Timeouts { connect: connect.min(idle), control: control.min(idle), idle }
}

async fn side(
    queue: &Queue,
    vault: &Vault,
    row: &AccountRow,
    side: Side,
    endpoint: &EndpointRow,
    options: &EndpointOptions,
) -> Result<Account, NotPrepared> {
    let user = if side == Side::Source { &row.source_user } else { &row.target_user };
    let own =
        SecretPlace { owner: SecretOwner::Account(row.id), side: Some(queue_side(side)), field: "password".to_owned() };
    let connection = connection(endpoint, options)?;
    if let Some(sealed) = queue.secret(&own).await? {
        let password = vault.open(&Place::account_password(row.id, side), &sealed.sealed)?;
        return Ok(Account { endpoint: connection, credentials: own_credentials(user, password), owner: None });
    }
    let Some(admin) = &options.admin else {
        return Err(NotPrepared::NoPassword(format!(
            "no password of {} at the {side} is stored, and endpoint {} has no administrator",
            mailhaul_types::Escaped(user),
            endpoint.name
        )));
    };
    let place = SecretPlace { owner: SecretOwner::Endpoint(endpoint.id), side: None, field: "password".to_owned() };
    let sealed = queue.secret(&place).await?.ok_or_else(|| {
        NotPrepared::NoPassword(format!("no password of the administrator of endpoint {} is stored", endpoint.name))
    })?;
    let password = vault.open(&Place::endpoint_password(endpoint.id), &sealed.sealed)?;
    let (credentials, owner) = admin_credentials(admin, user, password);
    Ok(Account { endpoint: connection, credentials, owner })
}

fn own_credentials(user: &str, password: Secret) -> Credentials {
    Credentials { user: user.to_owned(), password, authorization_identity: None }
}

/// Who signs in for this user, and whose mail it then is.
fn admin_credentials(admin: &Admin, user: &str, password: Secret) -> (Credentials, Option<String>) {
    match &admin.style {
        AdminStyle::AuthorizationIdentity => {
            let authorization_identity = Some(user.to_owned());
            (Credentials { user: admin.user.clone(), password, authorization_identity }, None)
        }
        AdminStyle::Master { separator } => {
            let login = format!("{user}{separator}{}", admin.user);
            (Credentials { user: login, password, authorization_identity: None }, Some(user.to_owned()))
        }
    }
}

pub(crate) fn queue_side(side: Side) -> mailhaul_queue::Side {
    match side {
        Side::Source => mailhaul_queue::Side::Source,
        Side::Target => mailhaul_queue::Side::Target,
    }
}
