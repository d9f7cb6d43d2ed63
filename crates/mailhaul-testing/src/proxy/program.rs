//! The proxy as a program: what is to go wrong, from the command line.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use super::plan::{Cut, Direction, Fault, Moment, Plan, Reply, Which};
use crate::histories::Dice;

/// Octets within which a random cut falls, unless somebody says otherwise.
const CUTS_WITHIN: u64 = 1_000_000;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The real server.
    pub to: SocketAddr,
    /// End after this time; otherwise when standard input ends.
    pub lasts: Option<Duration>,
    plan: Plan,
    connections: Option<u32>,
    seed: Option<u64>,
    cuts_within: u64,
}

impl Setup {
    /// The plans of the first connections, one by one, and the one of all others.
    #[must_use]
    pub fn plans(&self) -> (Vec<Plan>, Plan) {
        let calm = Plan { faults: Vec::new(), replies: Vec::new(), ..self.plan.clone() };
        let Some(first) = self.connections.or(self.seed.map(|_| 1)) else { return (Vec::new(), self.plan.clone()) };
        let mut dice = Dice::of(self.seed.unwrap_or(0));
        let plans = (0..first).map(|_| match self.seed {
            Some(_) => self.plan.clone().fault(self.random_moment(&mut dice), Fault::Cut(random_cut(&mut dice))),
            None => self.plan.clone(),
        });
        (plans.collect(), calm)
    }

    fn random_moment(&self, dice: &mut Dice) -> Moment {
        let direction = dice.one_of(&[Direction::ToServer, Direction::ToClient]);
        Moment::Bytes(direction, dice.roll() % self.cuts_within.max(1))
    }
}

fn random_cut(dice: &mut Dice) -> Cut {
    dice.one_of(&[Cut::Fin, Cut::Rst])
}

/// Reads the arguments of the example program `fault_proxy`, which says what they are.
///
/// # Errors
/// What cannot be meant.
pub fn setup(arguments: &[String]) -> Result<Setup, String> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut to = None;
    let mut setup = Setup {
        listen,
        to: listen,
        lasts: None,
        plan: Plan::new(),
        connections: None,
        seed: None,
        cuts_within: CUTS_WITHIN,
    };
    for pair in arguments.chunks(2) {
        let [option, value] = pair else { return Err(format!("{} needs a value", pair[0])) };
        let wrong = |what: &str| format!("{option} {value}: {what}");
        match option.as_str() {
            "--listen" => setup.listen = address(value).map_err(|what| wrong(&what))?,
            "--to" => to = Some(address(value).map_err(|what| wrong(&what))?),
            "--seconds" => setup.lasts = Some(Duration::from_secs(number(value).map_err(|what| wrong(&what))?)),
            "--connections" => setup.connections = Some(small(value).map_err(|what| wrong(&what))?),
            "--seed-cuts" => setup.seed = Some(number(value).map_err(|what| wrong(&what))?),
            "--cuts-within" => setup.cuts_within = octets(value).map_err(|what| wrong(&what))?,
            _ => setup.plan = planned(setup.plan, option, value).map_err(|what| wrong(&what))?,
        }
    }
    setup.to = to.ok_or("--to HOST:PORT is needed")?;
    Ok(setup)
}

