//! `/syncs`: what may be asked, by whom, and what is answered.

use serde_json::{Value, json};

use super::{body, create, runs, show, stock};
use crate::admin::{call, problem, token};
use crate::support::pair::Pair;
use crate::support::proxy::Link;

/// What is wrong with a body, as the field of the first error.
fn refused(pair: &Pair, fields: Value) -> String {
    let name = format!("{fields}");
    let answer = pair.taker.post("/syncs", &body(pair, "wrong", fields));
    let told = problem(answer, 422, "invalid");
    let field = told["errors"][0]["field"].as_str();
    field
        .unwrap_or_else(|| panic!("{name}: {told:#}"))
        .to_owned()
}

#[test]
fn a_sync_is_made_shown_changed_and_deleted() {
    let pair = stock().start();
    let made = pair.taker.post(
        "/syncs",
        &body(&pair, "nightly", json!({
            "description": "every night", "sync_mode": "insert", "conflict_strategy": "skip",
            "schedule": {"frequency": "daily", "sync_time": "02:30", "timezone": "Europe/Berlin"},
            "max_age": 100_000, "tables": [{"source_table": "stock", "primary_key": ["id"]}],
        })),
    );
    let location = made.header("location").unwrap().to_owned();
    let made = made.expect(201).json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v1/syncs/{id}"));
    assert_eq!(show(&pair, id), made);
    let expected = json!({
        "id": id, "name": "nightly", "description": "every night", "source": made["source"],
        "destination": {"kind": "site"}, "tables": [{"source_table": "stock", "primary_key": ["id"]}],
        "sync_mode": "insert", "conflict_strategy": "skip",
        "schedule": {"frequency": "daily", "sync_time": "02:30", "timezone": "Europe/Berlin"},
        "compare_schedule": null, "max_age": 100_000, "shared": false,
        "guard": {"percent": 10, "rows": 10_000}, "repair": {"rows": 1_000, "bytes": 16_777_216},
        "continuous": false, "status": "active", "status_error": null, "created_by": "token:test",
        "created_at": made["created_at"], "updated_at": made["updated_at"], "last_synced_at": null,
        "last_run_id": null, "next_sync_at": made["next_sync_at"], "proved_equal_at": null,
        "late_since": null, "next_look_at": null, "last_look": null,
    });
    assert_eq!(made, expected);
    assert!(made["next_sync_at"].is_string());

    let target = format!("/syncs/{id}");
    let put = |fields: Value| {
        pair.taker
            .admin("PUT", &target, Some(&fields))
            .expect(200)
            .json()
    };
    let changed = put(json!({"schedule": "0 * * * *", "description": null, "shared": true}));
    assert_eq!(changed["schedule"], "0 * * * *");
    assert_ne!(changed["next_sync_at"], made["next_sync_at"]);
    assert!(
        changed["description"].is_null() && changed["shared"] == true,
        "{changed:#}"
    );
    for kept in [
        "name",
        "tables",
        "sync_mode",
        "max_age",
        "created_by",
        "created_at",
    ] {
        assert_eq!(changed[kept], made[kept], "{kept}");
    }
    let by_hand = put(json!({"schedule": null}));
    assert!(
        by_hand["next_sync_at"].is_null() && by_hand["schedule"].is_null(),
        "{by_hand:#}"
    );

    assert_eq!(pair.taker.get("/syncs")["items"], json!([by_hand]));
    let deleted = pair.taker.admin("DELETE", &target, None).expect(200).json();
    assert_eq!(deleted, json!({"status": "deleted"}));
    for method in ["GET", "DELETE"] {
        problem(pair.taker.admin(method, &target, None), 404, "not-found");
    }
    assert_eq!(pair.taker.get("/syncs")["items"], json!([]));
    let actions = pair.taker.get("/audit");
    let actions = actions["items"].as_array().unwrap().iter().take(4);
    let actions: Vec<&str> = actions
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["sync.delete", "sync.edit", "sync.edit", "sync.create"]
    );
}

#[test]
fn what_makes_no_sense_is_refused_by_its_field() {
    let pair = stock().start();
    let of_giver = crate::support::pair::connection(&pair.giver, "paris")["id"].clone();
    let source = |id: Value| json!({"source": {"kind": "connection", "connection_id": id}});
    let cases = [
        ("name", json!({"name": " "})),
        ("tables", json!({"tables": []})),
        ("tables[1]", json!({"tables": ["stock", "stock"]})),
        ("schedule", json!({"schedule": "0 25 * * *"})),
        (
            "schedule",
            json!({"schedule": {"frequency": "daily", "timezone": "Mars/Base"}}),
        ),
        (
            "schedule.frequency",
            json!({"schedule": {"frequency": "yearly"}}),
        ),
        (
            "schedule.time",
            json!({"schedule": {"frequency": "daily", "time": "06:00"}}),
        ),
        ("max_age", json!({"max_age": 0})),
        ("status", json!({"status": "error"})),
        ("sync_mode", json!({"sync_mode": "replace"})),
        ("tables", json!({"conflict_strategy": "newest"})),
        (
            "compare_schedule",
            json!({"compare_schedule": "0 25 * * *"}),
        ),
        ("guard.percent", json!({"guard": {"percent": 101}})),
        ("repair.rows", json!({"repair": {"rows": -1}})),
        ("continuous", json!({"continuous": true})),
        ("source.kind", json!({"source": {"kind": "site"}})),
        (
            "source.connection_id",
            source("00000000-0000-7000-8000-000000000000".into()),
        ),
        ("source.connection_id", source(of_giver)),
        ("colour", json!({"colour": "blue"})),
    ];
    for (field, fields) in cases {
        let name = fields.to_string();
        assert_eq!(refused(&pair, fields), field, "{name}");
    }
    assert_eq!(pair.taker.get("/syncs")["items"], json!([]));
    create(&pair, "stock", json!({}));
    let again = pair.taker.post("/syncs", &body(&pair, "stock", json!({})));
    problem(again, 409, "name-taken");
}

