//! One way between two servers: how far, over TLS or not; and what is run on it by turns.

use std::io;
use std::time::Duration;

use mailhaul_testing::Proxy;
use mailhaul_testing::proxy::Plan;

use crate::haul::{Copying, Cost, Over};
use crate::peers::mbsync;
use crate::raw::{self, Account, Form, Letters};
use crate::rig::{Rig, Server, Stock};

/// Where the contenders meet.
pub(crate) struct Stage<'a> {
    rig: &'a Rig,
    target: &'a Server,
    over: Over,
    /// With the round trip that each of them makes; none for the servers themselves.
    links: Option<(Proxy, Proxy)>,
}

impl<'a> Stage<'a> {
    /// Between the rig's source and this target, so many milliseconds of round trip on each link.
    pub(crate) fn new(rig: &'a Rig, target: &'a Server, over: Over, millis: u64) -> Stage<'a> {
        Stage::with_plan(rig, target, over, millis, Plan::new().opaque())
    }

    fn with_plan(rig: &'a Rig, target: &'a Server, over: Over, millis: u64, plan: Plan) -> Stage<'a> {
        let half = Duration::from_millis(millis) / 2;
        let plan = plan.delay(half, half);
        let link = |server: &Server| {
            let address = server.tls_address().filter(|_| over == Over::Tls).unwrap_or(server.address());
            Proxy::with_plan(address, plan.clone())
        };
        let links = (millis > 0).then(|| (link(&rig.source), link(target)));
        Stage { rig, target, over, links }
    }

    /// Between the rig's own servers, in plain text, with proxies that understand what is said.
    pub(crate) fn understood(rig: &'a Rig, millis: u64) -> Stage<'a> {
        Stage::with_plan(rig, &rig.target, Over::PlainText, millis, Plan::new())
    }

    /// The proxies before source and target, if there is any distance.
    pub(crate) fn links(&self) -> Option<(&Proxy, &Proxy)> {
        self.links.as_ref().map(|(near, far)| (near, far))
    }

    /// Between the rig's own servers.
    pub(crate) fn plain(rig: &'a Rig, over: Over, millis: u64) -> Stage<'a> {
        Stage::new(rig, &rig.target, over, millis)
    }

    fn reach(&self, account: &Account, server: &Server, link: Option<&Proxy>) -> Account {
        let tls = server.tls_address().filter(|_| self.over == Over::Tls);
        let address = link.map_or_else(|| tls.unwrap_or(server.address()), Proxy::address);
        Account { tls: tls.map(|_| self.rig.connector.clone()), ..account.at(address) }
    }

    /// An account of the source as it is reached on this stage.
    pub(crate) fn source(&self, account: &Account) -> Account {
        self.reach(account, &self.rig.source, self.links.as_ref().map(|(near, _)| near))
    }

    /// An account of the target as it is reached on this stage.
    pub(crate) fn target(&self, user: &str) -> Account {
        let account = self.rig.account(self.target, user);
        self.reach(&account, self.target, self.links.as_ref().map(|(_, far)| far))
    }

    /// Runs something against a fresh account of the target and throws that away.
    pub(crate) fn with_fresh<T>(&self, work: impl FnOnce(&Account) -> io::Result<T>) -> io::Result<T> {
        let user = self.rig.fresh_user();
        let done = work(&self.target(&user))?;
        self.target.discard(&user);
        Ok(done)
    }

    /// The bare relay, in seconds.
    pub(crate) fn relay(&self, stock: &Stock, form: Form) -> io::Result<f64> {
        self.relay_part(&stock.account, &stock.letters, form)
    }

    /// The bare relay over a part of what an account holds, in seconds.
    pub(crate) fn relay_part(&self, account: &Account, letters: &[Letters], form: Form) -> io::Result<f64> {
        let source = self.source(account);
        Ok(self.with_fresh(|target| raw::relay(&source, target, letters, form))?.as_secs_f64())
    }

    /// The product, from its start to its end.
    pub(crate) fn haul(&self, stock: &Stock) -> io::Result<Cost> {
        self.haul_from(&self.source(&stock.account), stock.messages(), false)
    }

    /// The same while its memory is looked at.
    pub(crate) fn haul_watched(&self, stock: &Stock) -> io::Result<Cost> {
        self.haul_from(&self.source(&stock.account), stock.messages(), true)
    }

    /// The product from a source of its own.
    pub(crate) fn haul_from(&self, source: &Account, messages: u64, watch: bool) -> io::Result<Cost> {
        self.with_fresh(|target| {
            let state = target.user.as_str();
            let copying = Copying { source, target, state, copied: messages, watch, under: &[] };
            let cost = self.rig.haul.copy(&copying)?;
            self.rig.haul.forget(state);
            Ok(cost)
        })
    }

    /// The product under another program.
    pub(crate) fn haul_under(&self, stock: &Stock, under: &[&str]) -> io::Result<Cost> {
        let source = self.source(&stock.account);
        self.with_fresh(|target| {
            let state = target.user.as_str();
            let copied = stock.messages();
            let cost = self.rig.haul.copy(&Copying { source: &source, target, state, copied, watch: false, under })?;
            self.rig.haul.forget(state);
            Ok(cost)
        })
    }

    /// What a dry run foretells under this state, and what the copy then takes, in seconds.
    pub(crate) fn foretold_and_hauled(&self, stock: &Stock, state: &str) -> io::Result<([f64; 3], f64)> {
        let source = self.source(&stock.account);
        self.with_fresh(|target| {
            let copied = stock.messages();
            let copying = Copying { source: &source, target, state, copied, watch: false, under: &[] };
            let told = self.rig.haul.estimate(&copying)?;
            Ok((told, self.rig.haul.copy(&copying)?.wall_secs))
        })
    }

    /// The product once more over an account that is known under this state; so many messages must be copied.
    pub(crate) fn haul_again(&self, stock: &Stock, target: &str, copied: u64) -> io::Result<Cost> {
        let (source, reached) = (self.source(&stock.account), self.target(target));
        let copying = Copying { source: &source, target: &reached, state: target, copied, watch: false, under: &[] };
        self.rig.haul.copy(&copying)
    }

    /// mbsync, from its start to its end.
    pub(crate) fn mbsync(&self, stock: &Stock) -> io::Result<Cost> {
        let source = self.source(&stock.account);
        self.with_fresh(|target| {
            let folder = self.rig.folder.path().join(format!("mbsync-{}", target.user));
            let cost = mbsync::run(&folder, &source, target, self.rig.haul.ca_file())?;
            std::fs::remove_dir_all(&folder)?;
            Ok(cost)
        })
    }
}
