//! How a login on the source becomes a login on the target.

use std::collections::BTreeMap;

/// The rules by which target users are made: domains are exchanged first, then the pattern is filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rename {
    domains: BTreeMap<String, String>,
    pattern: Option<Vec<Piece>>,
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Taken as it is.
    Text(String),
    /// Filled in from the user.
    Part(Part, Case),
}

/// Which part of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    User,
    Local,
    Domain,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    AsIs,
    Lower,
    Upper,
}

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// A pattern that would give every account the same name.
    #[error("rename `{0}`: no `{{user}}` and no `{{local}}` in it: every account would get the same name")]
    Constant(String),
    /// A placeholder that is not known, or a brace that stands alone.
    #[error(
        "rename `{pattern}`: `{{{found}}}` is not known: there are {{user}}, {{local}} and {{domain}}, each also with :lower or :upper"
    )]
    Placeholder {
        /// The pattern.
        pattern: String,
        /// What stands between the braces.
        found: String,
    },
    /// A brace without its partner.
    #[error("rename `{0}`: a brace stands alone; write {{{{ or }}}} for a brace in the name itself")]
    Brace(String),
    /// A domain rule that is not `old=new`, or a second one for one domain.
    #[error("domain rule `{rule}`: {words}")]
    Domain {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        words: &'static str,
    },
}

impl Rename {
    /// Reads a pattern such as `{local}@new.example` and domain rules such as `old.example=new.example`.
    ///
    /// # Errors
    ///
    /// The first rule that cannot be used.
    pub fn new(pattern: Option<&str>, domain_rules: &[&str]) -> Result<Self, RenameError> {
        let pattern = pattern.map(parse_pattern).transpose()?;
        let mut domains = BTreeMap::new();
        for rule in domain_rules {
            add_domain_rule(&mut domains, rule)?;
        }
        Ok(Self { domains, pattern })
    }

    /// The login on the target for `user`.
    ///
    /// # Errors
    ///
    /// In words, when the pattern asks for a part that `user` does not have.
    pub fn target_user(&self, user: &str) -> Result<String, &'static str> {
        let (local, domain) = split_user(user);
        let domain = domain.map(|domain| self.exchange_domain(domain));
        let user = domain.map_or_else(|| local.to_owned(), |domain| format!("{local}@{domain}"));
        let Some(pattern) = &self.pattern else { return Ok(user) };
        fill_pattern(pattern, &user, local, domain)
    }

    fn exchange_domain<'a>(&'a self, domain: &'a str) -> &'a str {
        self.domains.get(&domain.to_lowercase()).map_or(domain, String::as_str)
    }
}

/// Local part and domain; the last `@` counts, since a local part may hold others.
pub(crate) fn split_user(user: &str) -> (&str, Option<&str>) {
    user.rsplit_once('@').map_or((user, None), |(local, domain)| (local, Some(domain)))
}

/// A user with its domain in small letters: what two spellings of one user have in common on every server.
pub(crate) fn fold_domain(user: &str) -> String {
    match split_user(user) {
        (local, Some(domain)) => format!("{local}@{}", domain.to_lowercase()),
        (local, None) => local.to_owned(),
    }
}

fn fill_pattern(pattern: &[Piece], user: &str, local: &str, domain: Option<&str>) -> Result<String, &'static str> {
    let mut name = String::new();
    for piece in pattern {
        match piece {
            Piece::Text(text) => name.push_str(text),
            Piece::Part(part, case) => {
                let value = match part {
                    Part::User => user,
                    Part::Local => local,
                    Part::Domain => domain.ok_or("the pattern asks for {domain}, and the user has none")?,
                };
                match case {
                    Case::AsIs => name.push_str(value),
                    Case::Lower => name.push_str(&value.to_lowercase()),
                    Case::Upper => name.push_str(&value.to_uppercase()),
                }
            }
        }
    }
    if name.is_empty() || local.is_empty() { Err("it would have no local part") } else { Ok(name) }
}

fn parse_pattern(pattern: &str) -> Result<Vec<Piece>, RenameError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = behind;
            continue;
        }
        let Some((inner, behind)) = rest.split_once('}').filter(|_| brace == "{") else {
            return Err(RenameError::Brace(pattern.to_owned()));
        };
        pieces.extend((!text.is_empty()).then(|| Piece::Text(std::mem::take(&mut text))));
        pieces.push(
            parse_placeholder(inner)
                .ok_or_else(|| RenameError::Placeholder { pattern: pattern.to_owned(), found: inner.to_owned() })?,
        );
        rest = behind;
    }
    text.push_str(rest);
    pieces.extend((!text.is_empty()).then_some(Piece::Text(text)));
    let varies = |piece: &Piece| matches!(piece, Piece::Part(Part::User | Part::Local, _));
    if pieces.iter().any(varies) { Ok(pieces) } else { Err(RenameError::Constant(pattern.to_owned())) }
}

fn parse_placeholder(inner: &str) -> Option<Piece> {
    let (name, case) = inner.split_once(':').map_or((inner, ""), |(name, case)| (name, case));
    let part = match name {
        "user" => Part::User,
        "local" => Part::Local,
        "domain" => Part::Domain,
        _ => return None,
    };
    let case = match (case, inner.contains(':')) {
        ("", false) => Case::AsIs,
        ("lower", _) => Case::Lower,
        ("upper", _) => Case::Upper,
        _ => return None,
    };
    Some(Piece::Part(part, case))
}

fn add_domain_rule(domains: &mut BTreeMap<String, String>, rule: &str) -> Result<(), RenameError> {
    let refuse = |words| RenameError::Domain { rule: rule.to_owned(), words };
    let (old, new) = rule.split_once('=').ok_or_else(|| refuse("it should read like `old.example=new.example`"))?;
    let (old, new) = (old.trim().trim_start_matches('@'), new.trim().trim_start_matches('@'));
    let bad =
        |domain: &str| domain.is_empty() || domain.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control());
    if bad(old) || bad(new) {
        return Err(refuse("it should read like `old.example=new.example`"));
    }
    match domains.insert(old.to_lowercase(), new.to_owned()) {
        Some(earlier) if earlier != new => Err(refuse("there is another rule for this domain")),
        _ => Ok(()),
    }
}
