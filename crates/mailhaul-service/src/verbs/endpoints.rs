//! Endpoints: the servers, what they may be asked, and who signs in there.

use super::change::{Change, CopyChange};
use super::in_force::Meant;
use super::names::check_name;
use crate::account::{endpoint_options, pin_octets};
use crate::endpoint_url::{EndpointUrl, UrlFault};
use crate::error::ServiceError;
use crate::options::{Admin, EndpointOptions};
use crate::service::Service;
use crate::vault::Place;
use mailhaul_db::queue::{EndpointRow, NewEndpoint, SealedSecret, SecretOwner, SecretPlace};
use mailhaul_imap::is_public;
use mailhaul_queue::{EndpointId, Limits, Window};
use mailhaul_types::{Escaped, Secret};
use std::path::PathBuf;
use std::time::Duration;

/// What is said about an endpoint. What is not said stays as it is.
#[derive(Debug, Default)]
pub struct EndpointChange {
    /// How it is reached, without a user.
    pub url: Option<String>,
    /// See [`Limits::connections`].
    pub connections: Change<u32>,
    /// See [`Limits::bulk_connections`].
    pub bulk_connections: Change<u32>,
    /// See [`Limits::resync_connections`].
    pub resync_connections: Change<u32>,
    /// See [`Limits::messages_per_second`].
    pub messages_per_second: Change<u64>,
    /// See [`Limits::bytes_per_second`].
    pub bytes_per_second: Change<u64>,
    /// See [`Limits::account_messages_per_second`].
    pub account_messages_per_second: Change<u64>,
    /// See [`Limits::account_bytes_per_second`].
    pub account_bytes_per_second: Change<u64>,
    /// See [`Limits::account_bytes_per_day`].
    pub account_bytes_per_day: Change<u64>,
    /// When work is allowed: all of the windows.
    pub windows: Change<Vec<String>>,
    /// Who signs in for all accounts.
    pub admin: Change<Admin>,
    /// That one's password.
    pub admin_password: Option<Secret>,
    /// The only authorities that are trusted.
    pub ca_file: Change<PathBuf>,
    /// The only certificates that are trusted.
    pub pins: Change<Vec<String>>,
    /// How long the server may be silent, in seconds.
    pub timeout_secs: Change<u64>,
    /// Whether plain text is allowed.
    pub allow_plaintext: Option<bool>,
    /// How mail is copied from or to it.
    pub copy: CopyChange,
}

/// An endpoint with everything that is known of it.
#[derive(Debug, Clone)]
pub struct EndpointView {
    /// As it is stored.
    pub row: EndpointRow,
    /// Its options.
    pub options: EndpointOptions,
    /// Whether the password of its administrator is stored.
    pub has_admin_password: bool,
}

impl Service {
    /// Adds an endpoint under a new name.
    ///
    /// # Errors
    /// If the name is taken, or something that was said cannot be.
    pub async fn add_endpoint(&self, name: &str, change: EndpointChange) -> Result<EndpointView, ServiceError> {
        check_name("an endpoint", name)?;
        if let Some(there) = self.queue.find_endpoint(name).await? {
            return Err(ServiceError::usage(
                format!("there is an endpoint `{name}` already: {}", there.url),
                format!("`mailhaul endpoint set {name} …` changes it"),
            ));
        }
        let empty = NewEndpoint {
            name: name.to_owned(),
            url: String::new(),
            host: String::new(),
            limits: Limits::default(),
            options: String::new(),
        };
        self.store_endpoint(empty, EndpointOptions::default(), false, change).await
    }

    /// Changes an endpoint. Running jobs take it up at their next mailbox; lowered limits take effect within seconds.
    ///
    /// # Errors
    /// If there is no such endpoint, or something that was said cannot be.
    pub async fn set_endpoint(&self, name: &str, change: EndpointChange) -> Result<EndpointView, ServiceError> {
        let view = self.endpoint(name).await?;
        let EndpointRow { name, url, host, limits, options, .. } = view.row;
        let stored = NewEndpoint { name, url, host, limits, options };
        let view = self.store_endpoint(stored, view.options, view.has_admin_password, change).await?;
        self.ring().await;
        Ok(view)
    }

