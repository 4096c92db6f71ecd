//! Changes that are read from the write-ahead log: the same as triggers note, in the order of commits.

use auditx_capture::{Collector, Outbox};
use auditx_core::{AuditLogger, RequestContext};
use auditx_postgres::capture::{self, Captured, Status, Table};
use auditx_postgres::{LogOutbox, PostgresOutbox, Result, outbox};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::outbox::{App, trail_to_collect_in};
use super::*;

pub(crate) const LOGICAL: &[&str] = &["fsync=off", "shared_buffers=16MB", "wal_level=logical"];

pub(crate) fn wait_for<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub(crate) fn enable(server: &Server, table: &Table) -> Result<Captured> {
    wait_for(capture::enable_logical(&server.url("admin", server.port()), table))
}

pub(crate) fn disable(server: &Server, table: &str) -> Result<bool> {
    wait_for(capture::disable(&server.url("admin", server.port()), table))
}

pub(crate) fn status(server: &Server) -> Status {
    wait_for(capture::status(&server.url("admin", server.port()))).unwrap()
}

/// Starts a server with a table that is captured, and users of an application and of a collector.
pub(crate) fn logging(create: &str, table: &Table) -> Server {
    let server = Server::start_with(LOGICAL);
    server.sql(create);
    enable(&server, table).unwrap();
    server.sql(
        "CREATE ROLE app LOGIN PASSWORD 'secret'; GRANT ALL ON ALL TABLES IN SCHEMA public TO app; \
         CREATE ROLE collector LOGIN REPLICATION PASSWORD 'secret' IN ROLE auditx_collect",
    );
    server
}

pub(crate) fn customers() -> Server {
    let create = "CREATE TABLE customer (id int PRIMARY KEY, name text, credit numeric)";
    logging(create, &Table::new("customer", "crm"))
}

pub(crate) fn log_of(server: &Server) -> LogOutbox {
    LogOutbox::open(&server.url("collector", server.port())).unwrap()
}

/// Waits until everything that has committed is recorded.
pub(crate) fn caught_up(collector: &Collector) {
    let before = collector.progress().emptied;
    let is_done = collector.wait_until(TIMEOUT, |progress| progress.emptied > before + 1);
    assert!(is_done, "{:?}", collector.progress());
}

/// Returns the entries of the trail about records of this type.
pub(crate) fn entries(directory: &Path, entity_type: &str) -> Vec<Value> {
    let parsed = lines(directory).into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
    parsed.filter(|line| line["entity_type"] == entity_type).collect()
}

/// Collects what waits and returns the changes since the last call: action, key, old and new columns.
pub(crate) struct Watch {
    pub(crate) collector: Collector,
    pub(crate) logger: AuditLogger,
    pub(crate) directory: TempDir,
    entity_type: &'static str,
    seen: usize,
}

impl Watch {
    pub(crate) fn new(server: &Server, entity_type: &'static str) -> Self {
        let (directory, logger) = trail_to_collect_in();
        let collector = Collector::spawn(&logger, log_of(server)).unwrap();
        Self { directory, logger, collector, entity_type, seen: 0 }
    }

    pub(crate) fn entries(&mut self) -> Vec<Value> {
        caught_up(&self.collector);
        self.logger.flush(TIMEOUT).unwrap();
        let all = entries(self.directory.path(), self.entity_type);
        let new = all[self.seen..].to_vec();
        self.seen = all.len();
        new
    }

    pub(crate) fn changes(&mut self) -> Vec<Value> {
        let entries = self.entries();
        let of = |entry: &Value| {
            json!([entry["action"], entry["entity_id"], entry["old_values"], entry["new_values"]])
        };
        entries.iter().map(of).collect()
    }
}

