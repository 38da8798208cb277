//! Lists: newest first, in pages, with cursors that say nothing.

use serde_json::{Value, json};

use crate::admin::{problem, site};

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_list_is_walked_page_by_page_newest_first() {
    let site = site();
    site.token();
    for name in ["a", "b", "c", "d"] {
        site.post("/tokens", &json!({"name": name, "role": "viewer"}))
            .expect(201);
    }
    let (mut seen, mut target) = (Vec::new(), "/tokens?limit=2".to_owned());
    loop {
        let page = site.get(&target);
        assert!(names(&page).len() <= 2);
        seen.extend(names(&page));
        match page["next_cursor"].as_str() {
            Some(cursor) => target = format!("/tokens?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ["d", "c", "b", "a", "test"]);
}

#[test]
fn empty_lists_are_lists_and_parameters_are_checked() {
    let site = site();
    for target in [
        "/connections",
        "/runs",
        "/transfers",
        "/runs?status=failed&limit=200",
    ] {
        assert_eq!(
            site.get(target),
            json!({"items": [], "next_cursor": null}),
            "{target}"
        );
    }
    for (target, field) in [
        ("/runs?limit=0", "limit"),
        ("/runs?limit=201", "limit"),
        ("/connections?cursor=x", "cursor"),
        ("/runs?status=done", "status"),
        ("/runs?since=yesterday", "since"),
        ("/transfers?connection=hq", "connection"),
    ] {
        let problem = problem(site.admin("GET", target, None), 422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{target}");
    }
    problem(
        site.admin("GET", "/runs?colour=red", None),
        400,
        "malformed",
    );
}
