//! The slot of the log: who reads it, what is missing if it is gone, and what is left when it is dropped.

use std::thread;

use auditx_capture::{Collector, Outbox};
use auditx_postgres::capture::{self, Table};
use auditx_postgres::{LogOutbox, PostgresOutbox};
use auditx_tests::deadline;
use serde_json::{Value, json};

use super::logical::*;
use super::outbox::{App, trail_to_collect_in};
use super::*;

#[test]
fn a_second_collector_is_refused() {
    let server = customers();
    let first = log_of(&server);
    let error = LogOutbox::open(&server.url("collector", server.port())).unwrap_err();
    assert!(error.is_taken() && error.to_string().contains("stop it first"), "{error}");
    drop(first);
    log_of(&server);
}

#[test]
fn an_entry_of_an_application_cannot_pretend_to_be_of_the_log() {
    let server = customers();
    let (directory, logger) = trail_to_collect_in();
    let forged = logger
        .log("forged")
        .encode_as(auditx_capture::Series::new(b"erp").id(1 << 50, 1).unwrap(), std::time::SystemTime::now());
    let app = App::open(&server, "admin");
    app.store(&forged.unwrap());
    let collector =
        Collector::spawn(&logger, PostgresOutbox::open(&server.url("collector", server.port())).unwrap());
    let collector = collector.unwrap();
    caught_up(&collector);
    assert_eq!((collector.progress().collected, collector.progress().refused), (0, 1));
    assert!(server.sql("SELECT reason FROM auditx.outbox_refused").contains("version 8"));
    assert!(!lines(directory.path()).iter().any(|line| line.contains("forged")));
}

#[test]
fn a_slot_that_is_gone_is_an_error_and_then_a_gap_in_the_trail() {
    let server = customers();
    let mut watch = Watch::new(&server, "customer");
    server.sql("INSERT INTO customer VALUES (1)");
    assert_eq!(watch.changes().len(), 1);
    let Watch { directory, logger, collector, .. } = watch;
    drop(collector);
    deadline::wait_for("the slot to be free", || {
        server.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active");
        (server.sql("SELECT count(*) FROM pg_replication_slots") == "0").then_some(())
    });
    let error = LogOutbox::open(&server.url("collector", server.port())).unwrap_err().to_string();
    assert!(error.contains("does not exist") && error.contains("enable --logical"), "{error}");
    assert!(!status(&server).slot.unwrap().is_there);
    server.sql("INSERT INTO customer VALUES (2)");
    enable(&server, &Table::new("customer", "crm")).unwrap();
    server.sql("INSERT INTO customer VALUES (3)");
    for _ in 0..2 {
        let collector = Collector::spawn(&logger, log_of(&server)).unwrap();
        caught_up(&collector);
    }
    logger.flush(TIMEOUT).unwrap();
    let keys: Vec<Value> =
        entries(directory.path(), "customer").iter().map(|entry| entry["entity_id"].clone()).collect();
    assert_eq!(keys, ["1", "3"]);
    let lost = entries(directory.path(), "replication_slot");
    assert_eq!(
        (lost.len(), &lost[0]["action"], &lost[0]["success"]),
        (1, &json!("CHANGES_LOST"), &json!(false))
    );
    assert!(lost[0]["old_values"]["read_to"].is_string(), "{lost:?}");
}

#[test]
fn disabling_restores_what_was_there() {
    let server = logging(
        "CREATE TABLE customer (id int PRIMARY KEY, code int NOT NULL); \
         CREATE UNIQUE INDEX by_code ON customer (code); \
         ALTER TABLE customer REPLICA IDENTITY USING INDEX by_code; CREATE TABLE other (id int PRIMARY KEY)",
        &Table::new("customer", "crm"),
    );
    enable(&server, &Table::new("other", "crm")).unwrap();
    let identity =
        || server.sql("SELECT relreplident FROM pg_class WHERE relname IN ('customer', 'other') ORDER BY 1");
    assert_eq!(identity(), "f\nf");
    let found = status(&server);
    assert!(found.tables.iter().all(|table| table.is_active && table.is_from_log), "{found:?}");
    let slot = found.slot.unwrap();
    assert!(slot.is_there && !slot.is_read && slot.name.starts_with("auditx_"), "{slot:?}");
    assert!(disable(&server, "other").unwrap());
    assert!(!disable(&server, "other").unwrap());
    assert_eq!(status(&server).tables.len(), 1);
    let reader = log_of(&server);
    let error = disable(&server, "customer").unwrap_err().to_string();
    assert!(error.contains("stop it first"), "{error}");
    drop(reader);
    deadline::wait_for("the slot to be free", || disable(&server, "customer").ok());
    assert_eq!(identity(), "d\ni");
    assert!(status(&server).slot.is_none() && status(&server).tables.is_empty());
    let left = "SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_publication)";
    assert_eq!(server.sql(left), "0");
}

