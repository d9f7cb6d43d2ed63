//! The files that pages load. They are part of the program; their address holds a digest of their contents, so that a
//! browser keeps them for as long as they are the same.

use crate::problem::Problem;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// One file.
struct Asset {
    stem: &'static str,
    ending: &'static str,
    kind: &'static str,
    text: &'static str,
}

const STYLE: Asset =
    Asset { stem: "style", ending: "css", kind: "text/css; charset=utf-8", text: include_str!("../assets/style.css") };
const SCRIPT: Asset = Asset {
    stem: "live",
    ending: "js",
    kind: "text/javascript; charset=utf-8",
    text: include_str!("../assets/live.js"),
};
const ICON: Asset =
    Asset { stem: "icon", ending: "svg", kind: "image/svg+xml", text: include_str!("../assets/icon.svg") };

/// The addresses below `/assets/`: of the style sheet, the script and the icon.
pub(super) static NAMES: LazyLock<[String; 3]> = LazyLock::new(|| [&STYLE, &SCRIPT, &ICON].map(name_of));

fn name_of(asset: &Asset) -> String {
    let digest = Sha256::digest(asset.text);
    let short: String = digest.iter().take(6).map(|octet| format!("{octet:02x}")).collect();
    format!("{}-{short}.{}", asset.stem, asset.ending)
}

pub(super) async fn serve(Path(file): Path<String>) -> Response {
    let found = [&STYLE, &SCRIPT, &ICON].into_iter().zip(NAMES.iter()).find(|(_, name)| **name == file);
    let Some((asset, _)) = found else { return Problem::not_found().into_response() };
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.text).into_response()
}
