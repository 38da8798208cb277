//! The application: some sessions that write single rows in transactions, some of which are undone.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::{GOODS, OTHERS, ROWS};
use crate::support::database::{Database, Kind};
use crate::support::{mariadb, postgres, sqlite};

/// Sessions at once.
const SESSIONS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(1);
/// Keys below this are written: those of every version of the source.
const KEYS: u32 = ROWS + 9 * OTHERS;

/// What was noted of a row: as it was, and as it became.
const JOURNAL: [&str; 5] = ["id", "token", "a", "b", "c"];

/// The application at work.
pub(super) struct Writers<'a> {
    database: &'a Database,
    sessions: Vec<JoinHandle<()>>,
    /// Of sessions that are threads of this process.
    ends: Vec<SyncSender<()>>,
}

/// What the destination is at first: the table, what notes each write of it, and the application's own things.
pub(super) fn prepared(kind: Kind) -> String {
    let number = match kind {
        Kind::Postgres => "bigserial primary key",
        Kind::Sqlite => "integer primary key autoincrement",
        Kind::Mariadb => "bigint auto_increment primary key",
    };
    let columns = ["old", "new"].iter().flat_map(|image| {
        JOURNAL.map(|column| {
            let kind = if column == "id" { "int" } else { "varchar(60)" };
            format!("{image}_{column} {kind}")
        })
    });
    let columns: Vec<String> = columns.collect();
    let mut sql = format!(
        "{GOODS};
         create table phase (word varchar(20) not null); insert into phase values ('1.between');
         create table journal (number {number}, who varchar(10), op varchar(10), {});
         create index by_old on journal (old_id); create index by_new on journal (new_id);",
        columns.join(", ")
    );
    if kind == Kind::Sqlite {
        sql.push_str("create table who (name text); insert into who values ('daemon');");
    }
    for op in ["insert", "update", "delete"] {
        sql.push_str(&trigger(kind, op));
    }
    sql.push_str(match kind {
        Kind::Postgres => SCRIBBLE_POSTGRES,
        Kind::Mariadb => SCRIBBLE_MARIADB,
        Kind::Sqlite => "",
    });
    let (keys, others) = (KEYS.to_string(), (10 * KEYS).to_string());
    sql.replace("KEYS", &keys).replace("BEYOND", &others)
}

fn trigger(kind: Kind, op: &str) -> String {
    let who = match kind {
        Kind::Postgres => {
            "case current_setting('application_name') when 'evenkeel' then 'daemon' else 'local' end"
        }
        Kind::Mariadb => "if(user() like 'evenkeel@%', 'daemon', 'local')",
        Kind::Sqlite => "(select name from who)",
    };
    let image = |image: &str, is_there: bool| {
        let column = |column: &&str| match is_there {
            true => format!("{image}.{column}"),
            false => "null".to_owned(),
        };
        JOURNAL.iter().map(column).collect::<Vec<_>>().join(", ")
    };
    let (old, new) = (image("old", op != "insert"), image("new", op != "delete"));
    let names: Vec<String> = ["old", "new"]
        .iter()
        .flat_map(|image| JOURNAL.map(|column| format!("{image}_{column}")))
        .collect();
    // PostgreSQL's triggers fire without a search path.
    let schema = if kind == Kind::Postgres {
        "public."
    } else {
        ""
    };
    let note = format!(
        "insert into {schema}journal (who, op, {}) values ({who}, '{op}', {old}, {new})",
        names.join(", ")
    );
    let begin = format!("create trigger goods_{op} after {op} on goods for each row");
    match kind {
        Kind::Postgres => format!(
            "create function goods_{op}() returns trigger language plpgsql as $$ begin {note}; return null; end $$;
             {begin} execute function goods_{op}();"
        ),
        Kind::Sqlite => format!("{begin} begin {note}; end;"),
        Kind::Mariadb => format!("{begin} {note};"),
    }
}

/// Writes until the phase is `stop`. What is left to chance is the row, what is done to it, and whether it is undone.
const SCRIBBLE_POSTGRES: &str = "
create sequence tokens;
create procedure scribble() language plpgsql as $$
declare p text; t text; k int; what int;
begin
    loop
        select word into p from phase;
        exit when p = 'stop';
        t := concat('l', p, '.', nextval('tokens'));
        k := floor(random() * KEYS);
        what := floor(random() * 12);
        if what = 0 then
            delete from goods where id = k;
        elsif what = 1 then
            insert into goods values (k, t, t || 'a', t || 'b', t || 'c') on conflict do nothing;
        elsif what = 2 then
            insert into goods values (BEYOND + nextval('tokens'), t, t || 'a', t || 'b', null);
        elsif what = 3 then
            update goods set id = BEYOND + nextval('tokens'), token = t, a = t || 'a', b = t || 'b' where id = k;
        else
            update goods set token = t, a = t || 'a', b = t || 'b', c = t || 'c' where id = k;
        end if;
        if what = 4 then perform pg_sleep(0.02); end if;
        if random() < 0.1 then rollback; else commit; end if;
        perform pg_sleep(0.001);
    end loop;
