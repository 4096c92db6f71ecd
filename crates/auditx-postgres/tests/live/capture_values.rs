//! Values that are too long, or are no JSON.

use auditx_postgres::capture::Table;
use serde_json::json;

use crate::capture::{capturing, changes};

#[test]
fn a_long_value_is_noted_by_its_hash() {
    let server = capturing(
        "CREATE TABLE file (id int PRIMARY KEY, body text, raw bytea)",
        &Table::new("file", "documents"),
    );
    server.sql("INSERT INTO file VALUES (1, repeat('ü', 4097), decode(repeat('00', 9000), 'hex'))");
    let hash = |sql: &str| server.sql(&format!("SELECT encode(sha256({sql}), 'hex')"));
    let (body, raw) =
        (hash("convert_to(repeat('ü', 4097), 'UTF8')"), hash("decode(repeat('00', 9000), 'hex')"));
    let (body, raw) = (json!({ "bytes": 8194, "sha256": body }), json!({ "bytes": 9000, "sha256": raw }));
    let new = json!({ "id": 1, "body": body, "raw": raw });
    assert_eq!(changes(&server), [json!(["I", "1", {}, new])]);
    server.sql("UPDATE file SET raw = NULL, body = repeat('ü', 4096)");
    let update = &changes(&server)[0];
    assert_eq!(update[2], json!({ "body": new["body"], "raw": new["raw"] }));
    assert_eq!(update[3], json!({ "body": "ü".repeat(4096), "raw": null }));
}

#[test]
fn what_is_no_json_never_fails_the_transaction() {
    let server = capturing(
        "CREATE TABLE file (id int PRIMARY KEY, body text, doc json)",
        &Table::new("file", "documents"),
    );
    // jsonb takes neither the escape nor a string of more than 256 MB.
    server.sql("INSERT INTO file VALUES (1, 'a', '{\"a\":\"\\u0000\"}')");
    server.sql("INSERT INTO file VALUES (2, repeat('x', 270000000))");
    let hash = server.sql("SELECT encode(sha256(convert_to(repeat('x', 270000000), 'UTF8')), 'hex')");
    let expected = [
        json!(["I", "1", {}, { "id": 1, "body": "a", "doc": "{\"a\":\"\\u0000\"}" }]),
        json!(["I", "2", {}, { "id": 2, "body": { "bytes": 270_000_000, "sha256": hash }, "doc": null }]),
    ];
    assert_eq!(changes(&server), expected);
}

#[test]
fn a_long_value_without_a_hash_is_noted_by_its_length() {
    let server = capturing(
        "CREATE TABLE file (id int PRIMARY KEY, body text, raw bytea, doc json)",
        &Table::new("file", "documents"),
    );
    server.sql("ALTER FUNCTION pg_catalog.sha256 RENAME TO gone");
    server.sql(
        "INSERT INTO file VALUES (1, repeat('ü', 5000), decode(repeat('00', 9000), 'hex'), \
         '{\"a\":\"\\u0000\"}')",
    );
    let new = json!({ "id": 1, "body": { "bytes": 10_000 }, "raw": { "bytes": 9_000 },
        "doc": "{\"a\":\"\\u0000\"}" });
    assert_eq!(changes(&server), [json!(["I", "1", {}, new])]);
}

#[test]
#[ignore = "takes 4 GB of memory, 1 GB of disk and a minute"]
fn values_of_1_gb_never_fail_the_transaction() {
    let server = capturing(
        "CREATE TABLE file (id int PRIMARY KEY, body text, raw bytea)",
        &Table::new("file", "documents"),
    );
    server.sql("INSERT INTO file VALUES (1, repeat('x', 1000000000))");
    server.sql("UPDATE file SET body = NULL, raw = convert_to(repeat('x', 600000000), 'UTF8')");
    let noted = |bytes: u32| {
        let sql = format!("SELECT encode(sha256(convert_to(repeat('x', {bytes}), 'UTF8')), 'hex')");
        json!({ "bytes": bytes, "sha256": server.sql(&sql) })
    };
    let (body, raw) = (noted(1_000_000_000), noted(600_000_000));
    let expected = [
        json!(["I", "1", {}, { "id": 1, "body": body, "raw": null }]),
        json!(["U", "1", { "body": body, "raw": null }, { "body": null, "raw": raw }]),
    ];
    assert_eq!(changes(&server), expected);
    // A row of more than 1 GB as it is stored cannot be read as a whole, but is not missed.
    server.sql("ALTER TABLE file ALTER body SET STORAGE EXTERNAL, ALTER raw SET STORAGE EXTERNAL");
    server.sql("UPDATE file SET raw = convert_to(repeat('y', 600000000), 'UTF8')");
    server.sql("UPDATE file SET body = repeat('y', 600000000)");
    server.sql("UPDATE file SET id = 2");
    let found = changes(&server);
    assert_eq!((found.len(), &found[2][3]["id"]["error"]), (3, &json!("XX000")), "{found:?}");
}
