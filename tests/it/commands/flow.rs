//! The README's first connection, by commands alone, over the socket and over HTTP with a token.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::daemon::{Output, Site};
use crate::support::database::{Database, Kind};
use crate::support::http::Address;
use crate::support::wait;

/// How the commands find the daemon.
#[derive(Clone, Copy, Debug)]
enum Way {
    Socket,
    Http,
}

const SHOP: &str = "
create table customers (id integer primary key, name text not null);
create table orders (
    id integer primary key, customer integer not null references customers (id), total numeric(12,2));
insert into customers values (1, 'Anna'), (2, 'Bert');
insert into orders values (10, 1, 9.90), (11, 2, 100.00), (12, 2, null);
create table salaries (id integer primary key);
";

#[test]
fn a_first_connection_by_commands_over_the_socket() {
    first_connection(Way::Socket, Kind::Postgres, Kind::Sqlite);
}

#[test]
fn a_first_connection_by_commands_over_http_with_a_token() {
    first_connection(Way::Http, Kind::Sqlite, Kind::Postgres);
}

fn first_connection(way: Way, from: Kind, to: Kind) {
    let (shop, office) = (Database::with(from, SHOP), Database::empty(to));
    let berlin = Site::builder("berlin").database(&shop.url()).start();
    let hq = Site::builder("hq").database(&office.url()).start();

    let url = hq.url();
    let offer = [
        "connect",
        &url,
        "--tables",
        "customers,orders",
        "--name",
        "hq",
    ];
    let offered = done(way, &berlin, &offer);
    let announced = "will be able to read 2 tables of this site: customers, orders";
    assert!(offered.stderr.contains(announced), "{offered:#?}");
    assert!(offered.stdout.contains("pending"), "{offered:#?}");

    let waiting = done(way, &hq, &["connections"]);
    let line = waiting
        .stdout
        .lines()
        .find(|line| line.starts_with("berlin\t"));
    let line = line.unwrap_or_else(|| panic!("{waiting:#?}"));
    assert!(line.contains("receiver\tpending"), "{line}");
    let status = run(way, &hq, &["status"]);
    assert_eq!(status.code, 1, "{status:#?}");
    assert!(
        status.stdout.contains("connections approve berlin"),
        "{status:#?}"
    );

    done(way, &hq, &["connections", "approve", "berlin"]);
    for (site, name) in [(&hq, "berlin"), (&berlin, "hq")] {
        wait::until("both sides are active", wait::LONG, || {
            let shown = json(&done(way, site, &["--json", "connections", "show", name]));
            (shown["status"] == "active").then_some(())
        });
    }
    let well = run(way, &hq, &["status"]);
    assert_eq!(well.code, 0, "{well:#?}");

    let tables = lines(&done(way, &hq, &["--json", "tables", "berlin"]));
    let names: Vec<&str> = tables
        .iter()
        .map(|item| item["table"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["customers", "orders"], "salaries are not granted");
    assert_eq!(tables[1]["peer"]["rows"], 3, "{tables:#?}");
    assert!(tables[1]["local"].is_null(), "{tables:#?}");
    let schema = done(way, &hq, &["schema", "berlin", "orders"]);
    assert_eq!(schema.stdout.lines().count(), 3, "{schema:#?}");
    assert!(
        schema.stdout.contains("total\tnumeric(12,2)"),
        "{schema:#?}"
    );
    let records = lines(&done(
        way,
        &hq,
        &["--json", "records", "berlin", "orders", "--limit", "2"],
    ));
    assert_eq!(records.len(), 2, "{records:#?}");
    assert_eq!(records[0]["total"], "9.90", "{records:#?}");

    let pulled = done(
        way,
        &hq,
        &["pull", "berlin", "orders", "customers", "--create", "--yes"],
    );
    assert!(
        pulled.stdout.contains("orders") && pulled.stdout.contains("customers"),
        "{pulled:#?}"
    );
    let told = pulled.stderr.to_lowercase();
    assert!(
        told.contains("create table") && told.contains("left out"),
        "--yes does not ask, but it tells: {pulled:#?}"
    );
    let said = format!("{}{}", pulled.stdout, pulled.stderr);
    assert!(
        said.contains("proved equal: every row of the source is here (evenkeel runs receipt "),
        "{pulled:#?}"
    );
    let cents = "select id, cast(round(total * 100) as integer) from orders order by id";
    assert_eq!(office.query(cents), "10|990\n11|10000\n12|");
    again_and_history(way, &hq, &berlin);
}

fn again_and_history(way: Way, hq: &Site, berlin: &Site) {
    let tables = lines(&done(way, hq, &["--json", "tables", "berlin"]));
    let counted = [&tables[0]["local"]["rows"], &tables[1]["local"]["rows"]];
    assert_eq!(counted, [2, 3], "as the pull counted them: {tables:#?}");
    let again = done(way, hq, &["--json", "pull", "berlin", "orders"]);
    let run_json = lines(&again).pop().unwrap();
    assert_eq!(run_json["status"], "completed", "{run_json:#}");
    for (field, is) in [
        ("kind", "pull"),
        ("apply", "yes"),
        ("sync_mode", "upsert"),
        ("conflict_strategy", "overwrite"),
    ] {
        assert_eq!(run_json[field], is, "{field} of {run_json:#}");
    }
    for field in [
        "added",
        "updated",
        "deleted",
        "skipped",
        "moved",
        "conflicts",
    ] {
        assert_eq!(run_json["changes"][field], 0, "{field} of {run_json:#}");
    }
    assert_eq!(run_json["rows_synced"], 3, "{run_json:#}");

    let runs = lines(&done(way, hq, &["--json", "runs"]));
    assert_eq!(runs.len(), 2, "{runs:#?}");
    assert_eq!(runs[0]["id"], run_json["id"], "newest first");
    let id = runs[1]["id"].as_str().unwrap();
    let shown = json(&done(way, hq, &["--json", "runs", "show", id]));
    assert_eq!(shown["tables"].as_array().unwrap().len(), 2, "{shown:#}");
    let by_person = done(way, hq, &["runs", "show", id]);
    assert!(by_person.stdout.contains("completed"), "{by_person:#?}");

    let received = hq.get("/transfers");
    assert_eq!(
        received["items"].as_array().unwrap().len(),
        3,
        "{received:#}"
    );
    let sent = berlin.get("/transfers");
    assert_eq!(sent["items"].as_array().unwrap().len(), 3, "{sent:#}");
}

fn run(way: Way, site: &Site, arguments: &[&str]) -> Output {
    match way {
        Way::Socket => site.cli(arguments),
        Way::Http => over_http(site, arguments),
    }
}

/// Without the site's configuration, as from another machine.
fn over_http(site: &Site, arguments: &[&str]) -> Output {
    let Address::Tcp(address) = site.admin_address() else {
        panic!("the admin listener is a TCP listener");
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.env("EVENKEEL_SERVER", format!("http://{address}"));
    command.env("EVENKEEL_TOKEN", site.token());
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn done(way: Way, site: &Site, arguments: &[&str]) -> Output {
    let output = run(way, site, arguments);
    assert_eq!(output.code, 0, "{way:?} {arguments:?}: {output:#?}");
    output
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|err| panic!("{err}: {output:#?}"))
}

fn lines(output: &Output) -> Vec<Value> {
    let lines = output.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}")))
        .collect()
}
