//! The shape of the source, kept by a test: layers, circles, globs, lengths, and the few things only one place may do.
//!
//! Every fault is listed as `file:line`. `tidy/` holds the reading, the rules, and fixtures that show each rule bite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/fixtures.rs"]
mod fixtures;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/reader.rs"]
mod reader;
#[path = "tidy/rules.rs"]
mod rules;

use std::path::Path;

use reader::File;

/// Something to mend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    path: String,
    line: usize,
    words: String,
}

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "tests", "benches"] {
        collect(root, &root.join(folder), &mut sources);
    }
    assert!(
        sources.iter().any(|(path, _)| path == "src/main.rs"),
        "the source was found"
    );
    let faults = faults(&sources);
    let list: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}:{}: {}", fault.path, fault.line, fault.words))
        .collect();
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        list.join("\n")
    );
}

/// All faults of these sources (path and text), sorted by place.
fn faults(sources: &[(String, String)]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut files = Vec::new();
    for (path, text) in sources {
        match File::read(path, text) {
            Ok(file) => files.push(file),
            Err(fault) => faults.push(fault),
        }
    }
    for file in &files {
        rules::check(file, &mut faults);
    }
    layers::check(&files, &mut faults);
    circles::check(&files, &mut faults);
    faults.sort();
    faults.dedup();
    faults
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("UTF-8 source");
            let name = path
                .strip_prefix(root)
                .expect("below the root")
                .display()
                .to_string();
            sources.push((name, text));
        }
    }
}
