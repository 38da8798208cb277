//! Each rule shown to bite, and to let pass what is right: layers and circles here, rules about one file in `single`.

#[path = "single.rs"]
mod single;

/// The faults of small sources; each gets its `//!` line in front, so line numbers begin at 2.
fn faults(sources: &[(&str, &str)]) -> Vec<String> {
    let text = |text: &str| format!("//! A module.\n{text}\n");
    let sources: Vec<(String, String)> = sources
        .iter()
        .map(|(path, source)| ((*path).to_owned(), text(source)))
        .collect();
    let faults = crate::faults(&sources);
    faults
        .iter()
        .map(|fault| format!("{}:{}: {}", fault.path, fault.line, fault.words))
        .collect()
}

/// Asserts that each source alone has exactly one fault, with these words, on this line.
#[track_caller]
fn each_is(words: &str, cases: &[(&str, &str, usize)]) {
    for (path, source, line) in cases {
        let found = faults(&[(path, source)]);
        assert_eq!(found.len(), 1, "{path}: {source}: {found:#?}");
        let place = format!("{path}:{line}: ");
        assert!(
            found[0].starts_with(&place) && found[0].contains(words),
            "{source}: {found:#?}"
        );
    }
}

#[track_caller]
fn each_is_fine(cases: &[(&str, &str)]) {
    for case in cases {
        assert_eq!(faults(&[*case]), Vec::<String>::new(), "{case:?}");
    }
}

#[test]
fn an_import_upward_is_a_fault_however_it_is_written() {
    each_is(
        "upward",
        &[
            ("src/engine/sql.rs", "use crate::sync::plan::Plan;", 2),
            (
                "src/engine/sql.rs",
                "use crate::{base::task, sync::plan::Plan};",
                2,
            ),
            (
                "src/engine/sql.rs",
                "use crate::{\n  base::task,\n  sync::{plan::Plan},\n};",
                4,
            ),
            ("src/engine/sql.rs", "pub(crate) use crate::api::Error;", 2),
            (
                "src/engine/sql.rs",
                "pub(in crate::engine) use crate::api::Error;",
                2,
            ),
            ("src/engine/sql.rs", "use crate::api as door;", 2),
            ("src/engine/sql.rs", "use ::evenkeel::api::Error;", 2),
            ("src/engine/sql.rs", "fn f() { crate::sync::pull() }", 2),
            (
                "src/engine/sql.rs",
                "fn f() -> Vec<crate::sync::Plan> { Vec::<u8>::new() }",
                2,
            ),
            ("src/engine/sql.rs", "fn f() { evenkeel::sync::pull() }", 2),
            (
                "src/engine/sql.rs",
                "fn f() { println!(\"{}\", crate::sync::pull()) }",
                2,
            ),
            (
                "src/engine/sql.rs",
                "macro_rules! m { () => { $crate::sync::pull() } }",
                2,
            ),
            (
                "src/engine/sql.rs",
                "#[cfg(test)]\nmod tests {\n  use crate::sync::pull;\n}",
                4,
            ),
            ("src/base/task.rs", "use crate::model::RunId;", 2),
            ("src/app.rs", "use crate::cli::Cli;", 2),
            ("src/cli/mod.rs", "use crate::main::run;", 2),
        ],
    );
}

#[test]
fn an_import_upward_through_super_is_a_fault() {
    each_is(
        "upward",
        &[
            ("src/engine/sql.rs", "use super::super::sync::Plan;", 2),
            ("src/engine/mod.rs", "use super::sync::Plan;", 2),
            (
                "src/engine/postgres/read.rs",
                "fn f() { super::super::super::sync::pull() }",
                2,
            ),
            (
                "src/engine/sql.rs",
                "mod tests { mod deep { use super::super::super::super::sync::Plan; } }",
                2,
            ),
            ("src/engine/sql.rs", "use super::{super::sync::Plan};", 2),
        ],
    );
}

