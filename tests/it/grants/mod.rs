//! What a peer sees under a grant, on every path that leads to data.

mod attacks;
mod changes;
mod limits;
mod paths;
mod pulls;
mod throttle;

use serde_json::{Value, json};

use evenkeel::model::table::NeutralType;
use evenkeel::wire::frame::{FrameKind, FrameReader, MEDIA_TYPE};
use evenkeel::wire::json::{JsonForm, row_to_json};
use evenkeel::wire::row::RowBatch;

use crate::peer::stranger::Stranger;
use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::http::{Answer, Request};

/// People and what they bought. Keys rise in the order of the rows, as they mostly do.
const SHOP: &str = "
create table people (id integer primary key, email varchar(60) not null unique, city varchar(20), born date);
create table orders (
    id integer primary key, person_id integer, total decimal(10,2), note varchar(40),
    foreign key (person_id) references people (id));
insert into people values (1, 'ada@example.com', 'north', '1815-12-10'), (2, 'grace@example.com', 'south', '1906-12-09'),
    (3, 'alan@example.com', 'north', null), (4, 'edsger@example.com', 'south', '1930-05-11');
insert into orders values (10, 1, 12.50, 'fragile'), (11, 2, 7.00, null), (12, 1, 3.00, 'late'), (13, null, 1.00, 'cash'),
    (14, 3, 99.00, 'gift');
";

/// A site that gives under one grant to a stranger who asks what he likes.
pub struct Giving {
    pub site: Site,
    pub database: Database,
    /// The connection's row.
    pub id: String,
    hash: String,
    _stranger: Stranger,
}

impl Giving {
    /// The shop of this kind, given under `grant`.
    pub fn start(kind: Kind, grant: &Value) -> Self {
        Self::of(Site::builder("berlin"), Database::with(kind, SHOP), grant)
    }

    /// A site in the making that gives `database` under `grant`.
    pub fn of(
        builder: crate::support::daemon::SiteBuilder,
        database: Database,
        grant: &Value,
    ) -> Self {
        let stranger = Stranger::start();
        let site = builder.database(&database.url()).start();
        let offer = json!({"url": stranger.url(), "name": "hamburg", "grant": grant});
        let made = site.post("/connections", &offer).expect(201).json();
        Self {
            site,
            database,
            id: made["id"].as_str().expect("an id").to_owned(),
            hash: stranger.token_hash(),
            _stranger: stranger,
        }
    }

    /// Changes the grant.
    pub fn grant(&self, grant: &Value) -> Answer {
        let target = format!("/connections/{}", self.id);
        self.site
            .admin("PATCH", &target, Some(&json!({"grant": grant})))
    }

    /// Asks as the stranger.
    pub fn ask(&self, endpoint: &str, fields: Value) -> Answer {
        self.site
            .peer(&self.request(endpoint, fields))
            .expect("an answer")
    }

    /// What the stranger asks.
    pub fn request(&self, endpoint: &str, mut fields: Value) -> Request {
        fields["auth_token_hash"] = self.hash.as_str().into();
        Request::new("POST", &format!("/sync/api/{endpoint}")).json(&fields)
    }

    /// The rows of a table as JSON: by `pull-data`.
    pub fn rows(&self, table: &str) -> Vec<Value> {
        let answer = self
            .ask("pull-data", json!({"table_name": table}))
            .expect(200)
            .json();
        answer["data"].as_array().expect("rows").clone()
    }

    /// The same by `table-records`.
    pub fn records(&self, table: &str) -> Vec<Value> {
        let fields = json!({"table_name": table, "limit": 100});
        let answer = self.ask("table-records", fields).expect(200).json();
        answer["records"].as_array().expect("rows").clone()
    }

    /// Asks for frames.
    pub fn ask_frames(&self, mut fields: Value, table: &str) -> Answer {
        fields["table_name"] = table.into();
        let request = self
            .request("pull-data", fields)
            .header("accept", MEDIA_TYPE);
        self.site.peer(&request).expect("an answer")
    }

    /// The rows of a table by frames, and the head before them.
    pub fn frames(&self, table: &str) -> (Vec<Value>, Value) {
        let (rows, head, last) = unframed(&self.ask_frames(json!({}), table).expect(200));
        assert_eq!(last, FrameKind::End);
        (rows, head)
    }

    /// A table as `list-tables` shows it.
    pub fn listed(&self, table: &str) -> Value {
        let answer = self.ask("list-tables", json!({})).expect(200).json();
        let tables = answer["tables"].as_array().expect("tables");
        let found = tables.iter().find(|listed| listed["name"] == table);
        found.cloned().unwrap_or_default()
    }

    /// What `table-schema` says.
    pub fn schema(&self, table: &str) -> Value {
        self.ask("table-schema", json!({"table_name": table}))
            .expect(200)
            .json()
    }
}

/// The rows of a body of frames, its head, and the kind of its last frame.
pub fn unframed(answer: &Answer) -> (Vec<Value>, Value, FrameKind) {
    let mut reader = FrameReader::default();
    reader.push(&answer.body);
    let mut head = Value::Null;
    let (mut columns, mut rows, mut last) = (Vec::new(), Vec::new(), FrameKind::Head);
    while let Some(frame) = reader.next_frame().expect("frames") {
        last = frame.kind;
        match frame.kind {
            FrameKind::Head => {
                head = serde_json::from_slice(&frame.payload).expect("JSON");
                let named = head["columns"].as_array().expect("columns").iter();
                columns = named
                    .map(|column| {
                        let text = |key: &str| column[key].as_str().expect("text").to_owned();
                        let kind: NeutralType = text("type").parse().expect("a type");
                        (text("name"), kind)
                    })
                    .collect();
            }
            FrameKind::Rows => {
                let batch = RowBatch {
                    rows: frame.rows,
                    data: frame.payload,
                };
                for tuple in batch.tuples() {
                    let row = row_to_json(JsonForm::Published, &columns, tuple.expect("a row"))
                        .expect("a row");
                    rows.push(serde_json::from_str(row.get()).expect("JSON"));
                }
            }
            _ => {}
        }
    }
    (rows, head, last)
}

/// The values of one column.
pub fn values(rows: &[Value], column: &str) -> Vec<Value> {
    rows.iter().map(|row| row[column].clone()).collect()
}

/// Rows in an order of their own, to be compared.
pub fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(ToString::to_string);
    rows
}
