//! Rows of which a destination makes something else.

use evenkeel::model::run::QuarantinedRow;
use evenkeel::store::AlteredRow;
use serde_json::json;

use super::{State, at, on_both_stores, stored_connection, table};

on_both_stores!(altered_rows_come_back_while_nothing_they_depend_on_has_changed);

fn row(number: u32, here: Option<u128>, there: Option<u128>) -> AlteredRow {
    AlteredRow {
        here,
        there,
        told: QuarantinedRow {
            table: table("app.orders"),
            key: json!({"id": number.to_string()}),
            column: (number > 1).then(|| "name".to_owned()),
            reason: "altered".to_owned(),
        },
    }
}

async fn altered_rows_come_back_while_nothing_they_depend_on_has_changed(state: State) {
    let store = state.open().await;
    let connection = stored_connection(&store, "berlin").await.id;
    let name = table("app.orders");
    let rows = [
        row(1, None, Some(u128::MAX)),
        row(2, Some(0), Some(7 << 100)),
        row(3, Some(5), None),
    ];
    let keep = async |basis: &str, rows: &[AlteredRow]| {
        let kept = store.keep_altered(connection, &name, (basis, rows), at(1));
        kept.await.unwrap();
    };
    keep("form", &rows).await;
    assert_eq!(
        store.altered(connection, &name, "form").await.unwrap(),
        rows
    );
    assert_eq!(store.altered(connection, &name, "other").await.unwrap(), []);
    let other = table("orders");
    assert_eq!(store.altered(connection, &other, "form").await.unwrap(), []);
    keep("other", &rows[..1]).await;
    assert_eq!(store.altered(connection, &name, "form").await.unwrap(), []);
    let kept = store.altered(connection, &name, "other").await.unwrap();
    assert_eq!(kept, rows[..1]);
    keep("other", &[]).await;
    assert_eq!(store.altered(connection, &name, "other").await.unwrap(), []);
}
