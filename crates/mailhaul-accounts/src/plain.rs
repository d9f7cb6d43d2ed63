//! Lists without a header, read as the tools read them that they were written for: no quotes, nothing undone.

use crate::check::Draft;
use crate::column::Column;
use crate::delimited::significant_lines;
use crate::fault::{ListErrors, Problem};
use crate::row::Row;

const IMAPSYNC_FIELDS: usize = 6;

/// Lines of `host1;user1;password1;host2;user2;password2;`.
pub(crate) fn read_imapsync(text: &str, errors: &mut ListErrors) -> Vec<Row> {
    significant_lines(text).filter_map(|(line, fields)| read_imapsync_line(line, fields, errors)).collect()
}

fn read_imapsync_line(line: u32, text: &str, errors: &mut ListErrors) -> Option<Row> {
    let fields: Vec<&str> = text.split(';').collect();
    let Some((fields, behind)) = fields.split_at_checked(IMAPSYNC_FIELDS) else {
        errors.push(Some(line), Problem::FieldCount { found: fields.len(), expected: IMAPSYNC_FIELDS });
        return None;
    };
    if behind.iter().any(|field| !field.trim().is_empty()) {
        errors.push(Some(line), Problem::ForeignOptions);
        return None;
    }
    let columns = [
        Column::From,
        Column::SourceUser,
        Column::SourcePassword,
        Column::To,
        Column::TargetUser,
        Column::TargetPassword,
    ];
    let mut draft = Draft::new(line);
    for (column, field) in columns.into_iter().zip(fields) {
        draft.set(column, field);
    }
    if draft.get(Column::TargetPassword).is_some() && draft.get(Column::TargetUser).is_none() {
        errors.push(Some(line), Problem::PasswordWithoutUser { side: "target" });
        return None;
    }
    draft.check(errors)
}

/// Lines of name, tab, password, and perhaps another tab and the new name.
pub(crate) fn read_name_password(text: &str, errors: &mut ListErrors) -> Vec<Row> {
    significant_lines(text).filter_map(|(line, fields)| read_name_password_line(line, fields, errors)).collect()
}

fn read_name_password_line(line: u32, text: &str, errors: &mut ListErrors) -> Option<Row> {
    let fields: Vec<&str> = text.split('\t').collect();
    let mut draft = Draft::new(line);
    match fields.as_slice() {
        [name, password] => {
            draft.set(Column::SourceUser, name);
            draft.set(Column::Password, password);
        }
        [name, password, new_name] => {
            draft.set(Column::SourceUser, name);
            draft.set(Column::Password, password);
            draft.set(Column::NewName, new_name);
        }
        _ => {
            errors.push(Some(line), Problem::FieldCount { found: fields.len(), expected: 2 });
            return None;
        }
    }
    draft.check(errors)
}
