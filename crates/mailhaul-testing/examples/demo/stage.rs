//! The two servers, the line between them and the copier, the mail, and what the judge has to know.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailhaul_testing::judge::{Account, MailboxPath, Rules};
use mailhaul_testing::proxy::{Direction, Event, Plan};
use mailhaul_testing::{Corpus, Dovecot, Proxy, Store, TestAuthority};
use tempfile::TempDir;

use crate::Problem;
use crate::talk::{self, Talk};

/// Whose mail is moved.
pub(crate) const USER: &str = "alice";

/// Ordinary messages beside the odd ones.
const SMALL_MESSAGES: usize = 6_000;
/// The large one.
const LARGE_BYTES: usize = 30 << 20;

/// One way; the servers are twice as far away.
const DELAY: Duration = Duration::from_millis(5);
/// The line to the new server, so that there is something to watch.
const BYTES_PER_SEC: u64 = 7 << 20;

/// Dovecot writes down what a session says where this folder exists, without the sign-in.
const RAWLOG: &str = "protocol imap {\n  rawlog_dir = %h/rawlog\n}\n";

/// Everything that has to run, and the folder in which the copier works.
pub(crate) struct Stage {
    source: Dovecot,
    target: Dovecot,
    source_line: Proxy,
    target_line: Proxy,
    folder: TempDir,
}

impl Stage {
    /// Starts both servers and writes the files that the copier is given.
    pub(crate) fn set_up() -> Result<Stage, Problem> {
        let authority = Arc::new(TestAuthority::new());
        let source = Dovecot::builder().tls(&authority).password("old-secret").delimiter('.').prefix("INBOX.");
        let source = source.extra(RAWLOG);
        let source = source.try_start().map_err(|error| Problem::broken("start the old server", error))?;
        let target = Dovecot::builder().tls(&authority).password("new-secret").store(Store::Sdbox);
        let target = target.special_use("Sent", "\\Sent").special_use("Drafts", "\\Drafts");
        let target = target.extra(RAWLOG);
        let target = target.try_start().map_err(|error| Problem::broken("start the new server", error))?;
        let line = |server: &Dovecot, plan: Plan| {
            let address = server.tls_address().ok_or_else(|| Problem::Broken("a server without TLS".to_owned()))?;
            Ok(Proxy::with_plan(address, plan.opaque().delay(DELAY, DELAY)))
        };
        let source_line = line(&source, Plan::new())?;
        let target_line = line(&target, Plan::new().bandwidth(Direction::ToServer, BYTES_PER_SEC))?;
        let folder = TempDir::new().map_err(|error| Problem::broken("make a folder", error))?;
        write_files(folder.path(), &source, &target, &authority)
            .map_err(|error| Problem::broken("write the password files", error))?;
        Ok(Stage { source, target, source_line, target_line, folder })
    }

    /// Says what is there.
    pub(crate) fn introduce(&self, talk: &Talk) {
        let (old, new) = (self.source_line.address().port(), self.target_line.address().port());
        talk.say("Two private Dovecots, over TLS, with certificates of an authority made just now.");
        talk.detail(&format!("old  localhost:{old}  Maildir, mailboxes like INBOX.Lists.announce"));
        talk.detail(&format!("new  localhost:{new}  sdbox, mailboxes like Lists/announce"));
        talk.say("Each is 10 ms away, and the line to the new one carries 7 MiB/s.");
    }

    /// Puts the mail into the old account.
    pub(crate) fn fill(&self) -> Result<Corpus, Problem> {
        let corpus = Corpus::lively(SMALL_MESSAGES, LARGE_BYTES).for_delimiter('.');
        corpus.write_maildir(&self.source, USER).map_err(|error| Problem::broken("fill the old account", error))?;
        Ok(corpus)
    }

    /// The folder with passwords, certificate and state.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The endpoints as an operator types them.
    pub(crate) fn urls(&self) -> (String, String) {
        let url = |line: &Proxy| format!("imaps://{USER}@localhost:{}", line.address().port());
        (url(&self.source_line), url(&self.target_line))
    }

    /// Octets that went to the new server so far, TLS and all.
    pub(crate) fn octets_to_target(&self) -> u64 {
        self.target_line.statistics().bytes_to_server
    }

