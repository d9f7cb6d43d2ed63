//! The reference page says what is true: its examples are read, and its columns exist.

use mailhaul_accounts::{Format, ReadOptions, Resolve, read_list, resolve};

const PAGE: &str = include_str!("../../../docs/reference/account-lists.md");

/// The examples: what stands behind the opening fence, and what stands in it.
fn examples() -> Vec<(&'static str, &'static str)> {
    let blocks = PAGE.split("```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').expect("a fence ends with its line")).collect()
}

#[test]
fn every_example_is_read_as_what_it_is_called() {
    let examples = examples();
    for format in Format::ALL {
        assert!(examples.iter().any(|(name, _)| *name == format.name()), "{} has no example", format.name());
    }
    for (name, text) in examples {
        let format = Format::by_name(name).unwrap_or_else(|| panic!("{name} is no form"));
        let list =
            read_list(text.as_bytes(), &ReadOptions::default()).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert_eq!((list.format, list.rows.len()), (format, 2), "{name}");
        assert!(list.remarks.is_empty(), "{name}: {:?}", list.remarks);
        let how = Resolve { from: Some("old"), to: Some("new"), wave: Some("staff"), ..Resolve::default() };
        resolve(list, &how).unwrap_or_else(|errors| panic!("{name}: {errors}"));
    }
}

#[test]
fn every_name_in_the_table_of_columns_is_known() {
    let (_, table) = PAGE.split_once("| Column | Also called |").expect("the table is there");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let names: Vec<&str> = rows
        .flat_map(|row| {
            let cells: Vec<&str> = row.split('|').collect();
            [cells[1], cells[2]]
        })
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert_eq!(names.len(), 23, "{names:?}");
    for name in names {
        let list = format!("source_user,{name}\nalice,5\n");
        let faults = read_list(list.as_bytes(), &ReadOptions::default())
            .map_or_else(|errors| errors.to_string(), |_| String::new());
        let is_user = faults.ends_with("is a second `source_user`");
        assert!(faults.is_empty() || is_user, "{name}: {faults}");
    }
}
