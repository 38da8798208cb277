//! A peer that does not know the connection: one such answer severs nothing, and it goes on once the peer knows it again.

use serde_json::Value;

use super::restored::{back_up, restore};
use super::{becomes, healed, pair};
use crate::support::pair::connection;
use crate::support::sqlite;
use crate::support::wait;

#[test]
fn three_times_over_ten_minutes_sever_until_the_peer_knows_it_again() {
    let mut pair = pair().start();
    back_up(&mut pair.taker);
    pair.taker.kill9();
    let forget = "delete from connection";
    sqlite::execute(&pair.taker.folder().join("state.db"), forget);
    pair.taker.start();
    let unknown = |times: u64| {
        wait::until("the answers are counted", wait::LONG, || {
            let row = connection(&pair.giver, "paris");
            (row["unknown"]["times"].as_u64()? >= times).then_some(row)
        })
    };
    let row = unknown(4);
    assert_eq!(
        (&row["status"], &row["status_reason"]),
        (&"active".into(), &Value::Null)
    );
    let told = pair.giver.cli(&["connections", "verify", "paris"]);
    assert_eq!(told.code, 0, "{told:#?}");
    assert!(
        told.stderr.contains("does not know this connection") && told.stderr.contains("since 20"),
        "{told:#?}"
    );

    // As if it had begun eleven minutes ago.
    pair.giver.kill9();
    let earlier = "update connection set unknown_since = unknown_since - 660000000";
    sqlite::execute(&pair.giver.folder().join("state.db"), earlier);
    pair.giver.start();
    let severed = becomes(&pair.giver, &pair.taker, "severed");
    assert_eq!(severed["local_status"], "active");
    let reason = "the peer does not know this connection any more";
    assert_eq!(severed["status_reason"], reason);
    // The audit is written behind the state.
    wait::until("the audit tells what was healed", wait::LONG, || {
        healed(&pair.giver, "connection.unknown_there").then_some(())
    });

    restore(&mut pair.taker);
    let lifted = becomes(&pair.giver, &pair.taker, "active");
    assert_eq!(
        (&lifted["unknown"], &lifted["status_reason"]),
        (&Value::Null, &Value::Null)
    );
    becomes(&pair.taker, &pair.giver, "active");
}
