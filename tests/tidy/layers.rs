//! Imports go down only: what each folder may know of.

use crate::Fault;
use crate::reader::File;

/// The folders and files at the root of the crate, by layer. Those on one layer know nothing of each other.
const LAYERS: &[&[&str]] = &[
    // `testing` exists in test builds only.
    &["base", "testing"],
    &["model"],
    &["wire", "config"],
    &["remote", "engine", "store"],
    &["sync"],
    &["api", "jobs"],
    &["app"],
    &["cli"],
    &["main"],
];

/// Adds every path that leads up or sideways.
pub fn check(files: &[File], faults: &mut Vec<Fault>) {
    for file in files.iter().filter(|file| file.in_crate()) {
        // lib.rs is the map: it names the layers and belongs to none.
        let Some(from) = file.module.first() else {
            continue;
        };
        let Some(layer) = layer(from) else {
            faults.push(file.fault(
                1,
                format!("`{from}` is on no layer: say where in tests/tidy/layers.rs"),
            ));
            continue;
        };
        for reference in &file.references {
            let exists = |path: &[String]| {
                files
                    .iter()
                    .any(|file| file.in_crate() && file.module == path)
            };
            let path = reference.resolve(exists);
            let Some(to) = path
                .as_ref()
                .and_then(|path| path.first())
                .filter(|to| *to != from)
            else {
                continue;
            };
            let words = match self::layer(to) {
                None => {
                    format!("`{to}` is on no layer: name an item by the module it is defined in")
                }
                Some(above) if above > layer => {
                    format!("an import upward, from `{from}` to `{to}`")
                }
                Some(beside) if beside == layer => {
                    format!("an import sideways, from `{from}` to `{to}`")
                }
                Some(_) => continue,
            };
            faults.push(file.fault(reference.line, words));
        }
    }
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&name))
}
