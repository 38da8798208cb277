//! How far a run is, and how long it will still take.

use serde::{Deserialize, Serialize};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "the names carry their units; estimates are null when unknown"
)]
pub struct Progress {
    pub tables_done: u64,
    pub tables_total: u64,
    pub rows: u64,
    pub rows_total: Option<u64>,
    pub bytes: u64,
    pub rows_per_second: Option<u64>,
    pub eta_seconds: Option<u64>,
}

impl Progress {
    /// Sets speed and time left, from `rows` moved in `seconds`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "figures for people, far inside the exact range"
    )]
    pub fn tell_speed(&mut self, rows: u64, seconds: f64) {
        let speed = rows as f64 / seconds;
        self.rows_per_second = Some(speed as u64);
        let left = self.rows_total.map(|total| total.saturating_sub(self.rows));
        self.eta_seconds = left
            .filter(|_| speed >= 1.0)
            .map(|left| (left as f64 / speed).ceil() as u64);
    }
}
