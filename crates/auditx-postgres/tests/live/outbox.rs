//! An outbox in a real database: entries of transactions that committed are recorded, each once, and no
//! others.

use std::thread;

use auditx_capture::{Collector, Outbox};
use auditx_core::{AuditLogger, Config, EncodedEntry, RequestContext};
use auditx_postgres::capture::{Table, enable};
use auditx_postgres::{PostgresOutbox, outbox};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use super::*;

/// Returns a row while the collector waits.
const IS_IDLE: &str =
    "SELECT 'x' FROM pg_locks WHERE locktype = 'advisory' AND objid = 2 AND mode = 'ExclusiveLock'";

/// Starts a server with the schema, and users who may only store and only collect.
pub(crate) fn server_with_outbox() -> Server {
    let server = server();
    server.sql(
        "CREATE ROLE app LOGIN PASSWORD 'secret' IN ROLE auditx_capture; \
         CREATE ROLE collector LOGIN PASSWORD 'secret' IN ROLE auditx_collect; \
         CREATE TABLE invoice (number int); GRANT ALL ON invoice TO app",
    );
    server
}

pub(crate) fn trail_to_collect_in() -> (TempDir, AuditLogger) {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    (directory, logger)
}

pub(crate) fn outbox_of(server: &Server) -> PostgresOutbox {
    PostgresOutbox::open(&server.url("collector", server.port())).unwrap()
}

pub(crate) fn entry(logger: &AuditLogger, number: u64) -> EncodedEntry {
    logger.log(format!("Invoice {number} posted")).encode().unwrap()
}

/// A connection of an application.
pub(crate) struct App {
    pub(crate) runtime: Runtime,
    pub(crate) client: Client,
}

impl App {
    pub(crate) fn open(server: &Server, user: &str) -> Self {
        Self::connect(&server.url(user, server.port()))
    }

    pub(crate) fn connect(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (client, connection) = runtime.block_on(tokio_postgres::connect(url, NoTls)).unwrap();
        runtime.spawn(connection);
        Self { runtime, client }
    }

    pub(crate) fn sql(&self, sql: &str) {
        self.try_sql(sql).unwrap();
    }

    pub(crate) fn try_sql(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.runtime.block_on(self.client.batch_execute(sql))
    }

    /// Returns the only column of the only row.
    pub(crate) fn value(&self, sql: &str) -> Option<String> {
        let row = self.runtime.block_on(self.client.query_opt(sql, &[])).unwrap();
        row.and_then(|row| row.get(0))
    }

    pub(crate) fn store(&self, entry: &EncodedEntry) {
        self.runtime.block_on(outbox::store(&self.client, entry)).unwrap();
    }

    /// Commits a change with its entry.
    pub(crate) fn post(&self, logger: &AuditLogger, number: u64) {
        self.sql(&format!("BEGIN; INSERT INTO invoice VALUES ({number})"));
        self.store(&entry(logger, number));
        self.sql("COMMIT");
    }
}

/// Waits until the outbox is empty.
pub(crate) fn emptied(collector: &Collector, server: &Server) {
    let before = collector.progress().emptied;
    let is_done = collector.wait_until(TIMEOUT, |progress| progress.emptied > before + 1);
    assert!(is_done, "{:?}", collector.progress());
    assert_eq!(server.sql("SELECT count(*) FROM auditx.waiting"), "0");
}

/// Returns the numbers of the invoices in the trail.
pub(crate) fn recorded(directory: &Path) -> Vec<u64> {
    let number = |line: &String| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let number = line["description"].as_str()?.strip_prefix("Invoice ")?.strip_suffix(" posted")?;
        Some(number.parse().unwrap())
    };
    lines(directory).iter().filter_map(number).collect()
}

fn collected(collector: &Collector, count: u64) {
    let is_done = collector.wait_until(TIMEOUT, |progress| progress.collected >= count);
    assert!(is_done, "{:?}", collector.progress());
}

#[test]
fn only_what_committed_is_recorded() {
    let (server, (directory, logger)) = (server_with_outbox(), trail_to_collect_in());
    let collector = Collector::spawn(&logger, outbox_of(&server)).unwrap();
    let app = App::open(&server, "app");
    app.sql("BEGIN");
    app.store(&entry(&logger, 1));
    app.sql("ROLLBACK; BEGIN");
    app.store(&entry(&logger, 2));
    app.sql("SAVEPOINT lines");
    app.store(&entry(&logger, 3));
    app.sql("ROLLBACK TO lines");
    app.store(&entry(&logger, 4));
    app.sql("SAVEPOINT more");
    app.store(&entry(&logger, 5));
    app.sql("RELEASE more; COMMIT");
    emptied(&collector, &server);
    assert_eq!(recorded(directory.path()), [2, 4, 5]);
}

