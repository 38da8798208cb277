//! Whatever is killed or cut at a random moment of a run: what is there is whole, and the next run completes it.
//!
//! The sites, their servers and how they are killed are [`ground`]; the rows and what may become of them [`rows`]; when it
//! happens [`moment`]; what went over the link [`counted`]. EVENKEEL_TEST_SEED repeats the random moments,
//! EVENKEEL_KILL_TRIALS says how many trials there are.

mod counted;
mod ground;
mod moment;
mod random;
mod rows;

use std::time::Instant;

use serde_json::Value;

use self::counted::{LATER, between, now};
use self::ground::{Ground, Servers, TRANSACTION, Victim};
use self::moment::Moment;
use self::random::Random;
use self::rows::{ROW_BYTES, Todo, Work, rows as rows_of, told};
use crate::support::database::{Database, Kind};

/// Trials, where nobody asks for more.
const TRIALS: usize = 20;
/// Trials on one pair of sites, before the next pair has its turn.
const TURN: usize = 5;
/// The engines of source and destination; the first four are enough to see every engine on both sides.
const PAIRS: [(Kind, Kind); 9] = [
    (Kind::Postgres, Kind::Postgres),
    (Kind::Postgres, Kind::Sqlite),
    (Kind::Sqlite, Kind::Mariadb),
    (Kind::Mariadb, Kind::Postgres),
    (Kind::Postgres, Kind::Mariadb),
    (Kind::Mariadb, Kind::Sqlite),
    (Kind::Sqlite, Kind::Postgres),
    (Kind::Mariadb, Kind::Mariadb),
    (Kind::Sqlite, Kind::Sqlite),
];
const FEW: usize = 4;
/// Bytes of rows that a receiver takes from the link ahead of the transaction that is open: four frames that wait, one
/// that is being checked, one that is being written, two on the way to SQLite's thread, and there 4 MiB that wait, and one
/// more; a frame is filled by whole batches, so that it may be a quarter larger than a mebibyte.
const AHEAD: u64 = 9 * (5 << 18) + (4 << 20);

/// One trial.
struct Trial {
    victim: Victim,
    work: Work,
    /// The run goes on by itself; else it is cancelled, and the next one ordered, which saves the pause before it.
    alone: bool,
}

/// What a trial showed.
struct Shown {
    victim: Victim,
    /// Before anything was killed, and when it was.
    todo: Todo,
    left: Todo,
    /// Rows received and not kept; sent, where the receiver was killed.
    lost: u64,
    /// Rows received again that were kept.
    again: u64,
}

#[test]
fn whatever_is_killed_or_cut_what_is_there_is_whole_and_the_next_run_completes_it() {
    let wanted = std::env::var_os("EVENKEEL_KILL_TRIALS");
    let wanted = wanted.map_or(TRIALS, |wanted| wanted.to_str().unwrap().parse().unwrap());
    let pairs = if wanted <= TRIALS { FEW } else { PAIRS.len() };
    let mut random = Random::seeded();
    let first = usize::try_from(random.below(60)).unwrap();
    let servers = Servers::default();
    let mut shown = Vec::new();
    let numbers: Vec<usize> = (0..wanted).collect();
    for (turn, numbers) in numbers.chunks(TURN).enumerate() {
        let kinds = PAIRS[(first + turn) % pairs];
        let mut ground = servers.ground(kinds);
        for (at, number) in numbers.iter().enumerate() {
            // A little further each round, so that no pair meets the same again before it has met all.
            let place = first + turn * TURN + turn / pairs * 2 + at;
            let alone = number % 9 == 4;
            let trial = Trial::at(place, &ground.victims(), alone);
            let Trial { victim, work, .. } = trial;
            let note = format!("trial {number}, {kinds:?}, {work:?}, {victim:?}");
            shown.push(trial.run(&mut ground, &mut random, &note));
        }
    }
    tell(&shown);
}

fn tell(shown: &[Shown]) {
    let count = |is: fn(&&Shown) -> bool| shown.iter().filter(is).count();
    let most = |is: fn(&&Shown) -> bool| {
        let lost = shown.iter().filter(is).map(|shown| shown.lost);
        lost.max().unwrap_or_default()
    };
    println!(
        "kill trials: {}, equal after the next run: {}; with rows done and rows to do: {}, with none left to do: {}; rows sent again that were kept: {}; rows received and not kept: at most {}, sent to a receiver that was killed: at most {}, with transactions of {TRANSACTION}",
        shown.len(),
        shown.len(),
        count(|shown| shown.left.rows() > 0 && shown.left != shown.todo),
        count(|shown| shown.left.rows() == 0),
        shown.iter().map(|shown| shown.again).sum::<u64>(),
        most(|shown| shown.victim != Victim::Taker),
        most(|shown| shown.victim == Victim::Taker),
    );
}

impl Trial {
    /// The trial at `place` of all there can be, in an order in which each victim soon meets each work.
    fn at(place: usize, victims: &[Victim], alone: bool) -> Self {
        let victim = victims[place % victims.len()];
        let works = [Work::Copy, Work::Mirror, Work::Upsert];
        let work = works[(place + place / victims.len()) % works.len()];
        match (victim, work) {
            (Victim::Taker, work) => Self {
                victim,
                // Which goes on at once, and would have to be approved again if it did not.
                work: match work {
                    Work::Mirror => Work::Approved,
                    work => work,
                },
                alone: true,
            },
            _ => Self {
                victim,
                work,
                alone,
            },
        }
    }

