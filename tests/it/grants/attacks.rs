//! What an approved peer tries to learn beyond its grant. Each attack is run against a strict grant, where it must fail,
//! and against one that lacks just the rule which stands in its way, where it must succeed.

mod cases;

use serde_json::{Value, json};

use evenkeel::base::secret::MasterKey;
use evenkeel::model::table::NeutralType;
use evenkeel::wire::mask::PseudonymKey;

use super::{Giving, values};
use crate::support::database::{KINDS, Kind};
use crate::support::http::{Address, Request};
use cases::{attacks, strict};

#[test]
fn no_path_tells_what_a_grant_hides() {
    let (mut tries, mut shown) = (0, 0);
    for kind in KINDS {
        let giving = Giving::start(kind, &strict());
        giving.database.execute(
            "create table salaries (id integer primary key); insert into salaries values (1);",
        );
        for attack in attacks() {
            let name = attack.name;
            giving.grant(&strict()).expect(200);
            assert!(!(attack.works)(&giving), "{kind:?}: {name} succeeded");
            tries += 1;
            giving.grant(&attack.weak).expect(200);
            assert!(
                (attack.works)(&giving),
                "{kind:?}: {name} would not be seen where nothing stands against it"
            );
            shown += 1;
        }
        assert!(!giving.site.log().contains("panicked"));
    }
    println!(
        "grants: {tries} attacks, 0 succeeded; {shown} of {shown} succeed where their rule is left out"
    );
}

#[test]
fn estimates_and_sizes_tell_nothing_of_hidden_rows_and_columns() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let giving = Giving::start(kind, &strict());
        giving.database.execute(match kind {
            Kind::Postgres => "analyze orders",
            _ => "analyze table orders",
        });
        let told = |giving: &Giving| {
            let (_, head) = giving.frames("orders");
            [
                giving.listed("orders")["size_bytes"].clone(),
                giving.schema("orders")["evenkeel"]["row_estimate"].clone(),
                head["rows_estimate"].clone(),
            ]
        };
        assert!(told(&giving).iter().all(Value::is_null), "{kind:?}");
        giving.grant(&json!({"tables": ["orders"]})).expect(200);
        assert!(
            told(&giving).iter().all(Value::is_number),
            "{kind:?}: {:?}",
            told(&giving)
        );
    }
}

#[test]
fn a_pseudonym_is_computed_only_with_the_key_file() {
    let giving = Giving::start(Kind::Sqlite, &strict());
    let found = values(&giving.rows("people"), "id");
    let of = |key: &PseudonymKey| {
        let bits = key
            .pseudonym("person", NeutralType::Int8)
            .of(&1_i64.to_be_bytes())
            .unwrap();
        json!(uuid::Uuid::from_bytes(bits).to_string())
    };
    let token = evenkeel::base::secret::Secret::new([7; 32]);
    assert!(!found.contains(&of(&PseudonymKey::new(token))));
    // Whoever has the key file can: nothing else is secret about it.
    let text = std::fs::read_to_string(giving.site.folder().join("secret.key")).unwrap();
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).unwrap();
    let key = MasterKey::from_bytes(&bytes).pseudonym(&format!("connection/{}", giving.id));
    assert!(found.contains(&of(&PseudonymKey::new(key))));
}

#[test]
fn many_requests_at_once_take_no_more_than_a_day_may_have() {
    for (limit, within) in [(json!(12), true), (Value::Null, false)] {
        let grant = json!({"tables": ["orders"], "limits": {"rows_per_day": limit}});
        let giving = Giving::start(Kind::Sqlite, &grant);
        let target = |at: usize| {
            if at.is_multiple_of(2) {
                "pull-data"
            } else {
                "table-records"
            }
        };
        let taken: usize = std::thread::scope(|scope| {
            let ask = |at: usize| {
                let request: Request = giving.request(target(at), json!({"table_name": "orders"}));
                let site = giving.site.url().trim_start_matches("http://").parse();
                let site = Address::Tcp(site.expect("an address"));
                scope.spawn(move || {
                    let body = request.send(&site).expect("an answer").json();
                    let rows = [&body["data"], &body["records"]];
                    rows.into_iter()
                        .filter_map(Value::as_array)
                        .map(Vec::len)
                        .sum::<usize>()
                })
            };
            let asked: Vec<_> = (0..16).map(ask).collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).sum()
        });
        assert_eq!(taken <= 12, within, "{taken}");
    }
}