#[test]
fn a_transaction_that_commits_late_is_recorded_then() {
    let (server, (directory, logger)) = (server_with_outbox(), trail_to_collect_in());
    let collector = Collector::spawn(&logger, outbox_of(&server)).unwrap();
    let [late, early] = [(); 2].map(|()| App::open(&server, "app"));
    late.sql("BEGIN");
    late.store(&entry(&logger, 1));
    early.post(&logger, 2);
    collected(&collector, 1);
    late.store(&entry(&logger, 3));
    early.post(&logger, 4);
    collected(&collector, 2);
    late.sql("COMMIT");
    emptied(&collector, &server);
    assert_eq!(recorded(directory.path()), [2, 4, 1, 3]);
}

#[test]
fn a_second_collector_is_refused_and_says_who_the_first_is() {
    let (server, (_directory, logger)) = (server_with_outbox(), trail_to_collect_in());
    let url = format!("{}?application_name=erp-collector", server.url("collector", server.port()));
    let first = Collector::spawn(&logger, PostgresOutbox::open(&url).unwrap()).unwrap();
    let error = PostgresOutbox::open(&url).unwrap_err();
    let pid = server.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'erp-collector'");
    let session = format!("session {pid} of user \"collector\", application \"erp-collector\"");
    assert!(error.is_taken() && error.to_string().contains(&session), "{error} {session}");
    drop(first);
    PostgresOutbox::open(&url).unwrap();
}

#[test]
fn an_outbox_can_be_opened_and_dropped_in_an_async_runtime() {
    let server = server_with_outbox();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { drop(outbox_of(&server)) });
    drop(outbox_of(&server));
}

#[test]
fn a_commit_ends_the_wait_of_a_collector() {
    let (server, (_directory, logger)) = (server_with_outbox(), trail_to_collect_in());
    let (mut outbox, app) = (outbox_of(&server), App::open(&server, "app"));
    let waiting = thread::spawn(move || {
        let begin = Instant::now();
        outbox.wait(TIMEOUT).unwrap();
        assert!(begin.elapsed() < TIMEOUT, "no notification arrived");
        outbox
    });
    let admin = App::open(&server, "admin");
    auditx_tests::deadline::wait_for("the collector to wait", || admin.value(IS_IDLE));
    app.post(&logger, 1);
    let mut outbox = waiting.join().unwrap();
    assert_eq!(outbox.take(10).unwrap().len(), 1);
    // This transaction does not notify, so the collector must not wait for that.
    app.sql("BEGIN");
    app.store(&entry(&logger, 2));
    let begin = Instant::now();
    outbox.wait(TIMEOUT).unwrap();
    assert!(begin.elapsed() < TIMEOUT);
    app.sql("COMMIT");
    outbox.wait(TIMEOUT).unwrap();
    assert_eq!(outbox.take(10).unwrap().len(), 2);
}

#[test]
fn a_change_that_a_trigger_notes_ends_the_wait_of_a_collector() {
    let server = server_with_outbox();
    let app = App::open(&server, "admin");
    app.sql("CREATE TABLE customer (id int PRIMARY KEY, name text)");
    for table in [Table::new("customer", "crm"), Table::new("customer", "crm").mask(["name"])] {
        app.runtime.block_on(enable(&server.url("admin", server.port()), &table)).unwrap();
        let mut outbox = outbox_of(&server);
        let waiting = thread::spawn(move || {
            let begin = Instant::now();
            outbox.wait(TIMEOUT).unwrap();
            assert!(begin.elapsed() < TIMEOUT, "no notification arrived");
            outbox
        });
        auditx_tests::deadline::wait_for("the collector to wait", || app.value(IS_IDLE));
        app.sql("INSERT INTO customer VALUES (1); DELETE FROM customer");
        let mut outbox = waiting.join().unwrap();
        let rows = outbox.take(10).unwrap();
        assert_eq!(rows.len(), 2);
        // This transaction does not notify, so the collector must not wait for that.
        app.sql("BEGIN; INSERT INTO customer VALUES (2)");
        outbox.remove(&rows.iter().map(|row| row.key).collect::<Vec<_>>()).unwrap();
        let begin = Instant::now();
        outbox.wait(TIMEOUT).unwrap();
        assert!(begin.elapsed() < TIMEOUT);
        app.sql("ROLLBACK");
    }
}

#[test]
fn a_change_of_a_row_keeps_its_id_and_another_with_its_number_has_another() {
    let server = server_with_outbox();
    let app = App::open(&server, "admin");
    app.sql("CREATE TABLE customer (id int PRIMARY KEY)");
    let table = Table::new("customer", "crm");
    app.runtime.block_on(enable(&server.url("admin", server.port()), &table)).unwrap();
    app.sql("INSERT INTO customer VALUES (1), (2)");
    let ids = || outbox_of(&server).take(10).unwrap().iter().map(|row| row.id).collect::<Vec<_>>();
    let first = ids();
    assert_ne!(first[0], first[1]);
    app.sql("ALTER ROLE collector SET timezone = 'Asia/Yangon'");
    assert_eq!(ids(), first);
    app.sql("UPDATE auditx.row_change SET at = at + interval '1 microsecond'");
    let later = ids();
    app.sql("UPDATE auditx.row_change SET settings = replace(settings, '\"id\"', '\"no\"')");
    assert!(later.iter().chain(&ids()).all(|id| !first.contains(id)));
}