#[test]
fn only_what_committed_and_differs_is_recorded() {
    let server = customers();
    let mut watch = Watch::new(&server, "customer");
    server.sql("BEGIN; INSERT INTO customer VALUES (1); ROLLBACK");
    server.sql(
        "BEGIN; INSERT INTO customer VALUES (2, 'Aye', 10.50); SAVEPOINT s; \
         INSERT INTO customer VALUES (3); ROLLBACK TO s; COMMIT",
    );
    server.sql("UPDATE customer SET name = 'Mya', credit = 10.500");
    server.sql("UPDATE customer SET name = name");
    server.sql("UPDATE customer SET id = 4");
    server.sql("DELETE FROM customer");
    server.sql("INSERT INTO customer VALUES (5); TRUNCATE customer");
    let expected = [
        json!(["CREATE", "2", null, { "id": 2, "name": "Aye", "credit": 10.5 }]),
        json!(["UPDATE", "2", { "name": "Aye" }, { "name": "Mya" }]),
        json!(["UPDATE", "2", { "id": 2 }, { "id": 4 }]),
        json!(["DELETE", "4", { "id": 4, "name": "Mya", "credit": 10.5 }, null]),
        json!(["CREATE", "5", null, { "id": 5, "name": null, "credit": null }]),
        json!(["DELETE", "", null, null]),
    ];
    let found = watch.entries();
    let of = |entry: &Value| {
        json!([
            entry["action"],
            entry["entity_id"].as_str().unwrap_or_default(),
            entry["old_values"],
            entry["new_values"]
        ])
    };
    assert_eq!(found.iter().map(of).collect::<Vec<_>>(), expected);
    assert_eq!((&found[0]["module"], &found[0]["user"]), (&json!("crm"), &json!("UNKNOWN")));
    assert_eq!(found[0]["metadata"]["database_user"], Value::Null);
}

#[test]
fn each_type_has_the_value_that_a_trigger_notes() {
    let create = |name: &str| {
        format!(
            "CREATE TABLE {name} (id uuid PRIMARY KEY, amount numeric, at timestamptz, local timestamp, \
             day date, \
             doc jsonb, raw_doc json, tags text[], numbers int[], grid float8[], mood mood, moods mood[], \
             raw bytea, flag bool, flags bool[], number float8, real float4, nothing text, big bigint, \
             span interval, network inet, code char(5), short positive, clock time, long text, file bytea)"
        )
    };
    let types = "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0)";
    let server =
        logging(&format!("{types}; {}; {}", create("thing"), create("twin")), &Table::new("thing", "misc"));
    let url = server.url("admin", server.port());
    wait_for(capture::enable(&url, &Table::new("twin", "misc"))).unwrap();
    let mut watch = Watch::new(&server, "thing");
    let outbox = PostgresOutbox::open(&server.url("collector", server.port())).unwrap();
    let triggered = Collector::spawn(&watch.logger, outbox).unwrap();
    for name in ["thing", "twin"] {
        server.sql(&format!(
            "SET timezone = 'UTC'; INSERT INTO {name} VALUES ('00000000-0000-0000-0000-000000000007', \
             1234567.1200, '2026-01-31 09:00:00.123456+06:30', '2026-01-31 09:00:00', '2026-01-31', \
             '{{\"a\": [1.10, null]}}', '{{ \"b\": 1 }}', '{{x,NULL,\"y,z\"}}', '[0:1]={{1,NULL}}', \
             '{{{{1.5,NaN}},{{0.1,-2}}}}', 'bad', '{{good,bad}}', '\\x00ff', true, '{{t,f}}', \
             'NaN', 0.1, NULL, \
             9223372036854775807, '1 day 02:03', '10.0.0.1/8', 'ab', 7, '12:30', repeat('ü', 4097), \
             decode(repeat('00', 9000), 'hex'));"
        ));
        server.sql(&format!(
            "SET timezone = 'UTC'; UPDATE {name} SET amount = amount + 1, at = 'infinity', doc = '{{}}', \
             tags = '{{}}', mood = 'good', flag = NULL, number = 0.1, real = NULL, short = 8; \
             DELETE FROM {name}"
        ));
    }
    let logged = watch.entries();
    assert!(triggered.wait_until(TIMEOUT, |progress| progress.collected == 3));
    watch.logger.flush(TIMEOUT).unwrap();
    let noted = entries(watch.directory.path(), "twin");
    assert_eq!((logged.len(), noted.len()), (3, 3));
    for (logged, noted) in logged.iter().zip(&noted) {
        for member in ["action", "entity_id", "old_values", "new_values", "module"] {
            assert_eq!(logged[member], noted[member], "{member}");
        }
    }
    assert_eq!(logged[0]["new_values"]["at"], "2026-01-31T02:30:00.123456+00:00");
    assert_eq!(logged[0]["new_values"]["long"]["bytes"], 8194);
}

