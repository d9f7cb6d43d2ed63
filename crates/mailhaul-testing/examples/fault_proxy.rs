//! A proxy that goes wrong on demand, before any IMAP server, for any IMAP client. It says on stdout where it listens; when
//! standard input ends, or the time is over, it says what went through. A line on standard input asks for that at once.
//!
//! ```text
//! cargo run -p mailhaul-testing --example fault_proxy -- --to 127.0.0.1:143 --swallow 'APPEND 3' --connections 1
//! ```
//!
//! | Option | What it does |
//! |---|---|
//! | `--to HOST:PORT` | the server; plain text is understood, of TLS only octets are counted |
//! | `--listen HOST:PORT` | where to listen (`127.0.0.1:0`) |
//! | `--seconds N` | end after this time, and not with standard input |
//! | `--connections N` | only the first N connections go wrong |
//! | `--cut-after 'WAY BYTES [fin\|rst]'` | the connection ends after so many octets |
//! | `--cut 'MOMENT [fin\|rst]'` | the connection ends then |
//! | `--seed-cuts SEED` | each of the first connections (one, or `--connections`) is cut at a random octet |
//! | `--cuts-within BYTES` | within which random cuts fall (`1M`) |
//! | `--stall MOMENT` | nothing goes through any more, and nothing ends |
//! | `--half-close 'MOMENT WAY'` | this direction ends with FIN, the other goes on |
//! | `--black-hole 'MOMENT WAY'` | what goes this way from then on is swallowed |
//! | `--swallow 'NAME NTH [fin\|rst]'` | the server does it, its answer is swallowed, the connection ends |
//! | `--inject 'MOMENT LINE'` | a line is slipped in: `continuation:1 * OK still here` |
//! | `--answer-early 'MOMENT WORDS'` | the present command is answered before the server has all of it |
//! | `--reply 'NAME NTH[+] WORDS'` | answered in the server's place: `APPEND 2+ NO [OVERQUOTA] full`; also `BYE words`, `silence`, `cut` |
//! | `--delay 40ms` | each octet arrives this much later, each way |
//! | `--bandwidth 'WAY 100k'` | octets a second |
//!
//! WAY is `to-server` or `to-client`. MOMENT is `WAY:BYTES`, `literal:WAY:NTH:BYTES`, `before:NAME:NTH`, `after:NAME:NTH` (its
//! last octet was passed on), `after-any:NTH`, `answer:NAME:NTH` (before its answer), `answered:NAME:NTH` or
//! `continuation:NTH` (before the `+`); each is counted for every connection by itself, from 1. `UID_FETCH` is UID FETCH.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

use mailhaul_testing::Proxy;
use mailhaul_testing::proxy::setup;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let setup = match setup(&arguments) {
        Ok(setup) => setup,
        Err(words) => {
            eprintln!("fault_proxy: {words}\nhint: the head of examples/fault_proxy.rs names every option");
            return ExitCode::from(2);
        }
    };
    let (first, others) = setup.plans();
    let proxy = match Proxy::listen(setup.listen, setup.to, others) {
        Ok(proxy) => proxy,
        Err(error) => {
            eprintln!("fault_proxy: {}: {error}", setup.listen);
            return ExitCode::from(1);
        }
    };
    proxy.set_next_plans(first);
    println!("{}", proxy.address());
    match setup.lasts {
        Some(lasts) => std::thread::sleep(lasts),
        None => std::io::stdin().lines().map_while(Result::ok).for_each(|_| eprintln!("{}\n", proxy.statistics())),
    }
    println!("{}", proxy.statistics());
    ExitCode::SUCCESS
}
