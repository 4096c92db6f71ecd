//! Commands, roles and rights are captured: which, by whom if that is known, and only if they commit.

use std::process::Command;

use auditx_capture::Collector;
use auditx_postgres::capture::{self, Ddl, Table};
use serde_json::{Value, json};

use super::outbox::{emptied, outbox_of, server_with_outbox, trail_to_collect_in};
use super::*;

fn wait_for<T>(work: impl Future<Output = auditx_postgres::Result<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work).unwrap()
}

fn admin(server: &Server) -> String {
    server.url("admin", server.port())
}

/// Starts a server with a captured table `customer`, another table, and capture of commands and roles.
fn guarded() -> Server {
    let server = server_with_outbox();
    server.sql("CREATE TABLE customer (id int PRIMARY KEY); CREATE TABLE other (id int)");
    wait_for(capture::enable(&admin(&server), &Table::new("customer", "crm")));
    assert_eq!(wait_for(capture::enable_ddl(&admin(&server))), Ddl::On);
    server.sql("DELETE FROM auditx.outbox");
    server
}

/// Returns what waits, and removes it.
fn noted(server: &Server) -> Vec<Value> {
    let lines = server.sql("SELECT change FROM auditx.outbox ORDER BY seq");
    server.sql("DELETE FROM auditx.outbox");
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the only change that waits.
fn the_one(server: &Server) -> Value {
    let mut found = noted(server);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Compares roles and rights, as a collector does.
fn compared(server: &Server) -> Vec<Value> {
    server.sql("SET ROLE collector; SELECT auditx.compare()");
    noted(server)
}

#[test]
fn commands_on_captured_tables_are_noted() {
    let server = guarded();
    for (sql, command, object) in [
        ("ALTER TABLE customer ADD COLUMN city text", "ALTER TABLE", "table public.customer"),
        ("ALTER TABLE customer DISABLE TRIGGER auditx_change", "ALTER TABLE", "table public.customer"),
        ("DROP TRIGGER auditx_truncate ON customer", "DROP TRIGGER", "auditx_truncate on public.customer"),
        ("CREATE RULE r AS ON DELETE TO customer DO INSTEAD NOTHING", "CREATE RULE", "r on public.customer"),
    ] {
        server.sql(sql);
        let change = the_one(&server);
        let entity = [&change["module"], &change["table"], &change["key"], &change["op"], &change["user"]];
        assert_eq!(entity, ["system", "table", "public.customer", "U", "admin"], "{sql}");
        assert_eq!((&change["new"]["command"], &change["new"]["sql"]), (&command.into(), &sql.into()));
        assert!(change["new"]["object"].as_str().unwrap().ends_with(object), "{change}");
    }
    server.sql("DROP TABLE customer");
    let change = the_one(&server);
    assert_eq!([&change["key"], &change["op"]], ["public.customer", "D"]);
}

#[test]
fn commands_on_other_tables_are_not_noted() {
    let server = guarded();
    server.sql("ALTER TABLE other ADD COLUMN x int; GRANT SELECT ON other TO app; DROP TABLE other");
    server.sql("CREATE TEMP TABLE brief (id int); DROP TABLE brief; CREATE TABLE later (id int)");
    assert!(noted(&server).is_empty());
}

#[test]
fn commands_on_the_schema_of_the_outbox_are_noted() {
    let server = guarded();
    server.sql("CREATE FUNCTION auditx.more() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    let change = the_one(&server);
    assert_eq!([&change["table"], &change["key"]], ["function", "auditx.more()"]);
    server.sql("ALTER TABLE auditx.outbox DISABLE TRIGGER wake_collector");
    assert_eq!(the_one(&server)["key"], "auditx.outbox");
    server.sql("DROP FUNCTION auditx.more()");
    assert_eq!(the_one(&server)["op"], "D");
}

#[test]
fn rights_are_noted_before_and_after() {
    let server = guarded();
    server.sql("GRANT SELECT ON customer TO app");
    let change = the_one(&server);
    let owner = "admin=arwdDxt/admin";
    assert_eq!(change["old"], json!({ "rights": [owner] }));
    assert_eq!(change["new"]["rights"], json!([owner, "app=r/admin"]));
    assert_eq!(change["new"]["command"], "GRANT");
    server.sql("GRANT UPDATE (id) ON customer TO app; REVOKE SELECT ON customer FROM app");
    let found = noted(&server);
    assert_eq!(found[0]["new"]["column_rights"], json!({ "id": ["app=w/admin"] }));
    assert_eq!(
        (&found[1]["new"]["rights"], &found[1]["new"]["command"]),
        (&json!([owner]), &json!("REVOKE"))
    );
    assert!(compared(&server).is_empty(), "the collector does not note them again");
}

#[test]
fn a_command_that_rolls_back_leaves_nothing() {
    let server = guarded();
    server.sql("BEGIN; ALTER TABLE customer ADD COLUMN city text; DROP TABLE customer; ROLLBACK");
    server.sql("BEGIN; SAVEPOINT s; GRANT SELECT ON customer TO app; ROLLBACK TO s; COMMIT");
    assert!(noted(&server).is_empty());
    server.sql("DROP TABLE customer");
    assert_eq!(the_one(&server)["op"], "D");
}

#[test]
fn a_command_by_hand_has_its_user_and_context() {
    let server = guarded();
    server.sql("CREATE ROLE dba LOGIN SUPERUSER PASSWORD 'secret'");
    let url = server.url("dba", server.port());
    let sql = "BEGIN; SET LOCAL auditx.context = '{\"auditx-user\":\"thida\"}'; \
               ALTER TABLE customer ADD x int; COMMIT";
    assert!(Command::new("psql").args(["-qd", &url, "-c", sql]).status().unwrap().success());
    let change = the_one(&server);
    assert_eq!((&change["user"], &change["context"]["auditx-user"]), (&json!("dba"), &json!("thida")));
}

#[test]
fn a_password_is_never_stored() {
    let server = guarded();
    server.sql("ALTER TABLE customer ADD x int; CREATE ROLE clerk LOGIN PASSWORD 'geheim-1'");
    server.sql("DO $$ BEGIN ALTER ROLE clerk PASSWORD 'geheim-2'; ALTER TABLE customer ADD y int; END $$");
    server.sql("ALTER ROLE clerk PASSWORD 'geheim-3'; SELECT auditx.compare()");
    let found = noted(&server);
    assert_eq!((&found[0]["new"]["sql"], found.len()), (&json!("[REDACTED]"), 3), "{found:?}");
    let text = format!("{found:?} {}", server.sql("SELECT string_agg(state::text, '') FROM auditx.guarded"));
    assert!(!text.contains("geheim") && text.contains("clerk"), "{text}");
}

#[test]
fn a_long_command_is_cut() {
    let server = guarded();
    server.sql(&format!("ALTER TABLE customer ADD x int /* {} */", "ü".repeat(9_000)));
    assert_eq!(the_one(&server)["new"]["sql"].as_str().unwrap().chars().count(), 2_048);
}

#[test]
fn a_command_that_cannot_be_described_does_not_fail() {
    let server = guarded();
    server.sql("ALTER VIEW auditx.guardable RENAME TO gone");
    noted(&server);
    server.sql("ALTER TABLE customer ADD x int");
    let change = the_one(&server);
    assert_eq!([&change["table"], &change["key"]], ["command", "ALTER TABLE"]);
    assert_eq!(change["new"]["error"], "42P01");
}

#[test]
fn roles_are_compared() {
    let server = guarded();
    assert!(compared(&server).is_empty());
    server.sql("CREATE ROLE clerk LOGIN");
    let change = compared(&server).remove(0);
    let entity = [&change["module"], &change["table"], &change["key"], &change["op"], &change["user"]];
    assert_eq!(entity, ["auth", "role", "clerk", "I", ""]);
    server.sql("BEGIN; CREATE ROLE nobody; ROLLBACK");
    server.sql("ALTER ROLE clerk SUPERUSER; GRANT pg_read_all_data TO clerk");
    let found = compared(&server);
    assert_eq!((found.len(), &found[0]["old"]), (1, &json!({ "superuser": false, "member_of": [] })));
    let new = &found[0]["new"];
    assert_eq!((&new["superuser"], &new["member_of"]), (&json!(true), &json!(["pg_read_all_data"])));
    assert!(new["unchanged_until"].is_string(), "{new}");
    server.sql("ALTER ROLE clerk RENAME TO boss");
    assert_eq!(compared(&server)[0]["old"], json!({ "name": "clerk" }));
    server.sql("DROP ROLE boss");
    let found = compared(&server);
    assert_eq!((&found[0]["key"], &found[0]["op"], found.len()), (&json!("boss"), &json!("D"), 1));
    assert!(compared(&server).is_empty());
}

#[test]
fn what_event_triggers_miss_is_compared() {
    let server = guarded();
    server.sql("SET session_replication_role = replica; GRANT SELECT ON customer TO app");
    assert!(compared(&server)[0]["new"]["rights"].to_string().contains("app=r/admin"));
    server.sql("ALTER EVENT TRIGGER auditx_ddl DISABLE");
    assert_eq!(wait_for(capture::status(&admin(&server))).ddl, Ddl::Disabled);
    let change = compared(&server).remove(0);
    assert_eq!([&change["table"], &change["key"]], ["event trigger", "auditx_ddl"]);
    server.sql("DROP EVENT TRIGGER auditx_ddl; DROP TRIGGER auditx_change ON customer");
    let found = compared(&server);
    assert_eq!(wait_for(capture::status(&admin(&server))).ddl, Ddl::Disabled);
    assert!(
        found.iter().any(|change| change["table"] == "event trigger" && change["op"] == "D"),
        "{found:?}"
    );
}

#[test]
fn a_collector_compares_when_it_starts() {
    let (server, (directory, logger)) = (guarded(), trail_to_collect_in());
    server.sql("CREATE ROLE clerk; ALTER TABLE customer ADD x int");
    let collector = Collector::spawn(&logger, outbox_of(&server)).unwrap();
    emptied(&collector, &server);
    let found = lines(directory.path());
    let of = |description: &str| -> Value {
        let line = found.iter().find(|line| line.contains(description)).unwrap();
        serde_json::from_str(line).unwrap()
    };
    let (role, table) = (of("role clerk inserted"), of("table public.customer updated"));
    assert_eq!((&role["action"], role["metadata"].get("database_user")), (&json!("CREATE"), None), "{role}");
    assert_eq!(table["user"], "admin");
}

#[test]
fn who_is_no_superuser_captures_roles_and_rights() {
    let server = server_with_outbox();
    server.sql("CREATE TABLE customer (id int PRIMARY KEY)");
    wait_for(capture::enable(&admin(&server), &Table::new("customer", "crm")));
    server.sql("CREATE ROLE keeper LOGIN PASSWORD 'secret' IN ROLE auditx_owner");
    let url = server.url("keeper", server.port());
    assert_eq!(wait_for(capture::enable_ddl(&url)), Ddl::Roles);
    noted(&server);
    server.sql("ALTER TABLE customer ADD x int");
    assert!(noted(&server).is_empty());
    server.sql("GRANT SELECT ON customer TO app; DROP TRIGGER auditx_change ON customer");
    server.sql("DROP TRIGGER auditx_truncate ON customer");
    assert_eq!(compared(&server)[0]["new"]["captured"], json!(false));
    assert!(wait_for(capture::disable_ddl(&url)));
}

#[test]
fn capture_of_commands_is_disabled_again() {
    let server = guarded();
    assert_eq!(wait_for(capture::status(&admin(&server))).ddl, Ddl::On);
    assert!(wait_for(capture::disable_ddl(&admin(&server))));
    assert_eq!([&the_one(&server)["key"]], ["auditx_ddl"]);
    assert!(!wait_for(capture::disable_ddl(&admin(&server))));
    server.sql("DROP TABLE customer; CREATE ROLE clerk");
    assert!(compared(&server).is_empty());
    assert_eq!(wait_for(capture::status(&admin(&server))).ddl, Ddl::Off);
}
