//! Which command it is, whether it may come now, and who carries it out.

use super::append::{self, Append};
use super::parse::Arguments;
use super::reply::{Handled, Output, Verdict};
use super::view::{Enabled, View};
use super::{World, extras, list, manage, moving, search, select, sign_in, status, store, uid_fetch};

/// What a connection has come to.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) signed_in: bool,
    pub(super) selected: Option<View>,
    pub(super) enabled: Enabled,
    /// The connection ends with this answer.
    pub(super) leaves: bool,
}

/// A command that has come whole.
#[derive(Debug)]
pub(super) struct Command<'a> {
    pub(super) tag: String,
    /// In upper case, with `UID`.
    pub(super) name: String,
    /// What stands behind the name, with the blank before it.
    pub(super) arguments: &'a [u8],
}

/// How far a command got.
#[derive(Debug)]
pub(super) enum Step {
    Ended(Verdict),
    /// Messages are to be stored, when and how the server's traits say.
    Append(Append),
    /// A response to a challenge is waited for.
    Challenge,
    /// DONE is waited for.
    Idle,
}

impl From<Handled> for Step {
    fn from(handled: Handled) -> Self {
        let (Ok(verdict) | Err(verdict)) = handled;
        Self::Ended(verdict)
    }
}

impl Command<'_> {
    /// RFC 9051 §7.5.1: message numbers must not change during these.
    pub(super) fn may_expunge(&self) -> bool {
        !["FETCH", "STORE", "SEARCH"].contains(&self.name.as_str())
    }
}

/// Reads tag and name; what is wrong with them is told with the tag to answer it under.
pub(super) fn begin(octets: &[u8]) -> Result<Command<'_>, (String, Verdict)> {
    let mut words = octets.splitn(3, |octet| *octet == b' ');
    let tag = words.next().unwrap_or_default();
    let is_tag = !tag.is_empty() && tag.iter().all(|octet| octet.is_ascii_graphic() && !b"(){%*\"\\+".contains(octet));
    if !is_tag {
        return Err(("*".to_owned(), Verdict::bad("a tag expected")));
    }
    let tag = String::from_utf8_lossy(tag).into_owned();
    let word = words.next().unwrap_or_default();
    let mut name = String::from_utf8_lossy(word).to_ascii_uppercase();
    let mut length = word.len();
    if name == "UID" {
        let second = words.next().unwrap_or_default();
        let second = second.split(|octet| *octet == b' ').next().unwrap_or_default();
        name = format!("UID {}", String::from_utf8_lossy(second).to_ascii_uppercase());
        length += 1 + second.len();
    }
    let arguments = octets.get(tag.len() + 1 + length..).unwrap_or_default();
    Ok(Command { tag, name, arguments })
}

/// Whether a literal is refused that the client has announced and not sent; the tag and the answer then.
pub(super) fn refuse_literal(
    session: &Session,
    world: &mut World,
    so_far: &[u8],
    octets: u64,
) -> Option<(String, Verdict)> {
    let command = match begin(so_far) {
        Ok(command) => command,
        Err(refusal) => return Some(refusal),
    };
    let refusal = match command.name.as_str() {
        "APPEND" if session.signed_in => append::refuse_literal(world, command.arguments, octets),
        _ => None,
    };
    refusal.map(|verdict| (command.tag, verdict))
}

/// Carries a command out, except that APPEND is only read.
/// `unasked` is the largest literal in it that was sent without being asked for; that must have been offered
/// (RFC 7888 §4, §5).
pub(super) fn carry_out(
    session: &mut Session,
    world: &mut World,
    command: &Command<'_>,
    unasked: Option<u64>,
    output: &mut Output,
) -> Step {
    if let Some(Err(verdict)) = unasked.map(|octets| append::check_unasked(world.traits.literals, octets)) {
        return Step::Ended(verdict);
    }
    let arguments = &mut Arguments::new(command.arguments);
    match command.name.as_str() {
        "CAPABILITY" => return capability(world, arguments, output).into(),
        "NOOP" => return nothing(arguments).into(),
        "LOGOUT" => return log_out(session, arguments, output).into(),
        "ID" => return id(arguments, output).into(),
        "LOGIN" => return sign_in::login(session, world, arguments).into(),
        "AUTHENTICATE" => return sign_in::authenticate(session, world, arguments),
        _ if !session.signed_in => return Step::Ended(Verdict::bad("sign in first")),
        "APPEND" => {
            return match append::read(world, arguments) {
                Ok(append) => Step::Append(append),
                Err(verdict) => Step::Ended(verdict),
            };
        }
        _ => {}
    }
    if let Some(mailbox) = session.selected.as_mut().map(|view| view.find(world))
        && mailbox.is_none()
    {
        session.selected = None;
        if world.traits.outlives_mailbox {
            return in_session(session, world, command, arguments, output).into();
        }
        output.untagged("BYE the selected mailbox is not what it was");
        session.leaves = true;
        return Step::Ended(Verdict::no("", "the selected mailbox is not what it was"));
    }
    if command.name == "IDLE" {
        return extras::idle(world, arguments);
    }
    in_session(session, world, command, arguments, output).into()
}

