//! The built command as a copier.

use crate::{Ended, mailhaul};
use mailhaul_testing::histories::{Copier, Killing, Request, Told};
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Runs `mailhaul copy`.
#[derive(Clone, Copy, Debug)]
pub struct Command;

impl Copier for Command {
    fn pass(&mut self, request: &Request<'_>) -> Told {
        let mut command = mailhaul();
        let url = |address| format!("imap://{}@{address}?tls=none", request.user);
        command.args(["copy", "--json", "--from", &url(request.source), "--to", &url(request.target)]);
        let secret = request.folder.join("password");
        std::fs::write(&secret, request.password).expect("a password file");
        command.arg("--from-password-file").arg(&secret).arg("--to-password-file").arg(&secret);
        command.arg("--state").arg(request.folder.join("state/mailhaul.db"));
        command.args(request.policy.arguments()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("the command starts");
        told(&finished(child, request.killing))
    }
}

/// Kills it when its time has come, and waits for its end.
fn finished(mut child: Child, killing: Option<Killing<'_>>) -> Ended {
    let mut ended = false;
    while let Some(killing) = killing.filter(|_| !ended) {
        if killing.is_due() {
            child.kill().expect("kill -9");
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
        ended = child.try_wait().expect("its status").is_some();
    }
    Ended::of(child)
}

fn told(ended: &Ended) -> Told {
    let json = &ended.json;
    let words = format!("{json:#}\n{}", ended.stderr);
    let list = |name: &str| json[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let targets = list("mailboxes").iter().map(|line| (text(&line["source"]), text(&line["target"]))).collect();
    let (questions, others): (Vec<Value>, Vec<Value>) =
        list("exceptions").into_iter().partition(|exception| exception["state"] == "mailbox_stopped");
    Told {
        code: ended.code,
        targets,
        questions: questions.iter().map(|exception| text(&exception["mailbox"])).collect(),
        exceptions: others.iter().map(Value::to_string).collect(),
        words,
    }
}
