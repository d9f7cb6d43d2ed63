//! A table of texts whose columns stay in line on a terminal, whatever the texts are made of.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns of a terminal one cell may take, but for the last of a row.
const CELL_COLUMNS_MAX: usize = 32;

/// Rows of `N` cells under a heading. The first `left` columns and the last one are text and begin at the left, the
/// others are figures and end at the right.
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    left: usize,
}

impl<const N: usize> Table<N> {
    /// A table with this heading.
    pub(crate) fn new(heading: &[&str; N], left: usize) -> Self {
        Self { rows: vec![heading.map(str::to_owned)], left }
    }

    /// Adds a row. Strangers' words in it are escaped already.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// Every row on a line of its own, indented.
    pub(crate) fn to_text(&self) -> String {
        let width = |column: usize| self.rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..N).map(|column| width(column).min(CELL_COLUMNS_MAX)).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::from("  ");
            for (column, cell) in row.iter().enumerate() {
                if column > 0 {
                    line.push_str("  ");
                }
                if column + 1 == N {
                    line.push_str(cell);
                } else {
                    put(&mut line, cell, widths[column], column >= self.left);
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A cell at exactly this width: cut with an ellipsis if it is wider, filled if it is narrower.
fn put(line: &mut String, cell: &str, width: usize, to_the_right: bool) {
    let cut = cell.width() > width;
    let room = if cut { width.saturating_sub(1) } else { width };
    let mut used = 0;
    let mut shown = String::new();
    for character in cell.chars() {
        let wide = character.width().unwrap_or(0);
        if used + wide > room {
            break;
        }
        shown.push(character);
        used += wide;
    }
    if cut {
        shown.push('…');
        used += 1;
    }
    let space = std::iter::repeat_n(' ', width.saturating_sub(used));
    if to_the_right {
        line.extend(space);
        line.push_str(&shown);
    } else {
        line.push_str(&shown);
        line.extend(space);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_in_line_with_any_text() {
        let mut table = Table::new(&["name", "figure", "rest"], 1);
        let long = "a name that goes on and on and never comes to an end";
        for name in ["INBOX", "日本語メール", "🎉 party 🎉", "cafe\u{301}", long] {
            table.row([name.to_owned(), "1,234".to_owned(), "end".to_owned()]);
        }
        let text = table.to_text();
        let places: Vec<usize> =
            text.lines().skip(1).map(|line| line[..line.find("end").expect("the last cell")].width()).collect();
        assert_eq!(places, [places[0]; 5], "{text}");
        assert!(text.contains('…') && !text.contains(" \n"), "{text}");
    }
}
