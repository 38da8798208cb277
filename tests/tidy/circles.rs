//! Within a folder siblings may import each other, but never in a circle.
//!
//! The folder's front page, `mod.rs`, is no sibling: it passes on what its files define, and they use what it defines.
//! A name that the front page passes on counts as an import of the file it comes from.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::Fault;
use crate::reader::File;

/// Per folder: importer and imported, and the first place where that is so.
type Edges = BTreeMap<Vec<String>, BTreeMap<(String, String), (usize, usize)>>;

/// Adds every import that is part of a circle.
pub fn check(files: &[File], faults: &mut Vec<Fault>) {
    let files: Vec<&File> = files.iter().filter(|file| file.in_crate()).collect();
    for (folder, edges) in edges(&files) {
        for ((from, to), (file, line)) in &edges {
            if let Some(way) = way(&edges, to, from) {
                let words = format!(
                    "an import circle in `{}`: {from} -> {}",
                    folder.join("::"),
                    way.join(" -> ")
                );
                faults.push(files[*file].fault(*line, words));
            }
        }
    }
}

fn edges(files: &[&File]) -> Edges {
    let modules: BTreeSet<&[String]> = files.iter().map(|file| file.module.as_slice()).collect();
    let exists = |path: &[String]| modules.contains(path);
    let known = |path: &[String]| {
        (1..=path.len())
            .rev()
            .find(|end| exists(&path[..*end]))
            .unwrap_or_default()
    };
    let mut passed_on = BTreeMap::new();
    for file in files {
        for reference in &file.references {
            let Some(import) = reference.import.as_ref().filter(|import| import.public) else {
                continue;
            };
            let Some(path) = reference.resolve(exists) else {
                continue;
            };
            let origin = path[..known(&path)].to_vec();
            if origin.len() > file.module.len() && origin.starts_with(&file.module) {
                passed_on.insert((file.module.clone(), import.name.clone()), origin);
            }
        }
    }
    let mut edges = Edges::new();
    for (at, file) in files.iter().enumerate() {
        for reference in &file.references {
            let Some(path) = reference.resolve(exists) else {
                continue;
            };
            let (module, rest) = path.split_at(known(&path));
            let name = rest.first().cloned().unwrap_or_default();
            let target = passed_on
                .get(&(module.to_vec(), name))
                .map_or(module, Vec::as_slice);
            let shared = file
                .module
                .iter()
                .zip(target)
                .take_while(|(from, to)| from == to)
                .count();
            let (Some(from), Some(to)) = (file.module.get(shared), target.get(shared)) else {
                continue;
            };
            // At the root the layers rule.
            if shared > 0 {
                let folder = edges.entry(target[..shared].to_vec()).or_default();
                folder
                    .entry((from.clone(), to.clone()))
                    .or_insert((at, reference.line));
            }
        }
    }
    edges
}

/// The shortest way along the imports, both ends included.
fn way(
    edges: &BTreeMap<(String, String), (usize, usize)>,
    from: &str,
    to: &str,
) -> Option<Vec<String>> {
    let mut seen = BTreeSet::from([from.to_owned()]);
    let mut open = VecDeque::from([vec![from.to_owned()]]);
    while let Some(way) = open.pop_front() {
        let last = way.last()?;
        if last == to {
            return Some(way);
        }
        for (_, next) in edges.keys().filter(|(importer, _)| importer == last) {
            if seen.insert(next.clone()) {
                let mut further = way.clone();
                further.push(next.clone());
                open.push_back(further);
            }
        }
    }
    None
}