    /// One endpoint.
    ///
    /// # Errors
    /// If there is no such endpoint.
    pub async fn endpoint(&self, name: &str) -> Result<EndpointView, ServiceError> {
        let row = self.endpoint_named(name).await?;
        self.view_endpoint(row).await
    }

    /// All endpoints, by name.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn endpoints(&self) -> Result<Vec<EndpointView>, ServiceError> {
        let mut views = Vec::new();
        for row in self.queue.endpoints().await? {
            views.push(self.view_endpoint(row).await?);
        }
        Ok(views)
    }

    /// Removes an endpoint that no account uses, with its administrator's password.
    ///
    /// # Errors
    /// If there is no such endpoint, or accounts use it.
    pub async fn remove_endpoint(&self, name: &str) -> Result<(), ServiceError> {
        let row = self.endpoint_named(name).await?;
        if row.accounts > 0 || !self.queue.remove_endpoint(row.id).await? {
            return Err(ServiceError::usage(
                format!("endpoint `{name}` is used by {} accounts", row.accounts),
                "remove those accounts first, or give them another endpoint",
            ));
        }
        Ok(())
    }

    async fn view_endpoint(&self, row: EndpointRow) -> Result<EndpointView, ServiceError> {
        let options = endpoint_options(&row)?;
        let has_admin_password = self.queue.secret(&secret_place(row.id)).await?.is_some();
        Ok(EndpointView { row, options, has_admin_password })
    }

    async fn store_endpoint(
        &self,
        mut endpoint: NewEndpoint,
        mut options: EndpointOptions,
        has_password: bool,
        change: EndpointChange,
    ) -> Result<EndpointView, ServiceError> {
        let admin_is_new = matches!(&change.admin, Change::Set(admin)
            if options.admin.as_ref().is_none_or(|stored| stored.user != admin.user));
        let admin_is_gone = change.admin == Change::Clear;
        let password = change.admin_password.clone();
        let changes_copy = !change.copy.is_keep();
        let (before, is_named) = (endpoint.url.clone(), change.url.is_some());
        apply(&mut endpoint, &mut options, change)?;
        if endpoint.url != before || (is_named && self.private_servers) {
            // What was named at this machine stays allowed when something else about it is changed over HTTP; and what was
            // named over HTTP is allowed once it is named here.
            self.check_place(&endpoint.url, options.allow_plaintext).await?;
            options.only_public = !self.private_servers;
        }
        if let (true, Some(stored)) = (changes_copy, self.queue.find_endpoint(&endpoint.name).await?) {
            self.check_in_force(Meant::Endpoint(stored.id, &options.copy)).await?;
        }
        if options.admin.is_none() && password.is_some() {
            return Err(ServiceError::usage(
                "a password was given for an administrator, and no administrator is named",
                "name the administrator with --admin USER",
            ));
        }
        if options.admin.is_some() && password.is_none() && (admin_is_new || !has_password) {
            return Err(ServiceError::usage(
                "the password of the administrator is missing",
                "give it with --admin-password-file FILE or --admin-password-command CMD",
            ));
        }
        // The key is fetched before anything is stored.
        let vault = if password.is_some() { Some(self.vault().await?) } else { None };
        endpoint.options = serde_json::to_string(&options).expect("options hold nothing that JSON has no form for");
        let name = endpoint.name.clone();
        let id = self.queue.put_endpoint(endpoint).await?;
        if let (Some(vault), Some(password)) = (vault, password) {
            let sealed = vault.seal(&Place::endpoint_password(id), &password)?;
            let secret = SealedSecret { place: secret_place(id), key_id: vault.key_id(), sealed };
            self.queue.put_secrets(vec![secret]).await?;
        } else if admin_is_gone {
            self.queue.delete_secrets(SecretOwner::Endpoint(id)).await?;
        }
        self.endpoint(&name).await
    }
}

