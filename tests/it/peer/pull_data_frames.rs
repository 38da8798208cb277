//! `POST pull-data` as frames

use serde_json::{Value, json};

use evenkeel::wire::frame::{Frame, FrameKind, FrameReader, MEDIA_TYPE, RowSum};
use evenkeel::wire::row::{RowBatch, split_tuple};

use super::{Giving, giving};
use crate::support::http::{Answer, Request};
use crate::support::sqlite;

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
