//! What `--help` says below the list of options: examples, words and their meaning. Texts only.

/// Below `evenkeel --help`.
pub(super) const EVENKEEL: &str = "\
Exit codes: 0 done, or equal; 1 differences found, a run that did not complete, or status and doctor with something
to tell; 2 wrong usage, configuration or unknown id; 3 the daemon cannot be reached; 4 refused, or needs approval.
Data goes to stdout (on a pipe: columns separated by tabs, no titles), everything else to stderr.
Root, the daemon's user and its group may use the socket; --server needs EVENKEEL_TOKEN.";

/// Below `connect --help`.
pub(super) const CONNECT: &str = "\
Example: evenkeel connect https://hq.example.com --tables customers,orders --wait=10m
Example: evenkeel connect https://hq.example.com --grant hq.toml (columns, rows and limits; docs/grants.md)
The password, if the peer wants one, is asked for, or comes from --password-file or EVENKEEL_PASSWORD.
Exit code 0 also when the peer's administrator has yet to approve; 4 when the peer refuses or --wait ends before.";

/// Below `request --help`.
pub(super) const REQUEST: &str = "\
Example: evenkeel request https://hq.example.com --tables customers,orders --wait=10m
Its administrator sees the request, whatever its incoming mode but deny_all, and approves it with the tables it gives.
Exit code 0 also while they have yet to decide; 4 when the peer refuses, or cannot be asked because it is no Evenkeel.";

/// Below `connections edit --help`.
pub(super) const EDIT: &str = "\
--tables is the whole new list: what it does not name is no longer given, and rules for columns, rows and limits go.
A grant with such rules is a file (docs/grants.md); `evenkeel --json connections show ID` prints the present one.
Example: evenkeel connections edit hq --tables customers,orders,items
Example: evenkeel connections edit hq --grant hq.toml";

/// Below `connections approve --help`.
pub(super) const APPROVE: &str = "\
The peer is asked, at the URL it claims, to prove who it is: only the site that made the request can answer. Exit code 4
when it does not; --unproved lets it in as it is, and `connections` goes on to show it as claimed.
--tables, --all-tables and --grant are for a peer that asks to read here; without them it gets the tables it asked
for. A peer that gives chose its tables itself.";

/// Below `tables --help`.
pub(super) const TABLES: &str = "\
Rows here are as the last pull counted them, else the database's own estimate; `?`: neither knows (SQLite keeps no
estimate, PostgreSQL makes one with `analyze`). `-`: no such table on that side.
Comparison, by the last pull: only_there (missing here), different (it left rows as they are), equal (proved), or
unknown (nothing proves it).";

/// Below `pull --help`.
pub(super) const PULL: &str = "\
Modes: upsert adds missing rows and updates rows that differ; insert only adds; update only updates; mirror also
deletes rows that are only here. A mirror that would delete many waits for approval (evenkeel runs approve).
Conflicts, where a row differs: overwrite takes the peer's values; skip leaves ours; merge takes the peer's values
except its NULLs; newest takes the row whose --version-column is later, and leaves ours at a tie.
--dry-run tells what would be done and changes nothing: exit code 1 when there is something to do.
Tables named together are written parents first, whatever the order they are named in.
Ctrl-C ends the waiting, not the run. What cannot be reached is tried again for 15 minutes (runs.give_up_after).
Example: evenkeel pull berlin customers orders=berlin_orders --create";

/// Below `diff --help`.
pub(super) const DIFF: &str = "\
+ the row is only there; - it is only here; ~ it is on both sides with other values, followed by the columns that differ
where they are known. Rows are named by their key; values are never shown. Exit code 0: equal; 1: differences found.
Example: evenkeel diff berlin customers orders=berlin_orders";

/// Below `runs approve --help`.
pub(super) const APPROVE_RUN: &str = "\
Shows what the run would do, by table and key, and asks. What is approved is that plan and nothing else: a row that was
changed meanwhile, on either side, is left as it is and counted as moved. Without a terminal it needs --yes; with
--plan it approves only that plan, as `evenkeel --json runs show ID` prints it.
`evenkeel runs cancel ID` turns it down.";

/// Below `runs receipt --help` and `connections receipts --help`.
pub(super) const RECEIPTS: &str = "\
There is one for each table that was proved with a peer that signs; both sites keep it (receipts.keep). Exit code 1 when
there is none.
Example: evenkeel runs receipt 0193 > receipts.json && evenkeel verify-receipt receipts.json";

/// Below `verify-receipt --help`.
pub(super) const VERIFY_RECEIPT: &str = "\
Needs no daemon. Exit codes: 0 all receipts hold; 1 one does not; 2 the file has none.
Without the two keys it shows that the keys it names signed, not whose they are: each site's administrator sees them in
`evenkeel connections show ID` (receipt_keys). What a receipt says is in docs/receipts.md.";

/// Below `sync create --help` and `sync edit --help`.
pub(super) const SYNC: &str = "\
A time of day that the clock skips in spring comes at the moment it jumps, one that it shows twice in autumn comes the
first time; hourly (and cron with * for its hours) comes every real hour. Times missed while the daemon was down are
made up for by one run. A scheduled run begins up to a tenth of its interval late, at most runs.jitter.
--compare-schedule compares without changing anything; rows that differ twice in the same way are repaired by a run of
their own, up to --repair rows at a time; of more a person decides.
--guard: a mirror asks before it deletes more than this share of a table within 24 hours, or more than so many rows.
Modes and conflicts: evenkeel pull --help. Cron has five fields: minute, hour, day of month, month, day of week.
Example: evenkeel sync create nightly --from berlin --table orders --schedule daily@02:30 --timezone Europe/Berlin";

/// Below `token create --help`.
pub(super) const TOKEN: &str = "\
viewer reads; operator also runs pulls, and the syncs it made; admin does everything.
Example: EVENKEEL_TOKEN=$(evenkeel token create --role viewer --name monitoring --expires 90d)";

/// Below `settings set --help`.
pub(super) const SETTINGS: &str = "\
enabled            true or false: whether the peer API answers
incoming_mode      require_approval, auto_accept, require_password or deny_all
incoming_password  asked for, or --password-file, or EVENKEEL_PASSWORD; \"\" removes it
Example: evenkeel settings set incoming_mode deny_all";

/// Below `status --help`.
pub(super) const STATUS: &str = "\
Exit code 0 when there is nothing to tell, else 1. What a run left undone is told until a newer run of the same tables
ends well, somebody knows (`evenkeel runs dismiss ID`), or its connection is deleted or ended; a failure at most 7 days.
With --json: event (such as run_failed, for scripts), what, message, since, next_attempt_at, hint, and cause, its key.";