#[test]
fn what_cannot_be_captured_from_the_log_is_refused_with_words() {
    let server = Server::start_with(&["fsync=off", "shared_buffers=16MB", "wal_level=replica"]);
    server.sql("CREATE TABLE customer (id int PRIMARY KEY)");
    let refusal = enable(&server, &Table::new("customer", "crm")).unwrap_err().to_string();
    assert!(refusal.contains("wal_level is replica") && refusal.contains("restart"), "{refusal}");
    let server = customers();
    server.sql(
        "CREATE TABLE loose (id int, name text); CREATE TABLE noted (id int PRIMARY KEY); \
         CREATE TABLE parts (id int) PARTITION BY LIST (id)",
    );
    let url = server.url("admin", server.port());
    wait_for(capture::enable(&url, &Table::new("noted", "m"))).unwrap();
    let refusal = |table: &Table| enable(&server, table).unwrap_err().to_string();
    assert!(refusal(&Table::new("loose", "m")).contains("no primary key: name the columns"));
    assert_eq!(refusal(&Table::new("loose", "m").key(["id"]).mask(["no"])), "no column no in loose");
    assert!(refusal(&Table::new("noted", "m")).contains("captured by triggers already"));
    assert!(refusal(&Table::new("parts", "m").key(["id"])).contains("no primary key"));
    let error = wait_for(capture::enable(&url, &Table::new("customer", "m"))).unwrap_err().to_string();
    assert!(error.contains("captured from the log already"), "{error}");
    let without = LogOutbox::open(&server.url("app", server.port())).unwrap_err().to_string();
    assert!(without.contains("permission denied"), "{without}");
}

#[test]
fn a_slot_that_the_server_gave_up_is_created_again_and_the_gap_is_recorded() {
    let server = Server::start_with(&[
        "fsync=off",
        "shared_buffers=16MB",
        "wal_level=logical",
        "max_slot_wal_keep_size=1MB",
        "min_wal_size=32MB",
        "max_wal_size=32MB",
    ]);
    server.sql("CREATE TABLE customer (id int PRIMARY KEY)");
    enable(&server, &Table::new("customer", "crm")).unwrap();
    server.sql("INSERT INTO customer VALUES (1)");
    deadline::wait_for("the server to give up the slot", || {
        server.sql("CREATE TABLE filler AS SELECT repeat('x', 500) FROM generate_series(1, 20000)");
        server.sql("DROP TABLE filler; SELECT pg_switch_wal(); CHECKPOINT");
        (server.sql("SELECT wal_status FROM pg_replication_slots") == "lost").then_some(())
    });
    let url = server.url("admin", server.port());
    let error = LogOutbox::open(&url).unwrap_err().to_string();
    assert!(error.contains("max_slot_wal_keep_size") && error.contains("enable --logical"), "{error}");
    assert!(!status(&server).slot.unwrap().is_there);
    enable(&server, &Table::new("customer", "crm")).unwrap();
    server.sql("INSERT INTO customer VALUES (2)");
    let (directory, logger) = trail_to_collect_in();
    let collector = Collector::spawn(&logger, LogOutbox::open(&url).unwrap()).unwrap();
    caught_up(&collector);
    logger.flush(TIMEOUT).unwrap();
    assert_eq!(entries(directory.path(), "replication_slot").len(), 1);
    assert_eq!(entries(directory.path(), "customer")[0]["entity_id"], "2");
}

#[test]
fn new_settings_count_for_a_collector_that_runs() {
    let server = customers();
    let mut watch = Watch::new(&server, "customer");
    server.sql("INSERT INTO customer VALUES (1, 'Aye', 1)");
    assert_eq!(watch.changes().len(), 1);
    enable(&server, &Table::new("customer", "crm").mask(["name"])).unwrap();
    server.sql("UPDATE customer SET name = 'Mya'");
    let masked = json!({ "name": "[REDACTED]" });
    assert_eq!(watch.changes(), [json!(["UPDATE", "1", masked, masked])]);
}

#[test]
fn new_settings_count_although_their_commit_is_in_the_log_before_it_is_visible() {
    let server = customers();
    server.sql("INSERT INTO customer VALUES (1, 'Aye', 1)");
    let mut watch = Watch::new(&server, "customer");
    assert_eq!(watch.changes().len(), 1);
    // The commits of one user wait for a standby that does not exist, after they are in the log.
    server.sql("CREATE ROLE dba LOGIN SUPERUSER PASSWORD 'secret'");
    server.sql("ALTER ROLE dba SET synchronous_commit = on");
    server.sql("ALTER SYSTEM SET synchronous_commit = local");
    server.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.sql("SELECT pg_reload_conf()");
    let (url, table) = (server.url("dba", server.port()), Table::new("customer", "crm").mask(["name"]));
    let masked = json!({ "name": "[REDACTED]" });
    let waits = |sql: &str| deadline::wait_until("a session that waits", || server.sql(sql) == "1");
    thread::scope(|scope| {
        let enabling = scope.spawn(|| wait_for(capture::enable_logical(&url, &table)));
        waits("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        // The collector is at the settings, and does not go on.
        waits("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_visible_in_snapshot%'");
        server.sql("ALTER SYSTEM RESET synchronous_standby_names");
        server.sql("SELECT pg_reload_conf()");
        enabling.join().unwrap().unwrap();
    });
    server.sql("UPDATE customer SET name = 'Mya'");
    assert_eq!(watch.changes(), [json!(["UPDATE", "1", masked, masked])]);
}

#[test]
fn a_database_that_was_restored_to_an_earlier_state_loses_no_change() {
    let server = customers();
    let (directory, logger) = trail_to_collect_in();
    server.sql("INSERT INTO customer VALUES (1)");
    let mut outbox = log_of(&server);
    outbox.waiting().unwrap();
    // The trail has a change that the log does not have any more.
    let id = outbox.series().unwrap().id(1 << 50, 1).unwrap();
    let entry = logger.log("of another history").encode_as(id, std::time::SystemTime::now()).unwrap();
    logger.record_encoded(&entry).unwrap();
    let collector = Collector::spawn(&logger, outbox).unwrap();
    assert!(collector.wait_until(TIMEOUT, |progress| progress.collected == 1), "{:?}", collector.progress());
    logger.flush(TIMEOUT).unwrap();
    assert_eq!(entries(directory.path(), "customer").len(), 1);
}