#[test]
fn a_sync_runs_by_hand_one_run_at_a_time_and_keeps_its_history() {
    let pair = stock().start();
    let sync = create(&pair, "stock", json!({}));
    let other = create(&pair, "idle", json!({"tables": ["nothing"]}));
    let trigger = || {
        pair.taker
            .post(&format!("/syncs/{sync}/trigger"), &json!({}))
    };
    pair.link.set(Link::StallAfter(0));
    let first = trigger().expect(201).json();
    assert_eq!(
        (&first["triggered_by"], &first["sync_id"]),
        (&json!("token:test"), &json!(sync))
    );
    assert!(first["planned_at"].is_null());
    let told = problem(trigger(), 409, "run-goes-on");
    let id = first["id"].as_str().unwrap();
    assert!(told["detail"].as_str().unwrap().contains(id), "{told:#}");
    pair.link.set(Link::Whole);
    assert_eq!(pair.run_is(id, "completed")["changes"]["added"], 3);
    let second = trigger().expect(201).json();
    pair.run_is(second["id"].as_str().unwrap(), "completed");
    pair.pull(&["stock"]).completed();

    let ids: Vec<Value> = runs(&pair, &sync)
        .iter()
        .map(|run| run["id"].clone())
        .collect();
    assert_eq!(ids, [first["id"].clone(), second["id"].clone()]);
    let filtered = pair.taker.get(&format!("/runs?sync={sync}"));
    assert_eq!(filtered["items"].as_array().unwrap().len(), 2);
    let one = pair.taker.get(&format!("/syncs/{sync}/runs/{id}"));
    assert_eq!(one["id"], first["id"]);
    let elsewhere = format!("/syncs/{other}/runs/{id}");
    problem(pair.taker.admin("GET", &elsewhere, None), 404, "not-found");
    let after = show(&pair, &sync);
    assert_eq!(after["last_run_id"], second["id"], "{after:#}");
    assert!(after["last_synced_at"].is_string(), "{after:#}");
    // What a sync was is gone with it, what it did is not.
    pair.taker
        .admin("DELETE", &format!("/syncs/{sync}"), None)
        .expect(200);
    let filtered = pair.taker.get(&format!("/runs?sync={sync}"));
    assert_eq!(filtered["items"].as_array().unwrap().len(), 2);
}

#[test]
fn a_deleted_syncs_run_is_stopped() {
    let pair = stock().start();
    let sync = create(&pair, "stock", json!({}));
    pair.link.set(Link::StallAfter(0));
    let made = pair
        .taker
        .post(&format!("/syncs/{sync}/trigger"), &json!({}));
    let run = made.expect(201).json()["id"].as_str().unwrap().to_owned();
    pair.taker
        .admin("DELETE", &format!("/syncs/{sync}"), None)
        .expect(200);
    pair.run_is(&run, "cancelled");
    pair.link.set(Link::Whole);
}

#[test]
fn an_operator_changes_and_runs_the_syncs_it_made_and_no_others() {
    let pair = stock().start();
    let of_admin = create(&pair, "of the administrator", json!({}));
    let (operator, viewer) = (token(&pair.taker, "operator"), token(&pair.taker, "viewer"));
    let own = body(&pair, "of the operator", json!({}));
    let by = |token: &str, method: &str, target: &str, body: Option<&Value>| {
        call(&pair.taker, token, method, target, body)
    };
    problem(by(&viewer, "POST", "/syncs", Some(&own)), 403, "forbidden");
    let made = by(&operator, "POST", "/syncs", Some(&own))
        .expect(201)
        .json();
    assert_eq!(made["created_by"], "token:operator");
    let own = made["id"].as_str().unwrap();
    let edit = json!({"description": "mine"});
    for (sync, status) in [(of_admin.as_str(), 403), (own, 200)] {
        let target = format!("/syncs/{sync}");
        assert_eq!(by(&viewer, "GET", &target, None).status, 200);
        for (method, target, body, ok) in [
            ("PUT", target.clone(), Some(&edit), 200),
            ("POST", format!("{target}/trigger"), None, 201),
            ("DELETE", target.clone(), None, 200),
        ] {
            assert_eq!(by(&viewer, method, &target, body).status, 403, "{method}");
            let answer = by(&operator, method, &target, body);
            let expected = if status == 200 { ok } else { status };
            assert_eq!(answer.status, expected, "{method}: {}", answer.text());
        }
    }
}
