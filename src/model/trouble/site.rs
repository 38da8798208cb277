//! What there is to tell of the site itself: its database, and the disk of the daemon's state.

use crate::model::trouble::{Event, Known, Trouble};

/// The cause of [`Event::DatabaseUnreachable`].
pub(super) const DATABASE_CAUSE: &str = "database_unreachable";

/// What keeps every run of this site, and everything it gives, from happening.
pub(super) fn troubles(known: &Known) -> Vec<Trouble> {
    let database = known.database_fault.as_ref().map(|fault| Trouble {
        hint: "start the site database, or correct site.database; this site keeps trying: evenkeel doctor".to_owned(),
        ..of_site(DATABASE_CAUSE, Event::DatabaseUnreachable, "site database", fault.clone())
    });
    let disk = known.scarce_disk.as_ref().map(|scarce| {
        let folder = scarce.folder.display();
        let message = format!(
            "only {} MiB are free in the state's folder {folder}",
            scarce.mebibytes
        );
        Trouble {
            hint: "make room: a full disk stops every run".to_owned(),
            ..of_site(
                "state_disk_full",
                Event::StateDiskFull,
                "daemon state",
                message,
            )
        }
    });
    database.into_iter().chain(disk).collect()
}

fn of_site(cause: &str, event: Event, what: &str, message: String) -> Trouble {
    Trouble {
        cause: cause.to_owned(),
        event,
        what: what.to_owned(),
        since: None,
        next_attempt_at: None,
        message,
        hint: String::new(),
        follows: None,
    }
}
