//! Keys of several columns, of text, and keys that the destination calls equal though their bytes differ.

use evenkeel::engine::driver::EnactJob;
use evenkeel::engine::plan::Ending;
use evenkeel::model::run::ConflictStrategy::{Merge, Newest, Overwrite, Skip};
use evenkeel::model::run::SyncMode::{Insert, Mirror, Update, Upsert};

use super::{Row, Site, enact_job, int, progress, refused, stream, text, written};
use crate::support::database::{KINDS, Kind};

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_by_keys_of_several_columns() {
    for kind in KINDS {
        let site = Site::with(
            kind,
            "create table t (part varchar(9) not null, n bigint not null, name varchar(9), primary key (n, part));
             insert into t values ('a', 1, 'x'), ('a', 2, 'x'), ('b', 1, 'x'), ('', 3, 'x')",
        )
        .await;
        let row = |part: &str, n: i64, name: &str| -> Row { vec![text(part), int(n), text(name)] };
        let wanted = [
            row("a", 1, "y"),
            row("b", 1, "x"),
            row("b", 2, "y"),
            row("", 3, "y"),
        ];
        let enacted = site.enact(site.plan(&wanted).await).await.unwrap();
        assert_eq!(written(&enacted.changes), (1, 2, 1, 0), "{kind:?}");
        assert_eq!(
            site.query("select part, n, name from t order by n, part"),
            "a|1|y\nb|1|x\nb|2|y\n|3|y",
            "{kind:?}"
        );
    }
}

/// A table `t` whose key folds case.
fn folded(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => {
            "create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             create table t (code varchar(9) collate folded primary key, name varchar(9));"
        }
        Kind::Sqlite => "create table t (code varchar(9) collate nocase primary key not null, name varchar(9));",
        Kind::Mariadb => "create table t (code varchar(9) collate utf8mb4_general_ci primary key, name varchar(9));",
    }
}

const LOCAL: &str = "insert into t values ('abc', 'x'), ('def', 'x'), ('ghi', 'x'), ('jkl', 'x')";

