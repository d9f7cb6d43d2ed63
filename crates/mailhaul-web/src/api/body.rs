//! What comes in: JSON bodies and query strings, refused with a sentence where they cannot be meant; and what of them is
//! a secret, or says that something stays, goes, or becomes something else.

use crate::flow;
use crate::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mailhaul_service::Change;
use mailhaul_types::{Secret, escape};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

/// The largest JSON body: thousands of names.
const JSON_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A JSON body, in or out.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        // A form of another site's page can be sent as text, but not as this.
        if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the request must be JSON",
                "send `Content-Type: application/json`",
            ));
        }
        // What is a password in it is wiped with it.
        let octets = Secret::new(flow::read(request.into_body(), JSON_BYTES_MAX).await?);
        serde_json::from_slice(octets.expose()).map(Self).map_err(|error| wrong(&error))
    }
}

/// Where the JSON is wrong, and of what kind the fault is. A value that was sent is not repeated, for it may be a password;
/// the name of a field is, for it is misspelt.
fn wrong(error: &serde_json::Error) -> Problem {
    let words = error.to_string();
    let place = format!("at line {} column {}", error.line(), error.column());
    let detail = if ["missing field", "unknown field"].iter().any(|known| words.starts_with(known)) {
        escape(&words)
    } else if let Some((_, expected)) =
        words.strip_prefix("unknown variant").and_then(|rest| rest.rsplit_once(", expected "))
    {
        format!("a word is none that is known here, expected {}", escape(expected))
    } else {
        format!("the JSON cannot be meant, {place}")
    };
    Problem::bad(detail, "`/api/v1/openapi.json` says what it looks like")
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.0) {
            Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
            Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "").into_response(),
        }
    }
}

/// A query string.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        found
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| Problem::bad(escape(&error.body_text()), "`/api/v1/openapi.json` lists the parameters"))
    }
}

/// A part of the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found
            .map(|axum::extract::Path(path)| Self(path))
            .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is nothing of this name", ""))
    }
}

/// A secret that comes in and never goes out.
pub(crate) struct Sealed(pub(crate) Secret);

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Secret::new(String::deserialize(from)?.into_bytes())))
    }
}

/// Absent: it stays. `null`: it goes. Anything else: it becomes that.
pub(crate) fn change<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Change<T>, D::Error> {
    Ok(match Option::<T>::deserialize(from)? {
        Some(value) => Change::Set(value),
        None => Change::Clear,
    })
}

/// Nothing in particular: what was asked for was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Done {
    /// Always true.
    pub(crate) done: bool,
}

impl Done {
    pub(crate) fn json() -> Json<Self> {
        Json(Self { done: true })
    }
}

/// The JSON object that the command prints with `--json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct AsPrinted(pub(crate) serde_json::Map<String, serde_json::Value>);

impl From<serde_json::Value> for AsPrinted {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Object(map) => Self(map),
            other => Self([("value".to_owned(), other)].into_iter().collect()),
        }
    }
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Page<T> {
    /// What is on it.
    pub(crate) items: Vec<T>,
    /// Give this as `after` for the next page; null: this was the last one.
    pub(crate) next: Option<String>,
}

/// So many are on a page if nobody says.
pub(crate) const PAGE_USUAL: u32 = 200;
/// So many are on a page at most.
pub(crate) const PAGE_MAX: u32 = 5_000;

/// How many are wanted.
pub(crate) fn page_size(limit: Option<u32>) -> u32 {
    limit.unwrap_or(PAGE_USUAL).clamp(1, PAGE_MAX)
}

/// A place in a list that stays where it is when others come and go: what was shown last.
pub(crate) fn to_cursor(parts: &impl Serialize) -> String {
    use base64::Engine as _;
    let json = serde_json::to_string(parts).unwrap_or_default();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json)
}

pub(crate) fn from_cursor<T: DeserializeOwned>(cursor: &str) -> Result<T, Problem> {
    use base64::Engine as _;
    let octets = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(cursor).ok();
    octets
        .and_then(|octets| serde_json::from_slice(&octets).ok())
        .ok_or_else(|| Problem::bad("`after` is no place in this list", "take `next` of the page before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_stays_and_what_is_null_goes() {
        #[derive(Deserialize)]
        struct Wish {
            #[serde(default, deserialize_with = "change")]
            limit: Change<u32>,
        }
        let read = |text: &str| serde_json::from_str::<Wish>(text).map(|wish| wish.limit).expect("JSON");
        assert_eq!(read("{}"), Change::Keep);
        assert_eq!(read(r#"{"limit": null}"#), Change::Clear);
        assert_eq!(read(r#"{"limit": 4}"#), Change::Set(4));
    }

    #[test]
    fn a_fault_does_not_repeat_what_was_sent() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only its reading is looked at")]
        struct Wish {
            number: u32,
        }
        let error = serde_json::from_str::<Wish>(r#"{"number": "canary"}"#).expect_err("no number");
        assert!(error.to_string().contains("canary"), "{error}");
        assert!(!wrong(&error).detail.contains("canary"));
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Word {
            Known,
        }
        let error = serde_json::from_str::<Word>(r#""canary""#).expect_err("no such word");
        assert!(error.to_string().contains("canary"), "{error}");
        let told = wrong(&error).detail;
        assert!(!told.contains("canary") && told.contains("`known`"), "{told}");
        assert!(matches!(serde_json::from_str(r#""known""#).expect("it is"), Word::Known));
        let error = serde_json::from_str::<Wish>("{}").expect_err("nothing");
        assert!(wrong(&error).detail.contains("missing field `number`"));
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let cursor = to_cursor(&("a/b ü", 7_i64));
        assert_eq!(from_cursor::<(String, i64)>(&cursor).expect("ours"), ("a/b ü".to_owned(), 7));
        assert!(from_cursor::<(String, i64)>("x").is_err());
    }
}
