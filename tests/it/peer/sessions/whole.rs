//! A session from its opening to its end, on every engine.

use evenkeel::wire::frame::{FrameKind, RowSum};
use evenkeel::wire::row::{RowBatch, RowWriter, split_tuple};
use evenkeel::wire::tally::{Bitmap, Children, Prefix, read_children, read_listing};
use serde_json::{Value, json};

use super::{ROWS, agreed, items};
use crate::peer::receiver::{Frames, Receiver};
use crate::support::daemon::Site;
use crate::support::database::{Database, KINDS};

/// The children of each of these nodes.
pub(super) fn sums(
    taker: &Receiver,
    site: &Site,
    session: &Value,
    nodes: &[Prefix],
) -> Vec<Children> {
    let level = nodes[0].level() + 1;
    let asked = json!({"table": "items", "agreed": agreed(), "level": level, "prefixes": nodes});
    let asked = json!({"session": session, "tables": [asked]});
    let frames = taker.tally(site, &asked).expect("sums");
    assert_eq!(
        frames.kinds(),
        [FrameKind::Head, FrameKind::Sums, FrameKind::End]
    );
    assert_eq!(frames.head()["session"], *session);
    assert_eq!(frames.end(), Ok(RowSum::default()));
    read_children(frames.payloads(FrameKind::Sums)[0]).expect("sums")
}

pub(super) fn total(children: &[Children]) -> RowSum {
    let mut total = RowSum::default();
    children.iter().flatten().for_each(|sum| total.merge(*sum));
    total
}

/// The rows below each of these nodes, as (key, hash).
fn listed(
    taker: &Receiver,
    site: &Site,
    session: &Value,
    nodes: &[Prefix],
) -> Vec<Vec<(Vec<u8>, u128)>> {
    let asked = json!({"session": session, "tables": [{"table": "items", "prefixes": nodes}]});
    let frames = taker.tally(site, &asked).expect("a listing");
    let read = |payload: &[u8]| {
        let rows = read_listing(payload).map(|listed| listed.expect("a row"));
        rows.map(|listed| (listed.key.to_vec(), listed.hash.0))
            .collect()
    };
    let payloads = frames.payloads(FrameKind::Keys);
    payloads.into_iter().map(read).collect()
}

fn pulled(taker: &Receiver, site: &Site, session: &Value, wanted: (&str, Value)) -> Frames {
    let mut fields = json!({"session": session, "table_name": "items"});
    fields[wanted.0] = wanted.1;
    taker.frames(site, "pull-data", fields).expect("rows")
}

/// The row's normal form under [`agreed`], made by hand from what travels.
fn normal(tuple: &[u8]) -> Vec<u8> {
    let (fields, _) = split_tuple(tuple).expect("a row");
    let id = fields[0].expect("an id");
    let id = match id.len() {
        4 => i64::from(i32::from_be_bytes(id.try_into().expect("four bytes"))),
        _ => i64::from_be_bytes(id.try_into().expect("eight bytes")),
    };
    let mut writer = RowWriter::default();
    writer.begin(3);
    writer.field(Some(&id.to_be_bytes()));
    writer.field(fields[1]);
    writer.field(fields[2]);
    writer.take().data.to_vec()
}

fn id_of(tuple: &[u8]) -> Vec<u8> {
    let batch = RowBatch {
        rows: 1,
        data: normal(tuple).into(),
    };
    let (fields, _) = split_tuple(&batch.data).expect("a row");
    fields[0].expect("an id").to_vec()
}

#[test]
fn a_session_shows_one_moment_in_sums_in_listings_and_in_rows() {
    for kind in KINDS {
        let database = Database::with(kind, &items());
        let site = Site::builder("berlin").database(&database.url()).start();
        let taker = Receiver::of(&site, "hamburg", json!({"tables": ["items", "empty"]}));
        let opened = taker.open(&site, json!([{"table": "items"}, {"table": "empty"}]));
        let session = &opened["session"];
        assert_eq!(
            opened["tables"][0]["evenkeel"]["primary_key"],
            json!(["id"]),
            "{opened}"
        );
        assert!(opened["tables"][0].get("scope").is_none(), "{opened}");
        database.execute(
            "delete from items where id <= 100; update items set name = 'another' where id > 2900",
        );

        let root = sums(&taker, &site, session, &[Prefix::ROOT]);
        assert_eq!(total(&root).rows, ROWS, "{kind:?}");
        let all = pulled(&taker, &site, session, ("all", json!(true)));
        let mut expected = RowSum::default();
        for tuple in all.rows() {
            expected.count(taker.tally.hash(&normal(&tuple)).0);
        }
        assert_eq!(all.end(), Ok(expected), "{kind:?}");
        assert_eq!(total(&root), expected, "{kind:?}");

        let first: Vec<Prefix> = Prefix::ROOT.children().collect();
        let second: Vec<Prefix> = first.iter().flat_map(|node| node.children()).collect();
        for (nodes, above) in [
            (&first, &root),
            (&second, &sums(&taker, &site, session, &first)),
        ] {
            let below = sums(&taker, &site, session, nodes);
            for (sum, children) in above.iter().flatten().zip(&below) {
                assert_eq!(*sum, total(&[*children]), "{kind:?}");
            }
        }
        // A listing is the same whatever nodes it is asked by.
        let whole = listed(&taker, &site, session, &[Prefix::ROOT]).remove(0);
        assert_eq!(whole.len(), usize::try_from(ROWS).unwrap(), "{kind:?}");
        let parts = listed(&taker, &site, session, &second);
        assert_eq!(parts.concat(), whole, "{kind:?}");
        let halves = listed(&taker, &site, session, &first);
        assert_eq!(halves.concat(), whole, "{kind:?}");

        // Every third row of some leaves, and all of another.
        let bitmap = |rows: usize| (0..rows).step_by(3).collect::<Bitmap>();
        let leaves = [(7, true), (0, true), (255, false)];
        let picks = leaves.map(|(at, some)| {
            let leaf = second[at];
            match some {
                true => json!({"leaf": leaf, "bitmap": bitmap(parts[at].len())}),
                false => json!({"leaf": leaf}),
            }
        });
        let mut wanted: Vec<Vec<u8>> = leaves
            .iter()
            .flat_map(|(at, some)| {
                let rows = parts[*at].iter().step_by(if *some { 3 } else { 1 });
                rows.map(|(key, _)| split_tuple(key).unwrap().0[0].unwrap().to_vec())
            })
            .collect();
        let picked = pulled(&taker, &site, session, ("picks", json!(picks)));
        let mut found: Vec<Vec<u8>> = picked.rows().iter().map(|tuple| id_of(tuple)).collect();
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted, "{kind:?}");
        assert_eq!(picked.end().unwrap().rows, wanted.len() as u64, "{kind:?}");

        let closing = json!({"session": session, "receipts": [{"terms": "{}", "signatures": []}]});
        for _ in 0..2 {
            let closed = taker
                .ask(&site, "close-session", closing.clone())
                .expect(200)
                .json();
            assert_eq!(closed, json!({"success": true, "signatures": [null]}));
        }
        let after = taker.ask(&site, "open-session", json!({"session": session}));
        assert_eq!(after.expect(410).json()["error_code"], "session_gone");
    }
}
