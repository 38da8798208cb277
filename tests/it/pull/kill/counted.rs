//! How many rows went over the link, by the history of the sites.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::rows::{Todo, told};
use crate::support::daemon::Site;
use crate::support::wait;

/// Sorts after every transfer.
pub(super) const LATER: &str = "g";

/// Sorts after the transfers that began and before those that are to begin: their ids begin with the time.
pub(super) fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let hex = format!("{:012x}", now.as_millis());
    format!("{}-{}", &hex[..8], &hex[8..])
}

/// What the transfers of `site` tell that began between the two times, all of which have ended: the rows that went, and
/// what they wrote.
pub(super) fn between(site: &Site, from: &str, to: &str) -> (u64, Todo) {
    let transfers = wait::until("every transfer has ended", wait::LONG, || {
        let mut all = site.get("/transfers?limit=200");
        let mut items = std::mem::take(all["items"].as_array_mut().unwrap());
        items.retain(|transfer| (from..to).contains(&transfer["id"].as_str().unwrap()));
        let has_ended = |transfer: &Value| transfer["completed_at"].is_string();
        items.iter().all(has_ended).then_some(items)
    });
    let mut written = Todo::default();
    for transfer in &transfers {
        written.add(told(transfer));
    }
    let rows = transfers.iter().map(|transfer| &transfer["rows"]);
    (rows.map(|rows| rows.as_u64().unwrap()).sum(), written)
}
