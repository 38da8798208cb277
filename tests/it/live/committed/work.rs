//! The application of the source: each session makes, changes and reverses transfers between two accounts of its own.

use std::collections::HashSet;
use std::thread::JoinHandle;

use crate::support::database::{Database, Kind};
use crate::support::{mariadb, postgres};

/// Sessions at once; each has two accounts.
pub(super) const SESSIONS: u32 = 6;
pub(super) const ACCOUNTS: u32 = 2 * SESSIONS;

/// Of both sides: what is copied, and every form its rows ever had.
fn tables(kind: Kind) -> String {
    let (moment, number) = match kind {
        Kind::Postgres => ("timestamp", "bigserial primary key"),
        Kind::Sqlite => ("timestamp", "integer primary key autoincrement"),
        Kind::Mariadb => ("datetime(6)", "bigint auto_increment primary key"),
    };
    let mut sql = format!(
        "create table accounts (id int not null primary key, balance int not null, token varchar(40) not null);
         create table entries (id bigint not null primary key, made {moment} not null, account int not null,
             amount int not null, token varchar(40) not null, changed varchar(40));
         create table forms (number {number}, form varchar(200) not null);"
    );
    let schema = if kind == Kind::Postgres {
        "public."
    } else {
        ""
    };
    for (table, form) in [
        (
            "accounts",
            "concat('account ', new.id, ' ', new.balance, ' ', new.token)",
        ),
        (
            "entries",
            "concat('entry ', new.id, ' ', new.account, ' ', new.amount, ' ', new.token, ' ', coalesce(new.changed, 'never'))",
        ),
    ] {
        for op in ["insert", "update"] {
            let note = format!("insert into {schema}forms (form) values ({form})");
            let begin = format!("create trigger {table}_{op} after {op} on {table} for each row");
            sql.push_str(&match kind {
                Kind::Postgres => format!(
                    "create function {table}_{op}() returns trigger language plpgsql as $$ begin {note}; return null; end $$;
                     {begin} execute function {table}_{op}();"
                ),
                Kind::Sqlite => format!("{begin} begin {note}; end;"),
                Kind::Mariadb => format!("{begin} {note};"),
            });
        }
    }
    sql
}

/// What the destination is at first.
pub(super) fn copy(kind: Kind) -> String {
    tables(kind)
}

/// What the source is at first, and its application. `committed` tells of each transaction after how many runs it began
/// and ended.
pub(super) fn books(kind: Kind) -> String {
    let accounts: Vec<String> = (0..ACCOUNTS)
        .map(|id| format!("({id}, 1000, 'opened')"))
        .collect();
    let work = match kind {
        Kind::Mariadb => WORK_MARIADB,
        Kind::Postgres | Kind::Sqlite => WORK_POSTGRES,
    };
    format!(
        "{} insert into accounts values {};
         create table committed (token varchar(40) primary key, began int not null, ended int);
         create table phase (run int not null); insert into phase values (0);
         create sequence tokens; create sequence ids; {work}",
        tables(kind),
        accounts.join(", ")
    )
}

const WORK_POSTGRES: &str = "
create procedure work(session int) language plpgsql as $$
declare run_then int; t text; i bigint; j bigint; at timestamp; x int; old text; was int; what int;
begin
    loop
        select run into run_then from phase;
        exit when run_then < 0;
        t := concat(session, '.', nextval('tokens'));
        i := nextval('ids'); j := nextval('ids');
        at := clock_timestamp();
        x := 1 + floor(random() * 100); what := floor(random() * 10); old := null; was := 0;
        if what > 4 then
            select token, amount into old, was from entries where account = 2 * session order by random() limit 1;
        end if;
        if old is null then
            insert into entries values (i, at, 2 * session, x, t, null), (j, at, 2 * session + 1, -x, t, null);
            was := 0;
        elsif what > 7 then
            delete from entries where token = old;
            x := 0;
        else
            update entries set amount = case account when 2 * session then x else -x end, changed = t where token = old;
        end if;
        insert into committed values (t, run_then, null);
        perform pg_sleep(case when random() < 0.15 then 1 + random() else random() * 0.1 end);
        update accounts set balance = balance + x - coalesce(was, 0), token = t where id = 2 * session;
        update accounts set balance = balance - x + coalesce(was, 0), token = t where id = 2 * session + 1;
        perform pg_sleep(random() * 0.05);
        if random() < 0.2 then
            rollback;
        else
            update committed set ended = (select run from phase) where token = t;
            commit;
        end if;
    end loop;
