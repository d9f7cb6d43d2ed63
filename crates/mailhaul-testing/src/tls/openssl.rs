//! Servers of yesterday: weak keys, weak signatures, old versions, no certificate at all. Our own library makes none of
//! these any more, so `openssl s_server` stands in; it comes with Dovecot.

use crate::process;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// Everything old or weak.
pub const ALL: [Yesterday; 7] = [
    Yesterday { name: "an RSA key of 1,024 bits", key: "rsa:1024", digest: "sha256", server: &[] },
    Yesterday { name: "a signature by SHA-1", key: "rsa:2048", digest: "sha1", server: &[] },
    Yesterday { name: "a signature by MD5", key: "rsa:2048", digest: "md5", server: &[] },
    Yesterday { name: "nothing newer than TLS 1.0", key: "rsa:2048", digest: "sha256", server: &["-tls1"] },
    Yesterday { name: "nothing newer than TLS 1.1", key: "rsa:2048", digest: "sha256", server: &["-tls1_1"] },
    Yesterday { name: "no certificate at all", key: "rsa:2048", digest: "sha256", server: &["-nocert", "-tls1_2"] },
    Yesterday {
        name: "no key exchange but the server's RSA key",
        key: "rsa:2048",
        digest: "sha256",
        server: &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
    },
];

/// What is old or weak about a server.
#[derive(Clone, Copy, Debug)]
pub struct Yesterday {
    /// What it is.
    pub name: &'static str,
    key: &'static str,
    digest: &'static str,
    server: &'static [&'static str],
}

/// A running `openssl s_server`, which greets as an IMAP server does. Dropping it ends it.
#[derive(Debug)]
pub struct OldServer {
    address: SocketAddr,
    child: Child,
    /// s_server leaves when there is nothing more to be typed.
    _keyboard: ChildStdin,
    heard: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
    folder: TempDir,
}

impl Yesterday {
    /// Starts such a server, with a certificate for `localhost` from an authority of its own.
    ///
    /// # Errors
    /// openssl is not there, or refuses.
    pub fn start(&self) -> io::Result<OldServer> {
        let folder = tempfile::tempdir()?;
        self.certify(folder.path())?;
        let address = process::loopback(process::free_port());
        let mut command = process::tied_to_parent(Path::new("/usr/bin/openssl"), None);
        command.current_dir(folder.path()).args(["s_server", "-accept", &address.to_string()]);
        if !self.server.contains(&"-nocert") {
            command.args(["-cert", "server.pem", "-key", "server.key"]);
        }
        if !self.server.contains(&"-cipher") {
            command.args(["-cipher", "ALL:@SECLEVEL=0"]);
        }
        command.args(self.server).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let mut keyboard = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        keyboard.write_all(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n")?;
        let mut output = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let mut line = String::new();
        while !line.starts_with("ACCEPT") {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                return Err(io::Error::other("openssl s_server does not start"));
            }
        }
        let heard = Arc::new(Mutex::new(Vec::new()));
        let keeps = Arc::clone(&heard);
        let reader = std::thread::spawn(move || {
            let mut octets = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut octets) {
                keeps.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&octets[..read]);
            }
        });
        Ok(OldServer { address, child, _keyboard: keyboard, heard, reader: Some(reader), folder })
    }

    /// An authority and a certificate under it, in files.
    fn certify(&self, folder: &Path) -> io::Result<()> {
        let subject = ["-subj", "/CN=localhost"];
        let make = |arguments: &[&str]| {
            let output = Command::new("openssl").current_dir(folder).args(arguments).stdin(Stdio::null()).output()?;
            let words = || format!("openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            if output.status.success() { Ok(()) } else { Err(io::Error::other(words())) }
        };
        make(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=authority of yesterday",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ])?;
        let request = ["req", "-newkey", self.key, "-nodes", "-keyout", "server.key", "-out", "server.csr"];
        make(&[&request[..], &subject[..]].concat())?;
        std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")?;
        make(&[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-set_serial",
            "7",
            "-days",
            "20",
            &format!("-{}", self.digest),
            "-extfile",
            "names",
            "-out",
            "server.pem",
        ])
    }
}

impl OldServer {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its authority as a PEM file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Ends it, and returns what was said to it inside TLS, among what openssl itself has to say.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.end();
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

impl Drop for OldServer {
    fn drop(&mut self) {
        self.end();
    }
}
