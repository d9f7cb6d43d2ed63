//! The days between the first copy and the switch: people go on working, one more run brings over what has changed, and
//! the last one compares both sides.

use mailhaul_testing::Client;
use mailhaul_testing::imap_client::ClientError;
use mailhaul_testing::judge::{self, Account, Snapshot};

use crate::copier::{COPY_OPTIONS, Copier};
use crate::program::Finished;
use crate::stage::{Stage, USER};
use crate::talk::{self, Talk};
use crate::{Problem, Proof};

/// How much of what is done to the old account.
const ARRIVED: u32 = 3;
const READ: usize = 25;
const MOVED: &str = "101:140";
const DELETED: &str = "200";

/// Where nothing has changed: NAMESPACE, and one LIST.
const WORK_MAX: usize = 2;
/// Commands, the three letters, and the TLS around all of it; one of the mailboxes that change holds 17 MiB.
const SENT_MAX: u64 = 64 * 1024;

/// The third part of the story.
pub(crate) fn tell(talk: &Talk, stage: &Stage, copier: &Copier) -> Result<Proof, Problem> {
    talk.heading("Days later: people have gone on working");
    people_work(stage).map_err(|error| Problem::broken("change both accounts", error))?;
    talk.say("At the old server, the following has happened since:");
    talk.detail(&format!("{ARRIVED} letters have come, and {READ} were read in Lists/announce;"));
    talk.detail("40 were filed from Lists/announce into a new mailbox, Projects, and one was deleted there;");
    talk.detail("Lists/discuss with its 3,000 letters is called Lists/talk now.");
    talk.say("And on the new one, where they may look around already, somebody has flagged the letter in Large.");

    let synced = brings_over(talk, stage, copier)?;
    let judgement = judged(talk, stage)?;
    let asked = finds_no_change(talk, stage, copier)?;
    let last = passes_for_the_last_time(talk, copier)?;
    Ok(vec![
        ("what has changed, and nothing else", synced.last_line().to_owned()),
        ("judge, after the re-sync", judgement),
        ("a run without changes", asked),
        ("last pass", last.last_line().to_owned()),
    ])
}

fn people_work(stage: &Stage) -> Result<(), ClientError> {
    let (source, target) = (stage.source_account(), stage.target_account());
    let mut client = Client::sign_in(source.address, &source.user, &source.password)?;
    for number in 1..=ARRIVED {
        let letter = format!(
            "From: Ann <ann@example.org>\r\nTo: {USER}@example.org\r\nSubject: Since the first copy, {number}\r\n\
             Message-ID: <since.{number}@example.org>\r\nDate: Fri, 20 Nov 2026 09:0{number}:00 +0100\r\n\r\nStill here.\r\n"
        );
        client.append("INBOX", &[], None, letter.as_bytes())?;
    }
    client.create("INBOX.Projects")?;
    client.select("INBOX.Lists.announce")?;
    let unread = client.fetch_flags()?.into_iter().filter(|letter| letter.flags.is_empty()).take(READ);
    let unread: Vec<String> = unread.map(|letter| letter.uid.to_string()).collect();
    client.store(&unread.join(","), "+FLAGS.SILENT", &["\\Seen"])?;
    client.move_to(MOVED, "INBOX.Projects")?;
    client.uid_expunge(DELETED)?;
    client.command("CLOSE")?;
    client.rename("INBOX.Lists.discuss", "INBOX.Lists.talk")?;
    client.logout();

    let mut owner = Client::sign_in(target.address, &target.user, &target.password)?;
    owner.select("Large")?;
    owner.store("1:*", "+FLAGS.SILENT", &["\\Flagged"])?;
    owner.logout();
    Ok(())
}

/// One more run, in which hardly anything goes over the line.
fn brings_over(talk: &Talk, stage: &Stage, copier: &Copier) -> Result<Finished, Problem> {
    talk.heading("The same command again: it brings over what has changed");
    let sent_before = stage.octets_to_target();
    let finished = copier.run(talk, "copy", &COPY_OPTIONS)?;
    finished.expect_code(0)?;
    let sent = stage.octets_to_target() - sent_before;
    let concerned = ["INBOX ", "Lists", "Projects", "unchanged"];
    finished.print_lines(talk, |line| concerned.iter().any(|word| line.contains(word)) || line.starts_with("complete"));
    let changes =
        [format!("{ARRIVED} copied"), format!("flags of {READ} messages changed"), "40 messages moved".to_owned()];
    for change in changes {
        finished.expect_words(&change)?;
    }
    if sent > SENT_MAX {
        return Err(Problem::Broken(format!(
            "a run with {ARRIVED} letters to copy sent {sent} octets to the new server"
        )));
    }
    talk.say(&format!("{:.1} KiB went to the new server, {ARRIVED} letters among them.", talk::kibibytes(sent)));
    Ok(finished)
}

