//! Rows of `orders` in memory, for what is measured without a database.

use evenkeel::wire::numeric;
use evenkeel::wire::row::{RowBatch, RowWriter};

/// As a reader passes them on.
pub const BATCH_BYTES: usize = 256 << 10;

/// Seconds this thread has run.
pub fn processor() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = told.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

/// Rows as PostgreSQL's binary COPY gives them, about 152 bytes each.
pub fn orders(rows: i64) -> Vec<RowBatch> {
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
