//! The part of a direction's reader that knows whose connection it is, and what is planned for that user.

use super::connection::Session;
use super::plan::Reply;
use super::pump::Pump;
use super::user::user_of_line;

impl Pump<'_> {
    pub(super) fn holds_back(&self, session: &Session) -> bool {
        session.user.as_ref().is_some_and(|user| self.connection.users.holds_back(user))
    }

    /// Lets an APPEND go that was kept back, or answers it in the server's place.
    pub(super) fn release(&mut self, session: &mut Session, tag: &[u8]) {
        let Some(held) = self.held.take() else { return };
        let user = session.user.clone().unwrap_or_default();
        let refusal = self.connection.users.refusal(&user, &held);
        match (refusal, session.open.get_mut(tag)) {
            (Some(reply), Some(open)) => {
                open.reply = Some(reply);
                self.count_for(&user);
                self.send(session, &noop(tag));
            }
            _ => self.send(session, &held),
        }
    }

    /// What a plan for the user of this connection says to a command.
    pub(super) fn reply_to_user(&self, session: &Session, command: &str) -> Option<Reply> {
        let user = session.user.as_ref()?;
        let reply = self.connection.users.reply_to(user, command)?;
        self.count_for(user);
        Some(reply)
    }

    fn count_for(&self, user: &str) {
        self.connection.watched.change(|statistics| statistics.users.entry(user.to_owned()).or_default().faults += 1);
    }

    /// Finds out who signs in, now or with the line that follows.
    pub(super) fn sign_in_line(&mut self, session: &mut Session, tag: &[u8], name: &str, line: &[u8]) {
        match user_of_line(name, line) {
            Some(user) => self.signs_in(session, tag, user),
            None if line.to_ascii_uppercase().ends_with(b" PLAIN\r\n") => session.authenticating = Some(tag.to_vec()),
            None => {}
        }
    }

    /// The literal that held the name of a LOGIN is complete.
    pub(super) fn end_login_name(&mut self, session: &mut Session) {
        if let Some(command) = &self.command
            && !self.login_name.is_empty()
        {
            let user = String::from_utf8_lossy(&std::mem::take(&mut self.login_name)).into_owned();
            self.signs_in(session, &command.tag, user);
        }
    }

    /// Somebody signs in: the answer may be another one than the server's.
    pub(super) fn signs_in(&self, session: &mut Session, tag: &[u8], user: String) {
        let earlier = session.user.replace(user.clone());
        let first = earlier.as_ref() != Some(&user);
        self.connection.watched.change(|statistics| {
            if first && let Some(of_earlier) = earlier.and_then(|earlier| statistics.users.get_mut(&earlier)) {
                of_earlier.open -= 1;
            }
            statistics.add_sign_in(&user, first);
        });
        if let Some(reply) = self.connection.users.sign_in_reply(&user)
            && let Some(open) = session.open.get_mut(tag)
        {
            open.reply = Some(reply);
            self.count_for(&user);
        }
    }
}

/// What the server gets in the place of a command that it is not to see.
pub(super) fn noop(tag: &[u8]) -> Vec<u8> {
    [tag, b" NOOP\r\n"].concat()
}
