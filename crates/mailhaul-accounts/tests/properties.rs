//! What holds for every list: nothing panics, nothing secret shows, and what was written reads back as it was.

use mailhaul_accounts::{
    Encoding, ExportRow, Format, ReadOptions, Rename, Resolve, read_list, resolve, to_csv, to_json,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

/// Whatever an operator can say about a list.
fn options() -> impl Strategy<Value = ReadOptions> {
    let formats = vec![
        None,
        Some(Format::Csv),
        Some(Format::Tsv),
        Some(Format::Semicolons),
        Some(Format::Json),
        Some(Format::Imapsync),
        Some(Format::NamePassword),
    ];
    let encodings = vec![None, None, Some(Encoding::Utf8), Some(Encoding::Latin1), Some(Encoding::Utf16)];
    (select(formats), select(encodings), any::<bool>()).prop_map(|(format, encoding, ignore_unknown)| ReadOptions {
        format,
        encoding,
        ignore_unknown,
    })
}

/// Octets that are more like a list than noise is.
fn nearly_a_list() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 24] = [
        b"source_user,source_password",
        b"user\tpassword\twave",
        b"host;user;pass;host;user;pass;",
        b"[{\"user\": \"a\", \"priority\": 1}]",
        b"{\"accounts\": [",
        b"\"",
        b"\"\"",
        b",",
        b";",
        b"\t",
        b"\r",
        b"\n",
        b"\r\n",
        b"#",
        b"'=",
        b"\xEF\xBB\xBF",
        b"\xFF\xFE",
        b"\xC3\xBC",
        b"\xFC",
        b"\0",
        b"{",
        b"}",
        b"@",
        b"alice",
    ];
    vec(select(&PIECES[..]), 0..40).prop_map(|pieces| pieces.concat())
}

/// Names that a list can hold: visible, not blank at the ends.
fn name() -> impl Strategy<Value = String> {
    "[=+\\-@'#\"a-z]{0,3}[a-zäöß日 ,;\"'=@#{}\\[\\]]{0,12}[a-z'\"]"
        .prop_map(|name| name.trim().to_owned())
        .prop_filter("a name is not empty", |name| !name.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_never_panics_whatever_the_octets_are(octets in vec(any::<u8>(), 0..600), options in options()) {
        let _ = read_list(&octets, &options).map_err(|errors| errors.to_string());
    }

    #[test]
    fn reading_never_panics_on_what_is_nearly_a_list(octets in nearly_a_list(), options in options()) {
        if let Ok(list) = read_list(&octets, &options) {
            let line_count = u32::try_from(octets.len()).expect("short") + 1;
            prop_assert!(!list.rows.is_empty());
            prop_assert!(list.rows.iter().all(|row| (1..=line_count).contains(&row.line)));
            let how = Resolve { from: Some("a"), to: Some("b"), wave: Some("c"), ..Resolve::default() };
            let _ = resolve(list, &how).map_err(|errors| errors.to_string());
        }
    }

    #[test]
    fn rules_of_renaming_never_panic(pattern in "[{}a-z:@]{0,20}", rule in "[a-z=@. ]{0,20}", user in "[a-z@.{}]{0,12}") {
        if let Ok(rename) = Rename::new(Some(&pattern), &[&rule]) {
            let _ = rename.target_user(&user);
        }
        let _ = Rename::new(Some(&pattern), &[]).map(|rename| rename.target_user(&user));
    }

    #[test]
    fn what_was_exported_reads_back_as_it_was(
        accounts in btree_map("[a-z]{1,8}[=+'#]{0,2}", (name(), name(), name(), name(), 0..=9u8), 1..20)
    ) {
        let rows: Vec<ExportRow<'_>> = accounts
            .iter()
            .map(|(account, (source_user, target_user, from, wave, priority))| ExportRow {
                account, source_user, target_user, from, to: "new", wave, priority: *priority,
            })
            .collect();
        for text in [to_csv(&rows), to_json(&rows)] {
            let list = read_list(text.as_bytes(), &ReadOptions::default()).map_err(|errors| TestCaseError::fail(format!("{text}\n{errors}")))?;
            let again: Vec<ExportRow<'_>> = list.rows.iter().map(|row| ExportRow {
                account: &row.account,
                source_user: &row.source_user,
                target_user: row.target_user.as_deref().unwrap_or_default(),
                from: row.from.as_deref().unwrap_or_default(),
                to: row.to.as_deref().unwrap_or_default(),
                wave: row.wave.as_deref().unwrap_or_default(),
                priority: row.priority.unwrap_or_default(),
            }).collect();
            prop_assert_eq!(&again, &rows);
        }
    }

    #[test]
    fn no_cell_of_an_export_begins_as_a_formula(source_user in name()) {
        let row = ExportRow { account: "a", source_user: &source_user, target_user: &source_user, from: "x", to: "y", wave: "w", priority: 4 };
        let text = to_csv(&[row]);
        let line = text.lines().nth(1).expect("a header and a row");
        let cell = line.strip_prefix("a,").expect("the account");
        let bare = cell.strip_prefix('"').unwrap_or(cell);
        prop_assert!(!bare.starts_with(['=', '+', '-', '@', '\t']), "{}", line);
    }

    #[test]
    fn no_password_is_part_of_a_fault(octets in nearly_a_list(), options in options(), header in prop_oneof![Just("user,password"), Just("user\tpassword\tnote"), Just("password;user;wave")]) {
        // The password stands in its column of a good row; whatever comes behind, it is not shown.
        let separator = header.chars().find(|c| !c.is_alphabetic()).expect("a separator");
        let cell = if header.starts_with("password") { format!("canary-1{separator}al") } else { format!("al{separator}canary-1") };
        let mut text = format!("{header}\n{cell}\n").into_bytes();
        text.extend(octets);
        let shown = match read_list(&text, &options) {
            Ok(list) => format!("{list:?}"),
            Err(errors) => format!("{errors} {errors:?}"),
        };
        prop_assert!(!shown.contains("canary"), "{}", shown);
    }
}

#[test]
fn a_list_of_ten_thousand_is_read_and_settled_whole() {
    let mut text = String::from("account,source_user,source_password,target_user,target_password,wave,priority\n");
    for number in 0..10_000 {
        text += &format!("a{number},user{number}@old.example,\"canary,{number}\",,,staff,{}\n", number % 10);
    }
    let list = read_list(text.as_bytes(), &ReadOptions::default()).expect("it is a good list");
    assert_eq!((list.rows.len(), list.rows[9_999].line), (10_000, 10_001));
    let rename = Rename::new(Some("{local}@new.example"), &[]).expect("a good pattern");
    let how = Resolve { from: Some("old"), to: Some("new"), rename, ..Resolve::default() };
    let resolved = resolve(list, &how).expect("nothing collides");
    assert_eq!(resolved.entries[9_999].target_user, "user9999@new.example");
}
