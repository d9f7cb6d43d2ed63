//! What can be wrong with a list, in words that name the line and never a password.
//!
//! A cell that is in the wrong place may be a password, so that no cell is quoted except the names of accounts and
//! logins, and those only where two rows are compared.

use mailhaul_types::Escaped;
use std::fmt;

/// So many faults of one list are kept; of the others only the count. A list of another kind than thought has one in
/// each of its lines, and nobody reads more.
pub const FAULTS_MAX: usize = 1_000;

/// One thing that is wrong, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line from 1; `None` where the whole list is meant.
    pub line: Option<u32>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => write!(f, "the list: {}", self.problem),
        }
    }
}

/// Everything that is wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListErrors {
    /// The first [`FAULTS_MAX`] in the order of the lines.
    pub faults: Vec<Fault>,
    /// How many more there are.
    pub more: usize,
}

impl ListErrors {
    /// A list with one fault.
    pub(crate) fn one(line: Option<u32>, problem: Problem) -> Self {
        Self { faults: vec![Fault { line, problem }], more: 0 }
    }

    /// Nothing, if nothing is wrong; else everything in the order of the lines.
    pub(crate) fn into_result(mut self) -> Result<(), Self> {
        self.faults.sort_by_key(|fault| fault.line);
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Adds one, or counts it where the bound is reached.
    pub fn push(&mut self, line: Option<u32>, problem: Problem) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault { line, problem });
        } else {
            self.more += 1;
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// How many there are, kept or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.faults.len() + self.more
    }
}

impl fmt::Display for ListErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ListErrors {}

/// What is wrong with a list or with one of its rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No row at all.
    #[error("there is no account in it")]
    Empty,
    /// Larger than what is read.
    #[error("it is larger than {max_bytes} bytes")]
    TooLarge {
        /// The bound.
        max_bytes: usize,
    },
    /// The octets are not text in the encoding that was given or found.
    #[error("this is not {0} text")]
    Encoding(&'static str),
    /// Some of the text is UTF-8 and some is not.
    #[error("this line is not UTF-8, and others are: say which encoding the list has, or write it anew in one")]
    MixedEncoding,
    /// No known form fits.
    #[error(
        "no header line with the names of the columns, and no known form without one: the first line should read like `account,source_user,source_password,target_user,target_password`"
    )]
    UnknownForm,
    /// The header names no column for the source user.
    #[error("the header has no column `source_user`")]
    NoUserColumn,
    /// A column whose name is not known. The name is left out where the line may be no header at all.
    #[error("column {column}{} is not known; `--ignore-unknown` leaves it out of account", Named(name.as_deref()))]
    UnknownColumn {
        /// Its place from 1.
        column: usize,
        /// Its name.
        name: Option<String>,
    },
    /// A column that is there twice, perhaps under two names.
    #[error("column {column} is a second `{name}`")]
    RepeatedColumn {
        /// Its place from 1.
        column: usize,
        /// What it is called in the documentation.
        name: &'static str,
    },
    /// Another number of cells than the header, or than the form has.
    #[error("there are {found} fields where {expected} belong")]
    FieldCount {
        /// How many the row has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// Options of another tool behind the fields.
    #[error("there is something behind the sixth field: options of other tools are not understood")]
    ForeignOptions,
    /// A quoted cell without an end.
    #[error("a quoted cell begins here and never ends")]
    OpenQuote,
    /// Something between the closing quote and the next separator.
    #[error("there is something behind the closing quote of cell {column}")]
    BehindQuote {
        /// The cell's place from 1.
        column: usize,
    },
    /// JSON that is none, or has another shape.
    #[error("column {column} of the line: {words}")]
    Json {
        /// The place within the line from 1.
        column: usize,
        /// What is wrong there.
        words: &'static str,
    },
    /// A member of a JSON object that is of the wrong kind.
    #[error("`{name}` is not {expected}")]
    JsonKind {
        /// The member.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// No login on the source.
    #[error("the source user is missing")]
    MissingUser,
    /// A password and nobody whose it is.
    #[error("there is a {side} password but no {side} user")]
    PasswordWithoutUser {
        /// `source` or `target`.
        side: &'static str,
    },
    /// NUL, line ends or other control characters.
    #[error("`{name}` holds a control character")]
    Control {
        /// The column.
        name: &'static str,
    },
    /// Longer than what is taken.
    #[error("`{name}` is longer than {max_bytes} bytes")]
    TooLong {
        /// The column.
        name: &'static str,
        /// The bound.
        max_bytes: usize,
    },
    /// A priority that is none.
    #[error("`priority` is not one digit from 0 to 9")]
    Priority,
    /// Two rows with one name.
    #[error(
        "account `{}` stands already on line {first_line}; give one of them another name in the column `account`",
        Escaped(account)
    )]
    DuplicateAccount {
        /// The name.
        account: String,
        /// The line of the first.
        first_line: u32,
    },
    /// No endpoint or wave for the row, neither in it nor for the whole list.
    #[error("there is no `{name}` in the row and none was given for the list")]
    Unassigned {
        /// `from`, `to` or `wave`.
        name: &'static str,
    },
    /// The rules of renaming do not fit the login.
    #[error("the new name cannot be made: {0}")]
    Rename(&'static str),
    /// The account would be copied into itself.
    #[error("source and target are the same login on the same endpoint")]
    CopyOntoItself,
    /// Two rows, or a row and an account stored earlier, that would write into one target mailbox.
    #[error("{} already writes into `{}` on `{}`", Other(*first_line, first_account), Escaped(user), Escaped(endpoint))]
    SameTarget {
        /// The target endpoint.
        endpoint: String,
        /// The login on it.
        user: String,
        /// The line of the other; `None` when it was stored earlier.
        first_line: Option<u32>,
        /// The name of the other.
        first_account: String,
    },
    /// The same, if the server does not distinguish capitals before the `@`; most do not.
    #[error(
        "{} writes into `{}` on `{}` too, if that server does not tell capitals from small letters, as most do not",
        Other(*first_line, first_account),
        Escaped(user),
        Escaped(endpoint)
    )]
    NearlySameTarget {
        /// The target endpoint.
        endpoint: String,
        /// The login on it.
        user: String,
        /// The line of the other; `None` when it was stored earlier.
        first_line: Option<u32>,
        /// The name of the other.
        first_account: String,
    },
}

