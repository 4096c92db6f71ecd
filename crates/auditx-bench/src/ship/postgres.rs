//! Compares the shipper to PostgreSQL with psql's `\\copy` of the same columns from a text file.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use auditx_ship::Settings;
use auditx_tests::postgres::Server;

use super::{Row, compared, shipped};
use crate::Outcome;

const COLUMNS: &str = "trail_id, seq, recorded_at, company, branch, actor, action, module, level, \
     entity_type, entity_id, reference_no, leaf_hash, line, body";

const SIZE: &str = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('auditx.entry')";

/// Empties the tables, which only a superuser can. The table and its indexes are then as new.
const EMPTY: &str = "SET session_replication_role = replica; TRUNCATE auditx.entry, auditx.checkpoint, \
     auditx.trail; CHECKPOINT";

pub(super) fn rows(trail: &Path, until: Option<u64>, runs: u32) -> Outcome<Vec<Row>> {
    let server = Server::start_with(&[]);
    let url = server.url("admin", server.port());
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(auditx_postgres::init(&url))?;
    // A shipper that is stopped early may finish the batch that is being sent.
    let more = if until.is_some() { 2 * Settings::default().lines as u64 } else { 0 };
    let until = until.unwrap_or(u64::MAX);
    // The first run only creates the file for psql.
    let first = shipped(trail, &url, until)?;
    let file = trail.with_extension("copy");
    server.sql("CREATE TABLE kept_trail AS SELECT * FROM auditx.trail");
    psql(&url, &format!("\\copy (SELECT {COLUMNS} FROM auditx.entry) TO '{}'", file.display()))?;
    let bytes: u64 = server.sql(SIZE).parse()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=runs {
        eprintln!("run {round} of {runs}: {} lines", first.lines);
        server.sql(EMPTY);
        let run = shipped(trail, &url, until)?;
        count(&server, run.lines..=run.lines + more)?;
        ours.push(run);
        server.sql(EMPTY);
        server.sql("INSERT INTO auditx.trail SELECT * FROM kept_trail");
        let time = psql(&url, &format!("\\copy auditx.entry ({COLUMNS}) FROM '{}'", file.display()))?;
        count(&server, first.lines..=first.lines + more)?;
        theirs.push(time.as_secs_f64());
    }
    Ok(compared(["psql-copy", "auditx-postgres"], &theirs, &ours, bytes))
}

fn count(server: &Server, expected: RangeInclusive<u64>) -> Outcome<()> {
    let found: u64 = server.sql("SELECT count(*) FROM auditx.entry").parse()?;
    if expected.contains(&found) {
        Ok(())
    } else {
        Err(format!("{found} rows instead of {expected:?}").into())
    }
}

fn psql(url: &str, command: &str) -> Outcome<Duration> {
    let begin = Instant::now();
    let status = Command::new("psql")
        .args(["-qX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", command])
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(begin.elapsed()) } else { Err(format!("psql ended with {status}").into()) }
}