end $$;";

const WORK_MARIADB: &str = "
delimiter //
create procedure work(session int)
begin
    declare run_then, x, was, what int;
    declare t, old varchar(40);
    declare i, j bigint;
    declare at datetime(6);
    declare continue handler for not found begin end;
    working: loop
        select run into run_then from phase;
        if run_then < 0 then leave working; end if;
        set t = concat(session, '.', nextval(tokens));
        set i = nextval(ids), j = nextval(ids), at = now(6);
        set x = 1 + floor(rand() * 100), what = floor(rand() * 10), old = null, was = 0;
        start transaction;
        if what > 4 then
            select token, amount into old, was from entries where account = 2 * session order by rand() limit 1;
        end if;
        if old is null then
            insert into entries values (i, at, 2 * session, x, t, null), (j, at, 2 * session + 1, -x, t, null);
            set was = 0;
        elseif what > 7 then
            delete from entries where token = old;
            set x = 0;
        else
            update entries set amount = if(account = 2 * session, x, -x), changed = t where token = old;
        end if;
        insert into committed values (t, run_then, null);
        do sleep(if(rand() < 0.15, 1 + rand(), rand() * 0.1));
        update accounts set balance = balance + x - coalesce(was, 0), token = t where id = 2 * session;
        update accounts set balance = balance - x + coalesce(was, 0), token = t where id = 2 * session + 1;
        do sleep(rand() * 0.05);
        if rand() < 0.2 then
            rollback;
        else
            update committed set ended = (select run from phase) where token = t;
            commit;
        end if;
    end loop;
end //
delimiter ;
create index by_token on entries (token);";

/// The application at work.
pub(super) struct Work<'a> {
    database: &'a Database,
    sessions: Vec<JoinHandle<()>>,
}

impl<'a> Work<'a> {
    /// Has the sessions begin.
    pub(super) fn begin(database: &'a Database) -> Self {
        let session = |number: u32| {
            let (url, kind) = (database.url(), database.kind());
            let call = format!("call work({number})");
            std::thread::spawn(move || {
                let ended = match kind {
                    Kind::Mariadb => mariadb::try_query(
                        &url,
                        &format!("set session transaction isolation level read committed; {call}"),
                    ),
                    Kind::Postgres | Kind::Sqlite => postgres::try_query(&url, &call),
                };
                ended.expect("the application ends in order");
            })
        };
        Self {
            database,
            sessions: (0..SESSIONS).map(session).collect(),
        }
    }

    /// So many runs are over.
    pub(super) fn say(&self, runs: u32) {
        self.database
            .execute(&format!("update phase set run = {runs}"));
    }

    /// Has the sessions end their last transactions.
    pub(super) fn end(mut self) {
        self.database.execute("update phase set run = -1");
        for session in self.sessions.drain(..) {
            session.join().expect("the application ends in order");
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        // Of a test that has failed; what it says is enough.
        let (url, stop) = (self.database.url(), "update phase set run = -1");
        drop(match self.database.kind() {
            Kind::Mariadb => mariadb::try_query(&url, stop),
            Kind::Postgres | Kind::Sqlite => postgres::try_query(&url, stop),
        });
    }
}

/// All rows of both tables, in words that are the same in every engine.
pub(super) fn rows(database: &Database) -> HashSet<String> {
    let made = match database.kind() {
        Kind::Postgres => "to_char(made, 'YYYY-MM-DD HH24:MI:SS.US')",
        Kind::Sqlite => "made",
        Kind::Mariadb => "date_format(made, '%Y-%m-%d %H:%i:%s.%f')",
    };
    let entries = format!("select id, {made}, account, amount, token, changed from entries");
    let accounts = "select 'account', id, balance, token from accounts";
    let all = [database.query(&entries), database.query(accounts)].join("\n");
    let rows: Vec<&str> = all.lines().collect();
    let set: HashSet<String> = rows.iter().map(|row| (*row).to_owned()).collect();
    assert_eq!(set.len(), rows.len(), "a row stands twice");
    set
}
