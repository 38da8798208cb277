//! `verify-receipt`: offline, without a daemon or settings. The receipt and the program that the documentation shows are
//! what is checked here.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use evenkeel::base::secret::Secret;
use evenkeel::wire::signing::ReceiptKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::daemon::Output;

const PAGE: &str = include_str!("../../../docs/receipts.md");

/// The first block of this language on the page.
fn block(language: &str) -> &'static str {
    let start = PAGE.split_once(&format!("```{language}\n")).unwrap().1;
    start.split_once("```").unwrap().0
}

/// The receipt that the page shows.
fn shown() -> String {
    block("json").trim().to_owned()
}

fn key(seed: u8) -> String {
    ReceiptKey::from_seed(Secret::new([seed; 32])).public()
}

fn file(folder: &TempDir, content: &str) -> PathBuf {
    let path = folder.path().join("receipts.json");
    std::fs::write(&path, content).unwrap();
    path
}

/// In a folder and an environment in which there is no Evenkeel.
fn ended(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.env("EVENKEEL_SERVER", "http://127.0.0.1:9");
    let output = command.output().unwrap();
    Output {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn verified(content: &str, options: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, content);
    let mut arguments = vec!["verify-receipt", path.to_str().unwrap()];
    arguments.extend(options);
    ended(env!("CARGO_BIN_EXE_evenkeel"), &arguments)
}

#[test]
fn a_receipt_is_checked_without_anything_else() {
    let alone = verified(&shown(), &[]);
    assert_eq!(alone.code, 0, "{alone:#?}");
    for words in [
        "holds: 2,000,000 rows of \"orders\" at \"berlin\" are 2,000,003 rows of \"berlin_orders\" at \"hq\", less 3",
        "180 added, 20 updated, 0 deleted",
        &key(1),
        &key(2),
    ] {
        assert!(alone.stdout.contains(words), "{words}: {alone:#?}");
    }
    assert!(alone.stderr.contains("only the sites themselves can tell"));
    let (source, destination) = (key(1), key(2));
    let keys = ["--source-key", &source, "--destination-key", &destination];
    let known = verified(&format!("{}\n{}\n", shown(), shown()), &keys);
    assert_eq!((known.code, known.stderr.as_str()), (0, ""), "{known:#?}");
    assert_eq!(known.stdout.matches("holds: ").count(), 2);
    let json = verified(&shown(), &["--json"]);
    let told: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(told["holds"], true);
    assert_eq!(told["terms"]["source"]["at"]["rows"], 2_000_000);
    assert_eq!(told["source_key"], source);
}

#[test]
fn what_is_no_good_receipt_ends_with_its_own_code() {
    let good = shown();
    let (one, other) = (key(1), key(2));
    let swapped = ["--source-key", &other, "--destination-key", &one];
    for (content, options, code, words) in [
        (
            good.replace("2000003", "2000002"),
            &[][..],
            1,
            "did not sign",
        ),
        (
            good.replace("destination\",\"key", "source\",\"key"),
            &[],
            1,
            "no signature of the destination",
        ),
        (
            format!("{good}\n{}", good.replace("180", "181")),
            &[],
            1,
            "did not sign",
        ),
        (good.clone(), &swapped, 1, "another key than the one given"),
        (
            good.clone(),
            &["--source-key", "berlin"],
            2,
            "no Ed25519 public key",
        ),
        (String::new(), &[], 2, "it is empty"),
        ("{\"terms\": 1}".to_owned(), &[], 2, "it holds no receipt"),
        (good[..200].to_owned(), &[], 2, "it holds no receipt"),
    ] {
        let ended = verified(&content, options);
        assert_eq!(ended.code, code, "{words}: {ended:#?}");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains(words), "{words}: {ended:#?}");
    }
    let missing = ended(
        env!("CARGO_BIN_EXE_evenkeel"),
        &["verify-receipt", "/nowhere/at.all"],
    );
    assert_eq!(missing.code, 2, "{missing:#?}");
}

#[test]
fn the_program_of_the_documentation_comes_to_the_same_result() {
    for tool in ["python3", "openssl"] {
        let found = Command::new(tool).arg("--help").output();
        if found.is_err() {
            println!(
                "NOT TESTED: the program in docs/receipts.md needs {tool}, which is not installed"
            );
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("check.py");
    std::fs::write(&program, block("python")).unwrap();
    let run = |content: &str| {
        let receipts = file(&folder, content);
        ended(
            "python3",
            &[program.to_str().unwrap(), receipts.to_str().unwrap()],
        )
    };
    let good = run(&shown());
    assert_eq!(good.code, 0, "{good:#?}");
    assert!(good.stdout.contains("orders is proved"), "{good:#?}");
    assert!(good.stdout.contains(&key(1)), "{good:#?}");
    let bad = run(&shown().replace("2000003", "2000002"));
    assert_eq!(bad.code, 1, "{bad:#?}");
    assert!(bad.stderr.contains("did not sign this"), "{bad:#?}");
}
