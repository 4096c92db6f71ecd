//! PostgreSQL: our shipper beside psql's `\\copy` of the same columns out of a file of text.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use auditx_tests::postgres::Server;

use super::{Row, Run};
use crate::{Outcome, child, quantile};

const COLUMNS: &str = "trail_id, seq, recorded_at, company, branch, actor, action, module, level, entity_type, entity_id, \
     reference_no, leaf_hash, line, body";

const SIZE: &str = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('auditx.entry')";

/// As a superuser only can. The table is as new, and so are its indexes.
const EMPTY: &str = "SET session_replication_role = replica; TRUNCATE auditx.entry, auditx.checkpoint, auditx.trail; \
     CHECKPOINT";

pub(super) fn rows(trail: &Path, until: Option<u64>, runs: u32) -> Outcome<Vec<Row>> {
    let server = Server::start_with(&[]);
    let url = server.url("admin", server.port());
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(auditx_postgres::init(&url))?;
    let until = until.unwrap_or(u64::MAX);
    // The first run only fills the file for psql.
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
        count(&server, run.lines)?;
        ours.push(run);
        server.sql(EMPTY);
        server.sql("INSERT INTO auditx.trail SELECT * FROM kept_trail");
        let time = psql(&url, &format!("\\copy auditx.entry ({COLUMNS}) FROM '{}'", file.display()))?;
        count(&server, first.lines)?;
        theirs.push(time);
    }
    let baseline = quantile::median(theirs.iter().map(Duration::as_secs_f64));
    let row = |subject: &str, median_s: f64, peak_kib: u64| Row {
        subject: subject.to_owned(),
        lines: first.lines,
        median_s,
        lines_per_s: (super::float(first.lines) / median_s).round(),
        ratio: super::rounded(baseline / median_s),
        peak_mib: super::rounded(super::float(peak_kib) / 1024.0),
        stored_bytes_per_line: (super::float(bytes) / super::float(first.lines)).round(),
        runs,
    };
    let peak = ours.iter().map(|run| run.peak_kib).max().unwrap_or(0);
    let ours = quantile::median(ours.iter().map(|run| run.seconds));
    Ok(vec![
        row("psql-copy", super::rounded(baseline), 0),
        row("auditx-postgres", super::rounded(ours), peak),
    ])
}

/// One shipping into what is empty; the cursor is taken away first.
fn shipped(trail: &Path, url: &str, until: u64) -> Outcome<Run> {
    let cursors = trail.join(".auditx/cursors");
    for (name, _) in auditx_core::shipper_positions(trail)? {
        std::fs::remove_file(cursors.join(format!("ship-{name}")))?;
    }
    child::report(["ship-run", "--dir", &trail.to_string_lossy(), "--to", url, "--until", &until.to_string()])
}

fn count(server: &Server, expected: u64) -> Outcome<()> {
    let found = server.sql("SELECT count(*) FROM auditx.entry");
    if found == expected.to_string() { Ok(()) } else { Err(format!("{found} rows of {expected}").into()) }
}

fn psql(url: &str, command: &str) -> Outcome<Duration> {
    let begin = Instant::now();
    let status = Command::new("psql")
        .args(["-qX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", command])
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(begin.elapsed()) } else { Err(format!("psql ended with {status}").into()) }
}
