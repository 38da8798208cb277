//! Destinations that make something else of what is written.

use super::{Row, Site, int, refused, text, written};
use crate::support::database::Kind::{self, Mariadb, Postgres, Sqlite};

const SCHEMA: &str = "create table t (id bigint primary key, name varchar(40), note varchar(40));
insert into t values (1, 'one', 'a'), (2, 'two', 'b'), (3, 'three', 'c'), (4, 'four', 'd');";

fn wanted() -> [Row; 4] {
    [(1, "ONE"), (2, "TWO"), (5, "FIVE"), (6, "SIX")]
        .map(|(id, name)| vec![int(id), text(name), text("n")])
}

/// Triggers that act where `when` holds for the row.
fn trigger(kind: Kind, event: &str, when: &str, act: &str) -> String {
    match kind {
        Postgres => format!(
            "create function meddle_{event}() returns trigger language plpgsql as $$ begin {act} return {row}; end $$;
             create trigger meddler_{event} before {event} on t for each row when ({when}) execute function meddle_{event}();",
            row = if act.contains("return") { "null" } else { "new" },
        ),
        Mariadb => format!("create trigger meddler_{event} before {event} on t for each row if {when} then {act} end if;"),
        Sqlite => format!("create trigger meddler_{event} after {event} on t when {when} begin {act} end;"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_trigger_alters_is_not_written_and_the_trigger_and_the_column_are_named() {
    for (kind, act) in [
        (
            Postgres,
            "new.note = 'meddled'; new.name = lower(new.name);",
        ),
        (
            Mariadb,
            "set new.note = 'meddled', new.name = lower(new.name);",
        ),
        (
            Sqlite,
            "update t set note = 'meddled', name = lower(name) where id = new.id;",
        ),
    ] {
        let triggers = ["insert", "update"].map(|event| {
            let when = if kind == Sqlite {
                "new.id in (2, 6) and new.note <> 'meddled'"
            } else {
                "new.id in (2, 6)"
            };
            trigger(kind, event, when, act)
        });
        let site = Site::with(kind, SCHEMA).await;
        let plan = site.plan(&wanted()).await;
        for trigger in &triggers {
            create(&site, kind, trigger);
        }
        // The plan is made of the table as it now is.
        let plan = super::Plan {
            job: site.plan(&wanted()).await.job,
            ..plan
        };
        let enacted = site.enact(plan).await.unwrap();
        assert_eq!(written(&enacted.changes), (1, 1, 2, 0), "{kind:?}");
        let reason = "altered_by_destination: what was written reads back with another value in name, note; \
                      triggers of the table: meddler_insert, meddler_update";
        assert_eq!(
            refused(&enacted),
            [
                ("2".to_owned(), Some("name"), reason),
                ("6".to_owned(), Some("name"), reason)
            ],
            "{kind:?}"
        );
        assert_eq!(
            site.query("select id, name, note from t order by id"),
            "1|ONE|n\n2|two|b\n5|FIVE|n",
            "{kind:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_says_so_itself_alters_nothing() {
    let words = "altered_by_destination: what was written reads back";
    let refusing = format!("raise exception '{words}';");
    let site = Site::with(Postgres, SCHEMA).await;
    create(
        &site,
        Postgres,
        &trigger(Postgres, "update", "new.id = 2", &refusing),
    );
    let enacted = site.enact(site.plan(&wanted()).await).await.unwrap();
    assert_eq!(refused(&enacted), [("2".to_owned(), None, words)]);
    assert!(enacted.altered.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_trigger_leaves_out_or_moves_away_is_told() {
    for (kind, event, act, refusals, rows) in [
        (
            Postgres,
            "insert",
            "return null;",
            vec!["6"],
            "1|ONE\n2|TWO\n5|FIVE",
        ),
        (
            Postgres,
            "update",
            "return null;",
            vec!["2"],
            "1|ONE\n2|two\n5|FIVE\n6|SIX",
        ),
        (
            Postgres,
            "delete",
            "return null;",
            vec!["4"],
            "1|ONE\n2|TWO\n4|four\n5|FIVE\n6|SIX",
        ),
        (
            Postgres,
            "insert",
            "new.id = new.id + 100;",
            vec!["6"],
            "1|ONE\n2|TWO\n5|FIVE",
        ),
        (
            Mariadb,
            "insert",
            "set new.id = new.id + 100;",
            vec!["6"],
            "1|ONE\n2|TWO\n5|FIVE",
        ),
        (
            Sqlite,
            "insert",
            "delete from t where id = new.id;",
            vec!["6"],
            "1|ONE\n2|TWO\n5|FIVE",
        ),
        (
            Sqlite,
            "update",
            "update t set id = 102 where id = 2;",
            vec!["2"],
            "1|ONE\n2|two\n5|FIVE\n6|SIX",
        ),
        (
            Sqlite,
            "delete",
            "insert into t values (4, 'four', 'd');",
            vec!["4"],
            "1|ONE\n2|TWO\n4|four\n5|FIVE\n6|SIX",
        ),
    ] {
        let site = Site::with(kind, SCHEMA).await;
        let when = if event == "delete" {
            "old.id = 4"
        } else {
            "new.id in (2, 6) "
        };
        create(&site, kind, &trigger(kind, event, when, act));
        let enacted = site.enact(site.plan(&wanted()).await).await.unwrap();
        let refused = refused(&enacted);
        let keys: Vec<&str> = refused.iter().map(|(key, _, _)| key.as_str()).collect();
        assert_eq!(keys, refusals, "{kind:?} {event} {act}: {refused:?}");
        for (_, _, reason) in refused {
            assert!(reason.starts_with("altered_by_destination: "), "{reason}");
            assert!(reason.ends_with(&format!("meddler_{event}")), "{reason}");
        }
        assert_eq!(
            site.query("select id, name from t order by id"),
            rows,
            "{kind:?} {event} {act}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_character_set_that_has_no_place_for_a_letter_is_told_by_column() {
    let site = Site::with(
        Mariadb,
        "create table t (id bigint primary key, name varchar(40) character set gbk, note varchar(40))",
    )
    .await;
    let wanted = [
        vec![int(1), text("plain"), None],
        vec![int(2), text("\u{20ac}uro \u{00a4}"), None],
    ];
    let enacted = site.enact(site.plan(&wanted).await).await.unwrap();
    let refused = refused(&enacted);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((refused[0].0.as_str(), refused[0].1), ("2", Some("name")));
    assert_eq!(site.query("select id, name from t"), "1|plain");
}

/// `Database::execute` takes a trigger's body as it is in every engine.
fn create(site: &Site, kind: Kind, trigger: &str) {
    if kind == Mariadb {
        site.database
            .execute(&format!("\ndelimiter //\n{trigger}//\ndelimiter ;"));
    } else {
        site.database.execute(trigger);
    }
}