#[test]
fn a_long_value_that_is_not_changed_is_not_noted() {
    let create = "CREATE TABLE file (id int PRIMARY KEY, name text, body text); \
                  ALTER TABLE file ALTER body SET STORAGE EXTERNAL";
    let server = logging(create, &Table::new("file", "documents"));
    let mut watch = Watch::new(&server, "file");
    server.sql("INSERT INTO file VALUES (1, 'a', repeat('x', 5000))");
    server.sql("UPDATE file SET name = 'b'");
    server.sql("UPDATE file SET body = repeat('y', 5000)");
    let changes = watch.changes();
    assert_eq!(changes[1], json!(["UPDATE", "1", { "name": "a" }, { "name": "b" }]));
    let (old, new) = (json!({ "body": "x".repeat(5000) }), json!({ "body": "y".repeat(5000) }));
    assert_eq!(changes[2], json!(["UPDATE", "1", old, new]));
}

#[test]
fn columns_are_added_dropped_and_renamed() {
    let server = customers();
    let mut watch = Watch::new(&server, "customer");
    server.sql("INSERT INTO customer VALUES (1, 'Aye', 1)");
    server
        .sql("ALTER TABLE customer ADD city text DEFAULT 'Yangon'; ALTER TABLE customer RENAME id TO number");
    server.sql("ALTER TABLE customer DROP credit; UPDATE customer SET city = 'Bago'");
    server.sql("ALTER TABLE customer RENAME TO client; DELETE FROM client");
    let expected = [
        json!(["CREATE", "1", null, { "id": 1, "name": "Aye", "credit": 1 }]),
        json!(["UPDATE", "1", { "city": "Yangon" }, { "city": "Bago" }]),
        json!(["DELETE", "1", { "number": 1, "name": "Aye", "city": "Bago" }, null]),
    ];
    assert_eq!(watch.changes(), expected);
}

#[test]
fn excluded_and_masked_columns_stay_so_under_a_new_name() {
    let server = logging(
        "CREATE TABLE login (id int PRIMARY KEY, secret text, seen text, name text)",
        &Table::new("login", "security").exclude(["seen"]).mask(["secret"]),
    );
    let statements = [
        "INSERT INTO login VALUES (1, 'a', 'x', 'Aye')",
        "UPDATE login SET seen = 'y'",
        "UPDATE login SET secret = 'b'",
        "ALTER TABLE login RENAME secret TO old_secret; ALTER TABLE login RENAME seen TO last_seen; \
         ALTER TABLE login ADD secret text; ALTER TABLE login DROP name",
        "UPDATE login SET old_secret = 'c', secret = 'd', last_seen = 'z'",
    ];
    statements.iter().for_each(|statement| drop(server.sql(statement)));
    // All of it is read after the columns were renamed.
    let mut watch = Watch::new(&server, "login");
    let masked = "[REDACTED]";
    let both = json!({ "old_secret": masked, "secret": masked });
    let expected = [
        // The column was dropped, so it is not known any more that it was no secret.
        json!(["CREATE", "1", null, { "id": 1, "secret": masked, "name": masked }]),
        json!(["UPDATE", "1", { "secret": masked }, { "secret": masked }]),
        json!(["UPDATE", "1", both, both]),
    ];
    assert_eq!(watch.changes(), expected);
}

