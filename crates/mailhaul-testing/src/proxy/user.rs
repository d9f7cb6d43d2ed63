//! What is to go wrong for one user only, on whichever connection signs in as that user, and when it is to stop.
//!
//! Who signs in is read from LOGIN and AUTHENTICATE PLAIN. A plan for a user holds for connections that are open already
//! and for all later ones, until another one takes its place.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;

use super::plan::{Cut, Reply, Which};

/// Commands that `*` does not stand for: sign-in has its own reply, and whoever leaves may leave.
const NEVER_ANY: [&str; 5] = ["LOGIN", "AUTHENTICATE", "STARTTLS", "CAPABILITY", "LOGOUT"];

/// What becomes of one user's connections. The default changes nothing.
///
/// ```
/// use mailhaul_testing::proxy::{Reply, UserPlan, Which};
/// let slow_down = UserPlan::new().throttle("[LIMIT] Too many requests, try again later");
/// let poison = UserPlan::new().refuse_message("Message-ID: <bad@x.example>", "[CANNOT] Message contains a virus");
/// let once = UserPlan::new().reply("SELECT", Which::Nth(1), Reply::tagged("NO [INUSE] locked"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserPlan {
    sign_in: Option<Reply>,
    replies: Vec<(String, Which, Reply)>,
    refused_messages: Vec<(Vec<u8>, String)>,
}

impl UserPlan {
    /// Nothing goes wrong.
    #[must_use]
    pub fn new() -> UserPlan {
        UserPlan::default()
    }

    /// What the user hears in the place of the answer to a sign-in. The server itself does let the user in.
    #[must_use]
    pub fn sign_in(mut self, reply: Reply) -> UserPlan {
        self.sign_in = Some(reply);
        self
    }

    /// Every sign-in is answered `NO` with these words.
    #[must_use]
    pub fn refuse_sign_in(self, words: &str) -> UserPlan {
        self.sign_in(Reply::tagged(&format!("NO {words}")))
    }

    /// Every connection is reset as soon as it is known to be this user's.
    #[must_use]
    pub fn refuse_connection(self) -> UserPlan {
        self.sign_in(Reply::cut(Cut::Rst))
    }

    /// Every command after sign-in is answered `NO` with these words.
    #[must_use]
    pub fn throttle(self, words: &str) -> UserPlan {
        self.reply("*", Which::From(1), Reply::tagged(&format!("NO {words}")))
    }

    /// The first command after each sign-in is answered `* BYE` with these words, and the connection ends.
    #[must_use]
    pub fn say_bye(self, words: &str) -> UserPlan {
        self.reply("*", Which::From(1), Reply::bye(words))
    }

    /// The proxy answers commands of this name (`*`: any) in the server's place, which does not see them. They are counted
    /// over all of the user's connections since the plan was set.
    #[must_use]
    pub fn reply(mut self, command: &str, which: Which, reply: Reply) -> UserPlan {
        self.replies.push((command.to_ascii_uppercase(), which, reply));
        self
    }

    /// An APPEND with a message that holds these octets is answered `NO` with these words, and nothing of it is stored, as
    /// RFC 3502 asks where it holds several messages. The proxy keeps every APPEND of this user back until it is complete.
    #[must_use]
    pub fn refuse_message(mut self, holds: impl AsRef<[u8]>, words: &str) -> UserPlan {
        self.refused_messages.push((holds.as_ref().to_vec(), format!("NO {words}")));
        self
    }
}

/// Who signs in with this LOGIN or AUTHENTICATE line; none when its name comes later or it does not say.
pub(crate) fn user_of_line(name: &str, line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?.trim_end();
    let (_, rest) = text.split_once(' ')?;
    let (_, arguments) = rest.split_once(' ')?;
    match name {
        "LOGIN" => astring(arguments),
        "AUTHENTICATE" => {
            let (mechanism, response) = arguments.split_once(' ')?;
            if mechanism.eq_ignore_ascii_case("PLAIN") { user_of_response(response.as_bytes()) } else { None }
        }
        _ => None,
    }
}

/// An atom or a quoted string at the beginning; none for a literal.
fn astring(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let word = text.split(' ').next().unwrap_or_default();
        return (!word.is_empty() && !word.starts_with('{')).then(|| word.to_owned());
    };
    let mut out = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some(out),
            '\\' => out.push(characters.next()?),
            other => out.push(other),
        }
    }
}

