//! Tests of `auditx capture` with a real server.

use auditx_tests::postgres::Server;
use serde_json::Value;

use crate::program::{auditx, ended, without_trail};
use crate::trail::directory;

/// Starts a server with a table that is captured, and returns it with its URL.
fn captured() -> (Server, String) {
    let server = Server::start();
    server.sql("CREATE TABLE customer (id int PRIMARY KEY, name text, pin text, seen int)");
    let url = server.url("admin", server.port());
    let flags =
        ["--table", "customer", "--key", "id", "--module", "crm", "--exclude", "seen", "--mask", "pin"];
    let enabled = ended(without_trail(&["capture", "enable", "--to", &url]).args(flags));
    assert_eq!(enabled.out, "Changes of public.customer are noted as customer/{id}.\n", "{}", enabled.err);
    assert_eq!(enabled.status, Some(0));
    (server, url)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_committed_becomes_entries_once() {
    let ((server, url), trail) = (captured(), directory());
    server.sql("INSERT INTO customer VALUES (1, 'Aye', '1234', 5)");
    server.sql("BEGIN; DELETE FROM customer; ROLLBACK");
    server.sql(
        "BEGIN; SELECT set_config('auditx.context', '{\"auditx-version\":\"1\",\"auditx-user\":\"thida\"}', true); \
         UPDATE customer SET name = 'Aye Aye', pin = '4321'; COMMIT",
    );
    let status = json(&ended(&mut without_trail(&["capture", "status", "--json", "--to", &url])).out);
    assert_eq!((&status["waiting"], &status["tables"][0]["mask"][0]), (&2.into(), &"pin".into()), "{status}");

    let collect = ["capture", "run", "--from", &url, "--once", "--create"];
    for count in ["2 changes", "0 changes"] {
        let ran = auditx(&collect, trail.path());
        assert_eq!((ran.status, ran.err.contains(count)), (Some(0), true), "{}", ran.err);
    }
    let found = auditx(&["query", "--entity", "customer/1", "-o", "ndjson"], trail.path());
    let entries: Vec<Value> = found.out.lines().map(json).collect();
    assert_eq!(entries.len(), 2, "{} {}", found.out, found.err);
    let of = |action: &str| entries.iter().find(|entry| entry["action"] == action).unwrap();
    let (created, updated) = (of("CREATE"), of("UPDATE"));
    assert_eq!((&created["user"], &created["new_values"]["id"]), (&"admin".into(), &1.into()));
    assert_eq!(created["new_values"].get("seen"), None);
    assert_eq!((&updated["user"], &updated["new_values"]["name"]), (&"thida".into(), &"Aye Aye".into()));
    assert!(!found.out.contains("1234") && !found.out.contains("4321"), "{}", found.out);
}

#[test]
fn capture_is_shown_and_disabled() {
    let (server, url) = captured();
    let run =
        |arguments: &[&str]| ended(&mut without_trail(&[&["capture"], arguments, &["--to", &url]].concat()));
    let shown = run(&["status"]);
    let expected = "public.customer: module crm, key id, excluded seen, masked pin.\nNo change waits.\n";
    assert_eq!((shown.status, shown.out.as_str()), (Some(0), expected), "{}", shown.err);
    server.sql("ALTER TABLE customer DISABLE TRIGGER auditx_change");
    assert_eq!(run(&["status"]).status, Some(1));
    assert_eq!(run(&["disable", "--table", "customer"]).status, Some(0));
    assert_eq!(run(&["disable", "--table", "customer"]).status, Some(1));
    let refused = run(&["enable", "--table", "absent", "--module", "crm"]);
    assert_eq!((refused.status, refused.err.contains("no table absent")), (Some(2), true), "{}", refused.err);
}

#[test]
fn changes_are_read_from_the_log() {
    let (server, trail) =
        (Server::start_with(&["fsync=off", "shared_buffers=16MB", "wal_level=logical"]), directory());
    server.sql("CREATE TABLE customer (id int PRIMARY KEY, name text, pin text)");
    let url = server.url("admin", server.port());
    let run =
        |arguments: &[&str]| ended(&mut without_trail(&[&["capture"], arguments, &["--to", &url]].concat()));
    let flags = ["enable", "--logical", "--table", "customer", "--module", "crm", "--mask", "pin"];
    let enabled = run(&flags);
    let expected = "Changes of public.customer are read from the log as customer/{id}.\n";
    assert_eq!((enabled.status, enabled.out.as_str()), (Some(0), expected), "{}", enabled.err);
    server.sql("INSERT INTO customer VALUES (1, 'Aye', '1234'); UPDATE customer SET name = 'Mya'");
    let collect = ["capture", "run", "--from", &url, "--once", "--create"];
    for count in ["2 changes", "0 changes"] {
        let ran = auditx(&collect, trail.path());
        assert_eq!((ran.status, ran.err.contains(count)), (Some(0), true), "{}", ran.err);
    }
    let found = auditx(&["query", "--entity", "customer/1", "-o", "ndjson"], trail.path());
    assert!(found.out.lines().count() == 2 && !found.out.contains("1234"), "{}", found.out);
    let shown = run(&["status"]);
    assert!(shown.out.contains("from the log.") && shown.out.contains("nobody reads it"), "{}", shown.out);
    assert_eq!(shown.status, Some(0), "{}", shown.err);
    assert_eq!(run(&["status", "--max-retained", "0"]).status, Some(1));
    let status = json(&run(&["status", "--json"]).out);
    assert_eq!((&status["tables"][0]["from_log"], &status["slot"]["complete"]), (&true.into(), &true.into()));
    auditx_tests::deadline::wait_for("the slot to be free", || {
        (run(&["disable", "--table", "customer"]).status == Some(0)).then_some(())
    });
    assert!(run(&["status"]).out.contains("No table is captured"));
}

#[test]
fn without_the_level_of_the_log_enable_says_what_to_do() {
    let server = Server::start_with(&["fsync=off", "shared_buffers=16MB", "wal_level=replica"]);
    server.sql("CREATE TABLE customer (id int PRIMARY KEY)");
    let url = server.url("admin", server.port());
    let flags = ["capture", "enable", "--logical", "--table", "customer", "--module", "crm", "--to", &url];
    let refused = ended(&mut without_trail(&flags));
    assert_eq!(refused.status, Some(2));
    assert!(refused.err.contains("ALTER SYSTEM SET wal_level = 'logical'"), "{}", refused.err);
}