/// The plan with one more thing that goes wrong.
fn planned(plan: Plan, option: &str, value: &str) -> Result<Plan, String> {
    let words: Vec<&str> = value.split(' ').collect();
    let first = moment(words[0]);
    let rest = || value.split_once(' ').map(|(_, rest)| rest).ok_or("words are missing".to_owned());
    let at = |at: usize| words.get(at).copied().ok_or("a word is missing".to_owned());
    Ok(match option {
        "--cut" => plan.fault(first?, Fault::Cut(cut(words.get(1).copied())?)),
        "--cut-after" => plan.cut_after_bytes(direction(words[0])?, octets(at(1)?)?, cut(words.get(2).copied())?),
        "--stall" => plan.fault(first?, Fault::Stall),
        "--half-close" => plan.fault(first?, Fault::HalfClose(direction(at(1)?)?)),
        "--black-hole" => plan.fault(first?, Fault::Swallow(direction(at(1)?)?)),
        "--inject" => plan.fault(first?, Fault::Inject(format!("{}\r\n", rest()?).into_bytes())),
        "--answer-early" => plan.fault(first?, Fault::AnswerEarly(rest()?.to_owned())),
        "--swallow" => plan.swallow_answer(&command(words[0]), small(at(1)?)?, cut(words.get(2).copied())?),
        "--reply" => {
            let words = value.splitn(3, ' ').nth(2).ok_or("words are missing")?;
            plan.reply(&command(value.split(' ').next().unwrap_or_default()), which(at(1)?)?, reply(words))
        }
        "--delay" => {
            let delay = duration(value)?;
            plan.delay(delay, delay)
        }
        "--bandwidth" => plan.bandwidth(direction(words[0])?, octets(at(1)?)?),
        _ => return Err("there is no such option".to_owned()),
    })
}

/// `to-client:BYTES`, `literal:to-server:NTH:BYTES`, `before:NAME:NTH` and so on; `_` in a name stands for a blank.
fn moment(text: &str) -> Result<Moment, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let nth = |at: usize| parts.get(at).ok_or(format!("{text}: a number is missing")).and_then(|word| small(word));
    let name = || parts.get(1).map(|name| command(name)).ok_or(format!("{text}: a command is missing"));
    match parts[0] {
        "to-server" | "to-client" => {
            let count = parts.get(1).ok_or(format!("{text}: a number is missing"))?;
            Ok(Moment::Bytes(direction(parts[0])?, octets(count)?))
        }
        "literal" => {
            let [_, way, nth, count] = parts.as_slice() else { return Err(format!("{text}: literal:WAY:NTH:BYTES")) };
            Ok(Moment::InLiteral(direction(way)?, small(nth)?, octets(count)?))
        }
        "before" => Ok(Moment::BeforeCommand(name()?, nth(2)?)),
        "after" => Ok(Moment::AfterCommand(name()?, nth(2)?)),
        "after-any" => Ok(Moment::AfterAnyCommand(nth(1)?)),
        "answer" => Ok(Moment::BeforeAnswer(name()?, nth(2)?)),
        "answered" => Ok(Moment::AfterAnswer(name()?, nth(2)?)),
        "continuation" => Ok(Moment::BeforeContinuation(nth(1)?)),
        _ => Err(format!("{text} is no moment")),
    }
}

fn command(text: &str) -> String {
    text.replace('_', " ").to_ascii_uppercase()
}

fn direction(text: &str) -> Result<Direction, String> {
    match text {
        "to-server" => Ok(Direction::ToServer),
        "to-client" => Ok(Direction::ToClient),
        _ => Err(format!("{text} is neither to-server nor to-client")),
    }
}

fn cut(text: Option<&str>) -> Result<Cut, String> {
    match text {
        None | Some("rst") => Ok(Cut::Rst),
        Some("fin") => Ok(Cut::Fin),
        Some(other) => Err(format!("{other} is neither fin nor rst")),
    }
}

/// `3` is the third, `3+` the third and all later ones.
fn which(text: &str) -> Result<Which, String> {
    match text.strip_suffix('+') {
        Some(first) => Ok(Which::From(small(first)?)),
        None => Ok(Which::Nth(small(text)?)),
    }
}

