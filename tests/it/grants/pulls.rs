//! What an Evenkeel receives under a grant, in a database of its own.

use serde_json::json;

use crate::support::database::{CHAIN, Database};
use crate::support::pair::Pair;

use super::SHOP;

#[test]
fn tables_still_join_over_pseudonyms_after_a_pull_and_no_hidden_row_or_value_arrives() {
    let grant = json!({
        "tables": ["people", "orders"],
        "columns": {
            "people": {"id": {"pseudonym": "person"}, "email": {"pseudonym": "email"}, "city": "allow"},
            "orders": {"id": "allow", "person_id": {"pseudonym": "person"}, "total": "null"},
        },
        "row_filter": {"orders": {"column": "total", "op": "<", "value": 50}},
    });
    for (source, destination) in CHAIN {
        let pair = Pair::builder(Database::with(source, SHOP), Database::empty(destination))
            .grant(grant.clone())
            .start();
        pair.pull(&["people", "orders", "--create", "--yes"])
            .completed();
        let here = &pair.destination;
        let cities = "select o.id, p.city from orders o left join people p on p.id = o.person_id order by o.id";
        assert_eq!(
            here.query(cities),
            "10|north\n11|south\n12|north\n13|",
            "{destination:?}"
        );
        assert_eq!(
            here.query("select count(*) from orders where total is not null"),
            "0"
        );
        assert_eq!(
            here.query("select count(*) from people where email like '%@%' or length(id) <> 36"),
            "0"
        );
        assert_eq!(here.foreign_keys("orders"), "person_id people (id)");
        assert!(!here.column_types("orders").contains("note"));
        // Nothing changed: nothing is written.
        let again = pair.pull(&["people", "orders"]).completed();
        assert_eq!(again.changes(), (0, 0, 0), "{again:#?}");
    }
}
