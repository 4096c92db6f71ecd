//! The query language, asked of a server: the questions of its own page, and those that SQL is tempted to answer differently.

use std::ops::ControlFlow;

use auditx_core::{SignedCheckpoint, SigningKey, leaf_hash};
use auditx_postgres::{PostgresCopy, Search};
use auditx_reader::{Moment, Order, Query, Row};
use auditx_ship::{Batch, Destination, Note, Shipped, TrailId, TrailName};

use super::*;

const PAGE: &str = include_str!("../../../../docs/QUERY.md");

/// Lines on which a database and the language could disagree.
const STRANGE: [&str; 15] = [
    r#"{"seq":5,"timestamp":"2026-11-24T15:01:00Z","level":"audit","module":"Sales","action":"post","description":"x","user":"ADMIN","success":true}"#,
    r#"{"seq":6,"timestamp":"2026-11-24T15:02:00Z","level":"AUDIT","description":"K of Kelvin: \u212a","user":"\u212aemal","success":true}"#,
    r#"{"seq":7,"timestamp":"2026-11-24T15:03:00Z","level":"AUDIT","description":"100%_\\ done","user":"a_b%c\\d","success":true}"#,
    r#"{"seq":8,"timestamp":"2026-11-24T15:04:00Z","level":"AUDIT","description":"nul \u0000 in it","user":"n\u0000l","entity_id":"\u0000","success":true}"#,
    r#"{"seq":9,"timestamp":"2026-11-24T15:05:00Z","level":"AUDIT","description":"İstanbul ısı","user":"İBRAHİM","branch_id":"","success":true}"#,
    r#"{"seq":10,"timestamp":"yesterday","level":"AUDIT","description":"no time","user":"nobody","success":true}"#,
    r#"{"seq":11,"timestamp":"2026-11-24T15:07:00Z","level":"AUDIT","description":"numbers","user":"17","reference_no":"1e3","success":true}"#,
    r#"{"seq":12,"erased":"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"}"#,
    r#"{"seq":13,"timestamp":"2026-11-24T15:08:00Z","level":"AUDIT","description":"\"quoted\"","user":"o'brien; --","success":false}"#,
    r#"{"seq":14,"timestamp":"2026-11-24T15:09:00Z","level":"AUDIT","description":"ip","ip":"10.1.2.3","success":false}"#,
    r#"{"seq":15,"timestamp":"2026-11-24T15:10:00Z","level":"AUDIT","description":"ip","ip":"::ffff:10.1.2.3","success":false}"#,
    r#"{"seq":16,"timestamp":"2026-11-24T15:11:00Z","level":"AUDIT","description":"ip","ip":"10.1.2.300","success":false}"#,
    r#"{"seq":17,"timestamp":"2026-11-24T15:12:00Z","level":"AUDIT","description":"ip","ip":"10.1/16","success":false}"#,
    r#"{"seq":18,"timestamp":"2026-11-24T15:13:00Z","level":"AUDIT","description":"ip \u0000","ip":"\u0031\u0030.1.2.4","success":false}"#,
    r#"{"seq":19,"timestamp":"2026-11-24T15:14:00Z","level":"AUDIT","description":"ip","ip":"2001:db8::1%eth0","success":false}"#,
];

