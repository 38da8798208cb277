//! The receiving side of a signed connection, as a program that says exactly what a test wants.

use std::sync::atomic::{AtomicU8, Ordering};

use evenkeel::model::connection::Direction;
use evenkeel::wire::frame::{Frame, FrameKind, FrameReader, MEDIA_TYPE, RowSum};
use evenkeel::wire::row::RowBatch;
use evenkeel::wire::signing::{Nonce, Proof, Seal};
use evenkeel::wire::tally::TallyKey;
use serde_json::{Value, json};

use crate::peer::stranger::Stranger;
use crate::support::daemon::Site;
use crate::support::http::{Answer, Request};
use crate::support::signer::Key;
use crate::support::wait;

/// Takes what a site gives it.
pub struct Receiver {
    /// With what it signs.
    pub key: Key,
    /// With what both sides hash rows.
    pub tally: TallyKey,
    /// The connection's row on the site.
    pub id: String,
    nonce: AtomicU8,
    _stranger: Stranger,
}

/// The frames of one answer, all of them whole and sealed.
#[derive(Debug)]
pub struct Frames(pub Vec<Frame>);

impl Receiver {
    /// Connects to `site`, which grants this.
    pub fn of(site: &Site, name: &str, grant: Value) -> Self {
        let stranger = Stranger::signing();
        let offer = json!({"url": stranger.url(), "name": name, "grant": grant});
        let made = site.post("/connections", &offer).expect(201).json();
        assert_eq!(made["status"], "active", "{made}");
        let key = Key::of(stranger.token());
        Self {
            tally: TallyKey::of(&key.keys.row()),
            key,
            id: made["id"].as_str().expect("an id").to_owned(),
            nonce: AtomicU8::new(0),
            _stranger: stranger,
        }
    }

    /// Asks, and has the answer's signature checked where it is JSON.
    pub fn ask(&self, site: &Site, endpoint: &str, fields: Value) -> Answer {
        self.send(site, endpoint, fields).0
    }

    /// Asks for frames; what is no 200 is returned as it came.
    #[expect(
        clippy::unwrap_in_result,
        reason = "what is no frame fails the test; an answer does not"
    )]
    pub fn frames(&self, site: &Site, endpoint: &str, fields: Value) -> Result<Frames, Answer> {
        let (answer, nonce) = self.send(site, endpoint, fields);
        if answer.status != 200 {
            return Err(answer);
        }
        assert_eq!(answer.header("content-type"), Some(MEDIA_TYPE));
        let seal = Seal::of_stream(self.key.keys.signing(Direction::Sender), nonce);
        let mut reader = FrameReader::sealed_by(Some(seal));
        reader.push(&answer.body);
        let mut frames = Vec::new();
        while let Some(frame) = reader.next_frame().unwrap() {
            frames.push(frame);
        }
        assert!(!reader.is_inside_frame());
        Ok(Frames(frames))
    }

    /// Asks about tallies until the tables are scanned.
    pub fn tally(&self, site: &Site, fields: &Value) -> Result<Frames, Answer> {
        wait::until("the tables are scanned", wait::LONG, || {
            match self.frames(site, "tally", fields.clone()) {
                Err(answer) if answer.status == 202 => None,
                answered => Some(answered),
            }
        })
    }

    /// Opens a session of these tables, and returns what it was told.
    pub fn open(&self, site: &Site, tables: Value) -> Value {
        let answer = self.ask(site, "open-session", json!({ "tables": tables }));
        answer.expect(200).json()
    }

    fn send(&self, site: &Site, endpoint: &str, fields: Value) -> (Answer, Nonce) {
        let path = format!("/sync/api/{endpoint}");
        let nonce = self.nonce.fetch_add(1, Ordering::Relaxed);
        let (request, signed) = self.key.sign(&path, &self.key.body(fields), nonce, 0);
        let request = request.header("accept", MEDIA_TYPE);
        let answer = site.peer(&request).expect("an answer");
        if answer.header("content-type") != Some(MEDIA_TYPE) {
            let proof = self.key.verifies(&signed, &answer);
            assert_eq!(proof, Proof::Holds, "{endpoint}: {answer:?}");
        }
        (answer, Nonce([nonce; 16]))
    }

    /// A request that this receiver signs, and that a test sends when it likes.
    pub fn request(&self, endpoint: &str, fields: Value) -> Request {
        let path = format!("/sync/api/{endpoint}");
        let nonce = self.nonce.fetch_add(1, Ordering::Relaxed);
        let (request, _) = self.key.sign(&path, &self.key.body(fields), nonce, 0);
        request.header("accept", MEDIA_TYPE)
    }
}

impl Frames {
    /// The kinds in their order, each once where several of it follow each other.
    pub fn kinds(&self) -> Vec<FrameKind> {
        let mut kinds: Vec<FrameKind> = self.0.iter().map(|frame| frame.kind).collect();
        kinds.dedup();
        kinds
    }

    /// The first frame, as JSON.
    pub fn head(&self) -> Value {
        assert_eq!(self.0[0].kind, FrameKind::Head);
        serde_json::from_slice(&self.0[0].payload).expect("JSON")
    }

    /// The payloads of the frames of this kind.
    pub fn payloads(&self, kind: FrameKind) -> Vec<&[u8]> {
        let frames = self.0.iter().filter(|frame| frame.kind == kind);
        frames.map(|frame| &*frame.payload).collect()
    }

    /// The rows, each as a tuple.
    pub fn rows(&self) -> Vec<Vec<u8>> {
        let frames = self.0.iter().filter(|frame| frame.kind == FrameKind::Rows);
        let tuples = frames.flat_map(|frame| {
            let batch = RowBatch {
                rows: frame.rows,
                data: frame.payload.clone(),
            };
            let tuples: Vec<Vec<u8>> = batch
                .tuples()
                .map(|tuple| tuple.expect("a row").to_vec())
                .collect();
            assert_eq!(tuples.len(), usize::try_from(frame.rows).expect("a count"));
            tuples
        });
        tuples.collect()
    }

    /// What the last frame declares; the words of an error frame otherwise.
    #[expect(
        clippy::unwrap_in_result,
        reason = "what is no frame fails the test; an answer does not"
    )]
    pub fn end(&self) -> Result<RowSum, Value> {
        let last = self.0.last().unwrap();
        match last.kind {
            FrameKind::End => Ok(RowSum::from_end(&last.payload).unwrap()),
            kind => {
                assert_eq!(kind, FrameKind::Error);
                Err(serde_json::from_slice(&last.payload).unwrap())
            }
        }
    }
}
