//! The bodies of `/syncs`, read strictly: what a later version can do is refused by name until then.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::api::admin::pull::{later, named};
use crate::api::problem::Problem;
use crate::model::drift::Budget;
use crate::model::guard::Guard;
use crate::model::id::ConnectionId;
use crate::model::order::TableOrder;
use crate::model::run::{ConflictStrategy, RunOrder, SyncMode};
use crate::model::schedule::Schedule;
use crate::model::sync::{SyncDefinition, SyncStatus};
use crate::sync::syncs::{Changes, NewSync};

/// A sync to make.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api::admin) struct Creation {
    name: String,
    description: Option<String>,
    source: Source,
    tables: Vec<TableOrder>,
    #[serde(default)]
    sync_mode: SyncMode,
    #[serde(default)]
    conflict_strategy: ConflictStrategy,
    schedule: Option<Schedule>,
    compare_schedule: Option<Schedule>,
    max_age: Option<u64>,
    #[serde(default)]
    shared: bool,
    guard: Option<Guard>,
    #[serde(default)]
    repair: Change<Budget>,
    status: Option<SyncStatus>,
    // What has one value in this version.
    destination: Option<Destination>,
    continuous: Option<bool>,
}

/// What a sync is to become: fields that are absent stay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api::admin) struct Changed {
    name: Option<String>,
    #[serde(default)]
    description: Change<String>,
    source: Option<Source>,
    tables: Option<Vec<TableOrder>>,
    sync_mode: Option<SyncMode>,
    conflict_strategy: Option<ConflictStrategy>,
    #[serde(default)]
    schedule: Change<Schedule>,
    #[serde(default)]
    compare_schedule: Change<Schedule>,
    #[serde(default)]
    max_age: Change<u64>,
    shared: Option<bool>,
    #[serde(default)]
    guard: Change<Guard>,
    #[serde(default)]
    repair: Change<Budget>,
    status: Option<SyncStatus>,
    destination: Option<Destination>,
    continuous: Option<bool>,
}

/// A field that is absent, or present and possibly null.
#[derive(Default)]
enum Change<T> {
    #[default]
    Absent,
    To(Option<T>),
}