/// Ports of IMAP, the only ones of servers that are named over HTTP.
const PORTS: [u16; 2] = [143, 993];
/// How long a name may take to be resolved. One that is not resolved in time is looked at when it is connected to.
const RESOLVED_WITHIN: Duration = Duration::from_secs(5);

impl Service {
    /// Whoever is not at this machine names only servers that everybody reaches; what is connected to is asked once more
    /// when it is connected to, for a name can lead elsewhere by then.
    async fn check_place(&self, url: &str, allow_plaintext: bool) -> Result<(), ServiceError> {
        if self.private_servers {
            return Ok(());
        }
        let hint = "somebody at this machine can name such a server: `mailhaul endpoint add`; or start `mailhaul serve` \
                    with --allow-private-servers";
        let EndpointUrl { host, port, .. } = parse_url(url, allow_plaintext)?;
        if !PORTS.contains(&port) {
            return Err(ServiceError::usage(format!("port {port} is not one of IMAP's"), hint));
        }
        let found = tokio::time::timeout(RESOLVED_WITHIN, tokio::net::lookup_host((host.as_str(), port))).await;
        let Ok(Ok(mut addresses)) = found else { return Ok(()) };
        match addresses.find(|address| !is_public(address.ip())) {
            Some(own) => Err(ServiceError::usage(
                format!("`{}` leads to {}, which is not a public address", Escaped(&host), own.ip()),
                hint,
            )),
            None => Ok(()),
        }
    }
}

fn secret_place(id: EndpointId) -> SecretPlace {
    SecretPlace { owner: SecretOwner::Endpoint(id), side: None, field: "password".to_owned() }
}

fn apply(
    endpoint: &mut NewEndpoint,
    options: &mut EndpointOptions,
    change: EndpointChange,
) -> Result<(), ServiceError> {
    let limits = &mut endpoint.limits;
    change.connections.apply(&mut limits.connections);
    change.bulk_connections.apply(&mut limits.bulk_connections);
    change.resync_connections.apply(&mut limits.resync_connections);
    change.messages_per_second.apply(&mut limits.messages_per_second);
    change.bytes_per_second.apply(&mut limits.bytes_per_second);
    change.account_messages_per_second.apply(&mut limits.account_messages_per_second);
    change.account_bytes_per_second.apply(&mut limits.account_bytes_per_second);
    change.account_bytes_per_day.apply(&mut limits.account_bytes_per_day);
    apply_list(change.windows, &mut limits.windows);
    check_windows(&limits.windows)?;
    change.admin.apply(&mut options.admin);
    change.ca_file.apply(&mut options.ca_file);
    apply_list(change.pins, &mut options.pins);
    check_trust(options)?;
    change.timeout_secs.apply(&mut options.timeout_secs);
    if let Some(allowed) = change.allow_plaintext {
        options.allow_plaintext = allowed;
    }
    options.copy = change.copy.apply(std::mem::take(&mut options.copy));
    options.copy.check_changes()?;
    if let Some(url) = change.url {
        endpoint.url = url;
    }
    let url = parse_url(&endpoint.url, options.allow_plaintext)?;
    endpoint.host = url.host.to_lowercase();
    Ok(())
}

fn apply_list(change: Change<Vec<String>>, place: &mut Vec<String>) {
    match change {
        Change::Keep => {}
        Change::Clear => place.clear(),
        Change::Set(list) => *place = list,
    }
}

fn check_windows(windows: &[String]) -> Result<(), ServiceError> {
    for text in windows {
        text.parse::<Window>().map_err(|error| {
            ServiceError::usage(
                format!("window `{}`: {}", Escaped(&error.text), error.what),
                "write it like `Mon-Fri 20:00-06:00 Europe/Berlin` or `nights and weekends Europe/Berlin`",
            )
        })?;
    }
    Ok(())
}

