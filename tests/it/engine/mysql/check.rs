//! What `doctor` tells of a MySQL site.

use evenkeel::engine::driver::Driver;
use evenkeel::model::finding::{Finding, TablesInUse};
use evenkeel::model::table::TableName;

use super::{database, driver};
use crate::support::mariadb::{self, Mariadb};

/// All of these given and received.
fn in_use<const N: usize>(names: [&str; N]) -> TablesInUse {
    let tables = names.map(TableName::bare);
    TablesInUse {
        given: tables.clone().into(),
        received: tables.into(),
    }
}

fn words(findings: &[Finding], ok: bool) -> String {
    let kept = findings.iter().filter(|finding| finding.ok == ok);
    kept.map(|finding| finding.what.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_names_engines_triggers_missing_rights_and_tables_without_a_key() {
    let (url, site) = database(
        "create table t (id int primary key, gen int as (id + 1) stored);
         create table keyless (x int); create table half (id int not null, unique (id));
         create table old_style (id int primary key) engine = MyISAM;
         create trigger stamped before insert on t for each row set new.id = new.id",
    );
    assert!(site.version().await.unwrap().starts_with("MariaDB 1"));
    let findings = site
        .check(&in_use(["t", "half", "keyless", "old_style"]))
        .await
        .unwrap();
    for (ok, told) in [
        (true, "4 tables, all readable"),
        (true, "may make temporary tables"),
        (true, "sees triggers"),
        (
            true,
            "table t has triggers that fire when rows arrive: stamped",
        ),
        (true, "max_allowed_packet is 67108864"),
        (true, "the server is strict"),
        (false, "no usable key: keyless"),
        (
            false,
            "table old_style cannot receive rows: its storage engine is MyISAM",
        ),
    ] {
        assert!(words(&findings, ok).contains(told), "{told}: {findings:#?}");
    }
    assert!(
        !words(&findings, false).contains("no right"),
        "{findings:#?}"
    );

    let schema = url.rsplit('/').next().unwrap();
    mariadb::query(
        &url,
        &format!(
            "create user clerk@'127.0.0.1'; grant select on {schema}.t to clerk@'127.0.0.1';
             grant select, insert, update on {schema}.half to clerk@'127.0.0.1';
             grant insert on {schema}.keyless to clerk@'127.0.0.1'"
        ),
    );
    let clerk = driver(&url.replace("root@", "clerk@"), &[schema, "absent"]);
    let findings = clerk
        .check(&in_use(["t", "half", "keyless"]))
        .await
        .unwrap();
    for (ok, told) in [
        (true, "sees no triggers"),
        (false, "may not make temporary tables"),
        (false, "database absent does not exist"),
        (false, "no right to read keyless"),
        (false, "no right to write keyless, t"),
    ] {
        assert!(words(&findings, ok).contains(told), "{told}: {findings:#?}");
    }
    assert!(
        findings
            .iter()
            .all(|finding| finding.ok == finding.hint.is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_on_the_whole_database_counts_as_soon_as_it_is_granted() {
    let (url, _site) = database("create table t (id int primary key)");
    let schema = url.rsplit('/').next().unwrap();
    let account = format!("novice_{schema}@'127.0.0.1'");
    let grant = |rights: &str| {
        mariadb::query(&url, &format!("grant {rights} on {schema}.* to {account}"));
    };
    mariadb::query(&url, &format!("create user {account}"));
    grant("select");
    let novice = driver(&url.replace("root@", &format!("novice_{schema}@")), &[]);
    let used = in_use(["t"]);
    let findings = novice.check(&used).await.unwrap();
    assert!(words(&findings, false).contains("no right to write t"));
    grant("insert, update, create temporary tables");
    let findings = novice.check(&used).await.unwrap();
    assert_eq!(words(&findings, false), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_names_settings_that_stand_in_the_way() {
    let server = Mariadb::with_settings(&[
        "--log-bin",
        "--binlog-format=STATEMENT",
        "--max-allowed-packet=1M",
        "--sql-mode=",
        "--read-only",
    ]);
    let url = server.database();
    let findings = driver(&url, &[])
        .check(&TablesInUse::default())
        .await
        .unwrap();
    for (ok, told) in [
        (true, "not strict for other clients"),
        (true, "read-only"),
        (false, "max_allowed_packet is 1048576 bytes"),
        (false, "the binary log records statements"),
    ] {
        assert!(words(&findings, ok).contains(told), "{told}: {findings:#?}");
    }
}
