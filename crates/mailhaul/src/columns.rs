//! Text in columns of a terminal, where some characters take two columns and others none.

use std::io::IsTerminal as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text, cut with an ellipsis if it is wider than `columns`.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 1);
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > columns {
            break;
        }
        out.push(character);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The text at exactly `columns`: cut if it is wider, filled with spaces if it is narrower.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let mut out = shorten(text, columns);
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(out.width())));
    out
}

/// Parts in one line, in their order. Where there is no room for all of them, those with the lowest number go first; a
/// part with the number 0 stays.
pub(crate) fn fit_parts<const N: usize>(parts: [(u8, Option<String>); N], columns: usize) -> String {
    let mut parts: Vec<(u8, String)> = parts.into_iter().filter_map(|(order, part)| Some((order, part?))).collect();
    loop {
        let texts: Vec<&str> = parts.iter().map(|(_, part)| part.as_str()).collect();
        let line = texts.join(" · ");
        let least = parts.iter().map(|(order, _)| *order).filter(|order| *order > 0).min();
        match least {
            Some(least) if line.width() > columns => parts.retain(|(order, _)| *order != least),
            _ => return shorten(&line, columns),
        }
    }
}

/// The widest of several texts.
pub(crate) fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(UnicodeWidthStr::width).max().unwrap_or(0)
}

/// On a terminal no cell but the last of a row is shown wider than this; elsewhere nothing is cut.
const CELL_COLUMNS_MAX: usize = 40;

/// Rows under a heading, for stdout, in columns as wide as what stands in them. Strangers' text in the cells is escaped
/// already.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    table_cut_at(if is_read_by_people() { CELL_COLUMNS_MAX } else { usize::MAX }, heading, rows)
}

/// Whether what goes to stdout is shown on a terminal.
pub(crate) fn is_read_by_people() -> bool {
    std::io::stdout().is_terminal()
}

fn table_cut_at<const N: usize>(columns_max: usize, heading: [&str; N], rows: &[[String; N]]) -> String {
    let heading = heading.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].as_str());
        widest(cells.chain([heading[column].as_str()])).min(columns_max)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == N {
                line.push_str(cell);
            } else {
                line.push_str(&fit(cell, widths[column]));
                line.push_str("  ");
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_fitted_by_what_a_terminal_shows() {
        assert_eq!(fit("abc", 5), "abc  ");
        assert_eq!(fit("日本語", 7), "日本語 ");
        assert_eq!(fit("日本語です", 6), "日本… ");
        assert_eq!(shorten("cafe\u{301} noir", 5), "cafe\u{301}…");
        assert_eq!(shorten("abc", 0), "");
        assert_eq!(widest(["a", "日本", "abc"].into_iter()), 4);
        for columns in 1..12 {
            assert_eq!(fit("emoji 🎉🎉 and 日本語", columns).width(), columns);
        }
    }

    #[test]
    fn only_a_terminal_cuts_what_is_long() {
        let rows = [["waiting: host limit until 2026-11-22 16:41 UTC".to_owned(), "words".to_owned()]];
        let whole = table_cut_at(usize::MAX, ["state", ""], &rows);
        assert!(whole.contains("until 2026-11-22 16:41 UTC  words"), "{whole}");
        let cut = table_cut_at(CELL_COLUMNS_MAX, ["state", ""], &rows);
        assert!(cut.contains("…  words"), "{cut}");
    }
}
