//! Mailboxes that were renamed at the source: the ledger follows always, the copy on the target where it may.
//!
//! `evidence` finds out which mailbox became which, `copy` whether the target's mailbox is still as it was left; what is
//! done about each stands here. Nothing is recorded before everything is done on the target: a run that is broken off
//! in between finds the copies under their new names, by their numbers and keys, and only records them.

mod copy;
pub(crate) mod evidence;
mod in_flight;

use crate::error::{WalkError, mailbox_error};
use crate::listing::Listings;
use crate::walk::{Links, Walk};
use copy::Standing;
use mailhaul_db::MailboxBrief;
use mailhaul_plan::mailboxes::{
    AccountListing, MailboxEntry, MappedMailbox, MappingRemark, MappingRules, Origin, map_renamed_mailboxes,
};
use mailhaul_plan::policy::MovePolicy;
use mailhaul_plan::renames::{Obstacle, TargetMailbox, moved, obstacle_in_names};
use mailhaul_report::Remark;
use mailhaul_types::{Escaped, MailboxName, Side};
use std::collections::{BTreeMap, BTreeSet};

/// What was done about renamed mailboxes.
#[derive(Debug, Default)]
pub(crate) struct Renamed {
    /// Whether the ledger knows mailboxes by other names now.
    pub(crate) any: bool,
    /// Whether the target's mailboxes have other names now.
    pub(crate) target_changed: bool,
    /// What there is to know.
    pub(crate) remarks: Vec<Remark>,
}

/// Follows renames, before anything is mapped: `briefs` are what earlier runs knew, by source mailbox.
pub(crate) async fn follow_renames(
    walk: &Walk<'_>,
    links: &mut Links,
    listings: &Listings,
    briefs: &BTreeMap<String, MailboxBrief>,
) -> Result<Renamed, WalkError> {
    if walk.job.resync.moves == MovePolicy::Copy {
        return Ok(Renamed::default());
    }
    let pairs = evidence::renamed_mailboxes(walk, links, listings, briefs).await?;
    if pairs.is_empty() {
        return Ok(Renamed::default());
    }
    walk.progress.doing("following renamed mailboxes".to_owned());
    let mut following = Following::new(walk, listings, briefs, pairs);
    following.decide_all(links).await?;
    following.subscribe(links).await?;
    following.record().await
}

/// A source mailbox that has another name now.
struct Follow<'a> {
    brief: &'a MailboxBrief,
    /// As it is listed now.
    source: &'a MailboxEntry,
    /// What its copy is called by now.
    target: String,
    /// Whether that is another name than before.
    moved: bool,
    standing: Option<Standing>,
    fate: Fate,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Open,
    /// It is treated as a mailbox that is gone and another that is new.
    NotFollowed,
    /// Its copy has the name that the rules give: it was renamed, or needs no other name.
    Follows,
    /// Its copy keeps the name that it has.
    Stays(Obstacle),
}

impl Follow<'_> {
    fn former(&self) -> &str {
        &self.brief.mapping.source
    }

    fn is_open(&self) -> bool {
        self.fate == Fate::Open
    }

    fn is_followed(&self) -> bool {
        self.fate != Fate::NotFollowed
    }
}

struct Following<'a, 'w> {
    walk: &'a Walk<'w>,
    listings: &'a Listings,
    briefs: &'a BTreeMap<String, MailboxBrief>,
    /// The target's mailboxes as they are called by now.
    target: AccountListing,
    /// From the top of the target's hierarchy downwards.
    follows: Vec<Follow<'a>>,
    target_changed: bool,
}

impl<'a, 'w> Following<'a, 'w> {
    fn new(
        walk: &'a Walk<'w>,
        listings: &'a Listings,
        briefs: &'a BTreeMap<String, MailboxBrief>,
        pairs: Vec<(&'a MailboxBrief, &'a MailboxEntry)>,
    ) -> Self {
        let follow = |(brief, source): (&'a MailboxBrief, &'a MailboxEntry)| Follow {
            brief,
            source,
            target: brief.mapping.target.clone(),
            moved: false,
            standing: None,
            fate: Fate::Open,
        };
        let mut follows: Vec<Follow<'a>> = pairs.into_iter().map(follow).collect();
        follows.sort_by(|one, other| one.target.cmp(&other.target));
        Self { walk, listings, briefs, target: listings.target.clone(), follows, target_changed: false }
    }