fn check_trust(options: &EndpointOptions) -> Result<(), ServiceError> {
    if let Some(pin) = options.pins.iter().find(|pin| pin_octets(pin).is_none()) {
        return Err(ServiceError::usage(
            format!("`{}` is not a SHA-256 fingerprint", Escaped(pin)),
            "64 hexadecimal digits, with or without colons; `mailhaul probe URL` shows that of a server",
        ));
    }
    if options.ca_file.is_some() && !options.pins.is_empty() {
        return Err(ServiceError::usage(
            "an endpoint is trusted by its own authorities or by its certificates, not by both",
            "take one of the two back: --ca-file none, or --pin none",
        ));
    }
    match options.ca_file.as_deref().map(|path| (path, std::fs::File::open(path))) {
        Some((path, Err(error))) => Err(ServiceError::usage(
            format!("the file of authorities `{}` cannot be read: {error}", path.display()),
            "it holds one or more certificates in PEM form",
        )),
        _ => Ok(()),
    }
}

/// Reads the URL of an endpoint, which names no user: who signs in is said by lists and administrators.
pub(crate) fn parse_url(text: &str, allow_plaintext: bool) -> Result<EndpointUrl, ServiceError> {
    let host = url::Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
    let allowed: Vec<String> = if allow_plaintext { host.into_iter().collect() } else { Vec::new() };
    let looks = "an endpoint looks like imaps://mail.example, or imap://mail.example for STARTTLS";
    let url = EndpointUrl::parse(text, &allowed).map_err(|fault| match fault {
        UrlFault::HoldsPassword => {
            ServiceError::usage(fault.to_string(), "passwords of accounts stand in the list of accounts")
        }
        UrlFault::Wrong(what) => ServiceError::usage(what, looks),
    })?;
    if url.user.is_empty() {
        return Ok(url);
    }
    Err(ServiceError::usage(
        "the URL of an endpoint names no user",
        "users stand in the list of accounts; one who signs in for all of them is given with --admin USER",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(change: EndpointChange) -> Result<(NewEndpoint, EndpointOptions), ServiceError> {
        let mut endpoint = NewEndpoint {
            name: "old".into(),
            url: "imaps://old.example".into(),
            host: "old.example".into(),
            limits: Limits { connections: Some(20), bytes_per_second: Some(5), ..Limits::default() },
            options: String::new(),
        };
        let mut options = EndpointOptions::default();
        apply(&mut endpoint, &mut options, change)?;
        Ok((endpoint, options))
    }

    #[test]
    fn what_is_not_said_stays_and_what_is_cleared_goes() {
        let change = EndpointChange {
            url: Some("imap://OLD.example:1143".into()),
            connections: Change::Set(4),
            bytes_per_second: Change::Clear,
            windows: Change::Set(vec!["nights Europe/Berlin".into()]),
            ..EndpointChange::default()
        };
        let (endpoint, options) = changed(change).expect("all of it can be");
        assert_eq!(endpoint.host, "old.example");
        assert_eq!(endpoint.limits.connections, Some(4));
        assert_eq!(endpoint.limits.bytes_per_second, None);
        assert_eq!(endpoint.limits.windows.len(), 1);
        assert_eq!(options, EndpointOptions::default());
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let url = |url: &str| EndpointChange { url: Some(url.into()), ..EndpointChange::default() };
        let cases = [
            (url("imaps://alice@old.example"), "names no user"),
            (url("imap://old.example?tls=none"), "plain text"),
            (url("imaps://a:canary@old.example"), "password"),
            (EndpointChange { windows: Change::Set(vec!["now".into()]), ..EndpointChange::default() }, "window `now`"),
            (EndpointChange { pins: Change::Set(vec!["abc".into()]), ..EndpointChange::default() }, "fingerprint"),
        ];
        for (change, word) in cases {
            let error = changed(change).expect_err(word).to_string();
            assert!(error.contains(word) && !error.contains("canary"), "{error}");
        }
        let allowed = EndpointChange { allow_plaintext: Some(true), ..url("imap://old.lan?tls=none") };
        assert!(changed(allowed).is_ok());
    }
}
