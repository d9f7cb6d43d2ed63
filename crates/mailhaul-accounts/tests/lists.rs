//! Lists as operators have them, and everything that can be wrong with them.

use mailhaul_accounts::{Encoding, FAULTS_MAX, Format, List, ListErrors, ReadOptions, Row, read_list};

fn read(text: impl AsRef<[u8]>) -> List {
    let text = text.as_ref();
    read_list(text, &ReadOptions::default())
        .unwrap_or_else(|errors| panic!("{}\n{errors}", String::from_utf8_lossy(text)))
}

fn refuse(text: impl AsRef<[u8]>) -> ListErrors {
    read_list(text.as_ref(), &ReadOptions::default()).expect_err("the list should be refused")
}

/// The faults as the operator sees them.
fn faults(text: impl AsRef<[u8]>) -> Vec<String> {
    refuse(text).faults.iter().map(ToString::to_string).collect()
}

/// A row as `line account user/password>user/password new_name from>to wave priority`, absent things as `-`.
fn show(row: &Row) -> String {
    let secret = |password: &Option<mailhaul_types::Secret>| match password {
        Some(password) => String::from_utf8_lossy(password.expose()).into_owned(),
        None => "-".to_owned(),
    };
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    format!(
        "{} {} {}/{}>{}/{} {} {}>{} {} {}",
        row.line,
        row.account,
        row.source_user,
        secret(&row.source_password),
        or_dash(&row.target_user),
        secret(&row.target_password),
        or_dash(&row.new_name),
        or_dash(&row.from),
        or_dash(&row.to),
        or_dash(&row.wave),
        row.priority.map_or_else(|| "-".to_owned(), |priority| priority.to_string()),
    )
}

fn rows(list: &List) -> Vec<String> {
    list.rows.iter().map(show).collect()
}

#[test]
fn one_list_reads_the_same_in_every_form_with_a_header() {
    let expected = [
        "2 alice a@old.example/s,1;x>a@new.example/s2 - old>new staff 9",
        "3 bob@old.example bob@old.example/->-/- - ->- - -",
    ];
    let header = "account,source_user,source_password,target_user,target_password,from,to,wave,priority";
    let quoted = "alice,a@old.example,\"s,1;x\",a@new.example,s2,old,new,staff,9\n,bob@old.example,,,,,,,\n";
    let csv = format!("{header}\n{quoted}");
    let list = read(&csv);
    assert_eq!((list.format, rows(&list).as_slice()), (Format::Csv, expected.map(String::from).as_slice()));

    let tabs = format!("{}\n", header.replace(',', "\t"))
        + "alice\ta@old.example\ts,1;x\ta@new.example\ts2\told\tnew\tstaff\t9\n\tbob@old.example\t\t\t\t\t\t\t\n";
    let list = read(&tabs);
    assert_eq!((list.format, rows(&list).as_slice()), (Format::Tsv, expected.map(String::from).as_slice()));

    let semicolons = format!("{}\n", header.replace(',', ";"))
        + "alice;a@old.example;\"s,1;x\";a@new.example;s2;old;new;staff;9\n;bob@old.example;;;;;;;\n";
    let list = read(&semicolons);
    assert_eq!((list.format, rows(&list).as_slice()), (Format::Semicolons, expected.map(String::from).as_slice()));

    let json = r#"[
        {"account": "alice", "source_user": "a@old.example", "source_password": "s,1;x", "target_user": "a@new.example", "target_password": "s2", "from": "old", "to": "new", "wave": "staff", "priority": 9},
        {"source_user": "bob@old.example", "wave": null, "account": ""}]"#;
    let list = read(json);
    assert_eq!((list.format, rows(&list).as_slice()), (Format::Json, expected.map(String::from).as_slice()));
    let wrapped = format!("{{\"accounts\": {json}}}");
    assert_eq!(rows(&read(wrapped)), expected);
}

#[test]
fn lists_for_imapsync_are_read_as_they_are() {
    let list = read(
        "# from the old tool\n\nold.example;alice;p\"w 1 ;new.example;alice@new.example;'=x;\r\nold.example;bob;;new.example;bob;;;\n",
    );
    assert_eq!(list.format, Format::Imapsync);
    assert_eq!(
        rows(&list),
        [
            "3 alice alice/p\"w 1 >alice@new.example/'=x - old.example>new.example - -",
            "4 bob bob/->bob/- - old.example>new.example - -"
        ]
    );
}

#[test]
fn lists_of_names_and_passwords_are_read_as_they_are() {
    let list = read("alice\tcanary,\"1 \nbob\tx;y\trobert\n");
    assert_eq!(list.format, Format::NamePassword);
    assert_eq!(
        rows(&list),
        ["1 alice alice/canary,\"1 >-/canary,\"1  - ->- - -", "2 bob bob/x;y>-/x;y robert ->- - -"]
    );
    assert_eq!(read("Name\tPassword\tNewName\nbob\tx\trobert\n").format, Format::Tsv);
}