    /// Waits until so many octets went to the new server; false when they did not within this time.
    pub(crate) fn wait_for_octets_to_target(&self, octets: u64, at_most: Duration) -> bool {
        self.target_line.wait_at_most(&Event::Bytes(Direction::ToServer, octets), at_most)
    }

    /// The old account at its server's own door.
    pub(crate) fn source_account(&self) -> Account {
        Account::new(self.source.address(), USER, self.source.password())
    }

    /// The new account at its server's own door.
    pub(crate) fn target_account(&self) -> Account {
        Account::new(self.target.address(), USER, self.target.password())
    }

    /// Lets both servers write down, from now on, what they are asked for in this account.
    pub(crate) fn listen_in(&self) -> Result<(), Problem> {
        for server in [&self.source, &self.target] {
            let folder = server.home(USER).join("rawlog");
            let made = std::fs::create_dir_all(&folder).and_then(|()| server.give(&folder));
            made.map_err(|error| Problem::broken("listen in", error))?;
        }
        Ok(())
    }

    /// What the old and the new server were asked for since then, after the sign-in, without tags.
    pub(crate) fn overheard(&self) -> Result<[Vec<String>; 2], Problem> {
        let heard = |server: &Dovecot| heard_in(&server.home(USER).join("rawlog"));
        let both = heard(&self.source).and_then(|source| Ok([source, heard(&self.target)?]));
        both.map_err(|error| Problem::broken("read what was overheard", error))
    }

    /// What is called otherwise on the new server: it has its own mailboxes for what was sent and for drafts, and names that
    /// only case or Unicode normalisation tell apart are kept apart.
    pub(crate) fn rules(&self) -> Rules {
        let renamed =
            [("Gesendete Objekte", "Sent"), ("Entwürfe", "Drafts"), ("Case", "Case-2"), ("caf\u{e9}", "caf\u{e9}-2")];
        renamed
            .iter()
            .fold(Rules::new(), |rules, (old, new)| rules.map_path(MailboxPath::of(&[old]), MailboxPath::of(&[new])))
    }
}

/// The commands in all `*.in` files of a folder, one line each; a time may stand before the tag.
fn heard_in(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut commands = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "in") {
            let octets = std::fs::read(&path)?;
            let text = String::from_utf8_lossy(&octets);
            let is_time = |word: &str| word.contains('.') && word.parse::<f64>().is_ok();
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let untimed = line.split_once(' ').filter(|(word, _)| is_time(word)).map_or(line, |(_, rest)| rest);
                commands.push(untimed.split_once(' ').map_or(untimed, |(_, command)| command).trim().to_owned());
            }
        }
    }
    Ok(commands)
}

fn write_files(folder: &Path, source: &Dovecot, target: &Dovecot, authority: &TestAuthority) -> std::io::Result<()> {
    std::fs::write(folder.join("old.password"), format!("{}\n", source.password()))?;
    std::fs::write(folder.join("new.password"), format!("{}\n", target.password()))?;
    std::fs::copy(authority.ca_file(), folder.join("ca.pem")).map(drop)
}

/// Says what kind of mail it is.
pub(crate) fn describe(talk: &Talk, corpus: &Corpus) {
    let (messages, mailboxes) = (talk::number(corpus.count()), corpus.mailboxes.len());
    let size = talk::mebibytes(octets(corpus));
    talk.say(&format!("{USER} has {messages} messages in {mailboxes} mailboxes, {size}. Among them:"));
    talk.detail("nested mailboxes, names in Japanese, Greek, emoji; flags, keywords, dates over twenty years;");
    talk.detail("attachments and one mail of 30 MiB; mails without Message-ID, identical twins, different mails");
    talk.detail("that share a Message-ID; bare LF, NUL, a header of 200 KiB, mails without any header.");
}

/// All octets of the messages that are there in the end.
pub(crate) fn octets(corpus: &Corpus) -> u64 {
    let of_mailbox = |mailbox: &mailhaul_testing::corpus::CorpusMailbox| {
        let kept = mailbox.messages.iter().enumerate().filter(|(at, _)| !mailbox.expunged.contains(at));
        kept.map(|(_, message)| message.octets.len()).sum::<usize>()
    };
    u64::try_from(corpus.mailboxes.iter().map(of_mailbox).sum::<usize>()).unwrap_or(u64::MAX)
}
