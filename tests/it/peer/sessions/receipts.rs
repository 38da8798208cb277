//! What a site signs when a session is closed, and what no receiver gets signed: its peer here says whatever it likes, with
//! a proper signature of its own.

use evenkeel::base::secret::Secret;
use evenkeel::wire::receipt::{Receipt, Rows, SignedBy, Signer, Terms, sign};
use evenkeel::wire::signing::ReceiptKey;
use evenkeel::wire::tally::Prefix;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::whole::{sums, total};
use super::{agreed, items};
use crate::peer::receiver::Receiver;
use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};

/// The key that the receiver announced (RFC 8032, section 7.1, test 1).
fn key() -> ReceiptKey {
    let mut seed = [0; 32];
    let text = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    hex::decode_to_slice(text, &mut seed).unwrap();
    ReceiptKey::from_seed(Secret::new(seed))
}

fn other_key() -> ReceiptKey {
    ReceiptKey::from_seed(Secret::new([3; 32]))
}

struct Scene {
    site: Site,
    taker: Receiver,
    /// Removed with this.
    _database: Database,
}

impl Scene {
    fn start() -> Self {
        let database = Database::with(Kind::Sqlite, &items());
        let site = Site::builder("berlin").database(&database.url()).start();
        let taker = Receiver::of(&site, "hamburg", json!({"tables": ["items", "empty"]}));
        Self {
            site,
            taker,
            _database: database,
        }
    }

    /// A new session of both tables, the first of which was tallied, and true terms about that one.
    fn session(&self) -> (Value, Value) {
        let tables = json!([{"table": "items"}, {"table": "empty"}]);
        let opened = self.taker.open(&self.site, tables);
        let session = opened["session"].clone();
        let root = total(&sums(&self.taker, &self.site, &session, &[Prefix::ROOT]));
        let none = json!({"rows": 0, "sum": "0".repeat(32)});
        let here = self.site.get("/site");
        let terms = json!({
            "run_id": "0192d1c8-3b7e-7000-8000-00000000000c",
            "source": {
                "site_id": here["id"], "site_name": "berlin", "table": "items",
                "read_point": opened["read_point"], "at": Rows::of(root),
            },
            "destination": {
                "site_id": "0192d1c8-3b7e-7000-8000-000000000002", "site_name": "hamburg", "table": "items",
                "read_point": "now", "at": Rows::of(root),
            },
            "columns": agreed()["columns"], "key": ["id"], "sync_mode": "mirror",
            "committed": {"added": 1, "updated": 0, "deleted": 0},
            "left_here": none, "left_there": none, "proved_at": Timestamp::now(),
        });
        (session, terms)
    }

    fn close(&self, session: &Value, receipts: &[Receipt]) -> Value {
        let fields = json!({"session": session, "receipts": receipts});
        let answer = self.taker.ask(&self.site, "close-session", fields);
        answer.expect(200).json()["signatures"].clone()
    }

    /// What the site keeps.
    fn kept(&self) -> Vec<Receipt> {
        let kept = self
            .site
            .get(&format!("/connections/{}/receipts", self.taker.id));
        serde_json::from_value(kept["items"].clone()).unwrap()
    }
}

/// Terms with the receiver's signature.
fn offer(terms: &Value) -> Receipt {
    let terms: Terms = serde_json::from_str(&terms.to_string()).unwrap();
    let terms = terms.to_text().unwrap();
    Receipt {
        signatures: vec![sign(&terms, Signer::Destination, &key())],
        terms,
    }
}