end $$;";

const SCRIBBLE_MARIADB: &str = "
create sequence tokens;
delimiter //
create procedure scribble()
begin
    declare p, t varchar(60);
    declare k, what int;
    -- A key that is there, and being chosen to end a deadlock.
    declare continue handler for 1062, 1205, 1213 begin end;
    writing: loop
        select word into p from phase;
        if p = 'stop' then leave writing; end if;
        set t = concat('l', p, '.', nextval(tokens));
        set k = floor(rand() * KEYS);
        set what = floor(rand() * 12);
        start transaction;
        if what = 0 then
            delete from goods where id = k;
        elseif what = 1 then
            insert into goods values (k, t, concat(t, 'a'), concat(t, 'b'), concat(t, 'c'));
        elseif what = 2 then
            insert into goods values (BEYOND + nextval(tokens), t, concat(t, 'a'), concat(t, 'b'), null);
        elseif what = 3 then
            update goods set id = BEYOND + nextval(tokens), token = t, a = concat(t, 'a'), b = concat(t, 'b') where id = k;
        else
            update goods set token = t, a = concat(t, 'a'), b = concat(t, 'b'), c = concat(t, 'c') where id = k;
        end if;
        if what = 4 then do sleep(0.02); end if;
        if rand() < 0.1 then rollback; else commit; end if;
        do sleep(0.001);
    end loop;
end //
delimiter ;";

/// What the daemon is to log in as.
pub(super) fn login_of_the_daemon(database: &Database) -> String {
    let url = database.url();
    if database.kind() != Kind::Mariadb {
        return url;
    }
    database.execute(
        "create user if not exists evenkeel@'127.0.0.1'; grant all on *.* to evenkeel@'127.0.0.1'",
    );
    url.replace("root@", "evenkeel@")
}

impl<'a> Writers<'a> {
    /// Has the sessions begin.
    pub(super) fn begin(database: &'a Database) -> Self {
        let mut writers = Self {
            database,
            sessions: Vec::new(),
            ends: Vec::new(),
        };
        for number in 1..=SESSIONS {
            let url = database.url();
            let session = match database.kind() {
                Kind::Postgres => {
                    std::thread::spawn(move || drop(postgres::query(&url, "call scribble()")))
                }
                Kind::Mariadb => {
                    std::thread::spawn(move || drop(mariadb::query(&url, "call scribble()")))
                }
                Kind::Sqlite => {
                    let (end, ended) = sync_channel(1);
                    writers.ends.push(end);
                    let path = url.replace("sqlite://", "");
                    std::thread::spawn(move || {
                        let db = sqlite::open(path.as_ref());
                        let mut made = u64::from(number);
                        while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                            made += u64::from(SESSIONS);
                            scribble(&db, made);
                        }
                    })
                }
            };
            writers.sessions.push(session);
        }
        writers
    }

    /// What is true from here on, for what is begun from here on.
    pub(super) fn say(&self, word: &str) {
        self.database
            .execute(&format!("update phase set word = '{word}'"));
    }

    /// Has the sessions end; how many writes they committed.
    pub(super) fn end(mut self) -> u64 {
        self.say("stop");
        self.ends.clear();
        for session in self.sessions.drain(..) {
            session.join().expect("the application ends in order");
        }
        let count = "select count(*) from journal where who = 'local'";
        self.database.query(count).parse().unwrap()
    }
}

impl Drop for Writers<'_> {
    fn drop(&mut self) {
        // Of a test that has failed; what it says is enough.
        let (url, stop) = (self.database.url(), "update phase set word = 'stop'");
        drop(match self.database.kind() {
            Kind::Postgres => postgres::try_query(&url, stop),
            Kind::Mariadb => mariadb::try_query(&url, stop),
            Kind::Sqlite => Ok(String::new()),
        });
    }
}

/// One transaction of a session on SQLite, which has no procedures.
fn scribble(db: &Connection, made: u64) {
    let word: String = db
        .query_row("select word from phase", [], |row| row.get(0))
        .expect("a phase");
    let random = made.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 17;
    let (key, what) = (random % u64::from(KEYS), (random >> 20) % 12);
    let token = format!("l{word}.{made}");
    let values = format!("'{token}', '{token}a', '{token}b', '{token}c'");
    let beyond = 10 * u64::from(KEYS) + made;
    let write = match what {
        0 => format!("delete from goods where id = {key}"),
        1 => format!("insert into goods values ({key}, {values}) on conflict do nothing"),
        2 => format!("insert into goods values ({beyond}, {values})"),
        3 => {
            format!("update goods set (id, token, a, b, c) = ({beyond}, {values}) where id = {key}")
        }
        _ => format!("update goods set (token, a, b, c) = ({values}) where id = {key}"),
    };
    let end = if random.is_multiple_of(10) {
        "rollback"
    } else {
        "commit"
    };
    db.execute_batch(&format!(
        "begin immediate; update who set name = 'local'; {write}; update who set name = 'daemon'; {end}"
    ))
    .unwrap_or_else(|err| panic!("{write}: {err}"));
}