#[test]
fn a_partitioned_table_is_one_table() {
    let server = logging(
        "CREATE TABLE sale (region text, \"no\" int, amount int, PRIMARY KEY (region, \"no\")) \
         PARTITION BY LIST (region); CREATE TABLE sale_a PARTITION OF sale FOR VALUES IN ('a')",
        &Table::new("sale", "sales"),
    );
    let mut watch = Watch::new(&server, "sale");
    // Its columns have other numbers.
    server.sql("CREATE TABLE sale_b (amount int, \"no\" int NOT NULL, region text NOT NULL)");
    server.sql("ALTER TABLE sale ATTACH PARTITION sale_b FOR VALUES IN ('b')");
    assert!(!status(&server).tables[0].is_active, "the log has no old values of the new partition");
    server.sql("INSERT INTO sale VALUES ('a', 1, 5), ('b', 2, 6); UPDATE sale SET amount = 7");
    enable(&server, &Table::new("sale", "sales")).unwrap();
    assert!(status(&server).tables[0].is_active);
    server.sql("UPDATE sale SET amount = 8; UPDATE sale SET region = 'b' WHERE \"no\" = 1; TRUNCATE sale");
    let row =
        |region: &str, number: i32, amount: i32| json!({ "region": region, "no": number, "amount": amount });
    let expected = [
        json!(["CREATE", "a,1", null, row("a", 1, 5)]),
        json!(["CREATE", "b,2", null, row("b", 2, 6)]),
        json!(["UPDATE", "a,1", { "amount": 5 }, { "amount": 7 }]),
        json!(["UPDATE", "b,2", null, row("b", 2, 7)]),
        json!(["UPDATE", "a,1", { "amount": 7 }, { "amount": 8 }]),
        json!(["UPDATE", "b,2", { "amount": 7 }, { "amount": 8 }]),
        json!(["DELETE", "a,1", row("a", 1, 8), null]),
        json!(["CREATE", "b,1", null, row("b", 1, 8)]),
    ];
    let changes = watch.changes();
    assert_eq!(changes[..8], expected);
    assert_eq!((changes.len(), &changes[8][0]), (9, &json!("DELETE")));
}

#[test]
fn the_context_of_an_application_is_recorded() {
    let server = customers();
    let mut watch = Watch::new(&server, "customer");
    let app = App::open(&server, "app");
    let set = |user: &str| {
        let context = RequestContext::new().user(user).branch_id("YGN");
        app.runtime.block_on(outbox::set_context(&app.client, &context)).unwrap();
    };
    app.sql("BEGIN; INSERT INTO customer VALUES (1)");
    set("thida");
    app.sql("INSERT INTO customer VALUES (2); SAVEPOINT s");
    set("mya");
    app.sql("INSERT INTO customer VALUES (3); ROLLBACK TO s; INSERT INTO customer VALUES (4); COMMIT");
    app.sql("INSERT INTO customer VALUES (5); BEGIN READ ONLY");
    set("reader");
    app.sql("COMMIT");
    let found: Vec<Value> =
        watch.entries().iter().map(|entry| json!([entry["user"], entry["branch_id"]])).collect();
    let nobody = json!(["UNKNOWN", null]);
    let thida = json!(["thida", "YGN"]);
    assert_eq!(found, [nobody.clone(), thida.clone(), thida, nobody]);
}