#[test]
fn what_a_session_saw_is_signed_once_and_kept() {
    let scene = Scene::start();
    let (session, terms) = scene.session();
    let mut receipt = offer(&terms);
    let signatures = scene.close(&session, std::slice::from_ref(&receipt));
    assert_eq!(scene.close(&session, &[]), signatures, "asked again");
    let signed: Vec<SignedBy> = serde_json::from_value(signatures).unwrap();
    receipt.signatures.splice(0..0, signed);
    let site_key = scene.site.get("/site")["receipt_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let checked = receipt.check([Some(&site_key), Some(&key().public())]);
    assert!(checked.is_ok(), "{checked:?}");
    assert_eq!(scene.kept(), [receipt]);
    let shown = scene.site.get(&format!("/connections/{}", scene.taker.id));
    let keys = json!({"source": site_key, "destination": key().public()});
    assert_eq!(shown["receipt_keys"], keys);
}

#[test]
fn nothing_else_is_signed_whoever_asks_for_it() {
    type Alter<'a> = &'a dyn Fn(&mut Value);
    let scene = Scene::start();
    let false_terms: [(&str, Alter<'_>); 8] = [
        ("a row more", &|terms| {
            for side in ["source", "destination"] {
                terms[side]["at"]["rows"] = json!(3_001);
            }
        }),
        ("a table that was not tallied", &|terms| {
            for side in ["source", "destination"] {
                terms[side]["table"] = json!("empty");
                terms[side]["at"] = json!({"rows": 0, "sum": "0".repeat(32)});
            }
        }),
        ("a table that is not granted", &|terms| {
            terms["source"]["table"] = json!("users");
        }),
        ("fewer columns", &|terms| {
            terms["columns"] = json!(["id", "name"]);
        }),
        ("a filter", &|terms| {
            terms["filter"] = json!({"column": "id", "op": "=", "value": 1});
        }),
        ("another moment", &|terms| {
            terms["source"]["read_point"] = json!("now");
        }),
        ("another site's name", &|terms| {
            terms["source"]["site_name"] = json!("bank");
        }),
        ("for somebody else", &|terms| {
            terms["destination"]["site_id"] = json!("0192d1c8-3b7e-7000-8000-000000000003");
        }),
    ];
    for (what, alter) in false_terms {
        let (session, mut terms) = scene.session();
        alter(&mut terms);
        assert_eq!(
            scene.close(&session, &[offer(&terms)]),
            json!([null]),
            "{what}"
        );
    }

    let (session, terms) = scene.session();
    let good = offer(&terms);
    let by = |signer, key: &ReceiptKey| vec![sign(&good.terms, signer, key)];
    let with = |signatures| Receipt {
        signatures,
        ..good.clone()
    };
    for (what, offered) in [
        ("nobody signed", with(vec![])),
        ("signed as the wrong side", with(by(Signer::Source, &key()))),
        (
            "signed with another key",
            with(by(Signer::Destination, &other_key())),
        ),
    ] {
        let (session, _) = scene.session();
        assert_eq!(scene.close(&session, &[offered]), json!([null]), "{what}");
    }
    // True, but of another session: its moment is another, whatever its rows are.
    let (other, _) = scene.session();
    assert_eq!(
        scene.close(&other, std::slice::from_ref(&good)),
        json!([null])
    );
    // Of two runs in one session the first alone, and nothing once it is closed.
    let mut second = terms.clone();
    second["run_id"] = json!("0192d1c8-3b7e-7000-8000-00000000000d");
    second["destination"]["table"] = json!("items_again");
    let answered = scene.close(&session, &[good.clone(), offer(&second)]);
    assert!(
        answered[0].is_object() && answered[1].is_null(),
        "{answered}"
    );
    assert_eq!(
        scene.close(&session, &[offer(&second)]),
        answered,
        "it stays as it was"
    );
    assert_eq!(scene.kept().len(), 1);
}

#[test]
fn receipts_without_form_or_measure_are_refused() {
    let scene = Scene::start();
    let (session, terms) = scene.session();
    for receipts in [json!(["{}"]), json!([{"terms": 1, "signatures": []}])] {
        let fields = json!({"session": session, "receipts": receipts});
        let answer = scene.taker.ask(&scene.site, "close-session", fields);
        answer.expect(400);
    }
    let endless = json!([{"terms": "x".repeat(2 << 20), "signatures": []}]);
    let fields = json!({"session": session, "receipts": endless});
    let request = scene.taker.request("close-session", fields);
    scene.site.peer(&request).unwrap().expect(413);
    let (session, _) = scene.session();
    let mut long = offer(&terms);
    long.terms.push_str(&" ".repeat(200_000));
    long.signatures = vec![sign(&long.terms, Signer::Destination, &key())];
    assert_eq!(scene.close(&session, &[long]), json!([null]));
    assert_eq!(scene.kept(), []);
}
