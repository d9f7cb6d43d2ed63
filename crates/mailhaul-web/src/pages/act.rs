//! What the buttons of the pages do: the service's verbs, and a sentence about what they did.

use crate::app::{Caller, Notice};
use crate::problem::Problem;
use axum::body::Bytes;
use axum::response::{IntoResponse as _, Redirect, Response};
use mailhaul_report::count_of;
use mailhaul_service::{AccountChange, Change, Controlled, EndpointChange, JobKind, Retry, TableFilter, Whom};
use mailhaul_types::{Secret, escape};
use std::str::FromStr;

/// The fields of a form, in their order; a name may be there several times.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(body: &Bytes) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
    }
}

/// Does one thing, and leads back to the page from which it was asked.
pub(super) async fn act(caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let fields = Fields::read(&body);
    let done = match fields.get("scope") {
        "accounts" => to_accounts(&caller, &fields).await,
        scope => to_one(&caller, &fields, scope).await,
    };
    Ok(back(&caller, done, fields.get("back")).await)
}

/// Tells what was done, or why not, on the page from which it was asked.
async fn back(caller: &Caller, done: Result<String, Problem>, path: &str) -> Response {
    let notice = match done {
        Ok(text) => Notice::good(text),
        Err(problem) => Notice { text: problem.detail, hint: problem.hint, is_error: true },
    };
    caller.app.forget_tables().await;
    // What follows shows what was done, and not what was seen before.
    let _ = caller.app.pulse.look_now().await;
    caller.app.leave_notice(&caller.visitor, notice);
    Redirect::to(&caller.path(&own_path(path))).into_response()
}

/// A path of ours; anything else leads home.
fn own_path(path: &str) -> String {
    let is_ours = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.chars().all(|character| character.is_ascii_graphic());
    if is_ours { path.to_owned() } else { "/".to_owned() }
}

async fn to_one(caller: &Caller, fields: &Fields, scope: &str) -> Result<String, Problem> {
    let name = fields.get("name").to_owned();
    let whom = match scope {
        "everything" => Whom::Everything,
        "wave" => Whom::Wave(name.clone()),
        "endpoint" => Whom::Endpoint(name.clone()),
        "account" => Whom::Account(name.clone()),
        _ => return Err(Problem::bad("it is not said what is meant", "load the page again")),
    };
    let what = fields.get("do");
    match what {
        "pause" | "resume" | "cancel" => control(caller, what, &whom).await,
        "retry" => {
            let (wave, account) = match whom {
                Whom::Wave(name) => (Some(name), None),
                Whom::Account(name) => (None, Some(name)),
                // Whoever means a server does not mean everything.
                _ => return Err(Problem::bad("only a wave or an account can be tried again", "load the page again")),
            };
            // What failed of a wave; all of an account that was named.
            let failed = account.is_none();
            retry(caller, &Retry { wave, account, failed, ..Retry::default() }).await
        }
        "run" | "preflight" | "bulk" | "resync" | "final" | "verify" if scope == "wave" => {
            let prepared = caller.service.prepare_run(&name, JobKind::from_word(what)).await?;
            Ok(match prepared.queued {
                0 => "There was nothing to queue.".to_owned(),
                queued => format!("{} queued.", count_of(queued, "job")),
            })
        }
        _ => Err(Problem::bad("that is nothing that can be done here", "load the page again")),
    }
}

async fn to_accounts(caller: &Caller, fields: &Fields) -> Result<String, Problem> {
    let mut names = fields.all("account");
    if !fields.get("all_fitting").is_empty() {
        let filter = TableFilter {
            search: fields.get("q").to_owned(),
            standing: fields.get("summary").to_owned(),
            state: fields.get("state").to_owned(),
            ..TableFilter::default()
        };
        names = caller.app.table(fields.get("name")).await?.names(&filter);
    }
    if names.is_empty() {
        return Err(Problem::bad("No account is selected.", "Tick those that are meant, or all that fit."));
    }
    match fields.get("do") {
        "retry" => retry(caller, &Retry { accounts: names, ..Retry::default() }).await,
        what @ ("pause" | "resume" | "cancel") => control(caller, what, &Whom::Accounts(names)).await,
        _ => Err(Problem::bad("that is nothing that can be done here", "load the page again")),
    }
}

async fn control(caller: &Caller, what: &str, whom: &Whom) -> Result<String, Problem> {
    let why = "from the page";
    let (done, verb): (Controlled, &str) = match what {
        "pause" => (caller.service.pause(whom, why).await?, "paused"),
        "resume" => (caller.service.resume(whom).await?, "resumed"),
        _ => (caller.service.cancel(whom, why).await?, "cancelled"),
    };
    Ok(match done.jobs {
        0 if what == "pause" => "Paused. Nothing was under way; what is queued later is paused too.".to_owned(),
        0 => "No job was concerned.".to_owned(),
        jobs => format!("{} {verb}.", count_of(jobs, "job")),
    })
}

