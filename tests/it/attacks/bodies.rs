//! Slow and huge requests, and answers that unpack to more than they say.
//!
//! Each is tried again where the bound it breaks is wide open, and there it succeeds.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::attacks::sender::{Victim, answer, most_memory};
use crate::support::daemon::Site;
use crate::support::http::Request;
use crate::support::{sqlite, wait};

/// Above the bounds of [`bounded`], below those of a site without.
const LONGER: Duration = Duration::from_secs(4);

fn site() -> crate::support::daemon::SiteBuilder {
    Site::builder("berlin")
        .sqlite(|path| sqlite::execute(path, "create table notes (id integer primary key)"))
}

fn bounded() -> Site {
    site()
        .with("limits.header_timeout", "1s")
        .with("limits.body_timeout", "1s")
        .with("limits.max_body_bytes", "64KiB")
        .start()
}

fn wide_open() -> Site {
    site()
        .with("limits.header_timeout", "10m")
        .with("limits.body_timeout", "10m")
        .with("limits.max_body_bytes", "1GiB")
        .start()
}

const REGISTER: &str = "POST /sync/api/register-connection HTTP/1.1\r\nhost: x\r\n";

/// What a stranger sends, and whether more follows without end.
struct Attack {
    name: &'static str,
    head: String,
    then: &'static [u8],
    goes_on: bool,
}

fn attacks() -> Vec<Attack> {
    let attack = |name, head: &str, then, goes_on| Attack {
        name,
        head: head.to_owned(),
        then,
        goes_on,
    };
    let with = |headers: &str| format!("{REGISTER}{headers}\r\n");
    vec![
        attack(
            "a head that never ends",
            "GET /sync/api/status HTTP/1.1\r\nx",
            b"",
            false,
        ),
        attack(
            "a body that never comes",
            &with("content-length: 100\r\n"),
            b"{",
            false,
        ),
        attack(
            "chunks that never end",
            &with("transfer-encoding: chunked\r\n"),
            b"1\r\n{\r\n",
            false,
        ),
        attack(
            "chunks without end, quickly",
            &with("transfer-encoding: chunked\r\n"),
            b"4\r\n    \r\n",
            true,
        ),
        attack(
            "a body of a gibibyte",
            &with("content-length: 1073741824\r\n"),
            b"        ",
            true,
        ),
    ]
}

/// Whether the site at this URL still listens to it after [`LONGER`].
fn holds(url: &str, attack: &Attack) -> bool {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("a connection");
    let patience = Some(Duration::from_millis(100));
    stream.set_read_timeout(patience).expect("a time-out");
    stream.set_write_timeout(patience).expect("a time-out");
    let mut all_sent = stream.write_all(attack.head.as_bytes()).is_ok();
    let many = attack.then.repeat(1_000);
    all_sent = all_sent && stream.write_all(attack.then).is_ok();
    let begun = Instant::now();
    let mut answer = [0; 1_024];
    while begun.elapsed() < LONGER {
        if attack.goes_on && all_sent {
            all_sent = stream.write_all(&many).is_ok();
        }
        let is_silent = |err: &std::io::Error| {
            matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        };
        match stream.read(&mut answer) {
            Err(err) if is_silent(&err) => {}
            // Refused, closed or reset.
            Ok(_) | Err(_) => return false,
        }
    }
    true
}

#[test]
fn a_slow_or_huge_request_is_ended_and_others_are_served_meanwhile() {
    let (bounded, open) = (bounded(), wide_open());
    let (bounded_url, open_url) = (&bounded.url(), &open.url());
    let attacks = attacks();
    let (mut tries, mut successes) = (0, 0);
    std::thread::scope(|scope| {
        // Many of each at once: others must find their turn all the same.
        let held: Vec<_> = attacks
            .iter()
            .flat_map(|attack| (0..8).map(move |_| attack))
            .map(|attack| scope.spawn(move || holds(bounded_url, attack)))
            .collect();
        let weak: Vec<_> = attacks
            .iter()
            .map(|attack| (attack.name, scope.spawn(move || holds(open_url, attack))))
            .collect();
        let status = Request::new("GET", "/sync/api/status");
        let begun = Instant::now();
        bounded.peer(&status).expect("an answer").expect(200);
        assert!(begun.elapsed() < LONGER, "{:?}", begun.elapsed());
        for thread in held {
            tries += 1;
            successes += usize::from(thread.join().expect("no panic"));
        }
        for (name, thread) in weak {
            assert!(
                thread.join().expect("no panic"),
                "{name} is ended without a bound"
            );
        }
    });
    let most = most_memory(bounded.process());
    assert!(most < 200 << 10, "the daemon took {most} KiB");
    println!("slow and huge bodies: {tries} attacks, {successes} succeeded");
    assert_eq!(successes, 0);
}

