//! Every type and edge value through every pair: equal when read back, or refused by name; never another value.
//!
//! One table holds a column per type and destination type, and a row per value, so that a refusal is about one value.

use evenkeel::engine::driver::NewTable;
use evenkeel::model::table::{NeutralType, Table};
use evenkeel::wire::convert::{Sides, conversion};

use super::cases::{Case, cases, prelude};
use super::same::same;
use super::{KINDS, Plan, Site};
use crate::support::database::Kind;

#[derive(Default)]
struct Tally {
    cases: usize,
    equal: usize,
    refused: usize,
    silent: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pair_of_engines_changes_a_value_in_silence() {
    let mut tally = Tally::default();
    for from in KINDS {
        for to in KINDS {
            for group in cases(from) {
                by_hand(from, to, group, &mut tally).await;
                created(from, to, group, &mut tally).await;
            }
        }
    }
    println!(
        "value fidelity: {} cases, {} equal, {} refused, {} silent changes",
        tally.cases,
        tally.equal,
        tally.refused,
        tally.silent.len()
    );
    assert!(tally.silent.is_empty(), "{}", tally.silent.join("\n"));
}

fn targets(case: &Case, to: Kind) -> &'static [&'static str] {
    match to {
        Kind::Postgres => case.postgres,
        Kind::Sqlite => case.sqlite,
        Kind::Mariadb => case.mariadb,
    }
}

async fn by_hand(from: Kind, to: Kind, group: &[Case], tally: &mut Tally) {
    let (from, to) = made_by_hand(from, to, group).await;
    check(&from, &to, tally).await;
}

/// A column for each type of `group` and each type of `to` that it is sent to, a row for each value of it.
pub(super) async fn made_by_hand(from: Kind, to: Kind, group: &[Case]) -> (Site, Site) {
    let mut there = vec!["id int primary key".to_owned()];
    let mut here = there.clone();
    let mut rows = Vec::new();
    for (at, case) in group.iter().enumerate() {
        for (target_at, target) in targets(case, to).iter().enumerate() {
            let name = format!("c{at}_{target_at}");
            there.push(format!("{name} {}", case.source));
            here.push(format!("{name} {target}"));
            rows.extend(inserts(&name, case, rows.len()));
        }
    }
    let filled = filled(from, &there, &rows);
    let empty = format!("{}{}", prelude(to), table(&here));
    (
        Site::with(from, &filled).await,
        Site::with(to, &empty).await,
    )
}

async fn created(from: Kind, to: Kind, group: &[Case], tally: &mut Tally) {
    let from = source(from, group).await;
    let to = made_after(&from, to).await;
    check(&from, &to, tally).await;
}

/// A column for each type of `group`, a row for each value of it.
pub(super) async fn source(from: Kind, group: &[Case]) -> Site {
    let mut there = vec!["id int primary key".to_owned()];
    let mut rows = Vec::new();
    for (at, case) in group.iter().enumerate() {
        there.push(format!("c{at} {}", case.source));
        rows.extend(inserts(&format!("c{at}"), case, rows.len()));
    }
    Site::with(from, &filled(from, &there, &rows)).await
}

/// A database with the table of `from`, as `--create` makes it.
pub(super) async fn made_after(from: &Site, to: Kind) -> Site {
    let to = Site::with(to, &format!("{}select 1", prelude(to))).await;
    let new = NewTable {
        table: from.table("w").await,
        source: from.driver.engine(),
    };
    to.driver.create(&[new]).await.unwrap();
    to
}

fn inserts(name: &str, case: &Case, before: usize) -> Vec<String> {
    let values = case.values.iter().enumerate();
    values
        .map(|(at, value)| {
            format!(
                "insert into w (id, {name}) values ({}, {value})",
                before + at
            )
        })
        .collect()
}

fn table(columns: &[String]) -> String {
    format!("create table w (\n{}\n);", columns.join(",\n"))
}

