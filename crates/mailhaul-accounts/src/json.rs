//! Lists as JSON: an array of objects, or an object with such an array as `accounts`.
//!
//! What the parser says about a fault may quote what it has read, so that its words are not used, only its places.

use crate::check::Draft;
use crate::column::{COLUMNS, Column};
use crate::decode::LineCounter;
use crate::fault::{ListErrors, Problem, Remark, RemarkKind};
use crate::row::Row;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fmt;
use zeroize::Zeroizing;

/// So many names of columns that are left out of account are remarked on.
const IGNORED_NAMES_MAX: usize = 64;

/// Reads a list of objects.
pub(crate) fn read_json(
    text: &str,
    ignore_unknown: bool,
    errors: &mut ListErrors,
    remarks: &mut Vec<Remark>,
) -> Vec<Row> {
    let objects = match read_objects(text, ignore_unknown) {
        Ok(objects) => objects,
        Err(error) => {
            push_json_error(&error, errors);
            return Vec::new();
        }
    };
    let mut counter = LineCounter::new(text.as_bytes());
    let mut reader = Reader { ignore_unknown, ignored: BTreeSet::new(), errors, remarks };
    let begin = text.as_ptr().addr();
    let read = |object: &RawValue| {
        // Each object is a part of the text: how far its beginning is from the text's says on which line it is.
        let line = counter.line_at(object.get().as_ptr().addr().saturating_sub(begin));
        reader.read_object(line, object.get())
    };
    objects.into_iter().filter_map(read).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped<'a> {
    #[serde(borrow)]
    accounts: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct WrappedAmongOthers<'a> {
    #[serde(borrow)]
    accounts: Vec<&'a RawValue>,
}

fn read_objects(text: &str, ignore_unknown: bool) -> serde_json::Result<Vec<&RawValue>> {
    if !text.trim_start().starts_with('{') {
        serde_json::from_str(text)
    } else if ignore_unknown {
        serde_json::from_str::<WrappedAmongOthers<'_>>(text).map(|wrapped| wrapped.accounts)
    } else {
        serde_json::from_str::<Wrapped<'_>>(text).map(|wrapped| wrapped.accounts)
    }
}

fn push_json_error(error: &serde_json::Error, errors: &mut ListErrors) {
    let words = match error.classify() {
        Category::Eof => "the JSON ends before it is complete",
        Category::Data => "neither an array of objects nor an object with nothing but such an array as `accounts`",
        Category::Syntax | Category::Io => "this is not JSON",
    };
    let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
    errors.push(Some(line), Problem::Json { column: error.column(), words });
}

/// Reads one object after the other, and remembers what was said about their members.
struct Reader<'a> {
    ignore_unknown: bool,
    ignored: BTreeSet<String>,
    errors: &'a mut ListErrors,
    remarks: &'a mut Vec<Remark>,
}

impl Reader<'_> {
    fn read_object(&mut self, line: u32, text: &str) -> Option<Row> {
        let Ok(Members(members)) = serde_json::from_str(text) else {
            self.errors.push(Some(line), Problem::Json { column: 1, words: "this is not an object" });
            return None;
        };
        let before = self.errors.count();
        let mut draft = Draft::new(line);
        let mut seen = [false; COLUMNS.len()];
        for (index, (name, value)) in members.iter().enumerate() {
            let Some(column) = Column::by_name(name) else {
                self.note_unknown(line, index + 1, name);
                continue;
            };
            if std::mem::replace(&mut seen[column as usize], true) {
                self.errors.push(Some(line), Problem::RepeatedColumn { column: index + 1, name: column.name() });
            }
            match value {
                Value::Text(text) => draft.set(column, text),
                Value::Null => {}
                Value::Digit(digit) if column == Column::Priority => draft.set(column, digit),
                _ if column == Column::Priority => self.errors.push(Some(line), Problem::Priority),
                _ => {
                    let problem = Problem::JsonKind { name: column.name(), expected: "a text" };
                    self.errors.push(Some(line), problem);
                }
            }
        }
        // A member that was refused would be called missing.
        if self.errors.count() > before { None } else { draft.check(self.errors) }
    }

    fn note_unknown(&mut self, line: u32, column: usize, name: &str) {
        if !self.ignore_unknown {
            self.errors.push(Some(line), Problem::UnknownColumn { column, name: Some(name.to_owned()) });
        } else if self.ignored.len() < IGNORED_NAMES_MAX && self.ignored.insert(name.to_owned()) {
            let kind = RemarkKind::IgnoredColumn { column, name: name.to_owned() };
            self.remarks.push(Remark { line: Some(line), kind });
        }
    }
}

/// The members of an object in their order, also those that are there twice.
struct Members(Vec<(String, Value)>);

/// As much of a value as a list can have.
enum Value {
    Text(Zeroizing<String>),
    Digit(&'static str),
    Null,
    Other,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(Zeroizing::new(text)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        const DIGITS: &str = "0123456789";
        let digit = usize::try_from(number).ok().and_then(|at| DIGITS.get(at..=at));
        Ok(digit.map_or(Value::Other, Value::Digit))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}
