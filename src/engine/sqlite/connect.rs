//! Where the site's database lies, and connections to it.
//!
//! Every connection is the caller's own and lives on a blocking thread. None creates a file, loads an extension or
//! changes the journal mode, and none takes an unknown `"name"` for a string.
//! Invariant: the path handed to SQLite is absolute, so it can never be taken for a `file:` URI with options.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::base::secret::Secret;
use crate::engine::driver::DiskRoom;
use crate::engine::error::EngineError;
use crate::engine::sqlite::caller::CallerWatch;
use crate::engine::sqlite::fault::database_error;

/// How long a statement waits for another session's lock.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages copied between two chances for a writer, when the database is copied before it is read.
const COPY_PAGES: i32 = 1_024;

/// A database file.
#[derive(Clone, Debug)]
pub(super) struct Location {
    path: PathBuf,
    room: DiskRoom,
}

impl Location {
    /// Reads `sqlite:///absolute/path` or `sqlite://relative/path`; what follows `sqlite://` is the path, letter by letter.
    pub(super) fn parse(url: &Secret<String>, room: DiskRoom) -> Result<Self, EngineError> {
        let fault = |text: &str| EngineError::Url(text.to_owned());
        let path = url
            .expose()
            .strip_prefix("sqlite://")
            .ok_or_else(|| fault("write sqlite:///absolute/path or sqlite://relative/path"))?;
        if path.is_empty() || path.ends_with('/') {
            return Err(fault("the SQLite database needs the path of a file"));
        }
        if path.contains('?')
            || path.to_ascii_lowercase().starts_with("file:")
            || path.starts_with(':')
        {
            return Err(fault(
                "SQLite options, file: URIs and :memory: are not taken; give the plain path of a file",
            ));
        }
        if path.contains(char::is_control) {
            return Err(fault(
                "the path of the SQLite database has a control character",
            ));
        }
        let path = std::path::absolute(path)
            .map_err(|err| EngineError::Url(format!("the path is not usable: {err}")))?;
        Ok(Self { path, room })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the write-ahead log; 0 when there is none.
    pub(super) fn log_size(&self) -> u64 {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(log).map_or(0, |found| found.len())
    }

    /// What a snapshot may take of the disk.
    pub(super) fn room(&self) -> u64 {
        self.room.bytes
    }

    /// A connection that cannot write.
    pub(super) fn open_reader(&self) -> Result<Connection, EngineError> {
        let connection = self.open()?;
        connection
            .pragma_update(None, "query_only", true)
            .map_err(|err| database_error(&err))?;
        Ok(connection)
    }

    /// A connection that writes, with foreign keys enforced.
    pub(super) fn open_writer(&self) -> Result<Connection, EngineError> {
        let connection = self.open()?;
        connection
            .pragma_update(None, "foreign_keys", true)
            .map_err(|err| database_error(&err))?;
        Ok(connection)
    }

    /// A connection inside a read transaction that will see one state of the database until it is dropped.
    ///
    /// In a rollback journal an open reader blocks every writer, so there the state is copied to a file without a name.
    /// Copying ends when its caller does.
    pub(super) fn snapshot(&self, caller: &CallerWatch) -> Result<Connection, EngineError> {
        let connection = self.open_reader()?;
        let connection = match self.journal_mode(&connection)?.as_str() {
            "wal" => connection,
            _ => self.copy(&connection, caller)?,
        };
        // The snapshot begins with the first read, not with `begin`.
        connection
            .execute_batch("begin deferred; select count(*) from sqlite_schema")
            .map_err(|err| self.fault(&err))?;
        Ok(connection)
    }

    /// `wal`, `delete`, ...
    pub(super) fn journal_mode(&self, connection: &Connection) -> Result<String, EngineError> {
        let mode: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .map_err(|err| self.fault(&err))?;
        Ok(mode.to_ascii_lowercase())
    }

    /// The fault behind `err`, with the path where SQLite does not say it.
    pub(super) fn fault(&self, err: &rusqlite::Error) -> EngineError {
        match database_error(err) {
            EngineError::Unreachable(message)
                if !message.contains(&*self.path.to_string_lossy()) =>
            {
                EngineError::Unreachable(format!("{}: {message}", self.path.display()))
            }
            other => other,
        }
    }

    fn open(&self) -> Result<Connection, EngineError> {
        // Asked first, because SQLite has one message for all reasons.
        std::fs::metadata(&self.path).map_err(|err| {
            let text = format!("{}: {err}", self.path.display());
            if err.kind() == std::io::ErrorKind::PermissionDenied {
                EngineError::Denied(text)
            } else {
                EngineError::Unreachable(text)
            }
        })?;
        // Readers too open for writing: the shared-memory file beside a WAL wants it. `query_only` holds them back.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&self.path, flags).map_err(|err| self.fault(&err))?;
        self.configure(&connection)
            .map_err(|err| self.fault(&err))?;
        Ok(connection)
    }

    fn configure(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        // The first read finds out whether this is a database at all.
        connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
    }

    fn copy(&self, source: &Connection, caller: &CallerWatch) -> Result<Connection, EngineError> {
        let fault = |err: rusqlite::Error| self.fault(&err);
        let page: u32 = source
            .pragma_query_value(None, "page_size", |row| row.get(0))
            .map_err(fault)?;
        let mut target = self.nameless()?;
        let backup = Backup::new(source, &mut target).map_err(fault)?;
        let (mut copied, mut waiting_since) = (0_i64, Instant::now());
        loop {
            let pages = backup.progress().pagecount;
            let (bytes, limit) = (
                u64::try_from(pages).unwrap_or(0) * u64::from(page),
                self.room.bytes,
            );
            if bytes > limit {
                return Err(EngineError::CopyTooLarge { bytes, limit });
            }
            // Every foreign write starts the copy anew; after three lengths it is made in one go.
            let patient = copied <= 3 * i64::from(pages);
            let pause = match backup
                .step(if patient { COPY_PAGES } else { -1 })
                .map_err(fault)?
            {
                StepResult::Done => break,
                StepResult::More => {
                    copied += i64::from(COPY_PAGES);
                    waiting_since = Instant::now();
                    Duration::from_millis(1)
                }
                _ if waiting_since.elapsed() > BUSY_TIMEOUT => {
                    let path = self.path.display();
                    let text = format!("{path}: another session holds the database locked");
                    return Err(EngineError::Unreachable(text));
                }
                _ => Duration::from_millis(20),
            };
            if !caller.waits_after(pause) {
                return Err(EngineError::Lost("reading was given up".to_owned()));
            }
        }
        drop(backup);
        target
            .pragma_update(None, "query_only", true)
            .map_err(fault)?;
        Ok(target)
    }
}

impl Location {
    /// An empty database in a file that goes with its connection, however that ends.
    fn nameless(&self) -> Result<Connection, EngineError> {
        let folder = &self.room.folder;
        let failed = |err: std::io::Error| {
            let what = format!("a copy to be read, in {}", folder.display());
            EngineError::of_file(what, &err)
        };
        let file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let open = || {
            let connection = Connection::open(file.path())?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
            // Neither a journal, which would need a name, nor patience with the disk: nobody else ever sees the file.
            for (name, value) in [("journal_mode", "off"), ("synchronous", "off")] {
                connection.pragma_update(None, name, value)?;
            }
            connection.pragma_update(None, "locking_mode", "exclusive")?;
            Ok(connection)
        };
        let connection = open().map_err(|err| self.fault(&err))?;
        file.close().map_err(failed)?;
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::Location;
    use crate::base::secret::Secret;
    use crate::engine::driver::DiskRoom;
    use crate::engine::error::EngineError;
    use crate::engine::sqlite::caller::caller;
    use rusqlite::Connection;
    use std::path::Path;
    use std::time::Duration;

    fn parse(url: &str) -> Result<Location, EngineError> {
        let room = DiskRoom {
            folder: std::env::temp_dir(),
            bytes: 1 << 20,
        };
        Location::parse(&Secret::new(url.to_owned()), room)
    }

    #[test]
    fn only_plain_paths_are_taken() {
        assert_eq!(
            parse("sqlite:///var/lib/shop/shop.db").unwrap().path(),
            Path::new("/var/lib/shop/shop.db")
        );
        assert!(parse("sqlite://shop.db").unwrap().path().is_absolute());
        for url in [
            "postgres://a/b",
            "sqlite://",
            "sqlite:///var/lib/",
            "sqlite:///a.db?mode=rwc",
            "sqlite://file:/a.db",
            "sqlite://FILE:a.db",
            "sqlite://:memory:",
            "file:/a.db",
            "sqlite:///a\0b",
        ] {
            assert!(matches!(parse(url), Err(EngineError::Url(_))), "{url}");
        }
    }

    #[test]
    fn a_missing_file_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.db");
        let location = parse(&format!("sqlite://{}", path.display())).unwrap();
        assert!(matches!(
            location.open_reader(),
            Err(EngineError::Unreachable(_))
        ));
        assert!(matches!(
            location.open_writer(),
            Err(EngineError::Unreachable(_))
        ));
        assert!(!path.exists());
        std::fs::write(
            &path,
            "this is a text file, not a database, and long enough to be taken for a header"
                .repeat(20),
        )
        .unwrap();
        assert!(matches!(
            location.open_reader(),
            Err(EngineError::Unreachable(_))
        ));
    }

    #[test]
    fn a_snapshot_neither_blocks_writers_nor_sees_what_they_write() {
        for mode in ["wal", "delete"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("site.db");
            let writer = Connection::open(&path).unwrap();
            writer.pragma_update(None, "page_size", 8192).unwrap();
            writer.pragma_update(None, "journal_mode", mode).unwrap();
            writer
                .execute_batch("create table t (a); insert into t values (1)")
                .unwrap();
            let location = parse(&format!("sqlite://{}", path.display())).unwrap();
            let (_caller, watch) = caller();
            let snapshot = location.snapshot(&watch).unwrap();
            writer.busy_timeout(Duration::ZERO).unwrap();
            writer.execute_batch("insert into t values (2)").unwrap();
            let seen: i64 = snapshot
                .query_row("select count(*) from t", [], |row| row.get(0))
                .unwrap();
            assert_eq!(seen, 1, "{mode}");
            assert!(
                snapshot.execute_batch("create table u (a)").is_err(),
                "{mode}"
            );
            let names: i64 = snapshot
                .query_row("select \"unknown\" from t", [], |row| row.get(0))
                .unwrap_or(-1);
            assert_eq!(names, -1, "an unknown name is an error");
        }
    }
}