/// The identity in a PLAIN response (RFC 4616): `authzid NUL authcid NUL passwd`; whom it acts for, else who it is.
pub(crate) fn user_of_response(line: &[u8]) -> Option<String> {
    let octets = base64::engine::general_purpose::STANDARD.decode(line.trim_ascii()).ok()?;
    let mut fields = octets.split(|octet| *octet == 0);
    let (acts_for, is) = (fields.next()?, fields.next()?);
    String::from_utf8(if acts_for.is_empty() { is.to_vec() } else { acts_for.to_vec() }).ok()
}

/// The plans of all users, and how many commands they have counted.
#[derive(Debug, Default)]
pub(crate) struct Users(Mutex<BTreeMap<String, Entry>>);

#[derive(Debug, Default)]
struct Entry {
    plan: UserPlan,
    /// Commands since the plan was set, by name; `*` is all of them.
    counts: BTreeMap<String, u32>,
}

impl Users {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, user: &str, plan: UserPlan) {
        self.lock().insert(user.to_owned(), Entry { plan, counts: BTreeMap::new() });
    }

    pub(crate) fn forget(&self, user: &str) {
        self.lock().remove(user);
    }

    pub(crate) fn sign_in_reply(&self, user: &str) -> Option<Reply> {
        self.lock().get(user)?.plan.sign_in.clone()
    }

    /// Counts a command and says what to answer in the server's place.
    pub(crate) fn reply_to(&self, user: &str, command: &str) -> Option<Reply> {
        let mut users = self.lock();
        let entry = users.get_mut(user)?;
        let any = !NEVER_ANY.contains(&command);
        for name in [Some(command), any.then_some("*")].into_iter().flatten() {
            *entry.counts.entry(name.to_owned()).or_default() += 1;
        }
        let counts = &entry.counts;
        let hit = entry.plan.replies.iter().find(|(name, which, _)| {
            (name == command || name == "*" && any) && counts.get(name).is_some_and(|count| which.has(*count))
        });
        hit.map(|(_, _, reply)| reply.clone())
    }

    /// True when APPEND commands of this user are to be looked at before they go on.
    pub(crate) fn holds_back(&self, user: &str) -> bool {
        self.lock().get(user).is_some_and(|entry| !entry.plan.refused_messages.is_empty())
    }

    /// What to answer to a whole APPEND command.
    pub(crate) fn refusal(&self, user: &str, command: &[u8]) -> Option<Reply> {
        let users = self.lock();
        let mut refused = users.get(user)?.plan.refused_messages.iter();
        let holds = |part: &[u8]| part.is_empty() || command.windows(part.len()).any(|window| window == part);
        refused.find(|(part, _)| holds(part)).map(|(_, answer)| Reply::tagged(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_who_signs_in() {
        for (name, line, expected) in [
            ("LOGIN", "a1 LOGIN alice x\r\n", Some("alice")),
            ("LOGIN", "a1 LOGIN \"al\\\"ice@x\" \"y z\"\r\n", Some("al\"ice@x")),
            ("LOGIN", "a1 LOGIN {5+}\r\n", None),
            ("AUTHENTICATE", "a1 AUTHENTICATE PLAIN AGFsaWNlAHg=\r\n", Some("alice")),
            ("AUTHENTICATE", "a1 authenticate plain Ym9iAGFsaWNlAHg=\r\n", Some("bob")),
            ("AUTHENTICATE", "a1 AUTHENTICATE PLAIN\r\n", None),
            ("AUTHENTICATE", "a1 AUTHENTICATE XOAUTH2 AGFsaWNlAHg=\r\n", None),
        ] {
            assert_eq!(user_of_line(name, line.as_bytes()).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn counts_commands_of_one_user_since_the_plan_was_set() {
        let users = Users::default();
        users.set("alice", UserPlan::new().reply("SELECT", Which::Nth(2), Reply::silence()));
        assert_eq!(users.reply_to("bob", "SELECT"), None);
        assert_eq!(users.reply_to("alice", "SELECT"), None);
        assert_eq!(users.reply_to("alice", "SELECT"), Some(Reply::silence()));
        users.set("alice", UserPlan::new().throttle("slow"));
        assert_eq!(users.reply_to("alice", "LOGOUT"), None);
        assert_eq!(users.reply_to("alice", "LIST"), Some(Reply::tagged("NO slow")));
        users.forget("alice");
        assert_eq!(users.reply_to("alice", "LIST"), None);
    }
}
