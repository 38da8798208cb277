//! Keys that SQLite could hold in several forms.

use crate::engine::sqlite::test_site::Site;
use crate::model::run::Changes;

#[tokio::test]
async fn a_key_written_in_another_form_is_refused_up_front() {
    let uuid = Some(vec![0xab; 16]);
    let number = Some(crate::wire::numeric::encode("1.50").unwrap());
    for (declared, key, ours, others, form) in [
        (
            "uuid",
            uuid,
            "abababab-abab-abab-abab-abababababab",
            "ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB",
            "lower-case",
        ),
        (
            "decimal text(10,2)",
            number,
            "1.50",
            "1.5",
            "2 digits after the point",
        ),
        (
            "date",
            Some(vec![0; 4]),
            "2000-01-01",
            "02000-01-01",
            "YYYY-MM-DD",
        ),
    ] {
        let site = Site::new(&format!(
            "create table t (id {declared} primary key not null); insert into t values ('{ours}')"
        ));
        let rows = [vec![key]];
        let applied = site.apply(site.job("t").await, &rows).await.unwrap();
        assert_eq!(applied.changes, Changes::default(), "{declared}");
        let update = format!("update t set id = '{others}'");
        site.application().execute_batch(&update).unwrap();
        let err = site.apply(site.job("t").await, &rows).await.unwrap_err();
        assert!(err.to_string().contains(form), "{err}");
    }
}

#[tokio::test]
async fn all_keys_are_looked_at_in_pieces_or_at_once() {
    for without in ["", "without rowid"] {
        let site = Site::new(&format!(
            "create table t (id uuid primary key not null, at date) {without};
             with recursive n (i) as (select 0 union all select i + 1 from n where i < 20_000)
             insert into t select printf('abababab-abab-abab-abab-%012x', i), '2000-01-01' from n"
        ));
        let row = [vec![Some(vec![0xab; 16]), Some(vec![0; 4])]];
        site.apply(site.job("t").await, &row).await.unwrap();
        site.application()
            .execute_batch("update t set id = upper(id) where id = (select max(id) from t where id < 'abababab-abab-abab-abab-ab')")
            .unwrap();
        let err = site.apply(site.job("t").await, &row).await.unwrap_err();
        assert!(err.to_string().contains("key column id"), "{err}");
    }
}