fn named(code: &str, name: &str) -> Row {
    vec![text(code), text(name)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_key_this_database_calls_equal_takes_the_other_s_place() {
    for kind in KINDS {
        for mode in [Mirror, Upsert] {
            let site = Site::with(kind, &format!("{}{LOCAL}", folded(kind))).await;
            let wanted = [
                named("ABC", "x"),
                named("def", "y"),
                named("GHI", "y"),
                named("new", "y"),
            ];
            let plan = site.plan(&wanted).await.mode(mode, Overwrite);
            site.database
                .execute("update t set name = 'local' where code = 'ghi'");
            let enacted = site.enact(plan).await.unwrap();
            let gone = u64::from(mode == Mirror);
            // The row that was changed here meanwhile is told twice: once for each of its keys.
            assert_eq!(enacted.changes.added, 1, "{kind:?} {mode}");
            assert_eq!(
                (enacted.changes.updated, enacted.changes.deleted),
                (2, gone),
                "{kind:?} {mode}"
            );
            assert!(enacted.changes.moved > 0 && enacted.rejected.is_empty());
            let rest = if mode == Mirror { "" } else { "jkl|x\n" };
            assert_eq!(
                site.query(&format!(
                    "select code, name from t order by lower({})",
                    plain(kind)
                )),
                format!("ABC|x\ndef|y\nghi|local\n{rest}new|y"),
                "{kind:?} {mode}"
            );
            // Now it may take its place.
            let again = site
                .enact(site.plan(&wanted).await.mode(mode, Overwrite))
                .await
                .unwrap();
            assert_eq!(written(&again.changes), (0, 1, 0, 0), "{kind:?} {mode}");
            let equal = site.plan(&wanted).await.mode(mode, Overwrite);
            assert_eq!(
                equal.changes.len(),
                usize::from(mode == Upsert),
                "{kind:?} {mode}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_keeps_its_place_stays_and_is_counted_once() {
    let row = |code: &str, unique: i64, v: i64| -> Row { vec![text(code), int(unique), int(v)] };
    // One only here, one that is equal but for its key, two that swap a unique value, and two whose key is that of one.
    let here = "insert into t values ('abc', 1, 5), ('def', 2, 5), ('ghi', 3, 5), ('jkl', 4, 5), ('mno', 5, 5)";
    let wanted = [
        row("ABC", 2, 6),
        row("def", 1, 6),
        row("GHI", 3, 5),
        row("MNO", 6, 4),
        row("Mno", 7, 4),
        row("new", 8, 1),
    ];
    for kind in KINDS {
        let table = folded(kind).replace("name varchar(9)", "u bigint unique, v bigint");
        for mode in [Mirror, Upsert, Insert, Update] {
            for conflict in [Overwrite, Skip, Merge, Newest] {
                for ending in [Ending::Refuse, Ending::GiveBack] {
                    let name = format!("{kind:?} {mode} {conflict} {ending:?}");
                    let site = Site::with(kind, &format!("{table}{here}")).await;
                    let plan = site.plan(&wanted).await.mode(mode, conflict);
                    let again = enact_job(plan.job.clone());
                    let mut job = enact_job(plan.job);
                    job.ending = ending;
                    let enacting = site.driver.enact(job, stream(plan.changes), progress());
                    let mut enacted = enacting.await.unwrap();
                    if ending == Ending::GiveBack {
                        let job = EnactJob {
                            waiting: std::mem::take(&mut enacted.waiting),
                            ..again
                        };
                        let rest = site.driver.enact(job, stream(vec![]), progress()).await;
                        let rest = rest.unwrap();
                        enacted.changes.add(&rest.changes);
                        enacted.left.add(&rest.left);
                        enacted.rejected.extend(rest.rejected);
                    }
                    let codes = site.query(&format!("select lower({}) from t", plain(kind)));
                    let mut codes: Vec<&str> = codes.lines().collect();
                    codes.sort_unstable();
                    let mut expected = vec!["abc", "def", "ghi", "mno"];
                    expected.extend((mode != Mirror).then_some("jkl"));
                    expected.extend((mode != Update).then_some("new"));
                    expected.sort_unstable();
                    assert_eq!(codes, expected, "{name}: {enacted:?}");
                    assert!(mode == Mirror || enacted.changes.deleted == 0, "{name}");
                    // No proof explains what was refused: it did not come, and what is in its place stays as it was.
                    let refused = refused(&enacted);
                    let is_refused = |code: &str| refused.iter().any(|(key, ..)| key == code);
                    let mut came = wanted.to_vec();
                    came.retain(|row| !refused.iter().any(|(key, ..)| row[0] == text(key)));
                    came.extend(is_refused("def").then(|| row("def", 2, 5)));
                    let kept = mode == Mirror && is_refused("ABC");
                    came.extend(kept.then(|| row("abc", 1, 5)));
                    site.assert_explained(&came, &enacted.left, &name).await;
                }
            }
        }
    }
}

fn plain(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => "code collate \"C\"",
        Kind::Sqlite | Kind::Mariadb => "code",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rows_that_this_database_calls_equal_do_not_replace_each_other() {
    for kind in KINDS {
        let site = Site::with(kind, &format!("{}{LOCAL}", folded(kind))).await;
        // 'abc' is equal on both sides, and 'ABC' would take its place; 'ghi' would be two others; 'new' and 'NEW' both come.
        let wanted =
            ["abc", "ABC", "def", "Ghi", "gHI", "jkl", "new", "NEW"].map(|code| named(code, "x"));
        for _ in 0..2 {
            let enacted = site.enact(site.plan(&wanted).await).await.unwrap();
            let refused = refused(&enacted);
            let is_collision = |reason: &str| reason.starts_with("key_collision: ");
            assert!(
                refused.iter().all(|(_, _, reason)| is_collision(reason)),
                "{refused:?}"
            );
            // One of each two, and the one that is not here.
            for two in [["abc", "ABC"], ["Ghi", "gHI"], ["new", "NEW"]] {
                let of_these = refused
                    .iter()
                    .filter(|(key, ..)| two.contains(&key.as_str()));
                let keys: Vec<_> = of_these.map(|(key, ..)| key.as_str()).collect();
                assert_eq!(keys.len(), 1, "{kind:?}: {refused:?}");
                assert!(two != ["abc", "ABC"] || keys == ["ABC"], "{refused:?}");
            }
            assert_eq!(
                site.query("select code from t where code = 'abc'"),
                "abc",
                "{kind:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_without_a_neutral_form_can_be_key_and_value() {
    let site = Site::with(
        Kind::Postgres,
        "create type mood as enum ('sad', 'ok');
         create table t (net inet primary key, mood mood, c char(5));
         insert into t values ('10.0.0.1', 'sad', 'a'), ('10.0.0.2', 'sad', 'b')",
    )
    .await;
    let row = |net: &str, mood: &str, c: &str| -> Row { vec![text(net), text(mood), text(c)] };
    let wanted = [row("10.0.0.1/32", "ok", "a"), row("10.0.0.3/32", "ok", "c")];
    let enacted = site.enact(site.plan(&wanted).await).await.unwrap();
    assert_eq!(
        written(&enacted.changes),
        (1, 1, 1, 0),
        "{:?}",
        refused(&enacted)
    );
    assert_eq!(
        site.query("select net, c, mood from t order by net"),
        "10.0.0.1|a    |ok\n10.0.0.3|c    |ok"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_compared_as_its_own_index_does_whatever_others_do() {
    let site = Site::with(
        Kind::Sqlite,
        "create table t (a varchar(9) collate nocase not null, b varchar(9) not null, c bigint not null, primary key (a, b));
         create unique index other on t (b collate nocase, c);
         insert into t values ('x', 'Q', 1), ('x', 'q', 2), ('y', 'R', 1), ('y', 'r', 2)",
    )
    .await;
    let row = |a: &str, b: &str, c: i64| -> Row { vec![text(a), text(b), int(c)] };
    let wanted = [row("x", "q", 2), row("y", "R", 3), row("y", "r", 2)];
    let plan = site.plan_by(&["a", "b"], &wanted).await;
    let enacted = site.enact(plan.mode(Mirror, Overwrite)).await.unwrap();
    assert_eq!(written(&enacted.changes), (0, 1, 1, 0), "{enacted:?}");
    assert_eq!(
        site.query("select a, b, c from t order by a, b"),
        "x|q|2\ny|R|3\ny|r|2"
    );
}
