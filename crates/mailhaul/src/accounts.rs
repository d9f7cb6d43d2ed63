//! `mailhaul accounts`: lists of accounts.

use crate::cli::{AccountSetArgs, AccountsCommand, ExportForm, ImportArgs, ListEncoding, ListFormat, StoreArgs};
use crate::columns::table;
use crate::endpoint::copying;
use crate::exit::{CommandError, Exit};
use crate::{output, store, wishes};
use mailhaul_accounts::{Encoding, Format, LIST_BYTES_MAX, ReadOptions, Rename};
use mailhaul_report::{bytes_for_people, count_of};
use mailhaul_service::{AccountChange, AccountRow, AccountView, ImportFault, ImportReport, ImportRequest, Priority};
use mailhaul_types::{Escaped, escape};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

/// So many names are listed where many could be.
const NAMES_SHOWN: usize = 20;

/// Runs the command to its exit code.
pub(crate) async fn run(command: &AccountsCommand, at: &StoreArgs) -> Result<Exit, CommandError> {
    match command {
        AccountsCommand::Import(args) => import(args, at).await?,
        AccountsCommand::List { wave, name, json } => {
            let rows = store::open_to_look(at).await?.accounts(wave.as_deref(), name.clone()).await?;
            let accounts: Vec<Value> = rows.iter().map(row_json).collect();
            let text =
                if json.json { output::json(&json!({ "schema": 1, "accounts": accounts })) } else { list(&rows) };
            output::data(&text)?;
        }
        AccountsCommand::Show { name, json } => {
            show(&store::open_to_look(at).await?.account(name).await?, json.json)?;
        }
        AccountsCommand::Set(args) => set(args, at).await?,
        AccountsCommand::Remove { name } => {
            let service = store::open(at).await?;
            service.remove_account(name).await?;
            store::close(service).await?;
            output::data(&format!("account {} is removed; its mail on both servers is untouched\n", Escaped(name)))?;
        }
        AccountsCommand::Export(args) => {
            let service = store::open_to_look(at).await?;
            output::data(&service.export_accounts(args.wave.as_deref(), args.format == ExportForm::Json).await?)?;
        }
    }
    Ok(Exit::Done)
}

async fn import(args: &ImportArgs, at: &StoreArgs) -> Result<(), CommandError> {
    let domains: Vec<&str> = args.domain.iter().map(String::as_str).collect();
    let rename = Rename::new(args.rename.as_deref(), &domains).map_err(|error| {
        CommandError::usage(
            escape(&error.to_string()),
            "for example --rename '{local}@new.example', --domain old.example=new.example",
        )
    })?;
    let request = ImportRequest {
        octets: read(&args.file)?,
        read: ReadOptions {
            format: args.format.map(format),
            encoding: args.encoding.map(encoding),
            ignore_unknown: args.ignore_unknown,
        },
        wave: args.wave.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
        rename,
        merge: args.merge,
        dry_run: args.dry_run,
    };
    let service = if args.dry_run { store::open_to_look(at).await? } else { store::open(at).await? };
    let report = service.import(request).await.map_err(|fault| refused(fault, &args.file))?;
    store::close(service).await?;
    output::data(&if args.json.json { output::json(&import_json(&report)) } else { import_text(&report) })
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::usage(format!("cannot read the list `{}`: {error}", path.display()), "`-` is standard input")
    };
    let most = LIST_BYTES_MAX as u64 + 1;
    let mut octets = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut octets).map_err(failed)?;
    } else {
        std::fs::File::open(path).map_err(failed)?.take(most).read_to_end(&mut octets).map_err(failed)?;
    }
    Ok(octets)
}

fn refused(fault: ImportFault, path: &Path) -> CommandError {
    let hint = match &fault {
        ImportFault::Service(_) => None,
        ImportFault::List(_) => {
            Some("nothing was stored; `mailhaul accounts import --help` shows what a list looks like")
        }
        ImportFault::Names(_) => {
            Some("nothing was stored; `mailhaul endpoint list` and `mailhaul wave list` show what there is")
        }
    };
    match fault {
        ImportFault::Service(error) => error.into(),
        other => CommandError {
            exit: Exit::Usage,
            text: format!("the list `{}` cannot be imported:\n{other}", path.display()),
            hint: hint.map(str::to_owned),
        },
    }
}

fn format(word: ListFormat) -> Format {
    match word {
        ListFormat::Csv => Format::Csv,
        ListFormat::Tsv => Format::Tsv,
        ListFormat::Semicolons => Format::Semicolons,
        ListFormat::Json => Format::Json,
        ListFormat::Imapsync => Format::Imapsync,
        ListFormat::NamePassword => Format::NamePassword,
    }
}

fn encoding(word: ListEncoding) -> Encoding {
    match word {
        ListEncoding::Utf8 => Encoding::Utf8,
        ListEncoding::Latin1 => Encoding::Latin1,
        ListEncoding::Utf16 => Encoding::Utf16,
    }
}