/// A command that needs a sign-in and ends with its verdict.
fn in_session(
    session: &mut Session,
    world: &mut World,
    command: &Command<'_>,
    arguments: &mut Arguments<'_>,
    output: &mut Output,
) -> Handled {
    match command.name.as_str() {
        "ENABLE" => extras::enable(session, world, arguments, output),
        "LIST" => list::list(world, arguments, output),
        "LSUB" => list::lsub(world, arguments, output),
        "NAMESPACE" => list::namespace(world, arguments, output),
        "STATUS" => status::status(session, world, arguments, output),
        "GETQUOTAROOT" => extras::quota_root(world, arguments, output),
        "GETQUOTA" => extras::quota(world, arguments, output),
        "CREATE" => manage::create(world, arguments),
        "DELETE" => manage::delete(world, arguments),
        "RENAME" => manage::rename(world, arguments),
        "SUBSCRIBE" => manage::subscribe(world, arguments),
        "UNSUBSCRIBE" => manage::unsubscribe(world, arguments),
        "SELECT" => select::open(session, world, arguments, false, output),
        "EXAMINE" => select::open(session, world, arguments, true, output),
        "CLOSE" => moving::leave(session, world, arguments, true),
        "UNSELECT" => moving::leave(session, world, arguments, false),
        "CHECK" => nothing(arguments),
        "FETCH" => uid_fetch::fetch(session, world, arguments, false, output),
        "UID FETCH" => uid_fetch::fetch(session, world, arguments, true, output),
        "STORE" => store::store(session, world, arguments, false, output),
        "UID STORE" => store::store(session, world, arguments, true, output),
        "SEARCH" => search::search(session, world, arguments, false, &command.tag, output),
        "UID SEARCH" => search::search(session, world, arguments, true, &command.tag, output),
        "COPY" => moving::copy(session, world, arguments, false),
        "UID COPY" => moving::copy(session, world, arguments, true),
        "MOVE" => moving::shift(session, world, arguments, false, output),
        "UID MOVE" => moving::shift(session, world, arguments, true, output),
        "EXPUNGE" => moving::expunge(session, world, arguments, false),
        "UID EXPUNGE" => moving::expunge(session, world, arguments, true),
        name => Err(Verdict::bad(&format!("unknown command {}", name.escape_default()))),
    }
}

fn capability(world: &World, arguments: &Arguments<'_>, output: &mut Output) -> Handled {
    arguments.end()?;
    output.untagged(&format!("CAPABILITY {}", world.traits.capabilities()));
    Ok(Verdict::ok("all of it"))
}

fn nothing(arguments: &Arguments<'_>) -> Handled {
    arguments.end()?;
    Ok(Verdict::ok("done"))
}

fn log_out(session: &mut Session, arguments: &Arguments<'_>, output: &mut Output) -> Handled {
    arguments.end()?;
    session.leaves = true;
    session.selected = None;
    output.untagged("BYE logging out");
    Ok(Verdict::ok("logged out"))
}

/// ID (RFC 2971). What the client says of itself is passed over.
fn id(arguments: &mut Arguments<'_>, output: &mut Output) -> Handled {
    arguments.space()?;
    output.untagged("ID (\"name\" \"model\" \"version\" \"1\")");
    Ok(Verdict::ok("nice to meet you"))
}

impl Session {
    /// Tells what is new in the selected mailbox.
    pub(super) fn tell(&mut self, world: &World, may_expunge: bool, output: &mut Output) {
        let enabled = self.enabled;
        let Some(view) = &mut self.selected else { return };
        // What is not there any more is told with the next command.
        if let Some(mailbox) = view.find(world).and_then(|name| world.mailbox(&name)) {
            view.tell(mailbox, enabled, may_expunge, output);
        }
    }
}