/// Something that is no error but should be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The line from 1; `None` where the whole list is meant.
    pub line: Option<u32>,
    /// What it is.
    pub kind: RemarkKind,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.kind),
            None => write!(f, "the list: {}", self.kind),
        }
    }
}

/// What should be known although it is no error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemarkKind {
    /// The list is not UTF-8.
    #[error("it is not UTF-8 from this line on, and was read as Latin-1 (Windows-1252)")]
    Latin1,
    /// A column was left out of account.
    #[error("column {column} `{}` is left out of account", Escaped(name))]
    IgnoredColumn {
        /// Its place from 1.
        column: usize,
        /// Its name.
        name: String,
    },
    /// A comment that would be a row without its `#`.
    #[error("it begins with # and was taken for a comment, though it has as many fields as the header")]
    CommentedRow,
    /// A quoted cell goes on over several lines: perhaps a stray quote has swallowed accounts.
    #[error("a quoted cell goes on over {lines} lines; if a quote is astray, the accounts on them are not in the list")]
    LongCell {
        /// How many lines it spans.
        lines: u32,
    },
    /// Two names that differ only in capitals.
    #[error("account `{}` differs from that on line {first_line} only in capitals", Escaped(account))]
    NearlySameAccount {
        /// The name.
        account: String,
        /// The line of the first.
        first_line: u32,
    },
    /// Two accounts are copied from one source mailbox; with a slip of the pen one of them gets somebody else's mail.
    #[error("{} is copied from the same source user", Other(Some(*first_line), first_account))]
    SameSource {
        /// The line of the other.
        first_line: u32,
        /// The name of the other.
        first_account: String,
    },
    /// Two target logins that differ only in capitals of the local part: most servers take them for one.
    #[error(
        "`{}` on `{}` differs from the target user of {} only in capitals; most servers take them for one mailbox",
        Escaped(user),
        Escaped(endpoint),
        Other(*first_line, first_account)
    )]
    NearlySameTarget {
        /// The target endpoint.
        endpoint: String,
        /// The login on it.
        user: String,
        /// The line of the other; `None` when it was stored earlier.
        first_line: Option<u32>,
        /// The name of the other.
        first_account: String,
    },
    /// Several rows write into one target mailbox, as was asked for.
    #[error("joins {} in `{}` on `{}`", Other(*first_line, first_account), Escaped(user), Escaped(endpoint))]
    MergedTarget {
        /// The target endpoint.
        endpoint: String,
        /// The login on it.
        user: String,
        /// The line of the other; `None` when it was stored earlier.
        first_line: Option<u32>,
        /// The name of the other.
        first_account: String,
    },
}

/// A column's name in backticks, or nothing.
struct Named<'a>(Option<&'a str>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, " `{}`", Escaped(name)))
    }
}

/// The other row, or the account stored earlier.
struct Other<'a>(Option<u32>, &'a str);

impl fmt::Display for Other<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, "account `{}` on line {line}", Escaped(self.1)),
            None => write!(f, "account `{}`, which is stored already,", Escaped(self.1)),
        }
    }
}
