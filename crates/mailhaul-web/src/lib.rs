//! The operator's screen: an HTTP API, live pages, and figures for monitoring.
//!
//! ```text
//! listen ─▶ door: Host, Origin, who is it, may he ─▶ api    JSON ─┐
//! (TCP, TLS, Unix socket)                          ─▶ pages  HTML ─┼─▶ mailhaul-service
//!                                                  ─▶ metrics     ─┘
//!                    pulse: looks at everything once for all who watch
//! ```
//!
//! There is no logic here: handlers turn requests into the service's verbs and its answers into JSON or HTML, and the
//! command line does the same with the same verbs. What is a matter of this crate is who may come in (`door`) and how
//! things look (`pages`).

mod api;
mod app;
mod door;
mod flow;
mod listen;
mod metrics;
mod pages;
mod problem;
mod pulse;
mod web;

#[cfg(test)]
mod tests;

pub use listen::{Listen, TlsFiles, WebError};
pub use web::{Serving, Web, WebOptions};