#[test]
fn one_column_is_a_list_too() {
    assert_eq!(
        rows(&read("source_user\nalice\nbob\n")),
        ["2 alice alice/->-/- - ->- - -", "3 bob bob/->-/- - ->- - -"]
    );
}

#[test]
fn byte_order_marks_line_ends_blank_lines_and_comments_do_not_disturb() {
    for text in [
        "\u{FEFF}user,password\r\n\r\nalice,x\r\n",
        "user,password\r\ralice,x",
        "# a comment\nUser , Password\n alice ,x\n",
        "sep=,\nuser,password\nalice,x\n,\n",
        "user,password,,\n\nalice,x,,\n,,,\n",
    ] {
        let list = read(text);
        assert_eq!(list.rows.len(), 1, "{text:?}");
        assert_eq!(show(&list.rows[0]), "3 alice alice/x>-/x - ->- - -", "{text:?}");
    }
}

#[test]
fn a_row_that_begins_with_a_password_is_never_a_comment() {
    let list = read("password,user\n#1,alice\n");
    assert_eq!(rows(&list), ["2 alice alice/#1>-/#1 - ->- - -"]);
    let list = read("user,password\n#bob,x\n\"#bob\",y\n# words\n");
    assert_eq!(rows(&list), ["3 #bob #bob/y>-/y - ->- - -"]);
    assert_eq!(list.remarks.len(), 1);
    assert!(list.remarks[0].to_string().starts_with("line 2: it begins with # and was taken for a comment"));
}

#[test]
fn latin1_is_read_and_said() {
    let list = read(b"user,password\nbob,x\nj\xFCrgen,\x80\xDF\n");
    assert_eq!(list.encoding, Encoding::Latin1);
    assert_eq!(show(&list.rows[1]), "3 jürgen jürgen/€ß>-/€ß - ->- - -");
    assert_eq!(
        list.remarks[0].to_string(),
        "line 3: it is not UTF-8 from this line on, and was read as Latin-1 (Windows-1252)"
    );
}

#[test]
fn cells_guarded_against_spreadsheets_are_unguarded_but_passwords_are_not() {
    let list = read("user,password,new_name\n'=bob,'=x,'@y\n");
    assert_eq!(rows(&list), ["2 =bob =bob/'=x>-/'=x @y ->- - -"]);
}

#[test]
fn every_bad_row_is_named_with_its_line_and_its_reason() {
    let text = "account,source_user,source_password,target_user,priority\n\
        a,alice,canary-1,,10\n\
        b,,canary-2,,\n\
        c,,,,5\n\
        d,dora,canary-3\n\
        \n\
        e,\"em\nil\",canary-4,,\n\
        a,al,\"canary\n5\",,\n\
        b,bob,x,,x\n\
        f,fred,\"canary-6\"x,,\n\
        g,gr\u{202E}eta,x,,\n\
        h,hans,x,,1\n\
        h,hanna,x,,1\n";
    assert_eq!(
        faults(text),
        [
            "line 2: `priority` is not one digit from 0 to 9",
            "line 3: there is a source password but no source user",
            "line 4: the source user is missing",
            "line 5: there are 3 fields where 5 belong",
            "line 7: `source_user` holds a control character",
            "line 9: `source_password` holds a control character",
            "line 11: `priority` is not one digit from 0 to 9",
            "line 12: there is something behind the closing quote of cell 3",
            "line 13: `source_user` holds a control character",
            "line 15: account `h` stands already on line 14; give one of them another name in the column `account`",
        ]
    );
}

#[test]
fn names_are_compared_as_servers_compare_them() {
    assert_eq!(faults("user\na@old.example\nA@old.example\na@OLD.example\n").len(), 1);
    let list = read("user\na@old.example\nA@old.example\n");
    assert_eq!(
        list.remarks[0].to_string(),
        "line 3: account `A@old.example` differs from that on line 2 only in capitals"
    );
}

#[test]
fn nul_octets_and_overlong_cells_are_refused() {
    assert_eq!(
        faults("user,password\nal\0ice,x\nbob,y\0\n"),
        ["line 2: `source_user` holds a control character", "line 3: `password` holds a control character"]
    );
    let long = format!("user,password\n{},x\nbob,{}\n", "a".repeat(1_025), "b".repeat(16_385));
    assert_eq!(
        faults(long),
        ["line 2: `source_user` is longer than 1024 bytes", "line 3: `password` is longer than 16384 bytes"]
    );
}

#[test]
fn headers_must_be_known_whole() {
    assert_eq!(
        faults("user,password,shoe size,wave,user1\n"),
        [
            "line 1: column 3 `shoe size` is not known; `--ignore-unknown` leaves it out of account",
            "line 1: column 5 is a second `source_user`"
        ]
    );
    assert_eq!(faults("account,wave\na,b\n"), ["line 1: the header has no column `source_user`"]);
    let options = ReadOptions { ignore_unknown: true, ..ReadOptions::default() };
    let list = read_list(b"user,password,shoe size\nbob,x,44\n", &options).expect("it is left out of account");
    assert_eq!(list.remarks[0].to_string(), "line 1: column 3 `shoe size` is left out of account");
}

