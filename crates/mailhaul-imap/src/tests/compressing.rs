//! COMPRESS on a scripted peer.

use super::peer::{Peer, mailbox, signed_in};
use crate::wire::frame::LINE_OCTETS_MAX;
use crate::{ErrorClass, FetchBatch, FetchEvent, FetchOptions, ImapError};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use mailhaul_types::{Side, Uid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// The server's side once both directions are compressed.
struct Compressed {
    stream: DuplexStream,
    inflater: Decompress,
    deflater: Compress,
    heard: Vec<u8>,
}

impl Compressed {
    fn new(stream: DuplexStream, deflater: Compress) -> Self {
        Self { stream, inflater: Decompress::new(false), deflater, heard: Vec::new() }
    }

    /// The next line, without its end.
    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.heard.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.heard.drain(..end + 2).take(end).collect();
                return String::from_utf8_lossy(&line).into_owned();
            }
            let mut octets = [0; 4_096];
            let count = self.stream.read(&mut octets).await.expect("the client writes");
            assert!(count > 0, "the client is gone");
            self.heard.reserve(64 << 10);
            let inflated = self.inflater.decompress_vec(&octets[..count], &mut self.heard, FlushDecompress::Sync);
            inflated.expect("DEFLATE");
        }
    }

    async fn say(&mut self, text: &[u8]) {
        let octets = deflated(&mut self.deflater, text);
        self.stream.write_all(&octets).await.expect("the client reads");
    }
}

fn deflated(deflater: &mut Compress, text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len() + 1_024);
    deflater.compress_vec(text, &mut octets, FlushCompress::Sync).expect("room for it");
    octets
}

fn deflater() -> Compress {
    Compress::new(Compression::best(), false)
}

#[tokio::test]
async fn everything_behind_the_ok_is_compressed_in_both_directions() {
    let (mut connection, mut peer) = signed_in(Side::Source, "COMPRESS=DEFLATE").await;
    let script = async {
        let tag = peer.command("COMPRESS DEFLATE").await;
        // The first compressed answer comes in one piece with the OK.
        let mut deflater = deflater();
        let mut said = format!("{tag} OK begin\r\n").into_bytes();
        said.extend_from_slice(&deflated(&mut deflater, b"* OK [ALERT] soon down\r\n"));
        peer.say_octets(&said).await;
        let mut server = Compressed::new(peer.into_stream(), deflater);
        let line = server.line().await;
        let (tag, text) = line.split_once(' ').expect("a tag");
        assert_eq!(text, "EXAMINE \"INBOX\"");
        let answer = format!("* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] x\r\n{tag} OK done\r\n");
        server.say(answer.as_bytes()).await;
        server
    };
    let work = async {
        assert!(connection.may_compress());
        assert!(connection.compress().await.expect("taken"));
        assert!(connection.is_compressed() && !connection.may_compress());
        connection.examine(&mailbox("INBOX")).await.expect("opened").exists
    };
    let (exists, _server) = tokio::join!(work, script);
    assert_eq!(exists, 3);
}

#[tokio::test]
async fn a_refusal_changes_nothing_unless_compression_was_insisted_upon() {
    let (mut connection, mut peer) = signed_in(Side::Source, "COMPRESS=DEFLATE").await;
    let script = async {
        peer.answer("COMPRESS DEFLATE", "TAG NO [COMPRESSIONACTIVE] TLS does that\r\n").await;
        peer.answer("NOOP", "TAG OK done\r\n").await;
    };
    let work = async {
        assert!(!connection.compress().await.expect("a refusal is an answer"));
        assert!(!connection.compress().await.expect("it is not asked again"));
        connection.noop().await.expect("everything goes on");
        connection.compress_or_fail().await.expect_err("insisted upon")
    };
    let (error, ()) = tokio::join!(work, script);
    assert!(matches!(&error, ImapError::Usage { what } if what.contains("COMPRESS=DEFLATE")), "{error}");
}

#[tokio::test]
async fn nobody_is_asked_who_does_not_offer_it() {
    let (mut connection, mut peer): (_, Peer) = signed_in(Side::Target, "IDLE").await;
    assert!(!connection.compress().await.expect("nothing was asked"));
    let (noop, ()) = tokio::join!(connection.noop(), peer.answer("NOOP", "TAG OK done\r\n"));
    noop.expect("everything goes on");
}

