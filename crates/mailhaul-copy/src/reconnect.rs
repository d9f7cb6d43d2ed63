//! The two connections of a run: opened when they are needed, dropped and opened again when one of them breaks.

use crate::account::Run;
use crate::bounds;
use crate::error::{LinkError, WalkError, on};
use crate::listing::connect;
use crate::oversight::ServerSign;
use crate::walk::Links;
use mailhaul_imap::{ErrorClass, ImapError};
use mailhaul_types::Side;
use std::time::Duration;

impl Run<'_> {
    /// Both ends, signed in.
    pub(crate) async fn connected(&mut self) -> Result<&mut Links, WalkError> {
        self.connected_for(false).await
    }

    /// The same, for somebody who lists the mailboxes next.
    pub(crate) async fn connected_to_list(&mut self) -> Result<&mut Links, WalkError> {
        self.connected_for(true).await
    }

    async fn connected_for(&mut self, list: bool) -> Result<&mut Links, WalkError> {
        if self.links.is_none() {
            let links = connect(&self.walk.job.accounts, list).await.map_err(WalkError::Link)?;
            self.walk.progress.watch(vec![links.source.pulse(), links.target.pulse()]);
            for side in [Side::Source, Side::Target] {
                self.walk.supervisor.sign(side, ServerSign::Served);
            }
            self.links = Some(links);
            self.asked_for_vanished = false;
        }
        self.links.as_mut().ok_or_else(|| WalkError::Mailbox("not connected".to_owned()))
    }

    /// The same, before a mailbox is opened to see what has changed in it: the source is asked to tell what is gone.
    pub(crate) async fn connected_for_changes(&mut self) -> Result<&mut Links, WalkError> {
        self.connected().await?;
        let asked = std::mem::replace(&mut self.asked_for_vanished, true);
        let links = self.connected().await?;
        if !asked {
            links.source.enable_qresync().await.map_err(on(Side::Source))?;
        }
        Ok(links)
    }

    /// Decides whether an error is worth another connection, and waits before it. Both connections are dropped:
    /// whatever was in flight is found by reading the target's tail, never by remembering.
    pub(crate) async fn recover(
        &mut self,
        error: WalkError,
        pauses: &mut impl Iterator<Item = Duration>,
        first: bool,
    ) -> Result<(), WalkError> {
        let link = match error {
            WalkError::Link(link) => link,
            other => return Err(other),
        };
        self.links = None;
        self.troubled.insert(link.side);
        let never_connected = matches!(link.error, ImapError::Resolve { .. } | ImapError::Connect { .. }) && first;
        let pause = match link.error.class() {
            ErrorClass::SignIn | ErrorClass::Tls | ErrorClass::Usage | ErrorClass::Quota | ErrorClass::Lease => None,
            _ if never_connected && self.summary.is_untouched() => None,
            ErrorClass::Throttle if !self.walk.supervisor.waits_out_throttles() => None,
            ErrorClass::Throttle => pauses.next().map(|pause| link.error.retry_after().unwrap_or(pause)),
            _ => pauses.next(),
        };
        if matches!(link, LinkError { side: Side::Target, error: ImapError::TimedOut { .. }, .. }) {
            self.walk.lengthen_quarantine();
        }
        let Some(pause) = pause else {
            // Once for each run, at its end: what the next connection mends concerns nobody else.
            if let Some(sign) = link.sign() {
                self.walk.supervisor.sign(link.side, sign);
            }
            return Err(match link.error.class() {
                ErrorClass::Lease => match self.walk.lease.failure() {
                    Some(failure) => WalkError::Ledger(failure),
                    None => WalkError::Link(link),
                },
                _ => WalkError::Link(link),
            });
        };
        tracing::warn!(error = %link, again_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "connection lost; reconnecting");
        self.walk.progress.lost_connection(&link.to_string());
        self.walk.progress.wait_for(pause.min(bounds::THROTTLE_PAUSE_MAX));
        tokio::select! {
            biased;
            () = self.walk.stop.requested() => Err(WalkError::Interrupted { unanswered: 0 }),
            () = tokio::time::sleep(pause.min(bounds::THROTTLE_PAUSE_MAX)) => Ok(()),
        }
    }
}
