//! Each rule about one file shown to bite, and to let pass what is right.

use super::{each_is, each_is_fine, faults};
use crate::rules::LONGEST;

#[test]
fn a_glob_import_is_a_fault() {
    each_is(
        "glob",
        &[
            ("src/sync/pull.rs", "use std::io::*;", 2),
            ("src/sync/pull.rs", "mod tests {\n  use super::*;\n}", 3),
            (
                "src/sync/pull.rs",
                "use std::{fmt, io::{self, prelude::*}};",
                2,
            ),
            (
                "tests/it/main.rs",
                "fn f() { use proptest::prelude::*; }",
                2,
            ),
        ],
    );
    each_is_fine(&[("src/sync/pull.rs", "fn f(a: &u8, b: u8) -> u8 { *a * b }")]);
}

#[test]
fn a_file_longer_than_allowed_is_a_fault() {
    each_is_fine(&[("src/sync/pull.rs", &"\n".repeat(LONGEST - 2))]);
    let found = faults(&[("tests/it/main.rs", &"\n".repeat(LONGEST - 1))]);
    assert_eq!(
        found,
        ["tests/it/main.rs:401: 401 lines, at most 400: split it"]
    );
}

#[test]
fn a_module_without_its_opening_words_is_a_fault() {
    for text in [
        "use std::fmt;\n//! Late.\n",
        "/// Not the module's.\nfn f() {}\n",
        "// Why.\n",
        "",
    ] {
        let found = crate::faults(&[("src/sync/pull.rs".to_owned(), text.to_owned())]);
        assert!(
            found.iter().any(|fault| fault.words.contains("`//!`")),
            "{text:?}: {found:?}"
        );
    }
}

#[test]
fn unchecked_sql_outside_the_engine_is_a_fault() {
    each_is(
        "AssertSqlSafe",
        &[
            ("src/store/run.rs", "use sqlx::AssertSqlSafe;", 2),
            (
                "src/store/run.rs",
                "use sqlx::{AssertSqlSafe as Trusted};",
                2,
            ),
            (
                "src/store/run.rs",
                "fn f() { q(sqlx::AssertSqlSafe(sql)) }",
                2,
            ),
            ("src/store/run.rs", "fn f() { q(AssertSqlSafe(sql)) }", 2),
            ("tests/it/main.rs", "fn f() { q(AssertSqlSafe(sql)) }", 2),
        ],
    );
    each_is_fine(&[(
        "src/engine/sql.rs",
        "use sqlx::AssertSqlSafe;\nfn f() { q(AssertSqlSafe(sql)) }",
    )]);
}

#[test]
fn a_task_without_an_owner_is_a_fault() {
    each_is(
        "tokio::spawn",
        &[
            ("src/api/mod.rs", "fn f() { tokio::spawn(async {}); }", 2),
            (
                "src/api/mod.rs",
                "fn f() { tokio::task::spawn(async {}); }",
                2,
            ),
            ("src/api/mod.rs", "use tokio::{net, task::spawn};", 2),
        ],
    );
    each_is_fine(&[
        ("src/base/task.rs", "fn f() { tokio::spawn(async {}); }"),
        (
            "src/api/mod.rs",
            "fn f() { crate::base::task::spawn(\"name\", async {}); }",
        ),
    ]);
}

#[test]
fn an_ignored_test_is_a_fault() {
    each_is(
        "ignored",
        &[
            ("tests/it/main.rs", "#[test]\n#[ignore]\nfn f() {}", 3),
            (
                "src/sync/pull.rs",
                "mod tests {\n#[test]\n#[ignore = \"slow\"]\nfn f() {} }",
                4,
            ),
            (
                "src/sync/pull.rs",
                "#[cfg_attr(debug_assertions, ignore)]\nfn f() {}",
                2,
            ),
            (
                "src/sync/pull.rs",
                "#[cfg_attr(all(unix, not(windows)), ignore = \"slow\")]\nfn f() {}",
                2,
            ),
        ],
    );
}

#[test]
fn a_sleep_in_a_test_is_a_fault() {
    each_is(
        "sleep",
        &[
            ("tests/it/pull.rs", "fn f() { std::thread::sleep(d) }", 2),
            (
                "tests/it/pull.rs",
                "use std::thread;\nfn f() { thread::sleep(d) }",
                3,
            ),
            ("tests/it/pull.rs", "use tokio::time::{Duration, sleep};", 2),
            (
                "tests/it/pull.rs",
                "async fn f() { tokio::time::sleep_until(d).await }",
                2,
            ),
            (
                "src/sync/pull.rs",
                "mod tests { fn f() { std::thread::sleep(d) } }",
                2,
            ),
        ],
    );
    each_is_fine(&[
        (
            "tests/it/support/wait.rs",
            "fn f() { std::thread::sleep(d) }",
        ),
        (
            "src/sync/pull.rs",
            "async fn f() { tokio::time::sleep(d).await }",
        ),
    ]);
}