const QUESTIONS: [&str; 43] = [
    "ip:10.1.0.0/16",
    "ip:10.1.2.3/32",
    "-ip:10.1.0.0/16",
    "ip:0.0.0.0/0",
    "ip:::/0",
    "ip:2001:db8::/32,10.1.2.4/32",
    "ip:10.0.0.0/8 OR user:admin",
    "ip:\"\"",
    "-amount:\"\" OR success:\"\"",
    "user:admin",
    "-user:admin",
    "user:ADMIN",
    "level:audit",
    "-level:audit",
    "module:sales",
    "-module:sales",
    "user:k*",
    "user:K*",
    "user:\u{212a}*",
    "text:k",
    "kelvin",
    "user:a_b*",
    "user:a?b%c*",
    "user:*%c*",
    "user:*",
    "-user:*",
    "user:\"\"",
    "-user:\"\"",
    "branch:\"\"",
    "-branch:\"\"",
    "user:i*",
    "istanbul",
    "İSTANBUL",
    "user:17",
    "-user:17",
    "ref:1000",
    "since:2026-11-24T15:02:00Z",
    "-since:2026-11-24T15:02:00Z",
    "until:2026-11-24T15:02:00Z",
    "-until:2026-11-24T15:02:00Z",
    "user:\"o'brien; --\"",
    "\"\\\"quoted\\\"\"",
    "-(user:admin OR level:audit) OR text:nul",
];

#[test]
fn every_question_is_answered_as_a_trail_answers_it() {
    let server = server();
    let block = PAGE.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
    let mut lines: Vec<&str> = block.lines().chain(STRANGE).collect();
    lines.sort_by_key(|line| auditx_core::parse_seq(line.as_bytes()));
    let now = Moment::parse("2026-11-24T15:24:54Z").unwrap();
    let of_page = PAGE
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0.replace("\\|", "|")));
    let questions: Vec<String> = of_page.chain(QUESTIONS.map(str::to_owned)).collect();
    assert!(questions.len() > 60, "{questions:?}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        keep(&server, &lines).await;
        let mut copy = PostgresCopy::open(&server.url("admin", server.port())).await.unwrap();
        for question in &questions {
            let Ok(query) = Query::parse(question, now) else { continue };
            for (order, is_reversed) in [(Order::OldestFirst, false), (Order::NewestFirst, true)] {
                let mut found = Vec::new();
                let search = Search::new(query.clone()).order(order);
                let unreadable = copy.search(&search, |_, row| {
                    found.push(row.line().to_owned());
                    ControlFlow::Continue(())
                });
                assert_eq!(unreadable.await.unwrap(), 0);
                let mut expected: Vec<String> = lines
                    .iter()
                    .filter(|line| query.matches(&Row::read_text(line).unwrap()))
                    .map(ToString::to_string)
                    .collect();
                // Those without a time come first.
                expected.sort_by_key(|line| {
                    let row = Row::read_text(line).unwrap();
                    Moment::parse(&row.text(auditx_reader::Field::Timestamp)).map_or(0, Moment::micros)
                });
                if is_reversed {
                    expected.reverse();
                }
                let (mut one, mut other) = (found.clone(), expected.clone());
                one.sort();
                other.sort();
                assert_eq!(one, other, "{question}: {:?}", query.sql());
                assert_eq!(
                    found.first().map(|line| time(line)),
                    expected.first().map(|line| time(line)),
                    "{question}"
                );
            }
        }
    });
}

fn time(line: &str) -> Option<Moment> {
    Moment::parse(&Row::read_text(line).unwrap().text(auditx_reader::Field::Timestamp))
}

/// As a shipper sends them.
async fn keep(server: &Server, lines: &[&str]) {
    let trail = TrailId([7; 16]);
    let shipped: Vec<Shipped> = lines
        .iter()
        .zip(0..)
        .map(|(line, seq)| Shipped { seq, leaf_hash: leaf_hash(line.as_bytes()), line: (*line).to_owned() })
        .collect();
    let key = SigningKey::generate();
    let size = lines.len() as u64;
    let origin = format!("erp/auditx/{trail}");
    let checkpoint = SignedCheckpoint::sign(&origin, size, &[0; 32], &[&key]).unwrap();
    let trail = TrailName { id: trail, origin };
    let batch = Batch::new(trail, Some(Note { checkpoint, is_boundary: true }), shipped).unwrap();
    let mut destination = Postgres::new(&server.url("shipper", server.port())).unwrap();
    assert_eq!(destination.send(&batch).await.unwrap(), batch.last());
}
