//! What a sender signs when a session is closed, and every offer that it does not.

use jiff::{SignedDuration, Timestamp};

use super::{DAILY_BYTES, Parties, Refusal, SessionFacts, TableFacts, complete, sign_all};
use crate::base::secret::Secret;
use crate::model::filter::Filter;
use crate::model::id::{RunId, SiteId};
use crate::model::run::SyncMode;
use crate::model::table::TableName;
use crate::wire::frame::RowSum;
use crate::wire::normal::NormalForm;
use crate::wire::receipt::{
    Committed, Receipt, ReceiptFault, Rows, Side, SignedBy, Signer, Terms, sign,
};
use crate::wire::session::{Agreed, AskedTable, SessionClosed};
use crate::wire::signing::ReceiptKey;

const OPENED: &str = "2026-11-21T20:00:00Z";
const NOW: &str = "2026-11-21T20:05:00Z";

fn key(seed: u8) -> ReceiptKey {
    ReceiptKey::from_seed(Secret::new([seed; 32]))
}

fn site(last: char) -> SiteId {
    let text = format!("0192d1c8-3b7e-7000-8000-00000000000{last}");
    text.parse().unwrap()
}

fn filter() -> Filter {
    Filter::from_json(r#"{"column":"id","op":">","value":3}"#).unwrap()
}

fn asked(table: &str) -> AskedTable {
    AskedTable {
        table: TableName::bare(table),
        filter: Some(filter()),
    }
}

fn agreed() -> Agreed {
    Agreed {
        columns: vec!["id".to_owned(), "total".to_owned()],
        key: vec!["id".to_owned()],
        forms: vec![NormalForm::Same; 2],
    }
}

/// Terms that the session saw: 10 rows of `orders`.
fn terms() -> Terms {
    let side = |site_id, name: &str, table: &str, read_point: &str| Side {
        site_id,
        site_name: name.to_owned(),
        table: TableName::bare(table),
        read_point: read_point.to_owned(),
        at: Rows::of(RowSum { rows: 10, sum: 7 }),
    };
    Terms {
        run_id: "0192d1c8-3b7e-7000-8000-00000000000c".parse().unwrap(),
        source: side(site('a'), "berlin", "orders", "7:7:"),
        destination: side(site('b'), "paris", "orders_of_berlin", "wal 9"),
        columns: agreed().columns,
        key: agreed().key,
        filter: Some(filter()),
        sync_mode: SyncMode::Mirror,
        committed: Committed {
            added: 1,
            updated: 0,
            deleted: 0,
        },
        left_here: Rows::of(RowSum::default()),
        left_there: Rows::of(RowSum::default()),
        proved_at: "2026-11-21T20:04:00Z".parse().unwrap(),
    }
}

fn offer(terms: &Terms) -> Receipt {
    let terms = terms.to_text().unwrap();
    Receipt {
        signatures: vec![sign(&terms, Signer::Destination, &key(2))],
        terms,
    }
}

fn signed_beside(offered: &[Receipt], used: u64) -> Vec<Result<(Receipt, Terms), Refusal>> {
    let (orders, items, agreed) = (asked("orders"), asked("items"), agreed());
    let facts = |asked| TableFacts {
        asked,
        agreed: &agreed,
        root: RowSum { rows: 10, sum: 7 },
    };
    let session = SessionFacts {
        read_point: "7:7:",
        opened_at: OPENED.parse().unwrap(),
        tables: &[facts(&orders), facts(&items)],
    };
    let parties = Parties {
        source: (site('a'), "berlin", &key(1)),
        destination: (site('b'), &key(2).public()),
    };
    sign_all(offered, session, &parties, (NOW.parse().unwrap(), used))
}

fn refusal(offer: Receipt) -> Refusal {
    let mut judged = signed_beside(&[offer], 0);
    judged.pop().unwrap().unwrap_err()
}

#[test]
fn a_receipt_of_what_the_session_saw_is_signed_and_holds() {
    let mut signed = signed_beside(&[offer(&terms())], 0);
    let (receipt, _) = signed.pop().unwrap().unwrap();
    let keys = [key(1).public(), key(2).public()];
    let known = [Some(keys[0].as_str()), Some(keys[1].as_str())];
    assert_eq!(receipt.check(known), Ok(terms()));
}

/// What is said to terms that were altered so.
type Case<'a> = (Refusal, &'a dyn Fn(&mut Terms));