    fn run(&self, ground: &mut Ground<'_>, random: &mut Random, note: &str) -> Shown {
        let Self { victim, work, .. } = *self;
        let destination = &ground.pair.destination;
        work.prepare(destination);
        let before = rows_of(destination);
        let todo = work.todo(&before, &ground.there);
        let transaction = last_transaction(destination);

        let (ordered, begun) = (now(), Instant::now());
        let id = ground.order(work);
        let missing = rows::missing(&before, &ground.there);
        let moment = Moment::draw(random, ground, victim, (todo.sent(), missing));
        moment.wait(ground, &id);
        ground.strike(victim, &id, note);

        let struck = now();
        let held = rows_of(&ground.pair.destination);
        let left = work.todo(&held, &ground.there);
        let done = todo.until(left);
        let knows = match victim {
            Victim::Taker => &ground.pair.giver,
            _ => &ground.pair.taker,
        };
        let (went, written) = between(knows, &ordered, &struck);
        let lost = went - done.sent();
        let (rows, all) = (done.rows(), todo.rows());
        let note = format!("{note} at {moment:?}: {rows} of {all} rows done, {lost} more sent");
        println!("{note}");
        work.nothing_else(&before, &ground.there, &held, &note);
        only_whole_transactions(&ground.pair.destination, transaction, begun, &note);
        let most = TRANSACTION + AHEAD / ROW_BYTES;
        assert!(victim == Victim::Taker || lost <= most, "{note}");
        self.tells_what_was_written(ground, &id, (done, written), &note);

        let run = self.complete(ground, &id);
        self.is_complete(&run, (todo, left), &note);
        let end = rows_of(&ground.pair.destination);
        work.nothing_else(&held, &ground.there, &end, &note);
        assert_eq!(work.todo(&end, &ground.there), Todo::default(), "{note}");
        let (sent, _) = between(&ground.pair.taker, &struck, LATER);
        let again = sent - left.sent();
        assert_eq!(again, 0, "{note}");
        if self.alone {
            // What it deleted counts, once; what the run itself was told last it had perhaps no time to note.
            let (_, written) = between(&ground.pair.taker, &ordered, LATER);
            let is_between = told(&run).is_within(written) && written.is_within(todo);
            assert!(is_between, "{note}: {written:?}, {run:#}");
        }
        Shown {
            victim,
            todo,
            left,
            lost,
            again,
        }
    }

    /// The run completed, proved its tables, and tells what all of its attempts did.
    fn is_complete(&self, run: &Value, (todo, left): (Todo, Todo), note: &str) {
        assert_eq!(run["status"], "completed", "{note}: {run:#}");
        for table in run["tables"].as_array().unwrap() {
            assert_eq!(table["proved_equal"], true, "{note}: {run:#}");
        }
        let told = told(run);
        match (self.alone, self.victim) {
            (false, _) => assert_eq!(told, left, "{note}: {run:#}"),
            // What these two did last they had no time to say.
            (true, Victim::Taker | Victim::DestinationDatabase) => {
                let is_between = left.is_within(told) && told.is_within(todo);
                assert!(is_between, "{note}: {run:#}");
            }
            (true, _) => assert_eq!(told, todo, "{note}: {run:#}"),
        }
    }

    /// After the attempt, the run and its transfers tell what it wrote: exactly, where nobody died who would know.
    fn tells_what_was_written(
        &self,
        ground: &Ground<'_>,
        id: &str,
        (done, written): (Todo, Todo),
        note: &str,
    ) {
        match self.victim {
            Victim::Giver | Victim::Link | Victim::SourceDatabase => {
                let run = ground.pair.run(id);
                assert_eq!(told(&run), done, "{note}: {run:#}");
                assert_eq!(written, done, "{note}");
            }
            // Whether the last transaction was committed it may have said to nobody.
            Victim::DestinationDatabase => {
                assert!(written.is_within(done), "{note}: {written:?}");
                let unknown = done.rows() - written.rows();
                assert!(unknown <= TRANSACTION, "{note}: {written:?}");
            }
            Victim::Taker => {}
        }
    }

    /// Brings back what was killed; the next run as it ended.
    fn complete(&self, ground: &mut Ground<'_>, id: &str) -> Value {
        if self.alone {
            ground.mend(self.victim);
            let is_over = |run: &Value| run["completed_at"].is_string();
            return ground.pair.run_until(id, "the run is over", is_over);
        }
        if ground.pair.run(id)["completed_at"].is_null() {
            let cancelled = ground.pair.taker.cli(&["runs", "cancel", id]);
            assert_eq!(cancelled.code, 0, "{cancelled:#?}");
        }
        ground.mend(self.victim);
        let run = ground.pair.pull_as(&self.work.order());
        assert_eq!(run["attempt"], 1, "{run:#}");
        run
    }
}

/// The newest transaction of a database that numbers them.
fn last_transaction(database: &Database) -> u64 {
    match database {
        Database::Postgres(_) => database.query("select txid_current()").parse().unwrap(),
        Database::Sqlite(_) | Database::Mariadb(_) => 0,
    }
}

/// No transaction after `before` wrote more rows than it may, and none fewer but the last one, and those that had lasted
/// for a second; where the database tells.
fn only_whole_transactions(database: &Database, before: u64, begun: Instant, note: &str) {
    if database.kind() != Kind::Postgres {
        return;
    }
    for table in ["accounts", "ledger"] {
        let sizes = database.query(&format!(
            "select count(*) from {table} where xmin::text::bigint > {before} group by xmin::text"
        ));
        let sizes: Vec<u64> = sizes.lines().map(|size| size.parse().unwrap()).collect();
        assert!(
            sizes.iter().all(|size| *size <= TRANSACTION),
            "{note}: {sizes:?}"
        );
        let partial = sizes.iter().filter(|size| **size < TRANSACTION).count();
        let lasted = usize::try_from(begun.elapsed().as_secs()).unwrap();
        assert!(partial <= 1 + lasted, "{note}: {sizes:?}");
    }
}
