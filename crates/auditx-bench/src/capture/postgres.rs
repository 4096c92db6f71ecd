//! Collects from PostgreSQL: changes that the trigger noted, and entries that an application stored.

use std::time::Instant;

use auditx_capture::Collector;
use auditx_core::{AuditLogger, Config};
use auditx_postgres::PostgresOutbox;
use auditx_postgres::capture::{Table, enable};
use auditx_postgres::outbox;
use auditx_tests::postgres::Server;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

use super::{CUSTOMER, CUSTOMERS, DelayRow, Options, RateRow, change, collected, rate};
use crate::Outcome;

const SUBJECTS: [&str; 2] = ["postgres-trigger", "postgres-entries"];

/// Rows of a statement that stores entries.
const CHUNK: usize = 5_000;

/// A server whose table is captured, and a connection of an application.
struct Database {
    server: Server,
    runtime: Runtime,
    client: Client,
}

impl Database {
    fn start(rows: u32) -> Outcome<Self> {
        let server = Server::start_with(&[]);
        let url = server.url("admin", server.port());
        server.sql(&format!("CREATE TABLE customer ({CUSTOMER})"));
        server.sql(&format!("INSERT INTO customer SELECT {CUSTOMERS} FROM generate_series(1, {rows}) n"));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(enable(&url, &Table::new("customer", "crm")))?;
        let (client, connection) = runtime.block_on(tokio_postgres::connect(&url, NoTls))?;
        runtime.spawn(connection);
        Ok(Self { server, runtime, client })
    }

    fn outbox(&self) -> Outcome<PostgresOutbox> {
        Ok(PostgresOutbox::open(&self.server.url("admin", self.server.port()))?)
    }

    fn update(&self, condition: &str) -> Outcome<()> {
        let update = format!("UPDATE customer SET credit = credit + 1, updated_at = now() WHERE {condition}");
        Ok(self.runtime.block_on(self.client.batch_execute(&update))?)
    }

    /// Stores so many entries.
    fn store(&self, logger: &AuditLogger, count: u32) -> Outcome<()> {
        const STORE: &str = "INSERT INTO auditx.outbox (id, entry) \
             SELECT substr(entry, 8, 36)::uuid, entry FROM unnest($1::text[]) entry";
        let texts: Vec<String> =
            (0..count).map(|number| Ok(change(logger, number)?.to_string())).collect::<Outcome<_>>()?;
        for chunk in texts.chunks(CHUNK) {
            self.runtime.block_on(self.client.execute(STORE, &[&chunk]))?;
        }
        Ok(())
    }
}

pub(super) fn delays(options: &Options) -> Outcome<Vec<DelayRow>> {
    let database = Database::start(1_000)?;
    let directory = options.repetition.directory()?;
    let logger = AuditLogger::open(Config::new(directory.path()))?;
    let collector = Collector::spawn(&logger, database.outbox()?)?;
    let updates =
        super::delays(SUBJECTS[0], &collector, |number| database.update(&format!("id = {number}")))?;
    let entries = super::delays(SUBJECTS[1], &collector, |number| {
        let entry = change(&logger, number)?;
        Ok(database.runtime.block_on(outbox::store(&database.client, &entry))?)
    })?;
    Ok(vec![updates, entries])
}

pub(super) fn rates(options: &Options) -> Outcome<Vec<RateRow>> {
    let database = Database::start(options.changes)?;
    let mut seconds = [Vec::new(), Vec::new()];
    for round in 1..=options.repetition.runs {
        for (subject, seconds) in SUBJECTS.iter().zip(&mut seconds) {
            eprintln!("run {round} of {}: {subject}", options.repetition.runs);
            let directory = options.repetition.directory()?;
            let logger = AuditLogger::open(Config::new(directory.path()))?;
            if *subject == SUBJECTS[0] {
                database.update("true")?;
            } else {
                database.store(&logger, options.changes)?;
            }
            database.server.sql("VACUUM ANALYZE customer");
            let begin = Instant::now();
            let collector = Collector::spawn(&logger, database.outbox()?)?;
            seconds.push(collected(&collector, options.changes, begin)?);
        }
    }
    Ok(SUBJECTS
        .iter()
        .zip(&seconds)
        .map(|(subject, seconds)| rate(subject, options.changes, seconds))
        .collect())
}
