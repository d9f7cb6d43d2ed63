//! A log for each account: what happens inside of a span with the field `account.id` is also written, as one JSON object a
//! line, into `<state>.logs/<account id>.log`, so that it can be asked for by account later.
//!
//! The folder is private to the owner of the state file, and a log is never longer than two files of bounded size.

use mailhaul_service::{AccountId, account_log_file};
use serde_json::{Map, Value, json};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// A log that has grown this long becomes the old one, and the one before it goes.
const LOG_BYTES_MAX: u64 = 1 << 20;
/// A line longer than this is cut.
const TEXT_CHARS_MAX: usize = 4_000;

/// The layer that writes the logs.
pub(crate) struct AccountLogs {
    state: PathBuf,
    /// Two lines at once would be mixed, and one log exchanged twice.
    turn: Mutex<()>,
}

/// What a span says about whom it is for.
#[derive(Debug, Clone, Copy, Default)]
struct Whose {
    account: Option<i64>,
    job: Option<i64>,
}

impl AccountLogs {
    /// Logs beside this state file.
    pub(crate) fn beside(state: &Path) -> Self {
        Self { state: state.to_owned(), turn: Mutex::new(()) }
    }

    fn write(&self, account: i64, line: &Value) -> std::io::Result<()> {
        let path = account_log_file(&self.state, AccountId(account));
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        if file.metadata()?.len() > LOG_BYTES_MAX {
            let mut old = path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&path, old)?;
            file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        }
        // One call, so that a process that dies leaves whole lines.
        file.write_all(format!("{line}\n").as_bytes())
    }
}

impl<S> Layer<S> for AccountLogs
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut whose = Whose::default();
        attributes.record(&mut whose);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(whose);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(whose) = span.extensions_mut().get_mut::<Whose>()
        {
            values.record(whose);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut whose = Whose::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(found) = span.extensions().get::<Whose>() {
                whose.account = whose.account.or(found.account);
                whose.job = whose.job.or(found.job);
            }
        }
        let Some(account) = whose.account else { return };
        let mut words = Words::default();
        event.record(&mut words);
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = json!({
            "at_unix_ms": u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            "level": event.metadata().level().as_str(),
            "message": words.message,
            "fields": words.fields,
            "job": whose.job,
        });
        // A log that cannot be written is no reason to stop copying.
        let _ = self.write(account, &line);
    }
}

impl Visit for Whose {
    fn record_i64(&mut self, field: &Field, value: i64) {
        match field.name() {
            "account.id" => self.account = Some(value),
            "job.id" => self.job = Some(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// The message of an event, and its other fields.
#[derive(Default)]
struct Words {
    message: String,
    fields: Map<String, Value>,
}

impl Words {
    fn put(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Words {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.chars().take(TEXT_CHARS_MAX).collect::<String>().into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text: String = format!("{value:?}").chars().take(TEXT_CHARS_MAX).collect();
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn what_happens_for_an_account_stands_in_its_log_and_nowhere_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("mailhaul.db");
        let subscriber = tracing_subscriber::registry().with(AccountLogs::beside(&state));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("job", job.id = 3_i64, account.id = 7_i64);
            let _entered = span.enter();
            let inner = tracing::info_span!("mailbox", mailbox.name = "INBOX");
            inner.in_scope(|| tracing::info!(messages = 5_u64, "copied {} messages", 5));
        });
        tracing::info!("for nobody");
        let path = account_log_file(&state, AccountId(7));
        let text = std::fs::read_to_string(&path).expect("a log");
        let line: Value = serde_json::from_str(&text).expect("one line of JSON");
        assert_eq!(line["message"], "copied 5 messages");
        assert_eq!((&line["job"], &line["fields"]["messages"]), (&3.into(), &5.into()));
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
    }

    #[test]
    fn a_long_log_becomes_the_old_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("mailhaul.db");
        let logs = AccountLogs::beside(&state);
        let line = json!({ "message": "x".repeat(300_000) });
        for _ in 0..6 {
            logs.write(1, &line).expect("written");
        }
        let path = account_log_file(&state, AccountId(1));
        let mut old = path.clone().into_os_string();
        old.push(".1");
        let length = |path: &Path| std::fs::metadata(path).expect("it is there").len();
        assert!(length(&path) < LOG_BYTES_MAX && length(Path::new(&old)) >= LOG_BYTES_MAX);
    }
}
