//! What must hold for one row, and for the names of all rows together.

use crate::column::{COLUMNS, Column};
use crate::fault::{ListErrors, Problem, Remark, RemarkKind};
use crate::rename::fold_domain;
use crate::row::Row;
use mailhaul_types::{Secret, escape};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Longer names are mistakes: servers take some 64 to 320 octets.
pub(crate) const NAME_BYTES_MAX: usize = 1_024;
/// Longer passwords are mistakes. Tokens are passwords too, and have up to a few KiB.
pub(crate) const PASSWORD_BYTES_MAX: usize = 16 * 1_024;

/// The cells of one row, before they are checked.
#[derive(Clone, Copy)]
pub(crate) struct Draft<'a> {
    /// The line on which the row begins.
    pub(crate) line: u32,
    cells: [Option<&'a str>; COLUMNS.len()],
}

impl<'a> Draft<'a> {
    /// A row without cells.
    pub(crate) fn new(line: u32) -> Self {
        Self { line, cells: [None; COLUMNS.len()] }
    }

    /// Fills a cell in. Names are trimmed; passwords are not. An empty cell is as good as none.
    pub(crate) fn set(&mut self, column: Column, cell: &'a str) {
        let cell = if column.is_secret() { cell } else { cell.trim() };
        self.cells[column as usize] = Some(cell).filter(|cell| !cell.is_empty());
    }

    /// A cell that is not empty.
    pub(crate) fn get(&self, column: Column) -> Option<&'a str> {
        self.cells[column as usize]
    }

    /// The row, or what is wrong with it: everything, not only the first.
    pub(crate) fn check(&self, errors: &mut ListErrors) -> Option<Row> {
        let before = errors.count();
        for column in COLUMNS {
            if let Some(problem) = self.get(column).and_then(|cell| find_problem(column, cell)) {
                errors.push(Some(self.line), problem);
            }
        }
        let source_password = self.get(Column::SourcePassword).or(self.get(Column::Password));
        let Some(source_user) = self.get(Column::SourceUser) else {
            let ownerless = source_password.map(|_| Problem::PasswordWithoutUser { side: "source" });
            errors.push(Some(self.line), ownerless.unwrap_or(Problem::MissingUser));
            return None;
        };
        if errors.count() > before {
            return None;
        }
        let text = |column| self.get(column).map(str::to_owned);
        let secret = |password: Option<&str>| password.map(|text| Secret::new(text.as_bytes().to_vec()));
        Some(Row {
            line: self.line,
            account: self.get(Column::Account).unwrap_or(source_user).to_owned(),
            source_user: source_user.to_owned(),
            source_password: secret(source_password),
            target_user: text(Column::TargetUser),
            target_password: secret(self.get(Column::TargetPassword).or(self.get(Column::Password))),
            new_name: text(Column::NewName),
            from: text(Column::From),
            to: text(Column::To),
            wave: text(Column::Wave),
            priority: self.get(Column::Priority).and_then(read_priority),
        })
    }
}

fn find_problem(column: Column, cell: &str) -> Option<Problem> {
    let name = column.name();
    let max_bytes = if column.is_secret() { PASSWORD_BYTES_MAX } else { NAME_BYTES_MAX };
    if cell.len() > max_bytes {
        Some(Problem::TooLong { name, max_bytes })
    } else if column.is_secret() && cell.contains(char::is_control) {
        // RFC 4013 §2.3 forbids them, and IMAP cannot carry all of them.
        Some(Problem::Control { name })
    } else if !column.is_secret() && !is_plain_name(cell) {
        Some(Problem::Control { name })
    } else if column == Column::Priority && read_priority(cell).is_none() {
        Some(Problem::Priority)
    } else {
        None
    }
}

/// Whether a name shows as it is: nothing in it steers a terminal, turns a line round or is invisible.
pub(crate) fn is_plain_name(name: &str) -> bool {
    name.bytes().all(|octet| (0x20..0x7F).contains(&octet)) || escape(name) == name
}

fn read_priority(cell: &str) -> Option<u8> {
    match cell.as_bytes() {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        _ => None,
    }
}

/// Refuses a second account of one name, and remarks on names that differ only in capitals.
pub(crate) fn check_names(rows: &[Row], errors: &mut ListErrors, remarks: &mut Vec<Remark>) {
    let mut exact: HashMap<String, u32> = HashMap::with_capacity(rows.len());
    let mut nearly: HashMap<String, u32> = HashMap::with_capacity(rows.len());
    for row in rows {
        match exact.entry(fold_domain(&row.account)) {
            Entry::Occupied(first) => {
                let problem = Problem::DuplicateAccount { account: row.account.clone(), first_line: *first.get() };
                errors.push(Some(row.line), problem);
                continue;
            }
            Entry::Vacant(place) => place.insert(row.line),
        };
        match nearly.entry(row.account.to_lowercase()) {
            Entry::Occupied(first) => {
                let kind = RemarkKind::NearlySameAccount { account: row.account.clone(), first_line: *first.get() };
                remarks.push(Remark { line: Some(row.line), kind });
            }
            Entry::Vacant(place) => {
                place.insert(row.line);
            }
        }
    }
}
