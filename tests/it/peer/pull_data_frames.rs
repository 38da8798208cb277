//! `POST pull-data` as frames

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use evenkeel::wire::frame::{Frame, FrameKind, FrameReader, MEDIA_TYPE, RowSum};
use evenkeel::wire::row::{RowBatch, split_tuple};

use super::{Giving, giving};
use crate::support::http::{Answer, Request};
use crate::support::{sqlite, wait};

fn stream(giving: &Giving, fields: Value) -> Answer {
    let request = Request::new("POST", "/sync/api/pull-data")
        .header("accept", MEDIA_TYPE)
        .json(&giving.body(fields));
    giving.site.peer(&request).expect("an answer")
}

fn frames(answer: &Answer) -> Vec<Frame> {
    assert_eq!(answer.header("content-type"), Some(MEDIA_TYPE));
    let mut reader = FrameReader::default();
    reader.push(&answer.body);
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().expect("frames") {
        frames.push(frame);
    }
    assert!(!reader.is_inside_frame());
    frames
}

fn head(frames: &[Frame]) -> Value {
    assert_eq!(frames[0].kind, FrameKind::Head);
    serde_json::from_slice(&frames[0].payload).expect("JSON")
}

#[test]
fn a_stream_begins_with_its_head_and_ends_with_the_sum_of_its_rows() {
    let giving = giving(json!(["orders"]));
    let frames = frames(&stream(&giving, json!({"table_name": "orders"})).expect(200));
    let head = head(&frames);
    assert_eq!(head["table"], "orders");
    let columns: Vec<&str> = head["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["id", "customer_id", "total", "placed_at", "note"]);
    let mut sum = RowSum::default();
    for frame in frames.iter().filter(|frame| frame.kind == FrameKind::Rows) {
        let batch = RowBatch {
            rows: frame.rows,
            data: frame.payload.clone(),
        };
        for tuple in batch.tuples() {
            sum.add(tuple.unwrap());
        }
    }
    assert_eq!(sum.rows, 3);
    let end = frames.last().unwrap();
    assert_eq!(end.kind, FrameKind::End);
    assert_eq!(RowSum::from_end(&end.payload).unwrap(), sum);
    let transfer = giving.site.get("/transfers")["items"][0].clone();
    assert_eq!(
        (&transfer["status"], &transfer["rows"]),
        (&json!("completed"), &json!(3))
    );
}

#[test]
fn columns_are_sent_as_asked_for() {
    let giving = giving(json!(["customers"]));
    let fields = json!({"table_name": "customers", "columns": ["name", "id"], "ids": [2]});
    let frames = frames(&stream(&giving, fields).expect(200));
    let names: Vec<Value> = head(&frames)["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].clone())
        .collect();
    assert_eq!(names, [json!("name"), json!("id")]);
    let (fields, rest) = split_tuple(&frames[1].payload).unwrap();
    assert_eq!((fields[0], rest), (Some(&b"Grace"[..]), &[][..]));
}

#[test]
fn what_cannot_be_streamed_is_refused_before_the_stream_begins() {
    let giving = giving(json!(["orders"]));
    for (fields, status, code) in [
        (
            json!({"table_name": "orders", "columns": ["id", "nothing"]}),
            400,
            json!("unknown_column"),
        ),
        (
            json!({"table_name": "orders", "columns": ["twice"]}),
            400,
            json!("unknown_column"),
        ),
        (
            json!({"table_name": "orders", "columns": ["id", "note", "id"]}),
            400,
            json!("repeated_column"),
        ),
        (
            json!({"table_name": "orders", "columns": "id"}),
            400,
            Value::Null,
        ),
        (
            json!({"table_name": "orders", "ids": ["a"]}),
            400,
            json!("unsupported_key_type"),
        ),
        (json!({"table_name": "words"}), 403, Value::Null),
    ] {
        let answer = stream(&giving, fields.clone());
        assert_eq!(
            (answer.status, &answer.json()["error_code"]),
            (status, &code),
            "{fields}"
        );
    }
}

#[test]
fn a_large_table_streams_whole() {
    let giving = giving(json!(["words"]));
    sqlite::execute(
        &giving.site.site_database(),
        "insert into words
         with recursive n (i) as (select 1 union all select i + 1 from n where i < 100000)
         select 'word number ' || i || ' of a hundred thousand' from n",
    );
    let frames = frames(&stream(&giving, json!({"table_name": "words"})).expect(200));
    let end = frames.last().unwrap();
    assert_eq!(RowSum::from_end(&end.payload).unwrap().rows, 100_003);
    let batches = frames.iter().filter(|frame| frame.kind == FrameKind::Rows);
    assert!(batches.count() > 1);
}

#[test]
fn one_stream_too_many_is_told_when_to_come_again() {
    let giving = giving(json!(["words"]));
    // More than what lies between a reader and a caller who takes nothing.
    sqlite::execute(
        &giving.site.site_database(),
        "insert into words
         with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
         select hex(randomblob(1000)) from n",
    );
    let fields = json!({"table_name": "words"});
    let held: Vec<TcpStream> = (0..4).map(|_| begun(&giving, &fields)).collect();
    let refused = stream(&giving, fields.clone()).expect(429);
    assert_eq!(refused.json()["error_code"], "too_many_streams");
    let pause = refused.header("retry-after").expect("a pause");
    assert!((1..=60).contains(&pause.parse().unwrap()), "{pause}");
    drop(held);
    wait::until("a place is free again", wait::LONG, || {
        (stream(&giving, fields.clone()).status == 200).then_some(())
    });
}

/// A stream of which only the first bytes are taken.
fn begun(giving: &Giving, fields: &Value) -> TcpStream {
    let address = giving.site.url();
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(wait::LONG)).unwrap();
    let body = giving.body(fields.clone()).to_string();
    let head = format!(
        "POST /sync/api/pull-data HTTP/1.1\r\nhost: berlin\r\naccept: {MEDIA_TYPE}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}