fn filled(kind: Kind, columns: &[String], rows: &[String]) -> String {
    format!(
        "{}{} begin; {}; commit;",
        prelude(kind),
        table(columns),
        rows.join(";\n")
    )
}

/// Leaves out the columns whose kinds cannot fit, and counts their rows as refused.
pub(super) fn without_refused(
    from: &Site,
    source: &mut Table,
    to: &Site,
    target: &mut Table,
) -> Vec<String> {
    let sides = Sides::between(from.driver.engine(), to.driver.engine());
    let refused: Vec<String> = source
        .columns
        .iter()
        .filter(|there| {
            let here = target.column(&there.name).unwrap();
            conversion(there, here, sides).is_err()
        })
        .map(|column| column.name.clone())
        .collect();
    source
        .columns
        .retain(|column| !refused.contains(&column.name));
    target
        .columns
        .retain(|column| !refused.contains(&column.name));
    refused
}

/// The same bytes; a jsonb sorts its members, and is compared as a document.
fn is_kept(found: &super::Row, expected: &super::Row, at: usize, kind: NeutralType) -> bool {
    let pairs = found.iter().zip(expected).enumerate();
    let mut others = pairs.filter(|(index, _)| kind != NeutralType::Jsonb || *index != at);
    others.all(|(_, (found, expected))| found == expected)
}

async fn check(from: &Site, to: &Site, tally: &mut Tally) {
    let (mut source, mut target) = (from.table("w").await, to.table("w").await);
    let all = from.rows(&source, &source.columns).await.unwrap();
    tally.cases += all.len();
    let refused = without_refused(from, &mut source, to, &mut target);
    let plan = Plan::make(from, &source, to, &target).await.unwrap();
    let outcome = plan.apply(to).await.unwrap();
    let pair = format!("{:?} to {:?}", from.database.kind(), to.database.kind());
    for (key, sent) in &plan.sent {
        let filled = (1..sent.len()).find(|&at| sent[at].is_some());
        let Some(at) = filled else {
            // A NULL, or a column whose kind was refused: nothing but the key arrives.
            let arrived = outcome
                .found
                .get(key)
                .is_some_and(|row| row[1..].iter().all(Option::is_none));
            let empty = refused.is_empty();
            tally.equal += usize::from(empty && arrived);
            tally.refused += usize::from(!empty);
            if !arrived {
                tally
                    .silent
                    .push(format!("{pair}: row {key} without values"));
            }
            continue;
        };
        if outcome.refused.contains_key(key) {
            tally.refused += 1;
            continue;
        }
        let (there, here) = (&plan.contract.source[at], &plan.contract.target[at]);
        let kept = outcome.found.get(key).is_some_and(|found| {
            is_kept(found, &plan.expected[key], at, here.kind)
                && found[at].as_deref().is_some_and(|found| {
                    same(
                        there,
                        sent[at].as_deref().unwrap(),
                        here,
                        found,
                        to.driver.engine(),
                    )
                })
        });
        if kept {
            tally.equal += 1;
        } else {
            let shown = |row: Option<&super::Row>, kind| {
                row.map(|row| evenkeel::wire::json::field_to_text(kind, row[at].as_deref()))
            };
            tally.silent.push(format!(
                "{pair}, {} to {}: {:?} became {:?} where {:?} was meant",
                there.native,
                here.native,
                shown(Some(sent), there.kind),
                shown(outcome.found.get(key), here.kind),
                shown(plan.expected.get(key), here.kind),
            ));
        }
    }
    let again = plan.apply(to).await.unwrap();
    let same_refused = again.refused.keys().eq(outcome.refused.keys());
    if again.counts() != (0, 0) || !same_refused || again.found != outcome.found {
        let changed = again
            .found
            .iter()
            .filter(|(key, row)| outcome.found.get(*key) != Some(row));
        tally.silent.push(format!(
            "{pair}: the same rows a second time: {:?}, keys {:?}",
            again.counts(),
            changed.map(|(key, _)| key).collect::<Vec<_>>()
        ));
    }
}