#[test]
fn nothing_is_signed_that_the_session_did_not_see() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let other = |what| Refusal::Other(what);
    let cases: [Case<'_>; 20] = [
        (other("source"), &|terms| {
            terms.source.site_id = site('d');
        }),
        (other("source"), &|terms| {
            terms.source.site_name = "bank".to_owned();
        }),
        (other("read point"), &|terms| {
            terms.source.read_point = "8:8:".to_owned();
        }),
        (other("columns"), &|terms| drop(terms.columns.pop())),
        (other("columns"), &|terms| {
            terms.columns.reverse();
        }),
        (other("key"), &|terms| {
            terms.key = vec!["total".to_owned()];
        }),
        (other("filter"), &|terms| {
            terms.filter = None;
        }),
        (other("destination"), &|terms| {
            terms.destination.site_id = site('d');
        }),
        (other("destination"), &|terms| {
            terms.destination.site_name = "pa\u{202e}ris".to_owned();
        }),
        (other("destination"), &|terms| {
            terms.destination.site_name = "p".repeat(101);
        }),
        (other("destination"), &|terms| {
            terms.destination.read_point = "\u{1b}[2J".to_owned();
        }),
        (other("destination"), &|terms| {
            terms.destination.read_point = "9".repeat((16 << 10) + 1);
        }),
        (other("time"), &|terms| {
            terms.proved_at = at("2026-11-21T19:58:59Z");
        }),
        (other("time"), &|terms| {
            terms.proved_at = at("2026-11-21T20:06:01Z");
        }),
        (Refusal::Unread(TableName::bare("users")), &|terms| {
            terms.source.table = TableName::bare("users");
        }),
        (Refusal::Fault(ReceiptFault::OneSite), &|terms| {
            terms.destination.site_id = site('a');
        }),
        (Refusal::Fault(ReceiptFault::Sums), &|terms| {
            terms.source.at.rows = 11;
        }),
        (Refusal::Fault(ReceiptFault::Sums), &|terms| {
            // 10 + (2^64 - 1) rows on one side, 9 on the other: equal only for who counts in 64 bits.
            terms.left_here.rows = u64::MAX;
            terms.destination.at.rows = 9;
        }),
        (other("rows"), &|terms| {
            terms.source.at.rows = 11;
            terms.destination.at.rows = 11;
        }),
        (Refusal::TooLong, &|terms| {
            terms.destination.read_point = "9".repeat(3 << 20);
        }),
    ];
    for (number, (expected, alter)) in cases.iter().enumerate() {
        let mut altered = terms();
        alter(&mut altered);
        assert_eq!(refusal(offer(&altered)), *expected, "case {number}");
    }
}

#[test]
fn an_offer_that_the_receiver_alone_did_not_sign_as_such_is_refused() {
    let good = offer(&terms());
    let with = |signatures: Vec<SignedBy>| Receipt {
        signatures,
        ..good.clone()
    };
    let by = |signer, seed| sign(&good.terms, signer, &key(seed));
    for signatures in [
        vec![],
        vec![by(Signer::Source, 2)],
        vec![by(Signer::Source, 1), by(Signer::Destination, 2)],
        vec![by(Signer::Destination, 2), by(Signer::Destination, 2)],
    ] {
        assert_eq!(refusal(with(signatures)), Refusal::Signatures);
    }
    let another = refusal(with(vec![by(Signer::Destination, 3)]));
    let expected = ReceiptFault::OtherKey {
        side: "destination",
    };
    assert_eq!(another, Refusal::Fault(expected));
    let mut elsewhere = terms();
    elsewhere.committed.deleted = 5;
    let taken = with(offer(&elsewhere).signatures);
    let expected = ReceiptFault::Signature("destination");
    assert_eq!(refusal(taken), Refusal::Fault(expected));
}

