//! Listening to the source between two rounds: by NOTIFY, which tells of every mailbox; else by IDLE, which tells of one;
//! else by waiting.

use crate::bounds;
use crate::error::{WalkError, on};
use crate::follow::Follower;
use mailhaul_types::{Escaped, MailboxName, ModSeq, Side, Uid, UidValidity};

/// How the source is listened to on the present connection.
#[derive(Default)]
pub(crate) struct Ear {
    /// The server does not have NOTIFY, or has refused it.
    pub(crate) without_notify: bool,
    /// The server has refused IDLE.
    pub(crate) without_idle: bool,
    /// The mailbox that IDLE is about, as it was when it was last opened for that.
    pub(crate) watched: Option<(MailboxName, Figures)>,
}

/// What would tell that something has happened in a mailbox.
pub(crate) type Figures = (Option<UidValidity>, Option<Uid>, u32, Option<ModSeq>);

/// How a waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The server told of something new.
    News,
    /// Nothing was heard, and it is time to look all the same; or something may have happened before anybody listened.
    Nothing,
}

impl Follower<'_> {
    /// Begins to listen where nobody does yet, and waits.
    pub(crate) async fn listen(&mut self) -> Result<Heard, WalkError> {
        let walk = self.walk;
        self.unselect().await?;
        let Some(links) = self.links.as_mut() else { return Ok(Heard::Nothing) };
        let source = &mut links.source;
        if !source.is_notifying() && !self.ear.without_notify {
            self.ear.without_notify = !source.begin_notify().await.map_err(on(Side::Source))?;
            if !self.ear.without_notify {
                // What happened before the server began to tell is found by looking once more.
                return Ok(Heard::Nothing);
            }
        }
        let limit = if source.is_notifying() { self.poll.max(bounds::FOLLOW_POLL_NOTIFIED) } else { self.poll };
        let idles = !source.is_notifying() && !self.ear.without_idle && source.capabilities().idle();
        if idles && !self.watch().await? {
            return Ok(Heard::Nothing);
        }
        walk.progress.doing("in step; waiting for changes".to_owned());
        walk.progress.wait_for(limit);
        if self.ear.without_idle {
            self.pause(limit).await?;
            return Ok(Heard::Nothing);
        }
        let Some(links) = self.links.as_mut() else { return Ok(Heard::Nothing) };
        match links.source.wait_for_news(limit, walk.stop.requested()).await {
            Ok(news) if news.is_empty() => Ok(Heard::Nothing),
            Ok(news) => {
                tracing::debug!(selected = news.selected, mailboxes = news.mailboxes.len(), "the source tells of news");
                Ok(Heard::News)
            }
            Err(error) if error.leaves_connection_usable() => {
                tracing::info!(error = %Escaped(&error.to_string()), "the source does not take IDLE");
                self.ear.without_idle = true;
                Ok(Heard::Nothing)
            }
            Err(error) => Err(on(Side::Source)(error)),
        }
    }

    /// Opens the mailbox that IDLE is to be about; `false` if something may have happened in it since the last look.
    async fn watch(&mut self) -> Result<bool, WalkError> {
        let Some(links) = self.links.as_mut() else { return Ok(false) };
        let source = &mut links.source;
        let encoding = source.name_encoding();
        let inbox = MailboxName::from_text("INBOX", encoding);
        // Names are kept as they are shown; one that has to be escaped for that is not the name itself.
        let busiest = self.story.busiest().map(|name| MailboxName::from_text(name, encoding));
        let name = busiest.filter(|name| Some(name.to_string().as_str()) == self.story.busiest()).unwrap_or(inbox);
        let opened = match source.examine(&name).await {
            Ok(opened) => opened,
            Err(error) if error.leaves_connection_usable() => {
                self.ear.without_idle = true;
                return Ok(true);
            }
            Err(error) => return Err(on(Side::Source)(error)),
        };
        let seen = (name, (opened.uid_validity, opened.uid_next, opened.exists, opened.highest_modseq));
        let is_as_it_was = self.ear.watched.as_ref() == Some(&seen);
        self.ear.watched = Some(seen);
        Ok(is_as_it_was)
    }
}
