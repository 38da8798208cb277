//! What the healing loop did since this process began, as counts: doing nothing is one of them.
//!
//! Invariant: labels are words of this program.

use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::repair::Repair;
use crate::sync::connections::Healed;

type Label = (&'static str, &'static str);

/// Counts of the healing loop.
#[derive(Debug, Default)]
pub struct Healing {
    passes: Counter,
    idle: Counter,
    repairs: Family<[Label; 2], Counter>,
    found: Family<[Label; 1], Gauge>,
    seconds: Gauge<f64, AtomicU64>,
}

/// How many connections a pass found in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Nothing to do.
    pub well: usize,
    /// Something to do, but later, or under way.
    pub waiting: usize,
    /// Something to do now.
    pub needy: usize,
}

impl Healing {
    /// The one of this process.
    pub fn of_process() -> &'static Self {
        static HEALING: LazyLock<Healing> = LazyLock::new(Healing::default);
        &HEALING
    }

    /// A pass is over.
    pub fn passed(&self, found: Found, took: Duration) {
        self.passes.inc();
        if found.needy == 0 {
            self.idle.inc();
        }
        for (state, count) in [
            ("well", found.well),
            ("waiting", found.waiting),
            ("needy", found.needy),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let gauge = self.found.get_or_create_owned(&[("state", state)]);
            gauge.set(count);
        }
        self.seconds.set(took.as_secs_f64());
    }

    /// A repair was tried.
    pub fn tried(&self, repair: Repair, healed: Healed) {
        let outcome = match healed {
            Healed::Done => "done",
            Healed::Failed => "failed",
        };
        let labels = [("repair", repair.as_str()), ("outcome", outcome)];
        self.repairs.get_or_create(&labels).inc();
    }

    /// Adds the counts to what `/metrics` answers.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "healing_passes",
            "Passes of the healing loop",
            self.passes.clone(),
        );
        registry.register(
            "healing_idle_passes",
            "Those of them that found nothing to do",
            self.idle.clone(),
        );
        registry.register(
            "healing_repairs",
            "What the healing loop tried, by kind and outcome",
            self.repairs.clone(),
        );
        registry.register(
            "healing_connections",
            "Connections as the last pass of the healing loop found them",
            self.found.clone(),
        );
        registry.register(
            "healing_last_pass_seconds",
            "How long the last pass of the healing loop took",
            self.seconds.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::registry::Registry;

    use super::{Found, Healing};
    use crate::model::repair::Repair;
    use crate::sync::connections::Healed;

    #[test]
    fn doing_nothing_is_counted_too() {
        let healing = Healing::default();
        let (idle, busy) = (
            Found {
                well: 3,
                ..Found::default()
            },
            Found {
                needy: 1,
                ..Found::default()
            },
        );
        healing.passed(busy, Duration::from_secs(2));
        healing.passed(idle, Duration::from_millis(5));
        healing.tried(Repair::TellDecision, Healed::Failed);
        let mut registry = Registry::default();
        healing.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "healing_passes_total 2",
            "healing_idle_passes_total 1",
            "healing_repairs_total{repair=\"tell_decision\",outcome=\"failed\"} 1",
            "healing_connections{state=\"well\"} 3",
            "healing_connections{state=\"needy\"} 0",
            "healing_last_pass_seconds 0.005",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
