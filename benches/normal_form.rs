//! What the normal form costs a row of `orders` before it is hashed: two PostgreSQL sites, and a PostgreSQL site that
//! sends to MariaDB and to SQLite (an int4 becomes wider there, a jsonb text).
//!
//! `cargo bench --bench normal_form [-- ROWS]`; 1,000,000 rows, in one thread and in memory. Times are those of the
//! processor, so that other load on the machine hardly counts.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a figure that cannot be measured should stop where it stands, and printing is its purpose"
)]

use evenkeel::base::secret::Secret;
use evenkeel::model::table::{Column, Engine, NeutralType};
use evenkeel::wire::convert::Sides;
use evenkeel::wire::normal::{Normal, NormalForm, normal_form};
use evenkeel::wire::row::{RowBatch, RowWriter};
use evenkeel::wire::signing::{ConnectionKeys, RootKey};
use evenkeel::wire::tally::{RowHasher, TallyKey};

#[path = "figures/rows.rs"]
mod rows;

use rows::{BATCH_BYTES, orders, processor};

fn main() {
    let rows: i64 = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(1_000_000);
    let root = RootKey::of_token(&Secret::new("a token".to_owned()));
    let key = TallyKey::of(&ConnectionKeys::derive(&root, 1).row());
    let batches = orders(rows);
    let mut hashing = 0.0;
    for (name, engine, jsons, ids) in [
        (
            "PostgreSQL",
            Engine::Postgres,
            NeutralType::Jsonb,
            NeutralType::Int4,
        ),
        (
            "MariaDB",
            Engine::Mysql,
            NeutralType::Json,
            NeutralType::Int4,
        ),
        (
            "SQLite",
            Engine::Sqlite,
            NeutralType::Json,
            NeutralType::Int8,
        ),
    ] {
        let (source, target) = (
            columns(Engine::Postgres, NeutralType::Jsonb, NeutralType::Int4),
            columns(engine, jsons, ids),
        );
        let sides = Sides::between(Engine::Postgres, engine);
        let forms: Vec<NormalForm> = source
            .iter()
            .zip(&target)
            .map(|(there, here)| normal_form(there, here, sides).unwrap())
            .collect();
        let normal = Normal::new(&source, &forms).unwrap();
        let took = measured(&batches, &normal, &key);
        if engine == Engine::Postgres {
            hashing = took;
        }
        println!(
            "PostgreSQL to {name:<10} {:.2} million rows/s, normal form and hash; {:.2} times two PostgreSQL sites{}",
            rows as f64 / took / 1e6,
            took / hashing,
            if normal.is_pass() {
                " (rows pass as they are)"
            } else {
                ""
            },
        );
    }
}

/// Seconds for all rows, the best of three.
fn measured(batches: &[RowBatch], normal: &Normal, key: &TallyKey) -> f64 {
    let once = || {
        let begun = processor();
        let mut writer = RowWriter::for_batches_of(BATCH_BYTES);
        let mut hasher = RowHasher::new(key.clone());
        let mut sum = 0_u128;
        for batch in batches {
            let batch = normal.normalise_batch(batch, &mut writer).unwrap();
            for hash in hasher.hashes(batch.tuples()).unwrap() {
                sum = sum.wrapping_add(hash.0);
            }
        }
        assert_ne!(std::hint::black_box(sum), 0);
        processor() - begun
    };
    (0..3).map(|_| once()).fold(f64::INFINITY, f64::min)
}

/// The table `orders`, as it is made after that of a PostgreSQL site.
fn columns(engine: Engine, jsons: NeutralType, ids: NeutralType) -> Vec<Column> {
    let moments = match engine {
        Engine::Mysql => NeutralType::Timestamp,
        _ => NeutralType::Timestamptz,
    };
    let kinds = [
        NeutralType::Int8,
        ids,
        NeutralType::Uuid,
        NeutralType::Text,
        NeutralType::Numeric,
        NeutralType::Text,
        jsons,
        NeutralType::Bool,
        moments,
        moments,
    ];
    let column = |kind: NeutralType| Column {
        name: kind.to_string(),
        kind,
        native: kind.to_string(),
        precision: (kind == NeutralType::Numeric).then_some(12),
        scale: (kind == NeutralType::Numeric).then_some(2),
        length: None,
        nullable: true,
        generated: false,
        identity: false,
        has_default: false,
    };
    kinds.into_iter().map(column).collect()
}
