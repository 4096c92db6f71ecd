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
fn a_collector_writes_its_metrics() {
    let ((server, url), trail) = (captured(), directory());
    server.sql("INSERT INTO customer VALUES (1, 'Aye', '1234', 5), (2, 'Mya', '1', 5)");
    server.sql("INSERT INTO auditx.outbox (id, change) VALUES (gen_random_uuid(), '{}')");
    let file = trail.path().join("capture.prom");
    let file_name = file.to_str().unwrap();
    let arguments = ["capture", "run", "--from", &url, "--once", "--create", "--metrics", file_name];
    let ran = auditx(&arguments, &trail.path().join("logs"));
    assert_eq!(ran.status, Some(1), "{}", ran.err);
    let metrics = std::fs::read_to_string(&file).unwrap();
    for line in [
        "# TYPE auditx_capture_lag_seconds gauge",
        "auditx_capture_up 1",
        "auditx_capture_lag_seconds 0",
        "auditx_capture_collected_total 2",
        "auditx_capture_refused_total 1",
        "auditx_capture_failures_total 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
}

#[test]
fn commands_and_roles_are_captured() {
    let ((server, url), trail) = (captured(), directory());
    let run =
        |arguments: &[&str]| ended(&mut without_trail(&[&["capture"], arguments, &["--to", &url]].concat()));
    assert_eq!(json(&run(&["status", "--json"]).out)["ddl"], "off");
    let enabled = run(&["enable", "--ddl"]);
    assert_eq!(
        (enabled.status, enabled.out.as_str()),
        (
            Some(0),
            "Commands on captured tables are noted.\n\
             Changes of roles and rights are noted while `auditx capture run` runs.\n"
        ),
        "{}",
        enabled.err
    );
    server.sql("ALTER TABLE customer ADD COLUMN city text");
    server.sql("CREATE ROLE clerk");
    let shown = run(&["status"]);
    assert!(shown.out.contains("Commands, roles and rights are noted.\n"), "{}", shown.out);
    let ran = auditx(&["capture", "run", "--from", &url, "--once", "--create"], trail.path());
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    for (entity, what) in [("table/public.customer", "ADD COLUMN city"), ("role/clerk", "superuser")] {
        let found = auditx(&["query", "--entity", entity, "-o", "ndjson"], trail.path());
        assert_eq!((found.out.lines().count(), found.out.contains(what)), (1, true), "{}", found.out);
    }
    server.sql("ALTER EVENT TRIGGER auditx_drop DISABLE");
    let shown = run(&["status"]);
    assert_eq!(
        (shown.status, shown.out.contains("was disabled or dropped")),
        (Some(1), true),
        "{}",
        shown.out
    );
    let disabled = run(&["disable", "--ddl"]);
    assert_eq!(disabled.out, "Commands, roles and rights are no longer noted.\n", "{}", disabled.err);
    assert_eq!(run(&["disable", "--ddl"]).status, Some(1));
    assert_eq!(run(&["enable", "--table", "customer"]).status, Some(2), "no module");
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
    assert!(
        shown.out.contains("from the log.") && shown.out.contains("no collector reads it"),
        "{}",
        shown.out
    );
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