fn reply(words: &str) -> Reply {
    match words {
        "silence" => Reply::silence(),
        "cut" => Reply::cut(Cut::Rst),
        _ => words.strip_prefix("BYE").map_or_else(|| Reply::tagged(words), |text| Reply::bye(text.trim_start())),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn small(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

/// A number of octets, or with `k` or `M`.
fn octets(text: &str) -> Result<u64, String> {
    let (digits, times) = match (text.strip_suffix('k'), text.strip_suffix('M')) {
        (Some(digits), _) => (digits, 1_000),
        (_, Some(digits)) => (digits, 1_000_000),
        _ => (text, 1),
    };
    number(digits)?.checked_mul(times).ok_or(format!("{text} is too much"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let millis = text.strip_suffix("ms").ok_or(format!("{text} is no time such as 40ms"))?;
    number(millis).map(Duration::from_millis)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or("no such address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &[&str]) -> Result<Plan, String> {
        let all: Vec<String> =
            ["--to", "127.0.0.1:143"].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
        setup(&all).map(|setup| setup.plans().1)
    }

    #[test]
    fn every_fault_can_be_asked_for() {
        let rst = Fault::Cut(Cut::Rst);
        for (option, value, moment, fault) in [
            ("--cut-after", "to-client 12k", Moment::Bytes(Direction::ToClient, 12_000), rst.clone()),
            ("--cut", "literal:to-server:2:100 rst", Moment::InLiteral(Direction::ToServer, 2, 100), rst.clone()),
            ("--cut", "after-any:7 fin", Moment::AfterAnyCommand(7), Fault::Cut(Cut::Fin)),
            ("--swallow", "append 3", Moment::BeforeAnswer("APPEND".into(), 3), rst),
            ("--stall", "before:UID_FETCH:2", Moment::BeforeCommand("UID FETCH".into(), 2), Fault::Stall),
            (
                "--half-close",
                "answered:SELECT:1 to-server",
                Moment::AfterAnswer("SELECT".into(), 1),
                Fault::HalfClose(Direction::ToServer),
            ),
            (
                "--black-hole",
                "after:APPEND:1 to-client",
                Moment::AfterCommand("APPEND".into(), 1),
                Fault::Swallow(Direction::ToClient),
            ),
            (
                "--inject",
                "continuation:1 * OK still here",
                Moment::BeforeContinuation(1),
                Fault::Inject(b"* OK still here\r\n".to_vec()),
            ),
            (
                "--answer-early",
                "continuation:1 OK done",
                Moment::BeforeContinuation(1),
                Fault::AnswerEarly("OK done".into()),
            ),
        ] {
            assert_eq!(plan(&[option, value]), Ok(Plan::new().fault(moment, fault)), "{option} {value}");
        }
        let full = Plan::new().reply("UID FETCH", Which::From(2), Reply::tagged("NO [OVERQUOTA] full"));
        assert_eq!(plan(&["--reply", "uid_fetch 2+ NO [OVERQUOTA] full"]), Ok(full));
        let bye = Plan::new().reply("NOOP", Which::Nth(1), Reply::bye("not now"));
        assert_eq!(plan(&["--reply", "NOOP 1 BYE not now"]), Ok(bye));
        let slow = Duration::from_millis(40);
        let slow = Plan::new().delay(slow, slow).bandwidth(Direction::ToServer, 100_000);
        assert_eq!(plan(&["--delay", "40ms", "--bandwidth", "to-server 100k"]), Ok(slow));
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (arguments, part) in [
            (["--cut-after", "sideways 3"], "neither to-server nor to-client"),
            (["--cut", "when:APPEND:1"], "is no moment"),
            (["--reply", "APPEND 2"], "words are missing"),
            (["--delay", "40"], "is no time such as 40ms"),
            (["--frobnicate", "1"], "there is no such option"),
        ] {
            let words = plan(&arguments).expect_err("it cannot be meant");
            assert!(words.contains(part), "{words}");
        }
        assert!(setup(&[]).expect_err("no target").contains("--to"));
    }

    #[test]
    fn seeded_cuts_fall_where_they_fell_before_and_only_on_the_first_connections() {
        let arguments = ["--to", "127.0.0.1:143", "--seed-cuts", "7", "--connections", "3", "--delay", "5ms"];
        let setup = setup(&arguments.map(str::to_owned)).expect("it can be meant");
        let (first, others) = setup.plans();
        assert_eq!((first.len(), setup.plans().0), (3, first.clone()));
        assert!(first.iter().all(|plan| plan.faults.len() == 1) && first[0] != first[1]);
        assert!(others.faults.is_empty() && others.delay == first[0].delay);
    }
}
