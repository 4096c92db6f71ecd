//! The query language in a database: the queries of its documentation page, and queries that plain SQL would
//! answer differently.

use std::ops::ControlFlow;

use auditx_postgres::{PostgresCopy, Search, TrailSearch};
use auditx_reader::{Moment, Order, Query, Row};
use auditx_ship::{Batch, CoveringCheckpoint, Destination, ShippedLine, TrailId, TrailName};
use auditx_tlog::{SignedCheckpoint, SigningKey, leaf_hash};

use super::*;

const PAGE: &str = include_str!("../../../../docs/QUERY.md");

/// Lines for which a database and the query language could disagree.
const STRANGE: [&str; 15] = [
    concat!(
        r#"{"seq":5,"timestamp":"2026-11-24T15:01:00Z","level":"audit","module":"Sales","#,
        r#""action":"post","description":"x","user":"ADMIN","success":true}"#,
    ),
    concat!(
        r#"{"seq":6,"timestamp":"2026-11-24T15:02:00Z","level":"AUDIT","#,
        r#""description":"K of Kelvin: \u212a","user":"\u212aemal","success":true}"#,
    ),
    concat!(
        r#"{"seq":7,"timestamp":"2026-11-24T15:03:00Z","level":"AUDIT","description":"100%_\\ done","#,
        r#""user":"a_b%c\\d","success":true}"#,
    ),
    concat!(
        r#"{"seq":8,"timestamp":"2026-11-24T15:04:00Z","level":"AUDIT","#,
        r#""description":"nul \u0000 in it","user":"n\u0000l","entity_id":"\u0000","success":true}"#,
    ),
    concat!(
        r#"{"seq":9,"timestamp":"2026-11-24T15:05:00Z","level":"AUDIT","description":"İstanbul ısı","#,
        r#""user":"İBRAHİM","branch_id":"","success":true}"#,
    ),
    concat!(
        r#"{"seq":10,"timestamp":"yesterday","level":"AUDIT","description":"no time","#,
        r#""user":"nobody","success":true}"#,
    ),
    concat!(
        r#"{"seq":11,"timestamp":"2026-11-24T15:07:00Z","level":"AUDIT","description":"numbers","#,
        r#""user":"17","reference_no":"1e3","success":true}"#,
    ),
    r#"{"seq":12,"erased":"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"}"#,
    concat!(
        r#"{"seq":13,"timestamp":"2026-11-24T15:08:00Z","level":"AUDIT","description":"\"quoted\"","#,
        r#""user":"o'brien; --","success":false}"#,
    ),
    concat!(
        r#"{"seq":14,"timestamp":"2026-11-24T15:09:00Z","level":"AUDIT","description":"ip","#,
        r#""ip":"10.1.2.3","success":false}"#,
    ),
    concat!(
        r#"{"seq":15,"timestamp":"2026-11-24T15:10:00Z","level":"AUDIT","description":"ip","#,
        r#""ip":"::ffff:10.1.2.3","success":false}"#,
    ),
    concat!(
        r#"{"seq":16,"timestamp":"2026-11-24T15:11:00Z","level":"AUDIT","description":"ip","#,
        r#""ip":"10.1.2.300","success":false}"#,
    ),
    concat!(
        r#"{"seq":17,"timestamp":"2026-11-24T15:12:00Z","level":"AUDIT","description":"ip","#,
        r#""ip":"10.1/16","success":false}"#,
    ),
    concat!(
        r#"{"seq":18,"timestamp":"2026-11-24T15:13:00Z","level":"AUDIT","description":"ip \u0000","#,
        r#""ip":"\u0031\u0030.1.2.4","success":false}"#,
    ),
    concat!(
        r#"{"seq":19,"timestamp":"2026-11-24T15:14:00Z","level":"AUDIT","description":"ip","#,
        r#""ip":"2001:db8::1%eth0","success":false}"#,
    ),
];

const QUERIES: [&str; 43] = [
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
fn a_database_answers_every_query_like_a_trail() {
    let server = server();
    let block = PAGE.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
    let mut lines: Vec<&str> = block.lines().chain(STRANGE).collect();
    lines.sort_by_key(|line| auditx_tlog::parse_seq(line.as_bytes()));
    let now = Moment::parse("2026-11-24T15:24:54Z").unwrap();
    let of_page = PAGE
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0.replace("\\|", "|")));
    let queries: Vec<String> = of_page.chain(QUERIES.map(str::to_owned)).collect();
    assert!(queries.len() > 60, "{queries:?}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        store(&server, &lines).await;
        let mut copy = PostgresCopy::open(&server.url("admin", server.port())).await.unwrap();
        for text in &queries {
            let Ok(query) = Query::parse(text, now) else { continue };
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
                // Entries without a timestamp come first.
                expected.sort_by_key(|line| {
                    let row = Row::read_text(line).unwrap();
                    Moment::parse(&row.text(auditx_reader::Field::Timestamp)).map_or(0, Moment::micros)
                });
                if is_reversed {
                    expected.reverse();
                }
                let mut in_trail = in_order_of_trail(&mut copy, query.clone(), order).await;
                if is_reversed {
                    in_trail.reverse();
                }
                let matching = lines.iter().filter(|line| query.matches(&Row::read_text(line).unwrap()));
                assert!(in_trail.iter().eq(matching), "{text}");
                let (mut one, mut other) = (found.clone(), expected.clone());
                one.sort();
                other.sort();
                assert_eq!(one, other, "{text}: {:?}", query.sql());
                assert_eq!(
                    found.first().map(|line| time(line)),
                    expected.first().map(|line| time(line)),
                    "{text}"
                );
            }
        }
    });
}

/// Returns the lines of the only trail that match.
async fn in_order_of_trail(copy: &mut PostgresCopy, query: Query, order: Order) -> Vec<String> {
    let head = copy.heads().await.unwrap().remove(0);
    let (search, mut found) = (TrailSearch::new(&head, query).order(order), Vec::new());
    let summary = copy.search_trail(&search, |stored| {
        found.push(stored.row.line().to_owned());
        ControlFlow::Continue(())
    });
    assert_eq!(summary.await.unwrap().unreadable, 0);
    found
}

fn time(line: &str) -> Option<Moment> {
    Moment::parse(&Row::read_text(line).unwrap().text(auditx_reader::Field::Timestamp))
}

/// Stores the lines as a shipper does.
async fn store(server: &Server, lines: &[&str]) {
    let trail = TrailId([7; 16]);
    let shipped: Vec<ShippedLine> = lines
        .iter()
        .zip(0..)
        .map(|(line, seq)| ShippedLine {
            seq,
            leaf_hash: leaf_hash(line.as_bytes()),
            line: (*line).to_owned(),
        })
        .collect();
    let key = SigningKey::generate();
    let size = lines.len() as u64;
    let origin = format!("erp/auditx/{trail}");
    let signed = SignedCheckpoint::sign(&origin, size, &[0; 32], &[&key]).unwrap();
    let trail = TrailName { id: trail, origin };
    let checkpoint = CoveringCheckpoint { signed, is_boundary: true };
    let batch = Batch::new(trail, Some(checkpoint), shipped).unwrap();
    let mut destination = Postgres::new(&server.url("shipper", server.port())).unwrap();
    assert_eq!(destination.send(&batch).await.unwrap(), batch.last());
}