#[test]
fn an_import_between_folders_of_one_layer_is_a_fault() {
    each_is(
        "sideways",
        &[
            ("src/engine/sql.rs", "use crate::store::Store;", 2),
            ("src/store/run.rs", "use crate::remote::Client;", 2),
            ("src/remote/mod.rs", "use super::engine::Driver;", 2),
            ("src/api/error.rs", "use crate::jobs::runner;", 2),
            ("src/wire/row.rs", "fn f(_: &crate::config::Config) {}", 2),
        ],
    );
}

#[test]
fn a_name_or_a_file_outside_the_layers_is_a_fault() {
    each_is(
        "on no layer",
        &[
            ("src/engine/sql.rs", "use crate::Error;", 2),
            ("src/util.rs", "", 1),
            ("src/helpers/mod.rs", "", 1),
        ],
    );
}

#[test]
fn imports_downward_and_within_a_folder_are_fine() {
    each_is_fine(&[
        ("src/lib.rs", "pub mod cli;\npub use cli::run;"),
        ("src/main.rs", "fn main() { evenkeel::cli::run() }"),
        (
            "src/sync/pull.rs",
            "use crate::engine::Driver;\nuse super::Ctx;\nuse crate::sync::plan::Plan;",
        ),
        (
            "src/sync/pull.rs",
            "mod tests { use super::pull; use super::super::Ctx; }",
        ),
        (
            "src/engine/sql.rs",
            "pub(in crate::engine) fn f() -> impl Fn() + use<> { sync::pull }",
        ),
        (
            "src/engine/sql.rs",
            "// use crate::sync::Plan;\nconst A: &str = \"crate::sync::Plan\";",
        ),
        (
            "tests/it/main.rs",
            "use evenkeel::cli::run;\nmod support;\nuse crate::support::wait;",
        ),
    ]);
}

#[test]
fn a_circle_among_siblings_is_a_fault_at_every_import_of_it() {
    let found = faults(&[
        ("src/sync/mod.rs", "mod a; mod b; mod c;"),
        ("src/sync/a.rs", "use super::b::B;"),
        ("src/sync/b.rs", "use crate::sync::c::C;"),
        ("src/sync/c.rs", "fn f() { super::a::run() }"),
        ("src/sync/d.rs", "use super::a::A;"),
    ]);
    assert_eq!(
        found,
        [
            "src/sync/a.rs:2: an import circle in `sync`: a -> b -> c -> a",
            "src/sync/b.rs:2: an import circle in `sync`: b -> c -> a -> b",
            "src/sync/c.rs:2: an import circle in `sync`: c -> a -> b -> c",
        ]
    );
}

#[test]
fn a_circle_through_a_name_passed_on_by_the_front_page_is_a_fault() {
    let found = faults(&[
        (
            "src/sync/mod.rs",
            "mod a;\nmod b;\npub(crate) use a::{self, Plan as Draft};",
        ),
        ("src/sync/a.rs", "use super::b::B;"),
        ("src/sync/b.rs", "use super::Draft;"),
    ]);
    assert_eq!(
        found,
        [
            "src/sync/a.rs:2: an import circle in `sync`: a -> b -> a",
            "src/sync/b.rs:2: an import circle in `sync`: b -> a -> b",
        ]
    );
}

#[test]
fn a_circle_between_a_folder_and_a_file_beside_it_is_a_fault() {
    let found = faults(&[
        ("src/engine/mod.rs", ""),
        ("src/engine/driver.rs", "use super::postgres::read::Reader;"),
        ("src/engine/postgres/mod.rs", ""),
        (
            "src/engine/postgres/read.rs",
            "use crate::engine::driver::Driver;",
        ),
    ]);
    assert_eq!(
        found,
        [
            "src/engine/driver.rs:2: an import circle in `engine`: driver -> postgres -> driver",
            "src/engine/postgres/read.rs:2: an import circle in `engine`: postgres -> driver -> postgres",
        ]
    );
}

#[test]
fn the_front_page_and_its_files_may_use_each_other() {
    let found = faults(&[
        (
            "src/sync/mod.rs",
            "mod a;\nmod b;\npub use self::a::A;\npub struct Ctx;",
        ),
        ("src/sync/a.rs", "use super::Ctx;\nuse super::b::B;"),
        ("src/sync/b.rs", "use super::Ctx;"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}
