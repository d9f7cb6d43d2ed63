//! The built command as a copier.

use crate::harness::{Said, mailhaul};
use mailhaul_testing::histories::{Copier, Killing, Request, Told};
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Runs `mailhaul copy`.
pub(super) struct Command;

impl Copier for Command {
    fn pass(&mut self, request: &Request<'_>) -> Told {
        let mut command = mailhaul();
        let url = |address| format!("imap://{}@{address}?tls=none", request.user);
        command.args(["copy", "--json", "--from", &url(request.source), "--to", &url(request.target)]);
        let secret = request.folder.join("password");
        std::fs::write(&secret, request.password).expect("a password file");
        command.arg("--from-password-file").arg(&secret).arg("--to-password-file").arg(&secret);
        command.arg("--state").arg(request.folder.join("state/mailhaul.db"));
        command.args(request.policy.arguments()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("the command starts");
        told(&finished(child, request.killing))
    }
}

/// Kills it when its time has come, and waits for its end.
fn finished(mut child: Child, killing: Option<Killing<'_>>) -> Said {
    let mut ended = false;
    while let Some(killing) = killing.filter(|_| !ended) {
        if killing.is_due() {
            child.kill().expect("kill -9");
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
        ended = child.try_wait().expect("its status").is_some();
    }
    let output = child.wait_with_output().expect("its words");
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn told(said: &Said) -> Told {
    let words = format!("{}\n{}", said.stdout, said.stderr);
    let json: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
    let list = |name: &str| json[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let targets = list("mailboxes").iter().map(|line| (text(&line["source"]), text(&line["target"]))).collect();
    let (questions, others): (Vec<Value>, Vec<Value>) =
        list("exceptions").into_iter().partition(|exception| exception["state"] == "mailbox_stopped");
    Told {
        code: said.code,
        targets,
        questions: questions.iter().map(|exception| text(&exception["mailbox"])).collect(),
        exceptions: others.iter().map(Value::to_string).collect(),
        words,
    }
}
