//! A small HTTP/1.1 client: one request a connection, nothing done behind one's back, so that a test says what it sends.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer may be silent.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where requests go.
pub(crate) enum Client {
    Tcp(SocketAddr),
    Socket(PathBuf),
}

/// What was answered.
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A line over which an answer comes as it happens.
pub(crate) struct Stream {
    reader: BufReader<TcpStream>,
    told: String,
}

impl Stream {
    /// Reads on until this was told; everything that was told so far.
    #[track_caller]
    pub(crate) fn until(&mut self, words: &str) -> String {
        while !self.told.contains(words) {
            assert!(self.more(), "the stream ended before `{words}`: {}", self.told);
        }
        self.told.clone()
    }

    /// Reads on until the server lets go.
    pub(crate) fn until_end(&mut self) {
        while self.more() {}
    }

    fn more(&mut self) -> bool {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line).unwrap_or(0);
        // What ends with CR LF is the head, or says how long the next piece is; what is told ends with LF.
        if !line.ends_with(b"\r\n") {
            self.told.push_str(&String::from_utf8_lossy(&line));
        }
        read > 0
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }

    pub(crate) fn at_socket(path: &Path) -> Self {
        Self::Socket(path.to_owned())
    }

    fn host(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Socket(_) => "localhost".to_owned(),
        }
    }

    /// Our own pages.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.host())
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.ask_as(&self.host(), method, path, headers, body)
    }

    /// The same under another name.
    pub(crate) fn ask_as(
        &self,
        host: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let request = request(host, method, path, headers, body);
        let mut answer = Vec::new();
        match self {
            Self::Tcp(address) => {
                let mut stream = connect(*address);
                stream.write_all(&request).expect("sent");
                stream.read_to_end(&mut answer).expect("answered");
            }
            Self::Socket(path) => {
                let Ok(mut stream) = UnixStream::connect(path) else {
                    return Response { status: 0, headers: BTreeMap::new(), body: Vec::new() };
                };
                stream.set_read_timeout(Some(PATIENCE)).expect("set");
                stream.write_all(&request).expect("sent");
                stream.read_to_end(&mut answer).expect("answered");
            }
        }
        parse(&answer)
    }

    /// Opens a stream.
    pub(crate) fn open(&self, path: &str, headers: &[(&str, &str)]) -> Stream {
        let Self::Tcp(address) = self else { panic!("streams are opened over TCP") };
        let mut stream = connect(*address);
        stream.write_all(&request(&self.host(), "GET", path, headers, b"")).expect("sent");
        Stream { reader: BufReader::new(stream), told: String::new() }
    }

    /// Signs a browser in with a token or the code of a link.
    pub(crate) fn sign_in(&self, secret: &str) -> Option<Browser> {
        let origin = self.origin();
        let headers = [("Origin", origin.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let signed = self.ask("POST", "/sign-in", &headers, format!("secret={secret}").as_bytes());
        let cookie = signed.headers.get("set-cookie")?.split(';').next()?.to_owned();
        let client = match self {
            Self::Tcp(address) => Self::Tcp(*address),
            Self::Socket(path) => Self::Socket(path.clone()),
        };
        let mut browser = Browser { client, cookie, csrf: String::new() };
        let page = browser.page("/");
        browser.csrf = page.split("name=\"csrf\" content=\"").nth(1)?.split('"').next()?.to_owned();
        Some(browser)
    }
}

/// A browser that is signed in, without its script.
pub(crate) struct Browser {
    client: Client,
    cookie: String,
    csrf: String,
}

impl Browser {
    pub(crate) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// A page that must be there.
    #[track_caller]
    pub(crate) fn page(&self, path: &str) -> String {
        let answer = self.client.ask("GET", path, &[("Cookie", &self.cookie)], b"");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.text()
    }

    /// Sends a file, as the page's script does.
    pub(crate) fn upload(&self, path: &str, file: &[u8]) -> Response {
        let origin = self.client.origin();
        let headers = [
            ("Cookie", self.cookie.as_str()),
            ("Origin", origin.as_str()),
            ("X-CSRF-Token", self.csrf.as_str()),
            ("Content-Type", "application/octet-stream"),
        ];
        self.client.ask("POST", path, &headers, file)
    }

    /// Presses a button.
    #[track_caller]
    pub(crate) fn press(&self, scope: &str, name: &str, what: &str) {
        self.submit("/act", &format!("scope={scope}&name={name}&do={what}&back=/"));
    }

    /// Gives an account its right password at the source.
    #[track_caller]
    pub(crate) fn mend(&self, account: &str, password: &str) {
        let encode = |text: &str| text.bytes().map(|octet| format!("%{octet:02X}")).collect::<String>();
        self.submit("/act/passwords", &format!("name={}&source={}&target=", encode(account), encode(password)));
    }

    #[track_caller]
    fn submit(&self, path: &str, fields: &str) {
        let origin = self.client.origin();
        let headers = [
            ("Cookie", self.cookie.as_str()),
            ("Origin", origin.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let answer = self.client.ask("POST", path, &headers, format!("csrf={}&{fields}", self.csrf).as_bytes());
        assert_eq!(answer.status, 303, "{answer:?}");
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

fn request(host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

fn parse(answer: &[u8]) -> Response {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &answer[end + 4..];
    let is_chunked = headers.get("transfer-encoding").is_some_and(|how| how == "chunked");
    Response { status, headers, body: if is_chunked { unchunk(body) } else { body.to_vec() } }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&body[..end]).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).expect("the size of a chunk");
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    whole
}
