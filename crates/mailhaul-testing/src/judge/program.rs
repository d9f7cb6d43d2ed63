//! The judge as a program: two accounts and what may differ, from the command line.

use super::{Account, Rules, judge};

/// What the example program `judge` does with its arguments: the words to print, and whether the accounts are equal.
///
/// # Errors
/// The arguments are wrong, or an account cannot be read.
pub fn program(arguments: &[String]) -> Result<(String, bool), String> {
    let [source, target, options @ ..] = arguments else {
        return Err("two accounts are needed: imap://user:pass@127.0.0.1:port twice".to_owned());
    };
    let (source, target) = (Account::parse(source)?, Account::parse(target)?);
    let judgement = judge(&source, &target, &rules(options)?).map_err(|error| error.to_string())?;
    Ok((judgement.to_string(), judgement.is_equal()))
}

fn rules(options: &[String]) -> Result<Rules, String> {
    let mut rules = Rules::new();
    for pair in options.chunks(2) {
        let [option, value] = pair else { return Err(format!("{} needs a value", pair[0])) };
        let (name, rest) = value.split_once('=').ok_or(format!("{option} needs NAME=REASON"))?;
        rules = match option.as_str() {
            "--map" => rules.map(name, rest),
            "--ignore-dates" => rules.ignore_dates(name, rest),
            "--ignore-flags" => rules.ignore_flags(name, rest),
            "--ignore-flag" => rules.ignore_flag(name, rest),
            "--leave-out" => rules.leave_out(name, rest),
            "--allow-extra" => rules.allow_extra(name, rest),
            other => return Err(format!("no such option: {other}")),
        };
    }
    Ok(rules)
}
