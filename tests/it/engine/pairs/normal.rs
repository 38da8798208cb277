//! Normal forms, with the databases as oracles: what was moved has the form it had; what was changed has another.
//!
//! Every edge value, and every small change of it that the source's own SQL makes, is read from one engine, moved into
//! the other and read back. Then values on the other side are changed by its SQL, and it says itself whether they did.

mod vary;

use std::collections::{BTreeMap, HashMap};

use evenkeel::model::table::{Column, Engine};
use evenkeel::wire::convert::Sides;
use evenkeel::wire::json::field_to_text;
use evenkeel::wire::normal::{Normal, NormalForm, normal_form};
use evenkeel::wire::row::RowWriter;

use super::cases::{Case, cases};
use super::fidelity::{made_after, made_by_hand, source, without_refused};
use super::same::{document, number, same};
use super::{KINDS, Plan, Row, Site, random, row, tuples};
use crate::support::database::{CHAIN, Kind};
use vary::{APART, readable, stored, vary};

#[derive(Default)]
struct Tally {
    cases: usize,
    equal: Vec<String>,
    different: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_values_have_one_normal_form_and_others_another_in_every_pair() {
    let mut tally = Tally::default();
    for from in KINDS {
        for group in cases(from) {
            edges(from, group, &mut tally).await;
        }
        let giver = Site::with(from, &random::filled(from, &random::rows())).await;
        for to in KINDS {
            let taker = Site::with(to, random::schema(to)).await;
            Agreed::on(&giver, &taker, &mut tally).await;
            let taker = made_after(&giver, to).await;
            Agreed::on(&giver, &taker, &mut tally).await;
        }
    }
    println!(
        "normal forms: {} cases, {} false equal, {} false different",
        tally.cases,
        tally.equal.len(),
        tally.different.len()
    );
    let wrong: Vec<String> = tally.equal.into_iter().chain(tally.different).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The values of `group` and all changes of them into each kind; then, where each kind takes once, changes there.
async fn edges(from: Kind, group: &[Case], tally: &mut Tally) {
    let giver = source(from, group).await;
    let table = giver.table("w").await;
    let rows = giver.rows(&table, &table.columns).await.unwrap();
    vary(&giver, &table, &filled(&table.columns, &rows)).await;
    for to in KINDS {
        let taker = made_after(&giver, to).await;
        let sides = Agreed::on(&giver, &taker, tally).await;
        sides.judge_changes(&giver, true, tally).await;
        let (giver, taker) = made_by_hand(from, to, group).await;
        let sides = Agreed::on(&giver, &taker, tally).await;
        if CHAIN.contains(&(from, to)) {
            let table = taker.table("w").await;
            let rows: Vec<Row> = sides.found.values().cloned().collect();
            vary(&taker, &table, &filled(&sides.plan.contract.target, &rows)).await;
            sides.judge_changes(&taker, false, tally).await;
        }
    }
}

/// The rows that have a value, and the column it is in.
fn filled(columns: &[Column], rows: &[Row]) -> Vec<(i64, Column)> {
    let value = |row: &Row| {
        let at = (1..row.len()).find(|at| row[*at].is_some())?;
        Some((id(columns, row), columns[at].clone()))
    };
    rows.iter().filter_map(value).collect()
}

fn id(columns: &[Column], row: &Row) -> i64 {
    let text = field_to_text(columns[0].kind, row[0].as_deref());
    text.parse().unwrap()
}

/// A table on both sides, moved from one to the other.
struct Agreed {
    pair: String,
    plan: Plan,
    /// What is there afterwards, but for what was refused.
    found: BTreeMap<String, Row>,
    forms: Vec<NormalForm>,
    there: Normal,
    here: Normal,
    engine: Engine,
}

impl Agreed {
    async fn on(from: &Site, to: &Site, tally: &mut Tally) -> Self {
        let (mut source, mut target) = (from.table("w").await, to.table("w").await);
        without_refused(from, &mut source, to, &mut target);
        let plan = Plan::make(from, &source, to, &target).await.unwrap();
        let outcome = plan.apply(to).await.unwrap();
        let sides = Sides::between(from.driver.engine(), to.driver.engine());
        let columns = plan.contract.source.iter().zip(&plan.contract.target);
        let forms: Vec<NormalForm> = columns
            .map(|(there, here)| normal_form(there, here, sides).unwrap())
            .collect();
        // As the sender is told.
        let told = serde_json::from_str(&serde_json::to_string(&forms).unwrap());
        let told: Vec<NormalForm> = told.unwrap();
        let mut found = outcome.found;
        found.retain(|key, _| !outcome.refused.contains_key(key));
        let agreed = Self {
            pair: format!("{:?} to {:?}", from.database.kind(), to.database.kind()),
            there: Normal::new(&plan.contract.source, &told).unwrap(),
            here: Normal::new(&plan.contract.target, &forms).unwrap(),
            plan,
            found,
            forms,
            engine: to.driver.engine(),
        };
        agreed.judge_moved(tally);
        agreed
    }

    fn judge_moved(&self, tally: &mut Tally) {
        let sent = forms_of(&self.there, &self.plan.sent);
        let found = forms_of(&self.here, &self.found);
        let width = self.forms.len();
        for (key, form) in &found {
            tally.cases += 1;
            if sent[key] != *form {
                let at = (0..width).find(|at| sent[key][*at] != form[*at]).unwrap();
                let values = (&self.plan.sent[key][at], &self.found[key][at]);
                tally.different.push(self.told(at, values));
            }
        }
        for at in 1..width {
            let mut keys: HashMap<&Vec<u8>, Vec<&String>> = HashMap::new();
            for (key, form) in &found {
                if let Some(form) = &form[at] {
                    keys.entry(form).or_default().push(key);
                }
            }
            for (key, form) in &sent {
                let Some(form) = &form[at] else { continue };
                self.judge_restored(at, form, key);
                for other in keys.get(form).into_iter().flatten() {
                    tally.cases += 1;
                    let values = (&self.plan.sent[key][at], &self.found[*other][at]);
                    if !self.is_same(at, values) {
                        tally.equal.push(self.told(at, values));
                    }
                }
            }
        }
    }

    /// By rules written down apart from the code under test.
    fn is_same(&self, at: usize, (sent, found): (&Option<Vec<u8>>, &Option<Vec<u8>>)) -> bool {
        let (there, here) = (
            &self.plan.contract.source[at],
            &self.plan.contract.target[at],
        );
        match (sent, found) {
            (Some(sent), Some(found)) => same(there, sent, here, found, self.engine),
            (sent, found) => sent == found,
        }
    }

    /// What a key is looked up by is of the same form.
    fn judge_restored(&self, at: usize, form: &[u8], key: &str) {
        let Ok(value) = self.there.restore(at, form) else {
            return;
        };
        let mut row = self.plan.sent[key].clone();
        row[at] = Some(value.expect("the value it was made of"));
        let again = &forms_of(&self.there, &BTreeMap::from([(key.to_owned(), row)]))[key][at];
        assert_eq!(again.as_deref(), Some(form), "{} {key}", self.pair);
    }

    /// Holds the normal forms of changed values against what the database says of them.
    async fn judge_changes(&self, site: &Site, is_source: bool, tally: &mut Tally) {
        let contract = &self.plan.contract;
        let (columns, normal) = match is_source {
            true => (&contract.source, &self.there),
            false => (&contract.target, &self.here),
        };
        let mut table = site.table("w").await;
        table.columns.clone_from(columns);
        let (rows, unreadable) = readable(site, &table, (0, i64::MAX)).await;
        assert!(unreadable.is_empty());
        let rows: HashMap<i64, Row> = rows
            .into_iter()
            .map(|row| (id(columns, &row), row))
            .collect();
        let forms = |id: &i64| {
            let row = BTreeMap::from([(String::new(), rows[id].clone())]);
            forms_of(normal, &row)[""][1..].to_vec()
        };
        let stored: HashMap<i64, String> = stored(site, &columns[1..]).into_iter().collect();
        for (id, row) in rows.iter().filter(|(id, _)| **id >= APART) {
            let before = id % APART;
            let Some(at) = (1..row.len()).find(|at| rows[&before][*at].is_some()) else {
                continue;
            };
            tally.cases += 1;
            let differs = forms(id) != forms(&before);
            let values = (&rows[&before][at], &row[at]);
            if differs && stored[id] == stored[&before] {
                tally.different.push(self.told(at, values));
            }
            if !differs
                && stored[id] != stored[&before]
                && !self.is_respelled(at, &columns[at], values)
            {
                tally.equal.push(self.told(at, values));
            }
        }
    }

    /// Whether two values of one column that are stored in different ways are the same by what its type declares, or
    /// by what the other side's keeps.
    fn is_respelled(
        &self,
        at: usize,
        column: &Column,
        values: (&Option<Vec<u8>>, &Option<Vec<u8>>),
    ) -> bool {
        let (Some(one), Some(other)) = values else {
            return false;
        };
        let text = |value: &Vec<u8>| field_to_text(column.kind, Some(value));
        match self.forms[at] {
            NormalForm::Shortest | NormalForm::Scaled(_) => {
                number(&text(one)) == number(&text(other))
            }
            NormalForm::Document => document(&text(one)) == document(&text(other)),
            // A NaN has many bit patterns.
            NormalForm::Float => text(one) == text(other),
            // SQLite stores a moment, a uuid or a number in many ways.
            _ => one == other,
        }
    }

    fn told(&self, at: usize, (one, other): (&Option<Vec<u8>>, &Option<Vec<u8>>)) -> String {
        let (there, here) = (
            &self.plan.contract.source[at],
            &self.plan.contract.target[at],
        );
        format!(
            "{}, {} to {} as {:?}: {:?} and {:?}",
            self.pair,
            there.native,
            here.native,
            self.forms[at],
            one.as_ref()
                .map(|one| String::from_utf8_lossy(one).into_owned()),
            other
                .as_ref()
                .map(|other| String::from_utf8_lossy(other).into_owned()),
        )
    }
}

fn forms_of(normal: &Normal, rows: &BTreeMap<String, Row>) -> BTreeMap<String, Row> {
    let mut writer = RowWriter::default();
    let form = |(key, fields): (&String, &Row)| {
        let tuple = tuples(std::slice::from_ref(fields));
        if let Err((at, err)) = normal.normalise(&tuple, &mut writer) {
            panic!("row {key} has no normal form, field {at}: {err}");
        }
        (key.clone(), row(&writer.take().data))
    };
    rows.iter().map(form).collect()
}