#[test]
fn json_is_checked_member_by_member() {
    let text = "[\n{\"source_user\": 4711},\n{\"user\": \"a\", \"priority\": 12, \"shoe\": 1},\n\"canary-1\",\n\
        {\"user\": \"a\", \"user1\": \"b\"},\n{\"user\": \"c\", \"password\": {\"canary-2\": 3}}]";
    assert_eq!(
        faults(text),
        [
            "line 2: `source_user` is not a text",
            "line 3: `priority` is not one digit from 0 to 9",
            "line 3: column 3 `shoe` is not known; `--ignore-unknown` leaves it out of account",
            "line 4: column 1 of the line: this is not an object",
            "line 5: column 2 is a second `source_user`",
            "line 6: `password` is not a text",
        ]
    );
    assert_eq!(faults("[\n{\"user\": canary"), ["line 2: column 10 of the line: this is not JSON"]);
    assert_eq!(faults("[{\"user\": \"a"), ["line 1: column 12 of the line: the JSON ends before it is complete"]);
    assert_eq!(faults("{\"users\": []}").len(), 1);
    assert_eq!(faults("[]"), ["the list: there is no account in it"]);
}

#[test]
fn bad_lines_of_foreign_lists_are_named() {
    assert_eq!(
        faults("h;a;canary;h;a;canary;\nh;b;canary\nh;c;canary;h;c;x;--dry;\nh;d;canary;h;;canary\n;;;;;\n"),
        [
            "line 2: there are 3 fields where 6 belong",
            "line 3: there is something behind the sixth field: options of other tools are not understood",
            "line 4: there is a target password but no target user",
            "line 5: the source user is missing",
        ]
    );
    assert_eq!(
        faults("alice\tx\nbob\na\tb\tc\td\n"),
        ["line 2: there are 1 fields where 2 belong", "line 3: there are 4 fields where 2 belong"]
    );
}

#[test]
fn lists_of_no_known_form_are_refused_without_being_quoted() {
    for text in ["alice,canary-1\nbob,canary-2\n", "alice canary-1\n", "alice;canary-1\n", "a\tb\tc\tcanary-1\n"] {
        let shown = refuse(text).to_string();
        assert!(shown.starts_with("line 1: no header line"), "{shown}");
    }
    // Half a header: perhaps somebody whose login is "name" and whose password follows.
    let shown = refuse("name,canary-1\nbob,canary-2\n").to_string();
    assert_eq!(shown, "line 1: column 2 is not known; `--ignore-unknown` leaves it out of account");
    // A login that reads like the name of a column, and more behind it.
    let shown = refuse("user1;user2;canary-1;canary-2\nbob;x;y;z\n").to_string();
    assert!(shown.contains("column 3 is not known") && !shown.contains("canary"), "{shown}");
    for text in ["", "\n \n", "# nothing\n", "\u{FEFF}"] {
        assert_eq!(faults(text), ["the list: there is no account in it"], "{text:?}");
    }
    assert_eq!(faults("user,password\n"), ["the list: there is no account in it"]);
}

#[test]
fn a_form_can_be_forced() {
    let forced = |format, text: &str| {
        let options = ReadOptions { format: Some(format), ..ReadOptions::default() };
        read_list(text.as_bytes(), &options).map(|list| rows(&list)).map_err(|errors| errors.to_string())
    };
    let row = "1 name name/password>-/password - ->- - -";
    assert_eq!(forced(Format::NamePassword, "name\tpassword\n"), Ok(vec![row.to_owned()]));
    let error = forced(Format::Csv, "alice,canary-1\n").expect_err("there is no header");
    assert!(error.starts_with("line 1: no header line"), "{error}");
}

#[test]
fn faults_are_bounded_and_the_rest_is_counted() {
    let text = format!("user,wave\n{}", ",x\n".repeat(FAULTS_MAX + 7));
    let errors = refuse(text);
    assert_eq!((errors.faults.len(), errors.more, errors.count()), (FAULTS_MAX, 7, FAULTS_MAX + 7));
    assert!(errors.to_string().ends_with("\nand 7 more"));
}

#[test]
fn cells_over_several_lines_are_remarked_on() {
    let options = ReadOptions { ignore_unknown: true, ..ReadOptions::default() };
    let list = read_list(b"user,password,note\na,b,\"x\nb,c,d\ny\"\nc,d,e\n", &options).expect("it reads");
    assert_eq!(list.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 5]);
    assert!(list.remarks[1].to_string().starts_with("line 2: a quoted cell goes on over 3 lines"));
}

#[test]
fn no_password_is_shown_by_a_list_or_by_its_rows() {
    let list = read("user,source_password,target_password\nalice,canary-1,canary-2\n");
    let shown = format!("{list:?} {:?}", list.rows[0]);
    assert!(shown.contains("alice") && !shown.contains("canary"), "{shown}");
}
