//! Frames survive any cutting of the stream, and nothing else than them is read.

use bytes::Bytes;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::{FrameError, FrameKind, FrameReader, FrameWriter, SEAL_BYTES};
use crate::base::secret::Secret;
use crate::model::connection::Direction;
use crate::wire::signing::{ConnectionKeys, Nonce, RootKey, Seal};

fn bytes(frames: &[Vec<Bytes>]) -> Vec<u8> {
    frames.concat().concat()
}

/// The same bytes in two pieces.
fn pieces(payload: &[u8]) -> Vec<Bytes> {
    let (first, second) = payload.split_at(payload.len() / 3);
    [first, second].map(Bytes::copy_from_slice).into()
}

proptest! {
    #[test]
    fn frames_survive_any_cutting_of_the_stream(
        payloads in prop::collection::vec(prop::collection::vec(0_u8..4, 0..2_000), 1..5),
        compress: bool, step in 1_usize..700)
    {
        let mut writer = FrameWriter::new(compress);
        let sent: Vec<_> = payloads.iter().map(|payload| writer.frame(FrameKind::Rows, 3, pieces(payload))).collect();
        let mut reader = FrameReader::default();
        let mut received = Vec::new();
        for piece in bytes(&sent).chunks(step) {
            reader.push(piece);
            while let Some(frame) = reader.next_frame().unwrap() {
                received.push(frame.payload.to_vec());
            }
        }
        prop_assert!(!reader.is_inside_frame());
        prop_assert_eq!(received, payloads);
    }

    #[test]
    fn any_bytes_are_an_error_or_frames_but_never_a_panic(data in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut reader = FrameReader::default();
        reader.push(&data);
        while let Ok(Some(_)) = reader.next_frame() {}
    }
}

#[test]
fn a_declared_size_above_the_limit_is_refused_before_its_bytes_arrive() {
    let mut stream = bytes(&[FrameWriter::new(false).frame(FrameKind::Rows, 1, pieces(b"x"))]);
    stream.splice(8..12, u32::MAX.to_le_bytes());
    let mut reader = FrameReader::default();
    reader.push(&stream);
    assert!(matches!(reader.next_frame(), Err(FrameError::TooLarge(_))));
}

#[test]
fn a_payload_that_grows_beyond_its_declared_size_is_refused() {
    let mut stream =
        bytes(&[FrameWriter::new(true).frame(FrameKind::Rows, 1, pieces(&vec![0; 1 << 20]))]);
    stream.splice(12..16, 1000_u32.to_le_bytes());
    let mut reader = FrameReader::default();
    reader.push(&stream);
    assert_eq!(reader.next_frame(), Err(FrameError::Compression));
}

#[test]
fn a_repeated_frame_is_refused() {
    let mut writer = FrameWriter::new(false);
    let one = bytes(&[writer.frame(FrameKind::Rows, 1, pieces(b"x"))]);
    let mut reader = FrameReader::default();
    reader.push(&one);
    reader.push(&one);
    assert!(reader.next_frame().unwrap().is_some());
    assert_eq!(
        reader.next_frame(),
        Err(FrameError::Sequence {
            expected: 1,
            found: 0
        })
    );
}

/// The frames of a sealed stream, each as it is sent.
fn sealed(nonce: u8, payloads: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut writer = FrameWriter::new(true).sealed_by(Some(seal(nonce)));
    payloads
        .iter()
        .map(|payload| bytes(&[writer.frame(FrameKind::Rows, 1, pieces(payload))]))
        .collect()
}

fn seal(nonce: u8) -> Seal {
    let root = RootKey::of_token(&Secret::new("a token of sixteen".to_owned()));
    let keys = ConnectionKeys::derive(&root, 1);
    Seal::of_stream(keys.signing(Direction::Sender), Nonce([nonce; 16]))
}

/// The payloads that are read before the fault, if there is one.
fn read(stream: &[Vec<u8>], seal: Option<Seal>) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut reader = FrameReader::sealed_by(seal);
    let mut found = Vec::new();
    for piece in stream.concat().chunks(7) {
        reader.push(piece);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => found.push(frame.payload.to_vec()),
                Ok(None) => break,
                Err(err) => return (found, Some(err)),
            }
        }
    }
    (found, None)
}

/// Numbers the frames anew, as whoever alters a stream would.
fn renumbered(mut stream: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for (at, frame) in stream.iter_mut().enumerate() {
        frame.splice(16..20, u32::try_from(at).unwrap().to_le_bytes());
    }
    stream
}

#[test]
fn a_sealed_stream_is_read_only_as_it_was_written() {
    type Attack = (&'static str, usize, fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>);
    let attacks: [Attack; 7] = [
        ("an altered payload", 1, |mut stream| {
            stream[1][20] ^= 1;
            stream
        }),
        ("an altered number of rows", 1, |mut stream| {
            stream[1][4] ^= 1;
            stream
        }),
        ("an altered authenticator", 1, |mut stream| {
            *stream[1].last_mut().unwrap() ^= 1;
            stream
        }),
        ("frames that changed places", 0, |mut stream| {
            stream.swap(0, 1);
            renumbered(stream)
        }),
        ("a frame left out", 1, |mut stream| {
            stream.remove(1);
            renumbered(stream)
        }),
        ("a frame twice", 1, |mut stream| {
            stream.insert(1, stream[0].clone());
            renumbered(stream)
        }),
        ("a frame of another answer", 1, |mut stream| {
            stream[1] = sealed(2, &[b"one", b"two", b"three"]).remove(1);
            stream
        }),
    ];
    let payloads: [&[u8]; 3] = [b"one", b"two", b"three"];
    let written = sealed(1, &payloads);
    assert_eq!(
        read(&written, Some(seal(1))),
        (payloads.map(<[u8]>::to_vec).into(), None)
    );
    for (name, believed, attack) in attacks {
        let (found, fault) = read(&attack(written.clone()), Some(seal(1)));
        assert_eq!(fault, Some(FrameError::Seal), "{name}");
        assert_eq!(found, payloads[..believed], "{name}");
        // The same without authenticators is believed.
        let stripped = attack(written.clone()).into_iter().map(|mut frame| {
            frame.truncate(frame.len() - SEAL_BYTES);
            frame
        });
        let (_, fault) = read(&stripped.collect::<Vec<_>>(), None);
        assert_eq!(fault, None, "{name}, weakened");
    }
    let (found, fault) = read(&written, Some(seal(2)));
    assert_eq!((found.len(), fault), (0, Some(FrameError::Seal)));
}

#[test]
fn a_stream_without_authenticators_is_none_of_a_signed_connection() {
    let mut writer = FrameWriter::new(false);
    let plain: Vec<_> = (0..3)
        .map(|_| bytes(&[writer.frame(FrameKind::Rows, 1, pieces(b"0123456789"))]))
        .collect();
    let (found, fault) = read(&plain, Some(seal(1)));
    assert_eq!((found.len(), fault), (0, Some(FrameError::Seal)));
}