#[test]
fn the_statement_of_the_context_works_without_rights_and_without_the_log() {
    let server = Server::start_with(&["fsync=off", "shared_buffers=16MB", "wal_level=replica"]);
    server.sql("CREATE ROLE app LOGIN PASSWORD 'secret'");
    let app = App::open(&server, "app");
    let before = server.sql("SELECT pg_current_wal_insert_lsn()");
    app.sql("BEGIN");
    let context = RequestContext::new().user("thida");
    app.runtime.block_on(outbox::set_context(&app.client, &context)).unwrap();
    assert!(app.value("SELECT current_setting('auditx.context')").unwrap().contains("thida"));
    assert_eq!(app.value("SELECT pg_current_xact_id_if_assigned()::text"), None);
    app.sql("COMMIT");
    let written = server.sql(&format!("SELECT pg_current_wal_insert_lsn() - '{before}'"));
    assert!(written.parse::<f64>().unwrap() < 1_000.0, "{written}");
}

#[test]
fn transactions_come_in_the_order_of_their_commits() {
    let server = customers();
    let mut watch = Watch::new(&server, "customer");
    let [late, early] = [(); 2].map(|()| App::open(&server, "app"));
    late.sql("BEGIN; INSERT INTO customer VALUES (1)");
    early.sql("BEGIN; INSERT INTO customer VALUES (2)");
    late.sql("INSERT INTO customer VALUES (3)");
    early.sql("INSERT INTO customer VALUES (4); COMMIT");
    late.sql("COMMIT");
    let keys: Vec<Value> = watch.changes().iter().map(|change| change[1].clone()).collect();
    assert_eq!(keys, ["2", "4", "1", "3"]);
}

#[test]
fn a_large_transaction_is_recorded_whole_and_in_order() {
    let server = customers();
    let watch = Watch::new(&server, "customer");
    server.sql("INSERT INTO customer SELECT n, 'x' FROM generate_series(1, 100000) n");
    let is_done = watch.collector.wait_until(TIMEOUT, |progress| progress.collected == 100_000);
    assert!(is_done, "{:?}", watch.collector.progress());
    let keys = entries(watch.directory.path(), "customer").into_iter();
    let keys = keys.map(|entry| entry["entity_id"].as_str().unwrap().parse::<u32>().unwrap());
    assert!(keys.eq(1..=100_000));
}

#[test]
fn the_log_is_released_also_if_no_captured_table_changes() {
    let server = customers();
    server.sql("CREATE TABLE other AS SELECT n, repeat('x', 500) FROM generate_series(1, 10000) n");
    let before = status(&server).slot.unwrap();
    assert!(before.waiting > 1 << 20, "{before:?}");
    let watch = Watch::new(&server, "customer");
    auditx_tests::deadline::wait_for("the position to be confirmed", || {
        (status(&server).slot.unwrap().waiting < 1 << 20).then_some(())
    });
    assert!(status(&server).slot.unwrap().is_read);
    drop(watch);
}

#[test]
fn what_was_recorded_but_not_confirmed_is_not_recorded_again() {
    let server = customers();
    let (directory, logger) = trail_to_collect_in();
    server.sql("INSERT INTO customer SELECT n FROM generate_series(1, 10) n");
    // This collector ends before it has removed anything, in the middle of the transaction.
    let mut outbox = log_of(&server);
    assert!(outbox.waiting().unwrap().is_some());
    let rows = outbox.take(4).unwrap();
    assert_eq!(rows.len(), 4);
    for row in &rows {
        let auditx_capture::Content::Change(change) = &row.content else { panic!() };
        let entry = logger.log(format!("customer {}", change.key)).entity("customer", change.key.as_str());
        logger.record_encoded(&entry.encode_as(row.id, std::time::SystemTime::now()).unwrap()).unwrap();
    }
    drop(outbox);
    let collector = Collector::spawn(&logger, log_of(&server)).unwrap();
    caught_up(&collector);
    assert_eq!(collector.progress().collected, 6);
    logger.flush(TIMEOUT).unwrap();
    let keys: Vec<String> = entries(directory.path(), "customer")
        .iter()
        .map(|entry| entry["entity_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys, (1..=10).map(|number| number.to_string()).collect::<Vec<_>>());
}
