//! What `create` makes takes what it was made for.

use evenkeel::engine::driver::NewTable;
use evenkeel::model::fault::FaultCode;
use evenkeel::sync::SyncError;

use super::{KINDS, Plan, Site, pull};
use crate::support::database::Kind;

#[tokio::test(flavor = "multi_thread")]
async fn types_only_postgresql_knows_keep_their_modifiers() {
    let source = Site::with(
        Kind::Postgres,
        "create table t (id int primary key, b bit(3), v varbit(5), i interval(3), z timetz(1), n numeric(5,2)[],
           r numeric(6,-2), f interval day to second(2), plain bit varying, c char(3), vc varchar(7)[]);
         insert into t values (1, B'101', B'1', '1 day 1.123 sec', '12:00:00.5+02', '{1.00}', 1200, '1 day', B'1', 'a', '{abc}')",
    )
    .await;
    let site = Site::with(Kind::Postgres, "select 1").await;
    let new = NewTable {
        table: source.table("t").await,
        source: source.driver.engine(),
    };
    site.driver.create(&[new]).await.unwrap();
    let (plan, outcome) = pull(&source, &site, "t").await.unwrap();
    assert_eq!(outcome.counts(), (1, 0));
    assert_eq!(outcome.found, plan.expected);
    for (there, here) in plan.contract.source.iter().zip(&plan.contract.target) {
        if there.name != "c" {
            assert_eq!(there.native, here.native);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_computed_here_does_not_stand_in_for_the_source_s_values() {
    for from in KINDS {
        for to in KINDS {
            let source = Site::with(
                from,
                "create table t (id int primary key, twice int); insert into t values (1, 5)",
            )
            .await;
            let site = Site::with(to, "create table t (id int primary key, twice int generated always as (id * 2) stored)").await;
            let refused = Plan::make(
                &source,
                &source.table("t").await,
                &site,
                &site.table("t").await,
            )
            .await;
            assert!(
                matches!(
                    refused,
                    Err(SyncError::Contract {
                        code: FaultCode::ComputedHere,
                        ..
                    })
                ),
                "{from:?} to {to:?}"
            );
            // Computed on both sides, it is left out.
            let source = Site::with(
                from,
                "create table t (id int primary key, twice int generated always as (id * 2) stored); insert into t (id) values (1)",
            )
            .await;
            let (_, outcome) = pull(&source, &site, "t").await.unwrap();
            assert_eq!(outcome.counts(), (1, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_an_untyped_column_is_told_and_never_becomes_text() {
    let source = Site::with(
        Kind::Sqlite,
        "create table t (id integer primary key, v); insert into t values (1, 5)",
    )
    .await;
    for to in KINDS {
        let site = Site::with(to, "create table t (id int primary key, v text)").await;
        let Err(err) = pull(&source, &site, "t").await else {
            panic!("it was taken");
        };
        assert!(err.to_string().contains("column v"), "{err}");
    }
}
