//! Lines and cells: text cut at separators, with quotes as RFC 4180 has them, and a line number for each record.
//!
//! Strict where being lenient loses accounts: a quote that never closes, and text behind a closing quote, are faults.

use crate::fault::Problem;
use zeroize::Zeroizing;

/// One record.
pub(crate) struct Record<'a> {
    /// The line on which it begins.
    pub(crate) line: u32,
    /// Its cells; at least one.
    pub(crate) cells: Vec<Cell<'a>>,
    /// How many lines it covers; more than one where a quoted cell holds line ends.
    pub(crate) lines: u32,
}

/// One cell, without its quotes.
pub(crate) enum Cell<'a> {
    /// Without quotes.
    Plain(&'a str),
    /// From between quotes.
    Quoted(&'a str),
    /// The same, with quotes inside that were doubled.
    Undoubled(Zeroizing<String>),
}

impl std::ops::Deref for Cell<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Cell::Plain(text) | Cell::Quoted(text) => text,
            Cell::Undoubled(text) => text,
        }
    }
}

/// A record that cannot be read: its line and what is wrong.
pub(crate) type BadRecord = (u32, Problem);

/// The records of a text. Blank lines are passed over.
pub(crate) struct Records<'a> {
    rest: &'a str,
    line: u32,
    separator: char,
}

impl<'a> Records<'a> {
    /// Records from `line` on.
    pub(crate) fn new(text: &'a str, line: u32, separator: char) -> Self {
        Self { rest: text, line, separator }
    }

    fn read_record(&mut self) -> Result<Record<'a>, BadRecord> {
        let first_line = self.line;
        let mut cells = Vec::new();
        loop {
            let cell = self.read_cell().map_err(|problem| {
                let problem = problem.unwrap_or(Problem::BehindQuote { column: cells.len() + 1 });
                self.skip_line();
                (first_line, problem)
            })?;
            cells.push(cell);
            match self.rest.strip_prefix(self.separator) {
                Some(rest) => self.rest = rest,
                None => break,
            }
        }
        let lines = self.line - first_line + 1;
        self.skip_line();
        Ok(Record { line: first_line, cells, lines })
    }

    /// Reads up to the next separator or line end. `Err(None)` is text behind a closing quote.
    fn read_cell(&mut self) -> Result<Cell<'a>, Option<Problem>> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([self.separator, '\r', '\n']).unwrap_or(self.rest.len());
            let (cell, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok(Cell::Plain(cell));
        };
        let (end, has_doubled) = find_closing_quote(quoted).ok_or(Some(Problem::OpenQuote))?;
        let (inner, rest) = (&quoted[..end], &quoted[end + 1..]);
        self.line += count_line_ends(inner);
        self.rest = rest;
        if !rest.is_empty() && !rest.starts_with([self.separator, '\r', '\n']) {
            return Err(None);
        }
        Ok(if has_doubled { Cell::Undoubled(Zeroizing::new(inner.replace("\"\"", "\""))) } else { Cell::Quoted(inner) })
    }

    fn skip_line(&mut self) {
        let (_, rest) = split_line(self.rest);
        self.rest = rest;
        self.line += 1;
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            if split_line(self.rest).0.trim().is_empty() {
                self.skip_line();
            } else {
                return Some(self.read_record());
            }
        }
        None
    }
}

/// Where the quote closes, and whether there are doubled ones before.
fn find_closing_quote(text: &str) -> Option<(usize, bool)> {
    let octets = text.as_bytes();
    let mut from = 0;
    loop {
        let at = from + text[from..].find('"')?;
        if octets.get(at + 1) != Some(&b'"') {
            return Some((at, from > 0));
        }
        from = at + 2;
    }
}

fn count_line_ends(text: &str) -> u32 {
    let mut rest = text;
    let mut count = 0;
    while rest.contains(['\r', '\n']) {
        rest = split_line(rest).1;
        count += 1;
    }
    count
}

/// The first line without its end, and everything behind. CR, LF and CR LF all end lines.
pub(crate) fn split_line(text: &str) -> (&str, &str) {
    let Some(end) = text.find(['\r', '\n']) else { return (text, "") };
    let rest = &text[end..];
    let rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
    (&text[..end], rest)
}

/// The lines of a text with their numbers from 1, without blank lines and without comments.
pub(crate) fn significant_lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let mut rest = text;
    let lines = std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| {
            let (line, behind) = split_line(rest);
            rest = behind;
            line
        })
    });
    (1..).zip(lines).filter(|(_, line)| !is_silent(line))
}

/// Whether a line says nothing: blank, or a comment.
pub(crate) fn is_silent(line: &str) -> bool {
    line.starts_with('#') || line.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<(u32, Vec<String>), BadRecord>> {
        let shown = |record: Record<'_>| (record.line, record.cells.iter().map(|cell| cell.to_string()).collect());
        Records::new(text, 1, ',').map(|record| record.map(shown)).collect()
    }

    fn good(line: u32, cells: &[&str]) -> Result<(u32, Vec<String>), BadRecord> {
        Ok((line, cells.iter().map(|&cell| cell.to_owned()).collect()))
    }

    #[test]
    fn every_line_end_and_every_quote_is_understood() {
        assert_eq!(
            read("a,b\r\nc,d\re,f\ng,h"),
            [good(1, &["a", "b"]), good(2, &["c", "d"]), good(3, &["e", "f"]), good(4, &["g", "h"])]
        );
        assert_eq!(read("\"a,\"\"b\"\"\",\"\"\n\n \n,x\n"), [good(1, &["a,\"b\"", ""]), good(4, &["", "x"])]);
        assert_eq!(read("\"a\r\nb\rc\nd\",e\nf,g\n"), [good(1, &["a\r\nb\rc\nd", "e"]), good(5, &["f", "g"])]);
        assert_eq!(read("a\"b,c\"\n"), [good(1, &["a\"b", "c\""])]);
    }

    #[test]
    fn a_quote_that_is_astray_is_a_fault_and_the_next_line_is_read() {
        assert_eq!(read("\"a\"b,c\nd\n"), [Err((1, Problem::BehindQuote { column: 1 })), good(2, &["d"])]);
        assert_eq!(
            read("x\na,\"b\nc\nd"),
            [good(1, &["x"]), Err((2, Problem::OpenQuote)), good(3, &["c"]), good(4, &["d"])]
        );
    }
}