    /// Each turn decides about one mailbox at least. What is decided about one may give others another name, so the
    /// names are asked for anew.
    async fn decide_all(&mut self, links: &mut Links) -> Result<(), WalkError> {
        while self.follows.iter().any(Follow::is_open) {
            let wishes = self.wishes();
            if self.judge_each(links, &wishes).await? {
                continue;
            }
            match self.next_renaming(&wishes) {
                Some((place, Ok(name))) => self.rename(links, place, &name, &wishes).await?,
                Some((place, Err(obstacle))) => self.give_up(place, obstacle, &wishes),
                None => {}
            }
        }
        Ok(())
    }

    /// The names that the rules give, by source mailbox, as if the copies that are still to be renamed had no name.
    fn wishes(&self) -> BTreeMap<&'a str, MappedMailbox> {
        let mut stored: BTreeMap<String, String> = BTreeMap::new();
        let mut kept: BTreeSet<String> = BTreeSet::new();
        let followed: BTreeSet<&str> =
            self.follows.iter().filter(|follow| follow.is_followed()).map(Follow::former).collect();
        for brief in self.briefs.values().filter(|brief| !followed.contains(brief.mapping.source.as_str())) {
            stored.insert(brief.mapping.source.clone(), brief.mapping.target.clone());
            kept.extend(brief.name_kept.then(|| brief.mapping.source.clone()));
        }
        for follow in self.follows.iter().filter(|follow| follow.is_followed() && !follow.is_open()) {
            let source = follow.source.name.text().to_owned();
            stored.insert(source.clone(), follow.target.clone());
            kept.extend(matches!(follow.fate, Fate::Stays(_)).then_some(source));
        }
        let open: BTreeSet<&str> =
            self.follows.iter().filter(|follow| follow.is_open()).map(|follow| follow.target.as_str()).collect();
        let mut target = self.target.clone();
        target.mailboxes.retain(|entry| !open.contains(entry.name.text()));
        // Rules that cannot be followed stop the run where the mailboxes are mapped; here they only give no names.
        let mapping = map_renamed_mailboxes(&self.listings.source, &target, &self.walk.job.rules, &stored, &kept);
        let mut mapped: BTreeMap<String, MappedMailbox> = mapping
            .map(|mapping| mapping.mailboxes)
            .unwrap_or_default()
            .into_iter()
            .map(|mapped| (mapped.source.text().to_owned(), mapped))
            .collect();
        let wish = |follow: &Follow<'a>| {
            let source = follow.source.name.text();
            Some((source, mapped.remove(source)?))
        };
        self.follows.iter().filter_map(wish).collect()
    }

    /// Decides what can be decided without touching the target; whether names have to be asked for anew.
    async fn judge_each(
        &mut self,
        links: &mut Links,
        wishes: &BTreeMap<&'a str, MappedMailbox>,
    ) -> Result<bool, WalkError> {
        for place in 0..self.follows.len() {
            if !self.follows[place].is_open() {
                continue;
            }
            let Some(wish) = wishes.get(self.follows[place].source.name.text()) else {
                // It is left out under its new name, or no name can be found.
                self.follows[place].fate = Fate::NotFollowed;
                return Ok(true);
            };
            match self.judge(links, place, wish).await? {
                Fate::Open => {}
                Fate::Follows => {
                    self.follows[place].target.clone_from(&wish.target_text);
                    self.follows[place].fate = Fate::Follows;
                }
                other => {
                    self.follows[place].fate = other;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What becomes of one mailbox, given the name that the rules give it; [`Fate::Open`] if its copy may be renamed.
    async fn judge(&mut self, links: &mut Links, place: usize, wish: &MappedMailbox) -> Result<Fate, WalkError> {
        let walk = self.walk;
        let follow = &self.follows[place];
        if self.is_taken_in_ledger(follow) {
            return Ok(Fate::NotFollowed);
        }
        if follow.target == wish.target_text {
            return Ok(Fate::Follows);
        }
        let by_rule = wish.origin == Origin::Explicit;
        let stays = |obstacle| if by_rule { Fate::NotFollowed } else { Fate::Stays(obstacle) };
        let standing = match follow.standing.clone() {
            Some(standing) => standing,
            None => copy::standing(walk, links, &self.target, &follow.target, follow.brief).await?,
        };
        let listed = entry_of(&self.target, &wish.target_text).map(|entry| entry.name.clone());
        let named_by_rule = !by_rule && covers(&walk.job.rules, follow.former(), follow.source.delimiter);
        let fate = match (&standing, listed) {
            // An earlier run was broken off behind RENAME, or the owner has done the same himself.
            (Standing::Gone | Standing::Replaced, Some(name)) => {
                if copy::is_the_copy(walk, links, &name, follow.brief).await? {
                    self.follows[place].moved = true;
                    Fate::Follows
                } else {
                    stays(Obstacle::Missing)
                }
            }
            (Standing::Gone, None) => Fate::Follows,
            (Standing::Replaced, None) => stays(Obstacle::AnotherMailbox),
            _ if named_by_rule => Fate::Stays(Obstacle::NamedByRule),
            (Standing::Blocked(obstacle), _) => stays(obstacle.clone()),
            (Standing::AsLeft, _) => name_taken(wish).map_or(Fate::Open, |name| stays(Obstacle::NameTaken(name))),
        };
        self.follows[place].standing = Some(standing);
        Ok(fate)
    }

    /// Whether the ledger has another mailbox under the new name, of which something was copied.
    fn is_taken_in_ledger(&self, follow: &Follow<'_>) -> bool {
        let Some(brief) = self.briefs.get(follow.source.name.text()) else { return false };
        let is_empty = brief.counts.total() == 0 && brief.sent.is_none();
        let moves_on = self.follows.iter().any(|other| other.is_followed() && other.former() == brief.mapping.source);
        !is_empty && !moves_on
    }

    /// The next mailbox to be renamed, with its new name; or the first that cannot be, and why.
    fn next_renaming(&self, wishes: &BTreeMap<&'a str, MappedMailbox>) -> Option<(usize, Result<String, Obstacle>)> {
        let target: Vec<TargetMailbox> = self.target.mailboxes.iter().map(as_target_mailbox).collect();
        let open: Vec<(usize, &Follow<'_>, &str)> = self
            .follows
            .iter()
            .enumerate()
            .filter(|(_, follow)| follow.is_open())
            .filter_map(|(place, follow)| {
                Some((place, follow, wishes.get(follow.source.name.text())?.target_text.as_str()))
            })
            .collect();
        let moving: BTreeMap<String, String> =
            open.iter().map(|(_, follow, wish)| (follow.target.clone(), (*wish).to_owned())).collect();
        let moves_along = |name: &str, wish: &str| {
            let above = target.iter().filter(|mailbox| mailbox.name != name && moving.contains_key(&mailbox.name));
            above
                .into_iter()
                .any(|above| moved(name, &above.name, &moving[&above.name], above.delimiter).as_deref() == Some(wish))
        };
        let mut stuck = None;
        for (place, follow, wish) in open {
            // If what lies above it cannot be renamed, it has another name to go to.
            if moves_along(&follow.target, wish) {
                continue;
            }
            match obstacle_in_names(&target, &follow.target, wish, &moving) {
                None => return Some((place, Ok(wish.to_owned()))),
                Some(obstacle) => stuck = stuck.or(Some((place, Err(obstacle)))),
            }
        }
        stuck
    }

    fn give_up(&mut self, place: usize, obstacle: Obstacle, wishes: &BTreeMap<&'a str, MappedMailbox>) {
        let follow = &mut self.follows[place];
        let by_rule = wishes.get(follow.source.name.text()).is_some_and(|wish| wish.origin == Origin::Explicit);
        follow.fate = if by_rule { Fate::NotFollowed } else { Fate::Stays(obstacle) };
    }

    /// RENAME; what lies below moves along.
    async fn rename(
        &mut self,
        links: &mut Links,
        place: usize,
        to: &str,
        wishes: &BTreeMap<&'a str, MappedMailbox>,
    ) -> Result<(), WalkError> {
        let encoding = links.target.name_encoding();
        let from = self.follows[place].target.clone();
        let listed = entry_of(&self.target, &from).map(|entry| entry.name.clone());
        let from_name = listed.unwrap_or_else(|| MailboxName::from_text(&from, encoding));
        let to_name = MailboxName::from_text(to, encoding);
        tracing::info!(mailbox = %self.follows[place].source.name, from = %from_name, to = %to_name,
            "renaming {from_name} to {to_name} on the target");
        if let Err(error) = links.target.rename(&from_name, &to_name).await {
            let words = error.to_string();
            return match mailbox_error(Side::Target, error) {
                WalkError::Mailbox(_) => {
                    self.give_up(place, Obstacle::Refused(words), wishes);
                    Ok(())
                }
                other => Err(other),
            };
        }
        self.target_changed = true;
        let mut unsubscribed = Vec::new();
        for entry in &mut self.target.mailboxes {
            let Some(name) = moved(entry.name.text(), &from, to, entry.delimiter) else { continue };
            for follow in
                self.follows.iter_mut().filter(|follow| follow.is_open() && follow.target == entry.name.text())
            {
                follow.target.clone_from(&name);
                follow.moved = true;
            }
            // Subscriptions do not follow (RFC 9051 §6.3.6).
            unsubscribed.extend(std::mem::take(&mut entry.subscribed).then(|| entry.name.clone()));
            entry.name = MailboxName::from_text(&name, encoding);
        }
        for name in unsubscribed {
            copy::unsubscribe(links, &name).await?;
        }
        Ok(())
    }

    /// Subscribes on the target to what moved, as at the source. What is not visited would not be subscribed otherwise.
    async fn subscribe(&self, links: &mut Links) -> Result<(), WalkError> {
        for follow in self.follows.iter().filter(|follow| follow.moved && follow.is_followed()) {
            let former = &follow.brief.mapping.target;
            if entry_of(&self.target, former).is_none() {
                // Perhaps an earlier run was broken off before it came to this.
                copy::unsubscribe(links, &MailboxName::from_text(former, links.target.name_encoding())).await?;
            }
            let Some(entry) = entry_of(&self.target, &follow.target) else { continue };
            if follow.source.subscribed && !entry.subscribed {
                copy::subscribe(links, &entry.name).await?;
            }
        }
        Ok(())
    }

    /// Gives the mailboxes their new names in the ledger, all at once, and says what was done.
    async fn record(&self) -> Result<Renamed, WalkError> {
        let mut renamed = Renamed { target_changed: self.target_changed, ..Renamed::default() };
        let mut mappings = Vec::new();
        for follow in &self.follows {
            renamed.remarks.extend(self.remark_on(follow));
            if !follow.is_followed() {
                continue;
            }
            if let Fate::Stays(_) = follow.fate {
                let ledger = self.walk.lease.mailbox(follow.former()).await?;
                ledger.note_name_kept().await?;
                ledger.flush().await?;
            }
            let source = follow.source.name.text().to_owned();
            let mapping = mailhaul_db::Mapping { source, target: follow.target.clone() };
            mappings.push((follow.former().to_owned(), mapping));
        }
        if !mappings.is_empty() {
            renamed.any = true;
            self.walk.lease.rename_mailboxes(mappings).await?;
        }
        Ok(renamed)
    }

    fn remark_on(&self, follow: &Follow<'_>) -> Option<Remark> {
        let (former, target) = (Escaped(follow.former()), Escaped(&follow.target));
        let text = match &follow.fate {
            Fate::Open | Fate::NotFollowed => return None,
            Fate::Follows if follow.moved => {
                format!("was `{former}` at the source; its copy was renamed to `{target}`")
            }
            Fate::Follows => format!("was `{former}` at the source; its copy is `{target}`"),
            Fate::Stays(obstacle) => {
                format!("was `{former}` at the source; its copy stays `{target}`, because {obstacle}")
            }
        };
        Some(Remark { mailbox: Some(follow.source.name.to_string()), text })
    }
}

fn entry_of<'a>(target: &'a AccountListing, name: &str) -> Option<&'a MailboxEntry> {
    target.mailboxes.iter().find(|entry| entry.selectable && entry.name.text() == name)
}

fn as_target_mailbox(entry: &MailboxEntry) -> TargetMailbox {
    TargetMailbox { name: entry.name.text().to_owned(), delimiter: entry.delimiter, selectable: entry.selectable }
}

/// Whether a `--map` is about this source mailbox or one above it.
fn covers(rules: &MappingRules, source: &str, delimiter: Option<char>) -> bool {
    rules.map.iter().any(|(old, _)| {
        let old = delimiter.and_then(|delimiter| old.strip_suffix(delimiter)).unwrap_or(old);
        moved(source, old, old, delimiter).is_some()
    })
}

/// The name that another mailbox has, so that this one would get a number.
fn name_taken(wish: &MappedMailbox) -> Option<String> {
    wish.remarks.iter().find_map(|remark| match remark {
        MappingRemark::KeptApart { wanted, .. } => Some(wanted.clone()),
        _ => None,
    })
}
