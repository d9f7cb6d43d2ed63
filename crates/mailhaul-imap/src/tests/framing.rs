//! However a conversation is cut into reads, the frames are the same.

use crate::wire::Wire;
use crate::wire::reader::{Oversize, Piece};
use proptest::prelude::*;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, duplex};

const SESSION: &[u8] = b"* OK [CAPABILITY IMAP4rev1] ready {3}\r\n\
    * LIST () \"/\" {5}\r\na\r\nb\"\r\n\
    * 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {12}\r\nM1 OK fake\r\n)\r\n\
    * 2 FETCH (BODY[] {40}\r\n0123456789012345678901234567890123456789 UID 2)\r\n\
    * 3 FETCH (BODY[] ~{0}\r\n UID 3)\r\n\
    + go {4}\r\n\
    M1 OK done {9}\r\n";

/// The pieces of everything in `octets`, written in the given portions.
async fn pieces(portions: &[&[u8]]) -> Vec<String> {
    let (ours, mut theirs) = duplex(1 << 20);
    let mut wire = Wire::new(Box::new(ours), Duration::from_secs(5));
    wire.reader.expect("a test", 20, Oversize::Stream);
    let mut told: Vec<String> = Vec::new();
    for portion in portions {
        theirs.write_all(portion).await.expect("the pipe has room");
        let before = wire.bytes_in();
        while wire.bytes_in() < before + portion.len() as u64 {
            wire.exchange().await.expect("something was written");
        }
        loop {
            if wire.reader.open_literal() > 0 {
                match wire.reader.take_chunk() {
                    Some(chunk) => {
                        let chunk = String::from_utf8_lossy(&chunk).into_owned();
                        match told.last_mut() {
                            Some(last) if last.starts_with("chunks ") => last.push_str(&chunk),
                            _ => told.push(format!("chunks {chunk}")),
                        }
                        continue;
                    }
                    None => break,
                }
            }
            match wire.reader.take().expect("within limits") {
                Some(Piece::Frame(frame)) => told.push(format!("frame {}", String::from_utf8_lossy(&frame))),
                Some(Piece::Head { head, octets }) => {
                    told.push(format!("head {octets} {}", String::from_utf8_lossy(&head)));
                }
                Some(Piece::Tail(tail)) => told.push(format!("tail {}", String::from_utf8_lossy(&tail))),
                None => break,
            }
        }
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_cut_at_any_octet_changes_nothing() {
    let whole = pieces(&[SESSION]).await;
    assert_eq!(whole.len(), 9, "{whole:#?}");
    assert!(whole[2].contains("M1 OK fake"), "what is in a literal is no answer");
    for cut in 1..SESSION.len() {
        assert_eq!(pieces(&[&SESSION[..cut], &SESSION[cut..]]).await, whole, "cut at {cut}");
    }
    let single: Vec<&[u8]> = SESSION.chunks(1).collect();
    assert_eq!(pieces(&single).await, whole);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_octets_are_framed_or_refused_and_nothing_is_lost(octets in proptest::collection::vec(
        prop_oneof![Just(b'{'), Just(b'}'), Just(b'1'), Just(b'\r'), Just(b'\n'), Just(b' '), Just(b'*'), any::<u8>()],
        0..400,
    )) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (ours, mut theirs) = duplex(1 << 16);
            let mut wire = Wire::new(Box::new(ours), Duration::from_secs(5));
            wire.reader.expect("a test", 20, Oversize::Stream);
            theirs.write_all(&octets).await.expect("the pipe has room");
            drop(theirs);
            let mut taken = 0;
            loop {
                if wire.reader.open_literal() > 0 && let Some(chunk) = wire.reader.take_chunk() {
                    taken += chunk.len();
                    continue;
                }
                if wire.reader.open_literal() == 0 {
                    match wire.reader.take() {
                        Ok(Some(Piece::Frame(piece) | Piece::Tail(piece) | Piece::Head { head: piece, .. })) => {
                            taken += piece.len();
                            continue;
                        }
                        Ok(None) => {}
                        Err(_) => return,
                    }
                }
                if wire.exchange().await.is_err() {
                    break;
                }
            }
            assert_eq!(taken + wire.reader.unread(), octets.len());
        });
    }
}