#[test]
fn a_change_of_a_row_that_cannot_be_read_is_set_aside() {
    let (server, (_directory, logger)) = (server_with_outbox(), trail_to_collect_in());
    server.sql(
        "INSERT INTO auditx.row_change (settings, op, versions) VALUES ('{}', 'U', '[null, {\"a\": 1}]')",
    );
    let collector = Collector::spawn(&logger, outbox_of(&server)).unwrap();
    emptied(&collector, &server);
    assert_eq!(collector.progress().refused, 1);
    let row = server.sql("SELECT change->'versions', reason FROM auditx.outbox_refused");
    assert!(row.starts_with("[null, {\"a\": 1}]|invalid change of a row: missing field"), "{row}");
}

#[test]
fn a_change_that_a_trigger_noted_becomes_an_entry() {
    let (server, (directory, logger)) = (server_with_outbox(), trail_to_collect_in());
    let app = App::open(&server, "admin");
    let context = RequestContext::new().user("thida").branch_id("YGN");
    app.sql("BEGIN");
    app.runtime.block_on(outbox::set_context(&app.client, &context)).unwrap();
    app.sql(
        "INSERT INTO auditx.outbox (id, at, change) SELECT gen_random_uuid(), '2026-11-24 09:00:00.123456Z', \
         jsonb_build_object('module', 'crm', 'table', 'customer', 'key', '42', 'op', 'U', \
             'old', '{\"limit\": 500.10}'::jsonb, 'new', '{\"limit\": 900}'::jsonb, 'user', session_user, \
             'context', current_setting('auditx.context')::jsonb); \
         INSERT INTO auditx.outbox (id, change) VALUES (gen_random_uuid(), '{\"op\": \"X\"}'); COMMIT",
    );
    let collector = Collector::spawn(&logger, outbox_of(&server)).unwrap();
    emptied(&collector, &server);
    let line = lines(directory.path()).into_iter().find(|line| line.contains("customer")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let texts = ["description", "user", "branch_id", "timestamp"].map(|name| line[name].as_str().unwrap());
    assert_eq!(texts, ["customer 42 updated", "thida", "YGN", "2026-11-24T09:00:00.123456Z"]);
    assert_eq!((&line["old_values"]["limit"], &line["new_values"]["limit"]), (&500.1.into(), &900.into()));
    assert_eq!(line["metadata"]["database_user"], "admin");
    assert_eq!(collector.progress().refused, 1);
    assert!(server.sql("SELECT reason FROM auditx.outbox_refused").contains("expected I, U, D or T"));
    assert_eq!(app.value("SELECT nullif(current_setting('auditx.context', true), '')"), None);
}

#[test]
fn an_application_may_only_store_entries_and_a_collector_only_remove_them() {
    let (server, (_directory, logger)) = (server_with_outbox(), trail_to_collect_in());
    App::open(&server, "app").post(&logger, 1);
    let id = "gen_random_uuid()";
    for (role, statements) in [
        (
            "app",
            vec![
                "INSERT INTO auditx.row_change (settings, op, versions) VALUES ('', 'U', '[]')".to_owned(),
                "SELECT * FROM auditx.waiting".to_owned(),
                "SELECT auditx.note_with_care('INSERT', 0, '[0:5]={a,\"{a}\",\"{}\",\"{}\",0,\"{1}\"}', i, i) \
                 FROM invoice i"
                    .to_owned(),
                "SELECT * FROM auditx.outbox".to_owned(),
                "DELETE FROM auditx.outbox".to_owned(),
                format!("INSERT INTO auditx.outbox (id, change) VALUES ({id}, '{{}}')"),
                format!("INSERT INTO auditx.outbox (id, at, entry) VALUES ({id}, '2020-01-01', 'x')"),
            ],
        ),
        (
            "collector",
            vec![
                "UPDATE auditx.row_change SET key = 'x'".to_owned(),
                format!("INSERT INTO auditx.outbox (id, entry) VALUES ({id}, 'x')"),
                "UPDATE auditx.outbox SET entry = 'x'".to_owned(),
                "TRUNCATE auditx.outbox".to_owned(),
                "DELETE FROM auditx.outbox_refused".to_owned(),
            ],
        ),
    ] {
        for statement in statements {
            let refusal = server.refusal(&format!("SET ROLE {role}; {statement}"));
            assert!(refusal.contains("permission denied"), "{role} {statement}: {refusal}");
        }
    }
}
