//! `--from` and `--to`: an endpoint with the user who signs in there.

use crate::exit::CommandError;
use mailhaul_service::{EndpointUrl, UrlFault};
use mailhaul_types::Side;

/// Reads an endpoint that must name its user.
pub(crate) fn parse(side: Side, text: &str, plaintext_hosts: &[String]) -> Result<EndpointUrl, CommandError> {
    let option = if side == Side::Source { "--from" } else { "--to" };
    let wrong = |what: &str| {
        CommandError::usage(
            format!("{option}: {what}"),
            "an endpoint looks like imaps://alice@mail.example, or imap://alice@mail.example for STARTTLS",
        )
    };
    let url = EndpointUrl::parse(text, plaintext_hosts).map_err(|fault| match fault {
        UrlFault::HoldsPassword => CommandError::usage(
            format!("{option}: {fault}"),
            format!("write it into a file that only you can read and give {option}-password-file FILE"),
        ),
        UrlFault::Wrong(what) => wrong(&what),
    })?;
    if url.user.is_empty() { Err(wrong("the user name is missing")) } else { Ok(url) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_to_copy_from_names_its_user() {
        let error = parse(Side::Target, "imaps://new.example", &[]).expect_err("nobody signs in").to_string();
        assert!(error.contains("--to: the user name is missing"), "{error}");
        assert!(parse(Side::Source, "imaps://alice@old.example", &[]).is_ok());
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let error = parse(Side::Source, "imaps://alice:canary@old.example", &[]).expect_err("refused").to_string();
        assert!(error.contains("--from-password-file") && !error.contains("canary"), "{error}");
    }
}
