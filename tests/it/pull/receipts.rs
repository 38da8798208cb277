//! A pull that proved a table leaves a receipt on both sites, which anybody can check.

use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::database::{CHAIN, Database, Kind};
use crate::support::pair::{Pair, connection};

const ITEMS: &str = "create table items (id integer primary key, name varchar(40));
     insert into items values (1, 'one'), (2, 'two'), (3, 'three');";
const HERE: &str = "create table items (id integer primary key, name varchar(40));
     insert into items values (2, 'another'), (9, 'only here');";

/// The receipts of a connection, as this site keeps them.
fn receipts(site: &Site, of: &str) -> Value {
    let id = connection(site, of)["id"].clone();
    let target = format!("/connections/{}/receipts", id.as_str().unwrap());
    site.get(&target)["items"].clone()
}

fn keys(site: &Site, of: &str) -> Value {
    let id = connection(site, of)["id"].clone();
    let shown = site.get(&format!("/connections/{}", id.as_str().unwrap()));
    shown["receipt_keys"].clone()
}

#[test]
fn what_was_proved_is_signed_and_kept_by_both_sites() {
    for (from, to) in CHAIN {
        let pair = Pair::builder(Database::with(from, ITEMS), Database::with(to, HERE)).start();
        let pulled = pair.pull(&["items"]).completed();
        assert_eq!(pulled.table("items")["proved_equal"], true, "{pulled:#?}");
        assert!(
            pulled.table("items")["proved_at"].is_string(),
            "{pulled:#?}"
        );
        let run = pulled.run["id"].as_str().unwrap();

        let kept = receipts(&pair.taker, "berlin");
        assert_eq!(kept, receipts(&pair.giver, "paris"), "{from:?} {to:?}");
        let of_run = pair.taker.get(&format!("/runs/{run}/receipts"))["items"].clone();
        assert_eq!(kept, of_run);
        let terms: Value = serde_json::from_str(kept[0]["terms"].as_str().unwrap()).unwrap();
        assert_eq!(terms["run_id"], run);
        assert_eq!(terms["source"]["at"]["rows"], 3);
        assert_eq!(terms["destination"]["at"]["rows"], 4);
        assert_eq!(terms["left_here"]["rows"], 1, "the row that only paris has");
        assert_eq!(
            terms["committed"],
            json!({"added": 2, "updated": 1, "deleted": 0})
        );

        let printed = pair.taker.cli(&["runs", "receipt", run]);
        assert_eq!(printed.code, 0, "{printed:#?}");
        let file = pair.taker.folder().join("receipts.json");
        std::fs::write(&file, &printed.stdout).unwrap();
        let keys = keys(&pair.giver, "paris");
        assert_eq!(
            keys,
            self::keys(&pair.taker, "berlin"),
            "both name the same"
        );
        let key = |side: &str| keys[side].as_str().unwrap().to_owned();
        let (source, destination) = (key("source"), key("destination"));
        let checked = pair.giver.cli(&[
            "verify-receipt",
            file.to_str().unwrap(),
            "--source-key",
            &source,
            "--destination-key",
            &destination,
        ]);
        assert_eq!(checked.code, 0, "{checked:#?}");
        assert!(
            checked.stdout.contains("less 1 that the rules left there"),
            "{checked:#?}"
        );

        let of_giver = pair
            .giver
            .cli(&["connections", "receipts", "paris", "--table", "items"]);
        assert_eq!((of_giver.code, &of_giver.stdout), (0, &printed.stdout));
        let of_none = pair
            .giver
            .cli(&["connections", "receipts", "paris", "--table", "users"]);
        assert_eq!(
            (of_none.code, of_none.stdout.as_str()),
            (1, ""),
            "{of_none:#?}"
        );
    }
}

#[test]
fn each_run_has_its_own_receipt_also_where_nothing_changed() {
    let pair = Pair::builder(
        Database::with(Kind::Sqlite, ITEMS),
        Database::with(Kind::Sqlite, HERE),
    )
    .start();
    for runs in 1..=3 {
        pair.pull(&["items"]).completed();
        let kept = receipts(&pair.giver, "paris");
        assert_eq!(kept.as_array().unwrap().len(), runs);
        assert_eq!(kept, receipts(&pair.taker, "berlin"));
    }
}

#[test]
fn a_sync_knows_when_it_was_proved_and_a_run_that_proved_nothing_has_no_receipt() {
    let pair = Pair::builder(
        Database::with(Kind::Sqlite, ITEMS),
        Database::with(Kind::Sqlite, HERE),
    )
    .start();
    let source =
        json!({"kind": "connection", "connection_id": connection(&pair.taker, "berlin")["id"]});
    let body = json!({"name": "nightly", "source": source, "tables": [{"source_table": "items"}]});
    let sync = pair.taker.post("/syncs", &body).expect(201).json();
    assert_eq!(sync["proved_equal_at"], Value::Null);
    let id = sync["id"].as_str().unwrap();
    let run = pair.taker.post(&format!("/syncs/{id}/trigger"), &json!({}));
    let run = run.expect(201).json();
    let run = pair.run_is(run["id"].as_str().unwrap(), "completed");
    let sync = pair.taker.get(&format!("/syncs/{id}"));
    assert_eq!(
        sync["proved_equal_at"], run["tables"][0]["proved_at"],
        "{sync:#}"
    );

    let failed = pair.pull(&["nowhere"]);
    let none = pair
        .taker
        .cli(&["runs", "receipt", failed.run["id"].as_str().unwrap()]);
    assert_eq!((none.code, none.stdout.as_str()), (1, ""), "{none:#?}");
    assert!(none.stderr.contains("No receipts"), "{none:#?}");
}