#[test]
fn a_body_that_is_odd_inside_is_refused_like_any_other() {
    let site = site().start();
    let deep = "[".repeat(200_000);
    let long = json!({"sender_url": "x".repeat(900_000)}).to_string();
    let many = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(100_000));
    let bodies = [
        deep.into_bytes(),
        long.into_bytes(),
        many.into_bytes(),
        vec![0xff; 1_000],
    ];
    for body in bodies {
        for coding in ["identity", "gzip", "zstd"] {
            let request = Request::new("POST", "/sync/api/register-connection")
                .header("content-encoding", coding)
                .body(body.clone());
            let status = site.peer(&request).expect("an answer").status;
            assert!((400..500).contains(&status), "{coding}: {status}");
        }
    }
    let most = most_memory(site.process());
    assert!(most < 200 << 10, "the daemon took {most} KiB");
}

/// Zeros that take a few kilobytes on the wire.
const UNPACKED: usize = 256 << 20;

/// A frame of rows whose payload is `packed`, said to be `plain` bytes when unpacked.
fn bomb(packed: &[u8], plain: u32, sequence: u32) -> Vec<u8> {
    let length = u32::try_from(packed.len()).expect("small");
    let header = [
        &[2, 1, 1, 0][..],
        &1_u32.to_le_bytes(),
        &length.to_le_bytes(),
        &plain.to_le_bytes(),
        &sequence.to_le_bytes(),
    ];
    [&header.concat(), packed].concat()
}

#[test]
fn a_frame_that_unpacks_to_more_than_it_says_or_may_is_not_unpacked() {
    let victim = Victim::start();
    let head =
        json!({"table": "notes", "columns": [{"name": "id", "type": "int8"}], "rows_estimate": 1})
            .to_string();
    let length = u32::try_from(head.len()).expect("small").to_le_bytes();
    let head = [
        &[1, 0, 1, 0, 0, 0, 0, 0],
        &length[..],
        &length[..],
        &[0; 4],
        head.as_bytes(),
    ]
    .concat();
    let pack = |size: usize| {
        zstd::stream::encode_all(std::io::repeat(0).take(size as u64), 3).expect("packed")
    };
    let packed = pack(UNPACKED);
    assert!(packed.len() < 64 << 10, "{}", packed.len());
    let whole = u32::try_from(UNPACKED).expect("small");
    let twice = [packed.clone(), packed.clone()].concat();
    let bombs = [
        ("as large as it says", bomb(&packed, whole, 1)),
        ("larger than it says", bomb(&packed, 1 << 20, 1)),
        ("larger than a frame may be", bomb(&packed, 17 << 20, 1)),
        ("of no size", bomb(&packed, 0, 1)),
        ("of the largest size there is", bomb(&packed, u32::MAX, 1)),
        ("two in one", bomb(&twice, 1 << 20, 1)),
        (
            "a payload that never comes",
            bomb(&packed, 1, 1)[..30].to_vec(),
        ),
    ];
    let kind = "200 OK\r\ncontent-type: application/vnd.evenkeel.rows";
    let tries = bombs.len();
    for (name, frames) in bombs {
        let stream = [head.clone(), frames].concat();
        let begin = answer(kind, "");
        let begin = String::from_utf8(begin).expect("text").replace(
            "content-length: 0",
            &format!("content-length: {}", stream.len()),
        );
        let error = victim.survives(
            "pull-data",
            &[begin.as_bytes(), &stream].concat(),
            &["notes"],
        );
        let code = error["code"].as_str().unwrap_or_default();
        assert!(
            ["peer_nonsense", "stream_cut"].contains(&code),
            "{name}: {error}"
        );
    }
    let most = most_memory(victim.taker.process());
    assert!(most < 200 << 10, "the daemon took {most} KiB");
    // Whoever unpacks without looking has it all in memory.
    let unpacked = zstd::stream::decode_all(packed.as_slice()).expect("zeros");
    assert_eq!(unpacked.len(), UNPACKED);
    println!("decompression bombs: {tries} attacks, 0 succeeded");
    wait::until("the site is well", wait::LONG, || {
        let status = Request::new("GET", "/sync/api/status");
        victim
            .taker
            .peer(&status)
            .ok()
            .filter(|answer| answer.status == 200)
    });
}
