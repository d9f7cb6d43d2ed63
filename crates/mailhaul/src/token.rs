//! `mailhaul token`: who may use the page and the API.

use crate::cli::{StoreArgs, TokenCommand};
use crate::columns::table;
use crate::exit::{CommandError, Exit};
use crate::{output, store};
use mailhaul_report::{count_of, moment_for_people};
use mailhaul_service::{Role, SessionView, TokenView};
use mailhaul_types::{Escaped, escape};
use serde_json::{Value, json};

/// Runs the command to its exit code.
pub(crate) async fn run(command: &TokenCommand, at: &StoreArgs) -> Result<Exit, CommandError> {
    let service = store::open(at).await?;
    let text = match command {
        TokenCommand::Create { name, role, days, json } => {
            let days = days.map(|days| i64::from(days).saturating_mul(86_400_000));
            let until = days.map(|millis| service.now_unix_ms().saturating_add(millis));
            let secret = service.make_token(name, *role, until).await?;
            let secret = String::from_utf8_lossy(secret.expose()).into_owned();
            if json.json {
                let made = json!({ "schema": 1, "name": name, "role": role.word(), "token": secret });
                output::json(&made)
            } else {
                // The secret alone is data; it can go into a file without what is said about it.
                let _ = std::io::Write::write_all(
                    &mut std::io::stderr(),
                    b"this token is shown once; keep it where only those who need it can read it\n",
                );
                format!("{secret}\n")
            }
        }
        TokenCommand::List { json } => {
            let (tokens, sessions) = (service.tokens().await?, service.sessions().await?);
            if json.json {
                let tokens: Vec<Value> = tokens.iter().map(to_json).collect();
                let sessions: Vec<Value> = sessions.iter().map(session_json).collect();
                output::json(&json!({ "schema": 1, "tokens": tokens, "sessions": sessions }))
            } else {
                format!("{}{}", list(&tokens, service.now_unix_ms()), list_sessions(&sessions))
            }
        }
        TokenCommand::Revoke { session: Some(id), .. } => {
            service.end_session(*id).await?;
            format!("browser {id} is signed out\n")
        }
        TokenCommand::Revoke { name: None, .. } => {
            let browsers = service.end_sessions().await?;
            format!("{} signed out; tokens are as good as before\n", count_of(browsers, "browser"))
        }
        TokenCommand::Revoke { name: Some(name), .. } => {
            let browsers = service.revoke_token(name).await?.saturating_sub(1);
            let name = Escaped(name);
            format!("token {name} is good for nothing any more; {} signed out\n", count_of(browsers, "browser"))
        }
        TokenCommand::Link { name } => {
            let code = service.make_sign_in_link(name.as_deref()).await?;
            let code = String::from_utf8_lossy(code.expose()).into_owned();
            format!("{code}\n")
        }
    };
    store::close(service).await?;
    output::data(&text)?;
    Ok(Exit::Done)
}

/// A role by its word.
pub(crate) fn role(word: &str) -> Result<Role, String> {
    Role::from_word(word).ok_or_else(|| "viewer, operator or admin".to_owned())
}

fn moment(at: Option<i64>) -> String {
    at.map_or_else(|| "–".to_owned(), |at| moment_for_people(at / 1_000))
}

fn list(tokens: &[TokenView], now_unix_ms: i64) -> String {
    if tokens.is_empty() {
        return "there is no token yet; `mailhaul token create NAME` makes one\n".to_owned();
    }
    let rows: Vec<[String; 6]> = tokens
        .iter()
        .map(|token| {
            let standing = match (token.revoked_unix_ms, token.expires_unix_ms) {
                (_, Some(at)) if at <= now_unix_ms && token.revoked_unix_ms.is_none_or(|ended| ended >= at) => {
                    "has run out".to_owned()
                }
                (Some(at), _) => format!("revoked {}", moment_for_people(at / 1_000)),
                (None, _) => format!("good; {} signed in", count_of(token.sessions as u64, "browser")),
            };
            [
                escape(&token.name),
                token.role.word().to_owned(),
                moment(Some(token.created_unix_ms)),
                moment(token.expires_unix_ms),
                moment(token.used_unix_ms),
                standing,
            ]
        })
        .collect();
    table(["token", "role", "made", "until", "used last", "standing"], &rows)
}

fn list_sessions(sessions: &[SessionView]) -> String {
    if sessions.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 7]> = sessions
        .iter()
        .map(|one| {
            [
                one.id.to_string(),
                escape(&one.name),
                if one.is_by_link { "link" } else { "token" }.to_owned(),
                one.role.word().to_owned(),
                moment(Some(one.begun_unix_ms)),
                moment(one.expires_unix_ms),
                moment(one.used_unix_ms),
            ]
        })
        .collect();
    let shown = table(["browser", "signed in as", "by", "role", "since", "until", "used last"], &rows);
    format!("\n{shown}`mailhaul token revoke --session NUMBER` signs one out, --sessions all of them\n")
}

fn session_json(one: &SessionView) -> Value {
    json!({
        "session": one.id,
        "name": escape(&one.name),
        "role": one.role.word(),
        "by_link": one.is_by_link,
        "begun_unix_ms": one.begun_unix_ms,
        "expires_unix_ms": one.expires_unix_ms,
        "used_unix_ms": one.used_unix_ms,
    })
}

fn to_json(token: &TokenView) -> Value {
    json!({
        "name": escape(&token.name),
        "role": token.role.word(),
        "created_unix_ms": token.created_unix_ms,
        "expires_unix_ms": token.expires_unix_ms,
        "used_unix_ms": token.used_unix_ms,
        "revoked_unix_ms": token.revoked_unix_ms,
        "sessions": token.sessions,
        "good": token.is_good,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_has_run_out_is_not_called_good() {
        let token = |expires_unix_ms, revoked_unix_ms| TokenView {
            name: "ci".to_owned(),
            role: Role::Viewer,
            created_unix_ms: 0,
            expires_unix_ms,
            used_unix_ms: None,
            revoked_unix_ms,
            sessions: 0,
            is_good: false,
        };
        let now = 1_795_000_000_000;
        for (expires, revoked, words) in [
            (None, None, "good; 0 browsers"),
            (Some(now + 1), None, "good;"),
            (Some(now), None, "has run out"),
            // Its name was taken anew.
            (Some(now - 5), Some(now - 5), "has run out"),
            (Some(now - 5), Some(now - 9_000_000), "revoked 20"),
            (None, Some(now - 9_000_000), "revoked 20"),
        ] {
            let shown = list(&[token(expires, revoked)], now);
            assert!(shown.contains(words), "{shown}");
        }
    }
}