#[tokio::test]
async fn a_small_answer_that_inflates_into_an_endless_line_stops_at_the_bound() {
    let (mut connection, mut peer) = signed_in(Side::Source, "COMPRESS=DEFLATE").await;
    let script = async {
        let tag = peer.command("COMPRESS DEFLATE").await;
        peer.say(&format!("{tag} OK begin\r\n")).await;
        let mut server = Compressed::new(peer.into_stream(), deflater());
        server.line().await;
        // 16 MiB of one line, in some 16 KiB. The client may be gone before it has read them.
        let bomb = deflated(&mut server.deflater, &vec![b'x'; 16 << 20]);
        let _ = server.stream.write_all(&bomb).await;
        server
    };
    let work = async {
        connection.compress().await.expect("taken");
        let error = connection.noop().await.expect_err("too long a line");
        let capacity = connection.wire_for_tests().reader.capacity();
        drop(connection);
        (error, capacity)
    };
    let ((error, capacity), _server) = tokio::join!(work, script);
    assert!(matches!(error, ImapError::LimitExceeded { .. }), "{error}");
    assert!(capacity <= 4 * LINE_OCTETS_MAX, "{capacity} octets are held");
}

#[tokio::test]
async fn what_is_not_compressed_although_it_should_be_ends_the_connection() {
    let (mut connection, mut peer) = signed_in(Side::Source, "COMPRESS=DEFLATE").await;
    let script = async {
        peer.answer("COMPRESS DEFLATE", "TAG OK begin\r\n* 4 EXISTS\r\n").await;
        peer
    };
    let work = async {
        connection.compress().await.expect("taken");
        connection.noop().await.expect_err("no DEFLATE")
    };
    let (error, _peer) = tokio::join!(work, script);
    assert!(matches!(&error, ImapError::Closed { detail, .. } if detail.contains("COMPRESS")), "{error}");
}

/// What becomes of a body of which the server has sent the first half when it goes on, or ends, like this.
async fn fetch_after(end: impl AsyncFnOnce(&mut Compressed)) -> ImapError {
    let (mut connection, mut peer) = signed_in(Side::Source, "COMPRESS=DEFLATE").await;
    let script = async {
        peer.answer("COMPRESS DEFLATE", "TAG OK begin\r\n").await;
        let mut server = Compressed::new(peer.into_stream(), deflater());
        server.line().await;
        server.say(b"* 1 FETCH (UID 1 FLAGS () BODY[] {2000}\r\n").await;
        server.say(&b"half of a message\r\n".repeat(50)).await;
        end(&mut server).await;
        // Whoever is to end it has to see that by himself, and not because the line was closed.
        server
    };
    let work = async {
        connection.compress().await.expect("taken");
        let mut fetcher = connection.fetch_bodies(FetchOptions::default());
        let uids = [Uid(1)].into_iter().collect();
        fetcher.push(FetchBatch { id: 1, uids, bytes_expected: 2_000, octets_max: u64::MAX, large: false });
        loop {
            match fetcher.next().await {
                Ok(Some(FetchEvent::Message { .. } | FetchEvent::LargeEnd)) => panic!("half of a message is none"),
                Ok(Some(_)) => {}
                Ok(None) => panic!("it was answered"),
                Err(error) => return error,
            }
        }
    };
    let (error, _server) = tokio::join!(work, script);
    error
}

#[tokio::test]
async fn a_body_that_is_cut_off_damaged_or_ended_on_the_way_is_a_lost_connection() {
    let cut = fetch_after(async |server| server.stream.shutdown().await.expect("the pipe")).await;
    // A block of a type that there is not (RFC 1951 section 3.2.3).
    let damaged = fetch_after(async |server| server.stream.write_all(&[0b111; 64]).await.expect("the pipe")).await;
    let ended = fetch_after(async |server| {
        let mut octets = Vec::with_capacity(1_024);
        server.deflater.compress_vec(b"a", &mut octets, FlushCompress::Finish).expect("room for it");
        server.stream.write_all(&octets).await.expect("the pipe");
    })
    .await;
    let half_a_block = fetch_after(async |server| {
        let octets = deflated(&mut server.deflater, &b"the other half\r\n".repeat(50));
        server.stream.write_all(&octets[..octets.len() / 2]).await.expect("the pipe");
        server.stream.shutdown().await.expect("the pipe");
    })
    .await;
    for error in [cut, damaged, ended, half_a_block] {
        assert!(matches!(&error, ImapError::Closed { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Network);
    }
}
