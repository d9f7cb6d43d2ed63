//! CREATE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.4, §6.3.6 to §6.3.8).

use crate::command::Command;
use crate::connection::Connection;
use crate::error::ImapError;
use mailhaul_types::MailboxName;

impl Connection {
    /// Creates a mailbox.
    ///
    /// # Errors
    /// As every command; `Refused` also if it exists already.
    pub async fn create(&mut self, name: &MailboxName) -> Result<(), ImapError> {
        self.manage(Command::new("CREATE").mailbox(name)?).await
    }

    /// Renames a mailbox, and with it those beneath it. Its UIDs stay valid on most servers; look at UIDVALIDITY.
    /// Subscriptions do not follow (RFC 9051 §6.3.6), and renaming INBOX moves its messages out of it and leaves it.
    ///
    /// # Errors
    /// As every command; `Refused` also if the new name is taken.
    pub async fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<(), ImapError> {
        self.manage(Command::new("RENAME").mailbox(from)?.mailbox(to)?).await
    }

    /// Subscribes to a mailbox.
    ///
    /// # Errors
    /// As every command.
    pub async fn subscribe(&mut self, name: &MailboxName) -> Result<(), ImapError> {
        self.manage(Command::new("SUBSCRIBE").mailbox(name)?).await
    }

    /// Ends the subscription to a mailbox, which need not exist any more.
    ///
    /// # Errors
    /// As every command.
    pub async fn unsubscribe(&mut self, name: &MailboxName) -> Result<(), ImapError> {
        self.manage(Command::new("UNSUBSCRIBE").mailbox(name)?).await
    }

    async fn manage(&mut self, command: Command) -> Result<(), ImapError> {
        self.talk().run(command, &mut |_| {}).await.map(drop)
    }
}