/// Two differences are meant to be there, and there are no others.
fn judged(talk: &Talk, stage: &Stage) -> Result<String, Problem> {
    talk.heading("The judge again");
    let read = |account: Account, what| Snapshot::take(&account).map_err(|error| Problem::broken(what, error));
    let source = read(stage.source_account(), "read the old account")?;
    let target = read(stage.target_account(), "read the new account")?;
    let judgement = judge::compare(&source, &target, &stage.rules());
    let equal = judgement.mailboxes.iter().filter(|mailbox| mailbox.is_equal()).count();
    for mailbox in judgement.mailboxes.iter().filter(|mailbox| !mailbox.is_equal()) {
        mailbox.to_string().lines().for_each(|line| talk.detail(line));
    }
    let found = (judgement.lost(), judgement.doubled(), judgement.altered(), judgement.extra());
    if found != (0, 0, 1, 1) || equal + 2 != judgement.mailboxes.len() {
        return Err(Problem::broken("the judge", judgement.summary()));
    }
    talk.say(&format!(
        "{equal} mailboxes are equal. In the other two the owner's flag has stayed, and so has the copy of the"
    ));
    talk.say(
        "letter that was deleted at the source: nothing is deleted on the new server unless --deletions asks for it.",
    );
    Ok(format!("{equal} mailboxes equal; the two differences are the owner's flag and the deleted letter's copy"))
}

/// A run that finds everything as it was.
fn finds_no_change(talk: &Talk, stage: &Stage, copier: &Copier) -> Result<String, Problem> {
    talk.heading("And again, while both servers write down what they are asked");
    stage.listen_in()?;
    let finished = copier.run(talk, "copy", &COPY_OPTIONS)?;
    finished.print_last_line(talk);
    finished.expect_code(0)?;
    finished.expect_words("nothing was left to do")?;
    let asked =
        stage.overheard()?.map(|commands| commands.into_iter().filter(|command| is_work(command)).collect::<Vec<_>>());
    for (name, commands) in ["old", "new"].iter().zip(&asked) {
        commands.iter().for_each(|command| talk.detail(&format!("{name}  {command}")));
    }
    let cheap = |commands: &[String]| {
        (1..=WORK_MAX).contains(&commands.len()) && commands.iter().all(|command| is_look(command))
    };
    if !asked.iter().all(|commands| cheap(commands)) {
        return Err(Problem::broken("a run with nothing to do asked for more than a list", format!("{asked:?}")));
    }
    let [old, new] = asked.map(|commands| commands.len());
    talk.say(&format!(
        "Beside sign-in and sign-out that is all: {old} commands at the old server, {new} at the new one."
    ));
    Ok(format!("{old} commands at the old server, {new} at the new one; {}", finished.last_line()))
}

/// Not what every session begins and ends with.
fn is_work(command: &str) -> bool {
    !["CAPABILITY", "ID ", "LOGOUT"].iter().any(|word| command.starts_with(word))
}

fn is_look(command: &str) -> bool {
    command.starts_with("NAMESPACE") || command.starts_with("LIST ")
}

/// The last pass, which takes nothing from before for granted.
fn passes_for_the_last_time(talk: &Talk, copier: &Copier) -> Result<Finished, Problem> {
    talk.heading("The day of the switch: the last pass");
    let options: Vec<&str> = COPY_OPTIONS.into_iter().chain(["--final"]).collect();
    let finished = copier.run(talk, "copy", &options)?;
    let telling = |line: &str| line.contains("left the source") || line.contains("changed on the target");
    finished.print_lines(talk, |line| telling(line) || line.starts_with("complete"));
    finished.expect_code(0)?;
    finished.expect_words("complete and compared")?;
    Ok(finished)
}
