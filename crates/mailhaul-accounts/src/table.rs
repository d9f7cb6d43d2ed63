//! Lists with a header: CSV, TSV, semicolons.

use crate::check::Draft;
use crate::column::{COLUMNS, Column};
use crate::delimited::{Cell, Record, Records, is_silent, split_line};
use crate::fault::{ListErrors, Problem, Remark, RemarkKind};
use crate::guard::unguard;
use crate::row::Row;

/// More columns than any directory writes; beyond it is another kind of file.
const COLUMNS_MAX: usize = 256;

/// Reads a list whose first line that says something names the columns.
pub(crate) fn read_table(
    text: &str,
    separator: char,
    ignore_unknown: bool,
    errors: &mut ListErrors,
    remarks: &mut Vec<Remark>,
) -> Vec<Row> {
    let (text, line) = skip_preamble(text);
    let mut records = Records::new(text, line, separator);
    let header = match records.next() {
        Some(Ok(header)) => header,
        Some(Err((line, problem))) => {
            errors.push(Some(line), problem);
            return Vec::new();
        }
        None => return Vec::new(),
    };
    let Some(columns) = read_header(&header, ignore_unknown, errors, remarks) else { return Vec::new() };
    let mut rows = Vec::new();
    for record in records {
        match record {
            Ok(record) => rows.extend(read_row(&columns, &record, errors, remarks)),
            Err((line, problem)) => errors.push(Some(line), problem),
        }
    }
    rows
}

/// What may stand above the header: blank lines, comments, and the line by which spreadsheets tell the separator.
pub(crate) fn skip_preamble(text: &str) -> (&str, u32) {
    let mut rest = text;
    let mut line = 1;
    loop {
        let (first, behind) = split_line(rest);
        let names_separator = first.strip_prefix("sep=").is_some_and(|mark| mark.chars().count() == 1);
        if rest.is_empty() || !(is_silent(first) || names_separator) {
            return (rest, line);
        }
        rest = behind;
        line += 1;
    }
}

/// How many columns of a line are known, if that makes it a header: at least half of what stands in it.
pub(crate) fn known_columns(line: &str, separator: char) -> Option<usize> {
    let header = Records::new(line, 1, separator).next()?.ok()?;
    let filled = header.cells.iter().filter(|cell| !cell.trim().is_empty()).count();
    let known = header.cells.iter().filter_map(|cell| Column::by_name(cell)).count();
    (known > 0 && known * 2 >= filled).then_some(known)
}

/// For each place the column that stands there; `None` where it is left out of account.
fn read_header(
    header: &Record<'_>,
    ignore_unknown: bool,
    errors: &mut ListErrors,
    remarks: &mut Vec<Remark>,
) -> Option<Vec<Option<Column>>> {
    let before = errors.count();
    let line = Some(header.line);
    if header.cells.len() > COLUMNS_MAX {
        errors.push(line, Problem::FieldCount { found: header.cells.len(), expected: COLUMNS_MAX });
        return None;
    }
    let columns: Vec<_> = header.cells.iter().map(|cell| Column::by_name(cell)).collect();
    let known = columns.iter().flatten().count();
    if known == 0 {
        errors.push(line, Problem::UnknownForm);
        return None;
    }
    let filled = header.cells.iter().filter(|cell| !cell.trim().is_empty()).count();
    let mut seen = [false; COLUMNS.len()];
    for (index, (column, cell)) in columns.iter().zip(&header.cells).enumerate() {
        match column {
            Some(column) if seen[*column as usize] => {
                errors.push(line, Problem::RepeatedColumn { column: index + 1, name: column.name() });
            }
            Some(column) => seen[*column as usize] = true,
            // Spreadsheets leave separators behind the last column.
            None if cell.trim().is_empty() => {}
            None if ignore_unknown => {
                let kind = RemarkKind::IgnoredColumn { column: index + 1, name: cell.trim().to_owned() };
                remarks.push(Remark { line, kind });
            }
            None => {
                // The line may be no header but an account whose host or login reads like the name of a column, and this
                // its password.
                let name = (known > 1 && filled == known + 1).then(|| cell.trim().to_owned());
                errors.push(line, Problem::UnknownColumn { column: index + 1, name });
            }
        }
    }
    if !seen[Column::SourceUser as usize] {
        errors.push(line, Problem::NoUserColumn);
    }
    (errors.count() == before).then_some(columns)
}

fn read_row(
    columns: &[Option<Column>],
    record: &Record<'_>,
    errors: &mut ListErrors,
    remarks: &mut Vec<Remark>,
) -> Option<Row> {
    let is_empty = record.cells.iter().all(|cell| cell.trim().is_empty());
    if is_empty {
        return None;
    }
    if is_comment(columns, record) {
        if record.cells.len() == columns.len() {
            remarks.push(Remark { line: Some(record.line), kind: RemarkKind::CommentedRow });
        }
        return None;
    }
    if record.cells.len() != columns.len() {
        let problem = Problem::FieldCount { found: record.cells.len(), expected: columns.len() };
        errors.push(Some(record.line), problem);
        return None;
    }
    if record.lines > 1 {
        remarks.push(Remark { line: Some(record.line), kind: RemarkKind::LongCell { lines: record.lines } });
    }
    let mut draft = Draft::new(record.line);
    for (column, cell) in columns.iter().zip(&record.cells) {
        if let Some(column) = column {
            draft.set(*column, if column.is_secret() { cell } else { unguard(cell) });
        }
    }
    draft.check(errors)
}

/// A comment begins with `#`, unless that may be the beginning of a password or was put in quotes.
fn is_comment(columns: &[Option<Column>], record: &Record<'_>) -> bool {
    let may_be = columns.first().copied().flatten().is_none_or(|column| !column.is_secret());
    may_be && record.cells.first().is_some_and(|cell| matches!(cell, Cell::Plain(text) if text.starts_with('#')))
}
