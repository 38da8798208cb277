//! The rules about one file alone.

use crate::Fault;
use crate::reader::{File, Reference};

/// A longer file is two files.
pub const LONGEST: usize = 400;

/// Adds what is wrong with `file` by itself.
pub fn check(file: &File, faults: &mut Vec<Fault>) {
    if file.lines > LONGEST {
        faults.push(file.fault(
            LONGEST + 1,
            format!("{} lines, at most {LONGEST}: split it", file.lines),
        ));
    }
    if !file.documented {
        faults.push(file.fault(
            1,
            "the module does not begin with `//!`: what it does, what it does not",
        ));
    }
    for line in &file.ignored {
        faults.push(file.fault(*line, "an ignored test: make it pass or remove it"));
    }
    for reference in &file.references {
        let words: Vec<&str> = reference.words.iter().map(String::as_str).collect();
        let mut add = |words: &str| faults.push(file.fault(reference.line, words));
        if reference.import.as_ref().is_some_and(|import| import.glob) {
            add("a glob import: name what you import");
        }
        if words.contains(&"AssertSqlSafe") && !file.path.starts_with("src/engine/") {
            add("`AssertSqlSafe` outside src/engine: dynamic SQL is built there and nowhere else");
        }
        if spawns(&words) && file.in_crate() && file.path != "src/base/task.rs" {
            add("a bare `tokio::spawn`: use base::task, so that the task has a name and an owner");
        }
        if sleeps(&words) && is_test(file, reference) {
            add("a sleep in a test: wait for a condition with a deadline");
        }
    }
}

fn spawns(words: &[&str]) -> bool {
    words.first() == Some(&"tokio") && matches!(words.last(), Some(&("spawn" | "spawn_local")))
}

fn sleeps(words: &[&str]) -> bool {
    matches!(
        words,
        [.., "thread", "sleep" | "sleep_ms"] | [.., "time", "sleep" | "sleep_until"]
    )
}

fn is_test(file: &File, reference: &Reference) -> bool {
    let inside = reference
        .module
        .get(file.module.len())
        .is_some_and(|module| module == "tests");
    let waits = file.path == "tests/it/support/wait.rs";
    (!file.in_crate() || inside) && !waits
}
