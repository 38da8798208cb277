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
use evenkeel::wire::numeric;
use evenkeel::wire::row::{RowBatch, RowWriter};
use evenkeel::wire::signing::{ConnectionKeys, RootKey};
use evenkeel::wire::tally::TallyKey;

/// As a reader passes them on.
const BATCH_BYTES: usize = 256 << 10;

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
        let mut sum = 0_u128;
        for batch in batches {
            let batch = normal.normalise_batch(batch, &mut writer).unwrap();
            for tuple in batch.tuples() {
                sum = sum.wrapping_add(key.hash(tuple.unwrap()).0);
            }
        }
        assert_ne!(std::hint::black_box(sum), 0);
        processor() - begun
    };
    (0..3).map(|_| once()).fold(f64::INFINITY, f64::min)
}

/// Seconds this thread has run.
fn processor() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = told.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
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

/// Rows as PostgreSQL's binary COPY gives them, about 152 bytes each.
fn orders(rows: i64) -> Vec<RowBatch> {
    let mut writer = RowWriter::default();
    let mut batches = Vec::new();
    for i in 1..=rows {
        let uuid =
            u128::from(i.unsigned_abs()).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let status = match i % 4 {
            0 => "new",
            1 => "paid",
            2 => "shipped",
            _ => "cancelled",
        };
        let cents = i * 37 % 1_000_000;
        let total = numeric::encode(&format!("{}.{:02}", cents / 100, cents % 100)).unwrap();
        let note = format!("leave it with the neighbour, no. {}", i % 100);
        let tags = format!("\u{1}{{\"gift\": {}, \"lane\": {}}}", i % 2 == 0, i % 12);
        writer.begin(10);
        for field in [
            Some(&i.to_be_bytes()[..]),
            Some(&i32::try_from(i * 7_919 % 50_000).unwrap().to_be_bytes()[..]),
            Some(&uuid.to_be_bytes()[..]),
            Some(status.as_bytes()),
            Some(&total[..]),
            (i % 3 > 0).then_some(note.as_bytes()),
            Some(tags.as_bytes()),
            Some(&[u8::from(i % 4 > 0)][..]),
            Some(&(i * 13_000_000).to_be_bytes()[..]),
            Some(&(i * 17_000_000).to_be_bytes()[..]),
        ] {
            writer.field(field);
        }
        if writer.len() >= BATCH_BYTES {
            batches.push(writer.take());
        }
    }
    batches.push(writer.take());
    batches
}
