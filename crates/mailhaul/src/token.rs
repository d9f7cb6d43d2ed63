//! `mailhaul token`: who may use the page and the API.

use crate::cli::{StoreArgs, TokenCommand};
use crate::columns::table;
use crate::exit::{CommandError, Exit};
use crate::{output, store};
use mailhaul_report::{count_of, moment_for_people};
use mailhaul_service::{Role, TokenView};
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
            let tokens = service.tokens().await?;
            if json.json {
                let tokens: Vec<Value> = tokens.iter().map(to_json).collect();
                output::json(&json!({ "schema": 1, "tokens": tokens }))
            } else {
                list(&tokens)
            }
        }
        TokenCommand::Revoke { name } => {
            let browsers = service.revoke_token(name).await?.saturating_sub(1);
            let name = Escaped(name);
            format!("token {name} is good for nothing any more; {} signed out\n", count_of(browsers, "browser"))
        }
        TokenCommand::Link => {
            let code = service.make_sign_in_link().await?;
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

fn list(tokens: &[TokenView]) -> String {
    if tokens.is_empty() {
        return "there is no token yet; `mailhaul token create NAME` makes one\n".to_owned();
    }
    let moment = |at: Option<i64>| at.map_or_else(|| "–".to_owned(), |at| moment_for_people(at / 1_000));
    let rows: Vec<[String; 6]> = tokens
        .iter()
        .map(|token| {
            let standing = match token.revoked_unix_ms {
                Some(at) => format!("revoked {}", moment_for_people(at / 1_000)),
                None => format!("good; {} signed in", count_of(token.sessions as u64, "browser")),
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

fn to_json(token: &TokenView) -> Value {
    json!({
        "name": escape(&token.name),
        "role": token.role.word(),
        "created_unix_ms": token.created_unix_ms,
        "expires_unix_ms": token.expires_unix_ms,
        "used_unix_ms": token.used_unix_ms,
        "revoked_unix_ms": token.revoked_unix_ms,
        "sessions": token.sessions,
    })
}