async fn retry(caller: &Caller, retry: &Retry) -> Result<String, Problem> {
    let done = caller.service.retry(retry).await?;
    Ok(match done.jobs + done.exceptions {
        0 => "There is nothing to try again.".to_owned(),
        jobs => format!("{} in line again.", count_of(jobs, "job")),
    })
}

/// Saves the limits of an endpoint: all of them stand in the form.
pub(super) async fn limits(caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let fields = Fields::read(&body);
    let name = fields.get("name").to_owned();
    let done = save_limits(&caller, &fields, &name).await;
    let path =
        format!("/endpoints/{}", percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC));
    Ok(back(&caller, done, &path).await)
}

async fn save_limits(caller: &Caller, fields: &Fields, name: &str) -> Result<String, Problem> {
    let windows: Vec<String> =
        fields.get("windows").lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let change = EndpointChange {
        connections: number(fields, "connections")?,
        bulk_connections: number(fields, "bulk_connections")?,
        resync_connections: number(fields, "resync_connections")?,
        messages_per_second: number(fields, "messages_per_second")?,
        bytes_per_second: number(fields, "bytes_per_second")?,
        account_messages_per_second: number(fields, "account_messages_per_second")?,
        account_bytes_per_second: number(fields, "account_bytes_per_second")?,
        account_bytes_per_day: number(fields, "account_bytes_per_day")?,
        windows: if windows.is_empty() { Change::Clear } else { Change::Set(windows) },
        ..EndpointChange::default()
    };
    caller.service.set_endpoint(name, change).await?;
    Ok("The limits are saved, and take effect within seconds.".to_owned())
}

/// A number of at least 1; an empty field is no limit, and one that is not there changes nothing.
fn number<T: FromStr + PartialOrd + From<u8>>(fields: &Fields, name: &str) -> Result<Change<T>, Problem> {
    if !fields.0.iter().any(|(known, _)| known == name) {
        return Ok(Change::Keep);
    }
    let text = fields.get(name).trim();
    if text.is_empty() {
        return Ok(Change::Clear);
    }
    let number = text.parse::<T>().ok().filter(|number| *number >= T::from(1));
    number.map(Change::Set).ok_or_else(|| {
        Problem::bad(format!("`{}` is no limit", escape(text)), "a whole number from 1, or nothing for no limit")
    })
}

/// Stores passwords of an account, and lets what waited for them go on.
pub(super) async fn passwords(caller: Caller, body: Bytes) -> Result<Response, Problem> {
    let fields = Fields::read(&body);
    let name = fields.get("name").to_owned();
    let done = save_passwords(&caller, &fields, &name).await;
    let path =
        format!("/accounts/{}", percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC));
    Ok(back(&caller, done, &path).await)
}

async fn save_passwords(caller: &Caller, fields: &Fields, name: &str) -> Result<String, Problem> {
    let secret = |name: &str| {
        let text = fields.get(name);
        (!text.is_empty()).then(|| Secret::new(text.as_bytes().to_vec()))
    };
    let change = AccountChange {
        source_password: secret("source"),
        target_password: secret("target"),
        ..AccountChange::default()
    };
    if change.source_password.is_none() && change.target_password.is_none() {
        return Err(Problem::bad("No password was given.", "Fill in one of them, or both."));
    }
    caller.service.set_account(name, change).await?;
    let again = retry(caller, &Retry { account: Some(name.to_owned()), ..Retry::default() }).await?;
    Ok(format!("Stored. {again}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_led_back_to_our_own_pages_only() {
        assert_eq!(own_path("/waves/staff?page=2"), "/waves/staff?page=2");
        for bad in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nSet-Cookie: x", "evil"] {
            assert_eq!(own_path(bad), "/", "{bad:?}");
        }
    }

    #[test]
    fn an_empty_limit_is_none_and_a_missing_one_stays() {
        let fields = Fields::read(&Bytes::from_static(b"connections=&bytes_per_second=7&messages_per_second=0"));
        assert_eq!(number::<u32>(&fields, "connections").expect("none"), Change::Clear);
        assert_eq!(number::<u64>(&fields, "bytes_per_second").expect("seven"), Change::Set(7));
        assert_eq!(number::<u64>(&fields, "bulk_connections").expect("not said"), Change::Keep);
        assert!(number::<u64>(&fields, "messages_per_second").is_err());
    }
}