fn import_text(report: &ImportReport) -> String {
    let mut out = String::new();
    let verb = if report.dry_run { "would be " } else { "" };
    let _ = writeln!(
        out,
        "{}: {} {verb}added, {} {verb}changed, {} unchanged",
        count_of(report.accounts as u64, "account"),
        report.added,
        report.changed.len(),
        report.unchanged
    );
    for (name, what) in report.changed.iter().take(NAMES_SHOWN) {
        let _ = writeln!(out, "  changed: {}: {}", Escaped(name), what.join(", "));
    }
    write_more(&mut out, report.changed.len());
    let mended = report.changed.iter().any(|(_, what)| what.iter().any(|what| what.ends_with("password")));
    if mended {
        out.push_str("what waits for these passwords goes on after `mailhaul retry --class sign_in`\n");
    }
    if report.passwords > 0 {
        let _ = writeln!(out, "{} sealed", count_of(report.passwords as u64, "password"));
    }
    for wave in &report.new_waves {
        let _ = writeln!(out, "wave {} {verb}made", Escaped(wave));
    }
    if report.queued > 0 {
        let _ = writeln!(out, "{} queued: their wave is at work already", count_of(report.queued, "first copy"));
    }
    for remark in report.remarks.iter().take(NAMES_SHOWN) {
        let _ = writeln!(out, "remark: {remark}");
    }
    write_more(&mut out, report.remarks.len());
    for (name, side) in report.without_password.iter().take(NAMES_SHOWN) {
        let name = Escaped(name);
        let _ =
            writeln!(out, "remark: account {name} has no password for the {side}, and its endpoint no administrator");
    }
    write_more(&mut out, report.without_password.len());
    if report.dry_run {
        out.push_str("dry run: nothing was stored\n");
    }
    out
}

fn write_more(out: &mut String, all: usize) {
    if let Some(more) = all.checked_sub(NAMES_SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(out, "  and {more} more (--json lists them all)");
    }
}

fn import_json(report: &ImportReport) -> Value {
    let changed: Vec<Value> =
        report.changed.iter().map(|(name, what)| json!({ "account": escape(name), "changed": what })).collect();
    let missing = report.without_password.iter();
    let missing: Vec<Value> =
        missing.map(|(name, side)| json!({ "account": escape(name), "side": side.to_string() })).collect();
    json!({
        "schema": 1,
        "accounts": report.accounts,
        "added": report.added,
        "changed": changed,
        "unchanged": report.unchanged,
        "passwords": report.passwords,
        "new_waves": report.new_waves,
        "queued": report.queued,
        "remarks": report.remarks,
        "without_password": missing,
        "dry_run": report.dry_run,
    })
}

async fn set(args: &AccountSetArgs, at: &StoreArgs) -> Result<(), CommandError> {
    let change = AccountChange {
        source_user: args.source_user.clone(),
        target_user: args.target_user.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
        wave: args.wave.clone(),
        priority: args.priority.and_then(Priority::new),
        source_password: wishes::password(
            "--source-password",
            "the source",
            args.source_password_file.as_deref(),
            args.source_password_command.as_deref(),
        )?,
        target_password: wishes::password(
            "--target-password",
            "the target",
            args.target_password_file.as_deref(),
            args.target_password_command.as_deref(),
        )?,
        copy: wishes::copy(&args.copy, &format!("account {}", Escaped(&args.name)))?,
    };
    let service = store::open(at).await?;
    let view = service.set_account(&args.name, change).await?;
    store::close(service).await?;
    show(&view, args.json.json)
}

fn list(rows: &[AccountRow]) -> String {
    if rows.is_empty() {
        return "there is no such account; `mailhaul accounts import FILE --wave WAVE` brings some in\n".to_owned();
    }
    let rows: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            [
                escape(&row.name),
                escape(&row.wave_name),
                row.priority.get().to_string(),
                format!("{} at {}", Escaped(&row.source_user), Escaped(&row.source_name)),
                format!("{} at {}", Escaped(&row.target_user), Escaped(&row.target_name)),
            ]
        })
        .collect();
    table(["account", "wave", "priority", "source", "target"], &rows)
}

fn show(view: &AccountView, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let mut json = row_json(&view.row);
        json["schema"] = 1.into();
        json["options"] = serde_json::to_value(&view.options).unwrap_or_default();
        json["passwords"] = json!({ "source": view.passwords.source, "target": view.passwords.target });
        json["jobs"] = view.jobs.iter().map(crate::jobs::to_json).collect();
        return output::data(&output::json(&json));
    }
    let row = &view.row;
    let mut out = format!("account {} of wave {}\n", Escaped(&row.name), Escaped(&row.wave_name));
    let stored = |is: bool| if is { "password stored" } else { "no password of its own" };
    let (source, target) = (Escaped(&row.source_user), Escaped(&row.target_user));
    let _ = writeln!(out, "  source     {source} at {}, {}", Escaped(&row.source_name), stored(view.passwords.source));
    let _ = writeln!(out, "  target     {target} at {}, {}", Escaped(&row.target_name), stored(view.passwords.target));
    let _ = writeln!(out, "  priority   {}", row.priority.get());
    if let Some(bytes) = row.size_hint_bytes {
        let _ = writeln!(out, "  size       {}", bytes_for_people(bytes));
    }
    let copying = copying(&view.options);
    if !copying.is_empty() {
        let _ = writeln!(out, "  copying    {}", copying.join(", "));
    }
    for job in &view.jobs {
        let _ = writeln!(out, "  job {:<6} {}", job.id, crate::jobs::line(job));
    }
    output::data(&out)
}

fn row_json(row: &AccountRow) -> Value {
    json!({
        "account": escape(&row.name),
        "wave": escape(&row.wave_name),
        "from": escape(&row.source_name),
        "to": escape(&row.target_name),
        "source_user": escape(&row.source_user),
        "target_user": escape(&row.target_user),
        "priority": row.priority.get(),
        "size_hint_bytes": row.size_hint_bytes,
    })
}
