//! `mailhaul endpoint`: the servers.

use crate::cli::{EndpointCommand, StoreArgs};
use crate::columns::table;
use crate::exit::{CommandError, Exit};
use crate::{output, store, wishes};
use mailhaul_report::{bytes_for_people, number_for_people};
use mailhaul_service::{AdminStyle, CopyOptions, EndpointView, Limits};
use mailhaul_types::{Escaped, escape};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Runs the command to its exit code.
pub(crate) async fn run(command: &EndpointCommand, at: &StoreArgs) -> Result<Exit, CommandError> {
    match command {
        EndpointCommand::Add { name, url, wishes } => {
            let change = wishes::endpoint(name, Some(url), wishes)?;
            let service = store::open(at).await?;
            let view = service.add_endpoint(name, change).await?;
            store::close(service).await?;
            show(&view, wishes.json.json)?;
        }
        EndpointCommand::Set { name, url, wishes } => {
            let change = wishes::endpoint(name, url.as_deref(), wishes)?;
            let service = store::open(at).await?;
            let view = service.set_endpoint(name, change).await?;
            store::close(service).await?;
            show(&view, wishes.json.json)?;
        }
        EndpointCommand::List { json } => {
            let views = store::open_to_look(at).await?.endpoints().await?;
            let endpoints: Vec<Value> = views.iter().map(to_json).collect();
            let text =
                if json.json { output::json(&json!({ "schema": 1, "endpoints": endpoints })) } else { list(&views) };
            output::data(&text)?;
        }
        EndpointCommand::Show { name, json } => {
            show(&store::open_to_look(at).await?.endpoint(name).await?, json.json)?;
        }
        EndpointCommand::Remove { name } => {
            let service = store::open(at).await?;
            service.remove_endpoint(name).await?;
            store::close(service).await?;
            output::data(&format!("endpoint {} is removed\n", Escaped(name)))?;
        }
    }
    Ok(Exit::Done)
}

fn show(view: &EndpointView, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let mut json = to_json(view);
        json["schema"] = 1.into();
        return output::data(&output::json(&json));
    }
    output::data(&to_text(view))
}

fn list(views: &[EndpointView]) -> String {
    if views.is_empty() {
        return "there is no endpoint yet; `mailhaul endpoint add NAME URL` adds one\n".to_owned();
    }
    let rows: Vec<[String; 4]> = views
        .iter()
        .map(|view| {
            [
                escape(&view.row.name),
                escape(&view.row.url),
                number_for_people(view.row.accounts),
                limits(&view.row.limits).join(", "),
            ]
        })
        .collect();
    table(["endpoint", "url", "accounts", "limits"], &rows)
}

fn to_text(view: &EndpointView) -> String {
    let mut out = format!("endpoint {}: {}\n", Escaped(&view.row.name), Escaped(&view.row.url));
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(out, "  {name:<10} {value}");
    };
    fact("accounts", number_for_people(view.row.accounts));
    let limits = limits(&view.row.limits);
    fact("limits", if limits.is_empty() { "none".to_owned() } else { limits.join(", ") });
    let options = &view.options;
    if let Some(admin) = &options.admin {
        let how = match &admin.style {
            AdminStyle::AuthorizationIdentity => "by authorization identity".to_owned(),
            AdminStyle::Master { separator } => format!("as USER{}{}", Escaped(separator), Escaped(&admin.user)),
        };
        let password = if view.has_admin_password { "password stored" } else { "NO PASSWORD STORED" };
        fact("sign-in", format!("{} for all accounts, {how}, {password}", Escaped(&admin.user)));
    }
    if let Some(file) = &options.ca_file {
        fact("trust", format!("only the authorities in {}", file.display()));
    }
    for pin in &options.pins {
        fact("trust", format!("only the certificate {}", Escaped(pin)));
    }
    if options.allow_plaintext {
        fact("security", "PLAIN TEXT is allowed: passwords and mail can be read on the way".to_owned());
    }
    if let Some(seconds) = options.timeout_secs {
        fact("timeout", format!("{seconds} s"));
    }
    let copying = copying(&options.copy);
    if !copying.is_empty() {
        fact("copying", copying.join(", "));
    }
    out
}

fn limits(limits: &Limits) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |value: Option<String>, what: &str| words.extend(value.map(|value| format!("{value}{what}")));
    let number = |number: Option<u32>| number.map(|number| number_for_people(u64::from(number)));
    add(number(limits.connections), " connections");
    add(number(limits.bulk_connections), " for first copies");
    add(number(limits.resync_connections), " for later passes");
    add(limits.messages_per_second.map(number_for_people), " messages/s");
    add(limits.bytes_per_second.map(bytes_for_people), "/s");
    add(limits.account_messages_per_second.map(number_for_people), " messages/s an account");
    add(limits.account_bytes_per_second.map(bytes_for_people), "/s an account");
    add(limits.account_bytes_per_day.map(bytes_for_people), " a day an account");
    words.extend(limits.windows.iter().map(|window| escape(window)));
    words
}

/// How mail is copied, in the words of the options.
pub(crate) fn copying(options: &CopyOptions) -> Vec<String> {
    let mut words = Vec::new();
    let globs = |words: &mut Vec<String>, option: &str, list: &Option<Vec<String>>| {
        words.extend(list.iter().flatten().map(|glob| format!("--{option} '{}'", Escaped(glob))));
    };
    globs(&mut words, "mailbox", &options.mailbox);
    globs(&mut words, "exclude", &options.exclude);
    let maps = options.map.iter().flatten();
    words.extend(maps.map(|(old, new)| format!("--map '{}={}'", Escaped(old), Escaped(new))));
    words.extend(options.since.iter().map(|day| format!("--since {}", Escaped(day))));
    words.extend(options.before.iter().map(|day| format!("--before {}", Escaped(day))));
    words.extend(options.max_size.map(|bytes| format!("--max-size {bytes}")));
    for (option, value) in [
        ("all-namespaces", options.all_namespaces),
        ("copy-deleted-flag", options.copy_deleted_flag),
        ("remap", options.remap),
        ("accept-target-change", options.accept_target_change),
        ("accept-mass-absence", options.accept_mass_absence),
        ("switched", options.switched),
        ("accept-source-change", options.accept_source_change),
    ] {
        words.extend(value.map(|value| format!("--{option}={value}")));
    }
    words.extend(options.flags.map(|how| format!("--flags {how}")));
    words.extend(options.moves.map(|how| format!("--moves {how}")));
    words.extend(options.deletions.map(|how| format!("--deletions {how}")));
    words.extend(options.max_deletions.map(|number| format!("--max-deletions {number}")));
    words.extend(options.max_deletions_percent.map(|percent| format!("--max-deletions-percent {percent}")));
    words.extend(options.account_connections.map(|number| format!("--account-connections {number}")));
    globs(&mut words, "accept-view", &options.accept_view);
    words
}

fn to_json(view: &EndpointView) -> Value {
    json!({
        "name": escape(&view.row.name),
        "url": escape(&view.row.url),
        "host": escape(&view.row.host),
        "accounts": view.row.accounts,
        "limits": view.row.limits,
        "options": view.options,
        "has_admin_password": view.has_admin_password,
    })
}
