//! Renaming, endpoints, and who may write where.

use mailhaul_accounts::{Claim, ExportRow, ReadOptions, Rename, Resolve, Resolved, read_list, resolve};

fn settle(text: &str, how: &Resolve<'_>) -> Result<Resolved, String> {
    let list = read_list(text.as_bytes(), &ReadOptions::default()).expect("the list itself is good");
    resolve(list, how).map_err(|errors| errors.to_string())
}

fn usual() -> Resolve<'static> {
    Resolve { from: Some("old"), to: Some("new"), wave: Some("staff"), ..Resolve::default() }
}

fn renaming(pattern: Option<&str>, domains: &[&str]) -> Resolve<'static> {
    Resolve { rename: Rename::new(pattern, domains).expect("the rules are good"), ..usual() }
}

fn target_users(text: &str, how: &Resolve<'_>) -> Vec<String> {
    settle(text, how).expect("it resolves").entries.into_iter().map(|entry| entry.target_user).collect()
}

#[test]
fn target_users_come_from_the_nearest_rule() {
    let text = "user,target_user,new_name\n\
        Alice@old.example,,\nbob,fixed@x.example,robert\ncarl@old.example,,charles\ndora,,d@old.example\n";
    let with = |pattern, domains: &[&str]| target_users(text, &renaming(pattern, domains));
    assert_eq!(with(None, &[]), ["Alice@old.example", "fixed@x.example", "charles@old.example", "d@old.example"]);
    assert_eq!(
        with(Some("{local:lower}@new.example"), &[]),
        ["alice@new.example", "fixed@x.example", "charles@new.example", "d@new.example"]
    );
    assert_eq!(
        with(None, &["OLD.example=new.example"]),
        ["Alice@new.example", "fixed@x.example", "charles@new.example", "d@new.example"]
    );
    assert_eq!(with(Some("u-{user}"), &["@old.example = @new.example"])[0], "u-Alice@new.example");
    assert_eq!(with(Some("{{{local:upper}}}"), &[])[0], "{ALICE}");
}

#[test]
fn rules_that_cannot_be_meant_are_refused() {
    let refused =
        |pattern: Option<&str>, domains: &[&str]| Rename::new(pattern, domains).expect_err("refused").to_string();
    assert!(refused(Some("all@new.example"), &[]).contains("every account would get the same name"));
    assert!(refused(Some("{locl}@new.example"), &[]).contains("`{locl}` is not known"));
    assert!(refused(Some("{local:title}"), &[]).contains("`{local:title}` is not known"));
    assert!(refused(Some("{local:}"), &[]).contains("`{local:}` is not known"));
    assert!(refused(Some("{local}@x}"), &[]).contains("a brace stands alone"));
    assert!(refused(Some("{local"), &[]).contains("a brace stands alone"));
    for rule in ["old.example", "=new.example", "old.example=", "a=b=c d", "a@b=c"] {
        assert!(refused(None, &[rule]).contains("should read like"), "{rule}");
    }
    assert!(refused(None, &["a=b", "A=c"]).contains("another rule"));
    assert!(Rename::new(None, &["a=b", "A=b"]).is_ok());
}

#[test]
fn a_pattern_that_does_not_fit_a_user_is_said_with_its_line() {
    let error = settle("user\nbob@old.example\nalice\n", &renaming(Some("{local}@{domain}.example"), &[]));
    let words = "line 3: the new name cannot be made: the pattern asks for {domain}, and the user has none";
    assert_eq!(error.expect_err("alice has no domain"), words);
}

#[test]
fn endpoints_and_waves_come_from_the_row_or_from_the_command() {
    let how = Resolve {
        endpoints: vec![("old.example", "old"), ("new.example", "new")],
        wave: Some("w"),
        ..Resolve::default()
    };
    let resolved =
        settle("OLD.example;a;x;new.example;a;y;\nthird.example;b;x;new.example;b;y\n", &how).expect("all there");
    let lanes: Vec<_> = resolved.entries.iter().map(|entry| (entry.from.as_str(), entry.to.as_str())).collect();
    assert_eq!(lanes, [("old", "new"), ("third.example", "new")]);

    let error = settle("user,from\na,old\nb,\n", &Resolve { to: Some("new"), ..Resolve::default() });
    assert_eq!(
        error.expect_err("much is missing"),
        "line 2: there is no `wave` in the row and none was given for the list\n\
         line 3: there is no `from` in the row and none was given for the list\n\
         line 3: there is no `wave` in the row and none was given for the list"
    );
}

