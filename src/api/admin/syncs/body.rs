//! The bodies of `/syncs`, read strictly: what a later version can do is refused by name until then.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::admin::pull::{AskedMode, AskedStrategy, later, named};
use crate::api::problem::Problem;
use crate::model::id::ConnectionId;
use crate::model::order::TableOrder;
use crate::model::run::RunOrder;
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
    sync_mode: AskedMode,
    #[serde(default)]
    conflict_strategy: AskedStrategy,
    schedule: Option<Schedule>,
    max_age: Option<u64>,
    #[serde(default)]
    shared: bool,
    status: Option<SyncStatus>,
    // What has one value in this version.
    destination: Option<Destination>,
    compare_schedule: Option<Value>,
    guard: Option<Value>,
    repair: Option<Value>,
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
    sync_mode: Option<AskedMode>,
    conflict_strategy: Option<AskedStrategy>,
    #[serde(default)]
    schedule: Change<Schedule>,
    #[serde(default)]
    max_age: Change<u64>,
    shared: Option<bool>,
    status: Option<SyncStatus>,
    destination: Option<Destination>,
    compare_schedule: Option<Value>,
    guard: Option<Value>,
    repair: Option<Value>,
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

/// The fields that have one value in this version.
struct Later {
    destination: Option<Destination>,
    compare_schedule: Option<Value>,
    guard: Option<Value>,
    repair: Option<Value>,
    continuous: Option<bool>,
}

impl Later {
    fn refuse(self) -> Result<(), Problem> {
        if let Some(DestinationKind::Destination) = self.destination.map(|to| to.kind) {
            return Err(later("destination.kind", "destination"));
        }
        let named = [
            ("compare_schedule", self.compare_schedule.is_some()),
            ("guard", self.guard.is_some()),
            ("repair", self.repair.is_some()),
            ("continuous", self.continuous == Some(true)),
        ];
        match named.into_iter().find(|(_, given)| *given) {
            Some((field, _)) => Err(later(field, field)),
            None => Ok(()),
        }
    }
}

impl Creation {
    /// The sync to make, or what does not fit.
    pub(super) fn checked(self) -> Result<NewSync, Problem> {
        let later = Later {
            destination: self.destination,
            compare_schedule: self.compare_schedule,
            guard: self.guard,
            repair: self.repair,
            continuous: self.continuous,
        };
        later.refuse()?;
        Ok(NewSync {
            name: self.name,
            description: self.description,
            connection_id: self.source.checked()?,
            order: RunOrder {
                tables: named(self.tables)?,
                sync_mode: self.sync_mode.known()?,
                conflict_strategy: self.conflict_strategy.known()?,
                apply: Default::default(),
                create_missing: false,
                shared: self.shared,
            },
            schedule: self.schedule,
            max_age: self.max_age.map(Duration::from_secs),
            status: self.status.unwrap_or(SyncStatus::Active),
        })
    }
}

impl Changed {
    /// What changes of `sync`, or what does not fit.
    pub(super) fn checked(self, sync: SyncDefinition) -> Result<Changes, Problem> {
        let later = Later {
            destination: self.destination,
            compare_schedule: self.compare_schedule,
            guard: self.guard,
            repair: self.repair,
            continuous: self.continuous,
        };
        later.refuse()?;
        let mut order = sync.order;
        if let Some(tables) = self.tables {
            order.tables = named(tables)?;
        }
        if let Some(mode) = self.sync_mode {
            order.sync_mode = mode.known()?;
        }
        if let Some(strategy) = self.conflict_strategy {
            order.conflict_strategy = strategy.known()?;
        }
        order.shared = self.shared.unwrap_or(order.shared);
        let max_age = self.max_age.present();
        Ok(Changes {
            name: self.name,
            description: self.description.present(),
            connection_id: self.source.map(Source::checked).transpose()?,
            order: Some(order),
            schedule: self.schedule.present(),
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
            (json!({"compare_schedule": "@daily"}), "compare_schedule"),
            (json!({"guard": {"percent": 5}}), "guard"),
            (json!({"repair": {}}), "repair"),
            (json!({"continuous": true}), "continuous"),
            (json!({"sync_mode": "mirror"}), "sync_mode"),
            (json!({"conflict_strategy": "newest"}), "conflict_strategy"),
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
