//! What a list is once it has been read: its rows, and how it was understood.

use crate::fault::Remark;
use mailhaul_types::Secret;

/// The forms that a list can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header line with the names of the columns, cells separated by commas.
    Csv,
    /// The same, separated by tabs.
    Tsv,
    /// The same, separated by semicolons, as spreadsheets write it where the comma is the decimal sign.
    Semicolons,
    /// An array of objects, or an object with such an array as `accounts`.
    Json,
    /// Lines of `host1;user1;password1;host2;user2;password2;`, as imapsync reads them. No header, no quotes.
    Imapsync,
    /// Lines of name, tab, password, and perhaps another tab and the new name. No header, no quotes.
    NamePassword,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Csv, Self::Tsv, Self::Semicolons, Self::Json, Self::Imapsync, Self::NamePassword];

    /// What it is called at the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Semicolons => "semicolons",
            Format::Json => "json",
            Format::Imapsync => "imapsync",
            Format::NamePassword => "name-password",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// How the octets of a list were turned into text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// Latin-1 in the form that is in use, Windows-1252: what is not UTF-8 and has no byte order mark.
    Latin1,
    /// UTF-16 with a byte order mark.
    Utf16,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Utf8, Self::Latin1, Self::Utf16];

    /// What it is called at the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf-8",
            Encoding::Latin1 => "latin-1",
            Encoding::Utf16 => "utf-16",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }
}

/// What the operator says about a list.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The form of the list; `None` lets the list speak for itself.
    pub format: Option<Format>,
    /// The encoding; `None` lets the octets speak for themselves.
    pub encoding: Option<Encoding>,
    /// Leaves columns out of account whose names are not known, instead of refusing the list.
    pub ignore_unknown: bool,
}

/// One account as the list has it, checked by itself.
#[derive(Debug, Clone)]
pub struct Row {
    /// The line on which the row begins, from 1.
    pub line: u32,
    /// The name of the account; the source user where the list gives no other.
    pub account: String,
    /// The login on the source.
    pub source_user: String,
    /// The password on the source; `None` where an endpoint's admin signs in.
    pub source_password: Option<Secret>,
    /// The login on the target, final, where the list gives it.
    pub target_user: Option<String>,
    /// The password on the target; `None` where an endpoint's admin signs in.
    pub target_password: Option<Secret>,
    /// The name that the rules of renaming begin with, instead of the source user.
    pub new_name: Option<String>,
    /// The source endpoint: its name, or its host in lists of imapsync.
    pub from: Option<String>,
    /// The target endpoint: its name, or its host in lists of imapsync.
    pub to: Option<String>,
    /// The wave.
    pub wave: Option<String>,
    /// The priority, 0 to 9, 9 first.
    pub priority: Option<u8>,
}

/// A list that has nothing wrong with it.
#[derive(Debug, Clone)]
pub struct List {
    /// The accounts in the order of the list. No two have the same name.
    pub rows: Vec<Row>,
    /// The form in which the list was read.
    pub format: Format,
    /// The encoding in which it was read.
    pub encoding: Encoding,
    /// What the operator should know although it is no error.
    pub remarks: Vec<Remark>,
}