impl<T> Change<T> {
    fn present(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::To(value) => Some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::To)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    kind: SourceKind,
    connection_id: Option<ConnectionId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum SourceKind {
    Connection,
    Site,
}

impl Source {
    fn checked(self) -> Result<ConnectionId, Problem> {
        match (self.kind, self.connection_id) {
            (SourceKind::Site, _) => Err(later("source.kind", "site")),
            (SourceKind::Connection, Some(id)) => Ok(id),
            (SourceKind::Connection, None) => Err(Problem::invalid(
                "source.connection_id",
                "must name the connection to pull from",
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Destination {
    kind: DestinationKind,
    #[serde(rename = "destination_id")]
    _destination_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DestinationKind {
    Site,
    Destination,
}

/// Refuses what a later version can do.
fn refuse_later(destination: Option<Destination>, continuous: Option<bool>) -> Result<(), Problem> {
    if let Some(DestinationKind::Destination) = destination.map(|to| to.kind) {
        return Err(later("destination.kind", "destination"));
    }
    if continuous == Some(true) {
        return Err(later("continuous", "continuous"));
    }
    Ok(())
}

impl Creation {
    /// The sync to make, or what does not fit.
    pub(super) fn checked(self) -> Result<NewSync, Problem> {
        refuse_later(self.destination, self.continuous)?;
        Ok(NewSync {
            name: self.name,
            description: self.description,
            connection_id: self.source.checked()?,
            order: RunOrder {
                sync_mode: self.sync_mode,
                conflict_strategy: self.conflict_strategy,
                shared: self.shared,
                guard: self.guard.unwrap_or_default(),
                ..RunOrder::of(named(self.tables)?)
            },
            schedule: self.schedule,
            compare_schedule: self.compare_schedule,
            repair: self
                .repair
                .present()
                .unwrap_or_else(|| Some(Budget::default())),
            max_age: self.max_age.map(Duration::from_secs),
            status: self.status.unwrap_or(SyncStatus::Active),
        })
    }
}

impl Changed {
    /// What changes of `sync`, or what does not fit.
    pub(super) fn checked(self, sync: SyncDefinition) -> Result<Changes, Problem> {
        refuse_later(self.destination, self.continuous)?;
        let mut order = sync.order;
        if let Some(tables) = self.tables {
            order.tables = named(tables)?;
        }
        if let Some(mode) = self.sync_mode {
            order.sync_mode = mode;
        }
        if let Some(strategy) = self.conflict_strategy {
            order.conflict_strategy = strategy;
        }
        if let Some(guard) = self.guard.present() {
            order.guard = guard.unwrap_or_default();
        }
        order.shared = self.shared.unwrap_or(order.shared);
        let max_age = self.max_age.present();
        Ok(Changes {
            name: self.name,
            description: self.description.present(),
            connection_id: self.source.map(Source::checked).transpose()?,
            order: Some(order),
            schedule: self.schedule.present(),
            compare_schedule: self.compare_schedule.present(),
            repair: self.repair.present(),
            max_age: max_age.map(|age| age.map(Duration::from_secs)),
            status: self.status,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Changed, Creation};
    use crate::api::problem::Problem;

    fn body(fields: Value) -> Value {
        let mut body = json!({"name": "orders", "tables": ["orders"],
            "source": {"kind": "connection", "connection_id": "00000000-0000-7000-8000-000000000000"}});
        let (Some(body_fields), Value::Object(fields)) = (body.as_object_mut(), fields) else {
            panic!("objects");
        };
        body_fields.extend(fields);
        body
    }

    fn refused(fields: Value) -> Result<String, String> {
        let creation: Creation =
            serde_json::from_str(&body(fields).to_string()).map_err(|err| err.to_string())?;
        let problem: Problem = match creation.checked() {
            Ok(_) => return Ok(String::new()),
            Err(problem) => problem,
        };
        Ok(problem.errors()[0].field.clone())
    }

    #[test]
    fn what_a_later_version_can_do_is_refused_by_name() {
        let cases = [
            (json!({}), ""),
            (
                json!({"destination": {"kind": "site"}, "continuous": false, "guard": null}),
                "",
            ),
            (
                json!({"destination": {"kind": "destination", "destination_id": "x"}}),
                "destination.kind",
            ),
            (json!({"source": {"kind": "site"}}), "source.kind"),
            (
                json!({"source": {"kind": "connection"}}),
                "source.connection_id",
            ),
            (
                json!({"compare_schedule": "daily@04:00", "guard": {"percent": 5}, "repair": {},
                    "sync_mode": "mirror", "conflict_strategy": "newest"}),
                "",
            ),
            (json!({"repair": null}), ""),
            (json!({"continuous": true}), "continuous"),
            (json!({"tables": []}), "tables"),
            (
                json!({"tables": ["a", {"source_table": "b", "destination_table": "a"}]}),
                "tables[1]",
            ),
        ];
        for (fields, field) in cases {
            assert_eq!(refused(fields.clone()).as_deref(), Ok(field), "{fields}");
        }
        assert!(refused(json!({"sched": 1})).is_err());
    }

    #[test]
    fn what_is_absent_stays_and_what_is_null_goes() {
        let changed = |text: &str| serde_json::from_str::<Changed>(text).unwrap();
        assert!(changed("{}").schedule.present().is_none());
        let gone = changed(r#"{"schedule":null,"max_age":null}"#);
        assert!(
            gone.schedule
                .present()
                .is_some_and(|schedule| schedule.is_none())
        );
        assert_eq!(gone.max_age.present(), Some(None));
        assert_eq!(
            changed(r#"{"max_age":60}"#).max_age.present(),
            Some(Some(60))
        );
    }
}
