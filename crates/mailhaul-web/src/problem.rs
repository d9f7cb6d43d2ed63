//! Errors as `application/problem+json` (RFC 9457), from the service's own words.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mailhaul_service::ServiceError;
use mailhaul_types::escape;
use schemars::JsonSchema;
use serde::Serialize;

/// Why a request was not done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind of problem.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What was wrong, to whom, in whose words.
    pub(crate) detail: String,
    /// What to do instead; empty if there is nothing to add.
    pub(crate) hint: String,
    /// With a list of accounts: every row that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) faults: Vec<RowFault>,
    /// Seconds after which it may be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

/// What is wrong with a row of a list. No cell is quoted: one that is in the wrong place may be a password.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct RowFault {
    /// The line, from 1; null where the whole list is meant.
    pub(crate) line: Option<u32>,
    /// What is wrong.
    pub(crate) words: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            hint: hint.into(),
            faults: Vec::new(),
            retry_after_seconds: None,
        }
    }

    pub(crate) fn bad(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail, hint)
    }

    pub(crate) fn signed_out() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "nobody is signed in",
            "send `Authorization: Bearer TOKEN`; `mailhaul token create` makes one",
        )
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing here", "`/api/v1/openapi.json` lists what there is")
    }

    pub(crate) fn too_often(after_secs: u64) -> Self {
        let mut problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many sign-ins from there were refused",
            "wait a little; nothing is locked for good",
        );
        problem.retry_after_seconds = u32::try_from(after_secs).ok();
        problem
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let detail = escape(&error.to_string());
        match error {
            ServiceError::Usage { hint, .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail, hint),
            ServiceError::Unknown { hint, .. } => Self::new(StatusCode::NOT_FOUND, detail, hint),
            ServiceError::Db(_) => {
                tracing::warn!("{detail}");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    detail,
                    "`mailhaul ledger check` says whether the file is whole",
                )
            }
            ServiceError::Vault(_) => {
                tracing::warn!("{detail}");
                Self::new(StatusCode::CONFLICT, detail, "start `mailhaul serve` with the key of this state file")
            }
            ServiceError::Stored(_) | ServiceError::Io { .. } | ServiceError::Local(_) => {
                tracing::warn!("{detail}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail, "")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, after) = (self.status(), self.retry_after_seconds);
        let json = serde_json::to_string(&self).expect("a problem holds nothing that JSON has no form for");
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], json).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after));
        }
        response
    }
}
