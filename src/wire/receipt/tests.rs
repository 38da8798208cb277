//! Receipts that hold, and every way in which one does not.

use serde_json::{Value, json};

use super::{Receipt, ReceiptFault, Rows, Signer, Terms, sign};
use crate::base::secret::Secret;
use crate::wire::frame::RowSum;
use crate::wire::signing::ReceiptKey;

fn key(seed: u8) -> ReceiptKey {
    ReceiptKey::from_seed(Secret::new([seed; 32]))
}

fn terms() -> Value {
    let rows = |rows: u64, sum: u128| json!(Rows::of(RowSum { rows, sum }));
    let side = |number: u8, name: &str, at: Value| {
        json!({"site_id": format!("0192d1c8-3b7e-7000-8000-00000000001{number}"), "site_name": name,
            "table": "orders", "read_point": "7:7:", "at": at})
    };
    json!({
        "run_id": "0192d1c8-3b7e-7000-8000-000000000002",
        "source": side(1, "berlin", rows(10, 5)), "destination": side(2, "hq", rows(12, 2)),
        "columns": ["id", "total"], "key": ["id"], "sync_mode": "upsert",
        "committed": {"added": 3, "updated": 1, "deleted": 0},
        // Two rows only here, one in the place of another: 12 - 3 + 1 = 10, and 2 - 1 + 4 = 5.
        "left_here": rows(3, 1), "left_there": rows(1, 4),
        "proved_at": "2026-11-21T20:00:00Z",
    })
}

fn receipt(terms: &Value) -> Receipt {
    let terms = terms.to_string();
    let signatures = vec![
        sign(&terms, Signer::Source, &key(1)),
        sign(&terms, Signer::Destination, &key(2)),
    ];
    Receipt { terms, signatures }
}

#[test]
fn a_receipt_that_both_signed_and_whose_sums_add_up_holds() {
    let receipt = receipt(&terms());
    let (one, other) = (key(1).public(), key(2).public());
    let read: Receipt = serde_json::from_str(&json!(receipt).to_string()).unwrap();
    let terms: Terms = read.check([None, None]).unwrap();
    assert_eq!(terms.source.at.rows, 10);
    assert!(receipt.check([Some(&one), Some(&other)]).is_ok());
    let swapped = receipt.check([Some(&other), Some(&one)]);
    assert_eq!(swapped, Err(ReceiptFault::OtherKey { side: "source" }));
}

#[test]
fn what_was_altered_or_not_signed_by_both_proves_nothing() {
    let good = receipt(&terms());
    let altered = |alter: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        alter(&mut receipt);
        receipt.check([None, None]).unwrap_err()
    };
    let faults = [
        altered(&|receipt| receipt.terms = receipt.terms.replace("orders", "others")),
        altered(&|receipt| receipt.terms.push(' ')),
        altered(&|receipt| receipt.signatures[0].key = key(3).public()),
        altered(&|receipt| receipt.signatures[0].signature = String::new()),
        altered(&|receipt| {
            receipt.signatures[0].signature = receipt.signatures[1].signature.clone();
        }),
    ];
    for fault in faults {
        assert_eq!(fault, ReceiptFault::Signature("source"));
    }
    let one = altered(&|receipt| drop(receipt.signatures.pop()));
    assert_eq!(one, ReceiptFault::Unsigned("destination"));
    let twice = altered(&|receipt| receipt.signatures[1].by = Signer::Source);
    assert_eq!(twice, ReceiptFault::Unsigned("destination"));
    let third = altered(&|receipt| receipt.signatures.push(receipt.signatures[0].clone()));
    assert_eq!(third, ReceiptFault::MoreThanTwo);
}

#[test]
fn a_site_proves_nothing_to_itself() {
    let terms = terms().to_string();
    let by = |signer| sign(&terms, signer, &key(1));
    let one_key = Receipt {
        signatures: vec![by(Signer::Source), by(Signer::Destination)],
        terms: terms.clone(),
    };
    let one_id = receipt(&serde_json::from_str(&terms.replace("000012", "000011")).unwrap());
    for receipt in [one_key, one_id] {
        assert_eq!(receipt.check([None, None]), Err(ReceiptFault::OneSite));
    }
}

#[test]
fn sums_that_do_not_add_up_are_told_although_both_signed() {
    for (at, value) in [
        ("/source/at/rows", json!(11)),
        ("/destination/at/sum", json!(format!("{:032x}", 3))),
        ("/left_here/rows", json!(0)),
        ("/left_there/sum", json!("4")),
        ("/left_there/sum", json!("+0000000000000000000000000000004")),
    ] {
        let mut terms = terms();
        *terms.pointer_mut(at).unwrap() = value;
        assert_eq!(
            receipt(&terms).check([None, None]),
            Err(ReceiptFault::Sums),
            "{at}"
        );
    }
    // 12 + (2^64 - 1) + 1 is 12 only for who counts in 64 bits.
    let mut round = terms();
    round["destination"]["at"]["rows"] = json!(u64::MAX);
    round["left_there"]["rows"] = json!(14);
    assert_eq!(receipt(&round).check([None, None]), Err(ReceiptFault::Sums));
    let mut hidden = terms();
    hidden["left_here"] = json!(Rows::of(RowSum { rows: 0, sum: 1 }));
    hidden["destination"]["at"]["rows"] = json!(9);
    assert_eq!(
        receipt(&hidden).check([None, None]),
        Err(ReceiptFault::Sums)
    );
    let mut unknown = terms();
    unknown["valid"] = json!(true);
    let fault = receipt(&unknown).check([None, None]).unwrap_err();
    assert!(matches!(fault, ReceiptFault::Terms(_)), "{fault}");
}
