//! Importing a list: dropped here, judged row by row, and stored only after that was seen.

use super::parts::said;
use super::shell::{Place, page};
use crate::app::Caller;
use crate::problem::Problem;
use axum::response::Response;
use maud::html;

pub(super) async fn show(caller: Caller) -> Result<Response, Problem> {
    let endpoints = caller.service.endpoints().await?;
    let waves = caller.service.waves().await?;
    let end = |name: &str, words: &str| {
        html! {
            label { (words) select name=(name) { option value="" { "as the list says" } @for view in &endpoints { option value=(view.row.name) { (said(&view.row.name)) } } } }
        }
    };
    let body = html! {
        div.title-row { div { h1 { "Import accounts" } p.soft { "Drop a list, and see what would become of each row. Nothing is stored before you say so." } } }
        @if endpoints.len() < 2 {
            p.notice { "A list needs a server to come from and one to go to. " code { "mailhaul endpoint add" } " names them." }
        }
        noscript { p.notice { "Judging a list in the page needs its script. " code { "mailhaul accounts import FILE --dry-run" } " does the same." } }
        form.card.import #import data-import="" {
            div.drop #drop {
                p { b { "Drop a list here" } " or " label.button { "choose a file" input.hidden #file type="file" accept=".csv,.tsv,.txt,.json"; } }
                p.soft #chosen { "CSV, TSV, semicolons, JSON, or as imapsync has it. Passwords in it are sealed when it is stored, and never shown." }
            }
            div.fields.three {
                label { "Wave of rows that name none" input name="wave" list="waves" autocomplete="off"; }
                datalist #waves { @for view in &waves { option value=(view.row.name) {} } }
                (end("from", "Source")) (end("to", "Target"))
                label { "New logins (pattern)" input name="rename" placeholder="{local}@new.example" autocomplete="off"; }
                label { "Domain rule" input name="domain" placeholder="old.example=new.example" autocomplete="off"; }
            }
            details { summary { "Where the list does not speak for itself" }
                div.fields.three {
                    label { "Form" select name="format" { option value="" { "found by looking" } @for word in ["csv", "tsv", "semicolons", "json", "imapsync", "name_password"] { option { (word) } } } }
                    label { "Encoding" select name="encoding" { option value="" { "found by looking" } @for word in ["utf8", "latin1", "utf16"] { option { (word) } } } }
                    label.inline { input type="checkbox" name="ignore_unknown" value="true"; " leave unknown columns out" }
                    label.inline { input type="checkbox" name="merge" value="true"; " let accounts share a target mailbox" }
                }
            }
            div.actions { button.main #judge type="submit" disabled { "Judge the list" } button #store type="button" disabled { "Store it" } }
        }
        section.card #verdict hidden aria-live="polite" {
            h2 #verdict-line {}
            ul.remarks #verdict-remarks {}
            div.scroll { table #verdict-rows { thead { tr { th.n scope="col" { "Line" } th scope="col" { "Account" } th scope="col" { "Source" } th scope="col" { "Target" } th scope="col" { "Wave" } th scope="col" { "Verdict" } } } tbody {} } }
            p.soft #verdict-more {}
        }
    };
    Ok(page(&caller, Place::Import, "Import", &body))
}