#[test]
fn terms_are_spelled_in_one_way() {
    let text = terms().to_text().unwrap();
    for other in [
        format!(" {text}"),
        text.replace("\"orders\"", "\"\\u006frders\""),
        text.replace("20:04:00Z", "20:04:00.0Z"),
    ] {
        assert_ne!(other, text);
        let receipt = Receipt {
            signatures: vec![sign(&other, Signer::Destination, &key(2))],
            terms: other,
        };
        assert_eq!(refusal(receipt), Refusal::Spelling);
    }
    let twice = text.replacen("{\"run_id\"", "{\"sync_mode\":\"insert\",\"run_id\"", 1);
    let receipt = Receipt {
        signatures: vec![sign(&twice, Signer::Destination, &key(2))],
        terms: twice,
    };
    assert!(matches!(
        refusal(receipt),
        Refusal::Fault(ReceiptFault::Terms(_))
    ));
}

#[test]
fn one_session_ends_with_one_run_and_each_table_once() {
    let of = |run: char, from: &str, to: &str| {
        let mut terms = terms();
        let run = format!("0192d1c8-3b7e-7000-8000-00000000000{run}");
        terms.run_id = run.parse::<RunId>().unwrap();
        terms.source.table = TableName::bare(from);
        terms.destination.table = TableName::bare(to);
        offer(&terms)
    };
    let offered = [
        of('c', "orders", "orders"),
        of('c', "items", "items"),
        of('d', "orders", "other_orders"),
        of('c', "orders", "items"),
    ];
    let signed = signed_beside(&offered, 0);
    let said: Vec<_> = signed.iter().map(|judged| judged.as_ref().err()).collect();
    let beside = Some(&Refusal::Beside);
    assert_eq!(said, [None, None, beside, beside]);
}

#[test]
fn a_peer_fills_no_disk_with_receipts() {
    let good = offer(&terms());
    let bytes = u64::try_from(good.terms.len()).unwrap();
    let judged = |used| {
        signed_beside(std::slice::from_ref(&good), used)
            .pop()
            .unwrap()
    };
    assert!(judged(DAILY_BYTES - bytes).is_ok());
    assert_eq!(judged(DAILY_BYTES - bytes + 1), Err(Refusal::NoRoom));
    let many = vec![good; 1_001];
    let last = signed_beside(&many, 0).pop().unwrap();
    assert_eq!(last, Err(Refusal::TooMany));
}

#[test]
fn clocks_may_be_a_minute_apart() {
    for (from, seconds) in [(OPENED, -60), (NOW, 60)] {
        let at: Timestamp = from.parse().unwrap();
        let mut terms = terms();
        terms.proved_at = at + SignedDuration::from_secs(seconds);
        let judged = signed_beside(&[offer(&terms)], 0).pop().unwrap();
        assert!(judged.is_ok(), "{judged:?}");
    }
}

#[test]
fn a_receiver_keeps_what_the_peer_signed_under_its_own_key_and_nothing_else() {
    let keys = [key(1).public(), key(2).public()];
    let offered = offer(&terms());
    let mut elsewhere = terms();
    elsewhere.destination.table = TableName::bare("items");
    let by = |terms: &str, signer, seed| Some(sign(terms, signer, &key(seed)));
    let fault = |signed: Option<SignedBy>| {
        let closed = SessionClosed {
            signatures: Vec::from([signed]),
        };
        let mut completed = complete(vec![offered.clone()], closed, &keys);
        completed.pop().unwrap().err()
    };
    let text = &offered.terms;
    assert_eq!(fault(by(text, Signer::Source, 1)), None);
    let unsigned = Some(ReceiptFault::Unsigned("source"));
    assert_eq!(fault(None), unsigned);
    assert_eq!(fault(by(text, Signer::Destination, 1)), unsigned);
    let other = Some(ReceiptFault::OtherKey { side: "source" });
    assert_eq!(fault(by(text, Signer::Source, 3)), other);
    assert_eq!(fault(by(text, Signer::Source, 2)), other, "our own");
    let altered = Some(ReceiptFault::Signature("source"));
    let of_another = offer(&elsewhere).terms;
    assert_eq!(fault(by(&of_another, Signer::Source, 1)), altered);
    let closed = SessionClosed { signatures: vec![] };
    let told = complete(vec![offered.clone(); 2], closed, &keys);
    assert_eq!(told.len(), 2, "one for each, however few were answered");
}
