//! PhoenixKit sites as peers, in both directions, against our own double of one.

mod agree;
mod give;
mod pull;
mod whole;

use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::pair::{Pulled, connection, pull};
use crate::support::phoenix::{Phoenix, Version};
use crate::support::wait;

/// A table of every type whose values cross between such a site and this one.
const EVERY_TYPE: &str = "
create type feeling as enum ('glad', 'sad');
create table every (
    id uuid primary key, ok boolean, small smallint, whole integer, big bigint, single real, precise double precision,
    amount numeric(12,2), free numeric, name text, code varchar(30), fixed char(5), data bytea, day date, at time,
    moment timestamp, zoned timestamptz, doc json, docb jsonb, mood feeling);
";

/// Edge values of them; what the name of a row says of its key decides how it is written.
const EDGES: &str = "
insert into every values
('a3bb189e-8bf9-3888-9912-ace4e6543002', true, -32768, -2147483648, -9223372036854775808, 0.1, 0.1, -12.50, 1E-8,
 'plain', 'x', 'ab', '\\xff00', '2024-02-29', '03:04:05', '2024-01-02 03:04:05', '2024-01-02 03:04:05+02',
 '{\"a\":[1,null,\"x\"]}', '{\"b\":{\"c\":true}}', 'glad'),
('61616161-6161-6161-6161-616161616161', false, 32767, 2147483647, 9223372036854775807, 'NaN', '-Infinity', 0.00, 5,
 '2024-01-02', '03:04:05', 'abcde', 'plain bytes', '0001-01-01', '23:59:59.999999', '1999-12-31 23:59:59.999999',
 '2000-01-01 00:00:00.000001+00', '\"text\"', '\"2024-01-02\"', 'sad'),
('00000000-0000-0000-0000-000000000000', null, 0, 0, 0, 'Infinity', 1e300, 9999999999.99,
 123456789012345678901234567890.123456789, '2024-01-02T03:04:05Z', '2024-01-02 03:04:05', '', '', '9999-12-31',
 '00:00:00', '2024-02-29 12:00:00.5', '1970-01-01 00:00:00+00', '7', '[]', null),
('ffffffff-ffff-ffff-ffff-ffffffffffff', null, null, null, null, -0.0, 5e-324, 5.25, 'NaN',
 E'\\u00e9 \\U0001F600 \"quoted\" \\\\ \\n', 'é', 'é', null, null, null, null, null, null, null, null),
('00000000-0000-0000-0000-0000000000ff', null, null, null, 9007199254740993, 16777216, 9007199254740993, 100, 100,
 '', '', null, '\\x00', null, null, null, null, '{}', '{\"k\":\"2024-01-02\"}', null);
";

/// What to compare of it, the exact text of each value.
const ALL: &str = "select id, ok, small, whole, big, single, precise, amount, free, quote_nullable(name),
    quote_nullable(code), quote_nullable(fixed), data, day, at, moment, zoned at time zone 'UTC', doc, docb, mood
    from every order by id";

/// A PhoenixKit site that gives, and this site `paris`, which pulls over the approved connection `hamburg`.
struct Taking {
    phoenix: Phoenix,
    paris: Site,
    source: Database,
    destination: Database,
}

fn taking(version: Version, source: &str, destination: &str) -> Taking {
    let source = Database::with(Kind::Postgres, source);
    let phoenix = Phoenix::start(version, &source.url());
    let destination = Database::with(Kind::Postgres, destination);
    taking_from(phoenix, source, destination)
}

fn taking_from(phoenix: Phoenix, source: Database, destination: Database) -> Taking {
    let paris = Site::builder("paris")
        .database(&destination.url())
        .with("runs.give_up_after", "1s")
        .start();
    phoenix.offer_to(&paris, "hamburg").expect(200);
    let id = connection(&paris, "hamburg")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let target = format!("/connections/{id}/approve");
    paris.post(&target, &json!({})).expect(200);
    let taking = Taking {
        phoenix,
        paris,
        source,
        destination,
    };
    // Its row is pending until it hears of the approval.
    wait::until("both sides are active", wait::LONG, || {
        let is_active = taking.phoenix.row().status == "active";
        (is_active && taking.status() == "active").then_some(())
    });
    taking
}

impl Taking {
    fn status(&self) -> Value {
        connection(&self.paris, "hamburg")["status"].clone()
    }

    fn pull(&self, arguments: &[&str]) -> Pulled {
        pull(&self.paris, "hamburg", arguments)
    }

    /// Makes sure that a query answers the same on both sides.
    fn same(&self, sql: &str) {
        assert_eq!(self.destination.query(sql), self.source.query(sql));
    }
}

/// This site `berlin`, which gives everything it has to a PhoenixKit site.
struct Giving {
    phoenix: Phoenix,
    berlin: Site,
    source: Database,
    destination: Database,
}

fn giving(source: &str, destination: &str, grant: &Value) -> Giving {
    let source = Database::with(Kind::Postgres, source);
    let destination = Database::with(Kind::Postgres, destination);
    let phoenix = Phoenix::start(Version::Old, &destination.url());
    let berlin = Site::builder("berlin").database(&source.url()).start();
    let offer = json!({"url": phoenix.url(), "name": "hamburg", "grant": grant});
    let made = berlin.post("/connections", &offer).expect(201).json();
    assert_eq!(made["status"], "active", "{made}");
    Giving {
        phoenix,
        berlin,
        source,
        destination,
    }
}

impl Giving {
    fn status(&self) -> Value {
        connection(&self.berlin, "hamburg")["status"].clone()
    }

    /// Our administrator decides.
    fn decide(&self, decision: &str) {
        let done = self.berlin.cli(&["connections", decision, "hamburg"]);
        assert_eq!(done.code, 0, "{done:?}");
    }
}
