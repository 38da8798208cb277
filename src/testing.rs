//! Throw-away servers and waiting, for the tests beside the code: the same files that `tests/it` stands on.
//!
//! Present in test builds only.

#[path = "../tests/it/support/cleanup.rs"]
pub(crate) mod cleanup;
#[path = "../tests/it/support/ports.rs"]
pub(crate) mod ports;
#[path = "../tests/it/support/postgres.rs"]
pub(crate) mod postgres;
#[path = "../tests/it/support/program.rs"]
pub(crate) mod program;
#[path = "../tests/it/support/sqlite.rs"]
pub(crate) mod sqlite;
#[path = "../tests/it/support/wait.rs"]
pub(crate) mod wait;
