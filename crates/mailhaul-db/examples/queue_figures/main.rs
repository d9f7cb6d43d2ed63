//! What the queue takes, in time and room: `cargo run --release -p mailhaul-db --example queue_figures -- [WHAT]...`.
//!
//! `lists`, `claims` and `state` are what can be measured; everything, if nothing is said. Each figure is printed as
//! soon as it is known: name, unit, the bound it is to keep, and the samples, with tabs between. `make bench` makes a
//! table of them. The file is made where temporary files are (`TMPDIR`).

mod claims;
mod lists;
mod setting;
mod state;
mod told;

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let known = ["lists", "claims", "state"];
    if let Some(strange) = arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        return Err(format!("`{strange}` is not one of {}", known.join(", ")).into());
    }
    let wanted = |what: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == what);
    if wanted("lists") {
        lists::measure().await?;
    }
    if wanted("claims") {
        claims::measure().await?;
    }
    if wanted("state") {
        state::measure().await?;
    }
    Ok(())
}
