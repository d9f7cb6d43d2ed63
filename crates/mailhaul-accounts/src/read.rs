//! Reading a list: which form it has, and then all of it.

use crate::check::check_names;
use crate::decode::decode;
use crate::delimited::{significant_lines, split_line};
use crate::fault::{ListErrors, Problem};
use crate::json::read_json;
use crate::plain::{read_imapsync, read_name_password};
use crate::row::{Format, List, ReadOptions};
use crate::table::{known_columns, read_table, skip_preamble};

/// Larger lists are refused: a hundred thousand accounts have about 10 MiB.
pub const LIST_BYTES_MAX: usize = 256 * 1_024 * 1_024;

/// Reads a list whole.
///
/// # Errors
///
/// Everything that is wrong with it, each with its line, in the order of the lines; up to [`crate::FAULTS_MAX`] of
/// them, and how many more there are. Nothing of a list with an error is to be used.
pub fn read_list(octets: &[u8], options: &ReadOptions) -> Result<List, ListErrors> {
    if octets.len() > LIST_BYTES_MAX {
        return Err(ListErrors::one(None, Problem::TooLarge { max_bytes: LIST_BYTES_MAX }));
    }
    let decoded = decode(octets, options.encoding)?;
    let text = decoded.as_str();
    let format = match options.format {
        Some(format) => format,
        None => detect_format(text)?,
    };
    let mut errors = ListErrors::default();
    let mut remarks: Vec<_> = decoded.remark.iter().cloned().collect();
    let mut table = |separator| read_table(text, separator, options.ignore_unknown, &mut errors, &mut remarks);
    let rows = match format {
        Format::Csv => table(','),
        Format::Tsv => table('\t'),
        Format::Semicolons => table(';'),
        Format::Json => read_json(text, options.ignore_unknown, &mut errors, &mut remarks),
        Format::Imapsync => read_imapsync(text, &mut errors),
        Format::NamePassword => read_name_password(text, &mut errors),
    };
    check_names(&rows, &mut errors, &mut remarks);
    if rows.is_empty() && errors.is_empty() {
        errors.push(None, Problem::Empty);
    }
    errors.into_result()?;
    remarks.sort_by_key(|remark| remark.line);
    Ok(List { rows, format, encoding: decoded.encoding, remarks })
}

/// The form of a list by its first line that says something.
fn detect_format(text: &str) -> Result<Format, ListErrors> {
    if text.trim_start().starts_with(['[', '{']) {
        return Ok(Format::Json);
    }
    let (rest, _) = skip_preamble(text);
    let header = split_line(rest).0;
    let tables = [(',', Format::Csv), ('\t', Format::Tsv), (';', Format::Semicolons)];
    let known = tables.into_iter().filter_map(|(separator, format)| Some((known_columns(header, separator)?, format)));
    // Of several with equally many, the first: a header of one column has no separator at all.
    if let Some((_, format)) = known.rev().max_by_key(|(known, _)| *known) {
        return Ok(format);
    }
    let Some((line, first)) = significant_lines(text).next() else {
        return Err(ListErrors::one(None, Problem::Empty));
    };
    match (first.matches('\t').count(), first.matches(';').count()) {
        (1..=2, _) => Ok(Format::NamePassword),
        (0, 5..) => Ok(Format::Imapsync),
        _ => Err(ListErrors::one(Some(line), Problem::UnknownForm)),
    }
}
