//! What an operator can say about an endpoint, a wave, or an account, and what comes of it for one account.
//!
//! Stored as JSON beside the object. What an account does not say, its wave says; what that does not say, the target
//! endpoint, then the source endpoint; and then there is a default.

use crate::stored_word;
use mailhaul_plan::policy::{DeletionPolicy, FlagPolicy, MovePolicy};
use mailhaul_types::InternalDate;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How mail is copied. Absent: as whoever is asked next says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CopyOptions {
    /// Only source mailboxes that fit one of these globs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<Vec<String>>,
    /// No source mailboxes that fit one of these globs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<String>>,
    /// Source mailbox, target mailbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Vec<(String, String)>>,
    /// Other users' and shared mailboxes too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_namespaces: Option<bool>,
    /// First day, `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// First day that is left out again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Largest message, in octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// Copy the \Deleted flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_deleted_flag: Option<bool>,
    /// Accept that mailboxes map otherwise than before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remap: Option<bool>,
    /// Go on in recreated target mailboxes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_target_change: Option<bool>,
    /// Believe source mailboxes that lost nearly everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_mass_absence: Option<bool>,
    /// Flags that change at the source after the first copy.
    #[serde(skip_serializing_if = "Option::is_none", with = "stored_word")]
    pub flags: Option<FlagPolicy>,
    /// Messages and mailboxes that move at the source.
    #[serde(skip_serializing_if = "Option::is_none", with = "stored_word")]
    pub moves: Option<MovePolicy>,
    /// Messages that are deleted at the source.
    #[serde(skip_serializing_if = "Option::is_none", with = "stored_word")]
    pub deletions: Option<DeletionPolicy>,
    /// How many messages one pass may delete in one mailbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_deletions: Option<u64>,
    /// How many hundredths of a mailbox one pass may delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_deletions_percent: Option<u32>,
    /// The users work on the target by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switched: Option<bool>,
    /// Go on in source mailboxes that were renumbered or made anew and hold little of what was copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_source_change: Option<bool>,
    /// How many connections to each of its servers one account may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_connections: Option<u32>,
    /// Source mailboxes whose doubtful number of messages was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_view: Option<Vec<String>>,
}

/// Who signs in for all accounts of an endpoint. The password is sealed beside the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The administrator's login name.
    pub user: String,
    /// How he says whose account he wants.
    pub style: AdminStyle,
}

/// How an administrator says whose account he wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminStyle {
    /// SASL PLAIN with an authorization identity (RFC 4616).
    AuthorizationIdentity,
    /// A master login: account, separator, administrator.
    Master {
        /// `*` with Dovecot's defaults.
        separator: String,
    },
}

/// What can be said about an endpoint, beside its limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointOptions {
    /// Trust only the authorities in this PEM file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Trust exactly these certificates: SHA-256 in hex.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
    /// Plain text is allowed although the host is not loopback.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_plaintext: bool,
    /// How long the server may be silent while it owes an answer, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u64>,
    /// It was named over HTTP, without permission for private networks: only public addresses are connected to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_public: bool,
    /// Who signs in for all accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// How mail is copied from or to it.
    #[serde(skip_serializing_if = "is_default")]
    pub copy: CopyOptions,
}

fn is_default(options: &CopyOptions) -> bool {
    *options == CopyOptions::default()
}

impl CopyOptions {
    /// What `self` says, and where it says nothing, what `next` says.
    #[must_use]
    pub fn or(self, next: Self) -> Self {
        Self {
            mailbox: self.mailbox.or(next.mailbox),
            exclude: self.exclude.or(next.exclude),
            map: self.map.or(next.map),
            all_namespaces: self.all_namespaces.or(next.all_namespaces),
            since: self.since.or(next.since),
            before: self.before.or(next.before),
            max_size: self.max_size.or(next.max_size),
            copy_deleted_flag: self.copy_deleted_flag.or(next.copy_deleted_flag),
            remap: self.remap.or(next.remap),
            accept_target_change: self.accept_target_change.or(next.accept_target_change),
            accept_mass_absence: self.accept_mass_absence.or(next.accept_mass_absence),
            flags: self.flags.or(next.flags),
            moves: self.moves.or(next.moves),
            deletions: self.deletions.or(next.deletions),
            max_deletions: self.max_deletions.or(next.max_deletions),
            max_deletions_percent: self.max_deletions_percent.or(next.max_deletions_percent),
            switched: self.switched.or(next.switched),
            accept_source_change: self.accept_source_change.or(next.accept_source_change),
            account_connections: self.account_connections.or(next.account_connections),
            accept_view: self.accept_view.or(next.accept_view),
        }
    }

    /// Which mailboxes, and under which names.
    #[must_use]
    pub fn rules(&self) -> mailhaul_plan::mailboxes::MappingRules {
        mailhaul_plan::mailboxes::MappingRules {
            map: self.map.clone().unwrap_or_default(),
            include: self.mailbox.clone().unwrap_or_default(),
            exclude: self.exclude.clone().unwrap_or_default(),
            all_namespaces: self.all_namespaces.unwrap_or_default(),
        }
    }

    /// How many connections one account may have.
    #[must_use]
    pub fn connections(&self) -> mailhaul_copy::Connections {
        let usual = mailhaul_copy::Connections::default();
        let most = self.account_connections.and_then(|most| usize::try_from(most).ok());
        mailhaul_copy::Connections { most: most.unwrap_or(usual.most), ..usual }
    }

    /// Which messages.
    #[must_use]
    pub fn selection(&self) -> mailhaul_plan::selection::Selection {
        // Days are checked before they are stored.
        let day = |day: &Option<String>| day.as_deref().and_then(InternalDate::from_day).map(InternalDate::unix_secs);
        mailhaul_plan::selection::Selection {
            since: day(&self.since),
            before: day(&self.before),
            max_size: self.max_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_counts() {
        let account = CopyOptions { max_size: Some(1), ..CopyOptions::default() };
        let wave = CopyOptions { max_size: Some(2), exclude: Some(vec!["Trash".into()]), ..CopyOptions::default() };
        let both = account.or(wave);
        assert_eq!(both.max_size, Some(1));
        assert_eq!(both.rules().exclude, ["Trash"]);
    }

    #[test]
    fn policies_are_stored_by_their_words_and_other_words_are_refused() {
        let options = CopyOptions {
            flags: Some(FlagPolicy::Merge),
            moves: Some(MovePolicy::Copy),
            deletions: Some(DeletionPolicy::Trash),
            ..CopyOptions::default()
        };
        let stored = serde_json::to_string(&options).expect("JSON");
        assert_eq!(stored, r#"{"flags":"merge","moves":"copy","deletions":"trash"}"#);
        assert_eq!(serde_json::from_str::<CopyOptions>(&stored).expect("read back"), options);
        let error = serde_json::from_str::<CopyOptions>(r#"{"deletions":"all"}"#).expect_err("no such word");
        assert!(error.to_string().contains("`all` is none of ignore, flag, trash, mirror"), "{error}");
        assert_eq!(serde_json::from_str::<CopyOptions>(r#"{"flags":null}"#).expect("as if not said").flags, None);
    }

    #[test]
    fn options_that_nobody_knows_are_refused_and_those_that_are_not_said_not_stored() {
        assert!(serde_json::from_str::<EndpointOptions>("{\"exlude\":[]}").is_err());
        assert_eq!(serde_json::to_string(&EndpointOptions::default()).expect("JSON"), "{}");
    }
}