#[test]
fn two_rows_that_would_write_into_one_mailbox_are_refused_and_both_named() {
    let text = "account,user,target_user\na,a,x@new.example\nb,b,x@NEW.example\nc,c,X@new.example\n";
    let words = "line 3: account `a` on line 2 already writes into `x@NEW.example` on `new`\n\
                 line 4: account `a` on line 2 writes into `X@new.example` on `new` too, if that server does not tell \
                 capitals from small letters, as most do not";
    assert_eq!(settle(text, &usual()).expect_err("two write into one"), words);

    let merged = settle(text, &Resolve { merge: true, ..usual() }).expect("it was asked for");
    let remarks: Vec<_> = merged.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(
        remarks,
        [
            "line 3: joins account `a` on line 2 in `x@NEW.example` on `new`",
            "line 4: `X@new.example` on `new` differs from the target user of account `a` on line 2 only in capitals; most servers take them for one mailbox",
        ]
    );
    let apart = "user,target_user,to\na,x,new\nb,x,other\n";
    assert!(settle(apart, &usual()).expect("different endpoints").remarks.is_empty());
}

#[test]
fn collisions_that_only_renaming_makes_are_found() {
    let text = "user\na@one.example\na@two.example\n";
    assert!(settle(text, &usual()).is_ok());
    assert!(settle(text, &renaming(Some("{local}@new.example"), &[])).expect_err("both are a").contains("line 3: "));
    assert!(settle(text, &renaming(None, &["one.example=two.example"])).is_err());
}

#[test]
fn accounts_stored_earlier_count_unless_the_list_has_them_again() {
    let stored = vec![Claim { account: "alice", endpoint: "new", user: "x" }];
    let how = Resolve { stored, ..usual() };
    let words = "line 2: account `alice`, which is stored already, already writes into `x` on `new`";
    assert_eq!(settle("account,user,target_user\nbob,b,x\n", &how).expect_err("alice is there"), words);
    assert!(settle("account,user,target_user\nalice,a,x\n", &how).is_ok());
    assert!(settle("account,user,target_user\nbob,b,x\nalice,a,y\n", &how).is_ok());
}

#[test]
fn an_account_is_never_copied_onto_itself() {
    let same = Resolve { from: Some("one"), to: Some("one"), ..usual() };
    let words = "line 2: source and target are the same login on the same endpoint";
    assert_eq!(
        settle(
            "user\na@OLD.example\n",
            &Resolve { rename: Rename::new(None, &["old.example=old.example"]).expect("good"), ..same.clone() }
        )
        .expect_err("itself"),
        words
    );
    assert!(settle("user,target_user\na,b\n", &same).is_ok());
}

#[test]
fn passwords_travel_with_their_row_and_are_not_shown() {
    let resolved = settle("user,source_password\nalice,canary-1\n", &usual()).expect("it resolves");
    assert_eq!(resolved.entries[0].source_password.as_ref().map(|secret| secret.expose()), Some(&b"canary-1"[..]));
    assert!(!format!("{resolved:?}").contains("canary"));
}

#[test]
fn two_accounts_from_one_source_are_remarked_on() {
    let resolved =
        settle("account,user,target_user\na,x@old.example,y\nb,x@OLD.example,z\n", &usual()).expect("it resolves");
    let remarks: Vec<_> = resolved.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(remarks, ["line 3: account `a` on line 2 is copied from the same source user"]);
}

#[test]
fn a_list_given_again_says_what_has_changed() {
    let text = "account,user,target_user,priority\nalice,a,b,\n";
    let entry = settle(text, &usual()).expect("it resolves").entries.remove(0);
    let stored = ExportRow {
        account: "alice",
        source_user: "a",
        target_user: "b",
        from: "old",
        to: "new",
        wave: "staff",
        priority: 7,
    };
    assert!(entry.changed_columns(&stored).is_empty());
    let stored = ExportRow { target_user: "c", to: "other", wave: "w", ..stored };
    assert_eq!(entry.changed_columns(&stored), ["target_user", "to", "wave"]);
}
