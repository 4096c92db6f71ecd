//! What a trigger costs an UPDATE of one row, measured with pgbench: none, one written by hand, and ours.

use std::fs;
use std::path::Path;
use std::process::Command;

use auditx_postgres::capture::{Table, enable};
use auditx_tests::postgres::{Server, program};
use serde::Serialize;

use super::{CUSTOMER, CUSTOMERS, Options, rounded};
use crate::goal::Goal;
use crate::{Outcome, quantile};

/// The subjects, each with a table of its own.
const SUBJECTS: [&str; 4] = ["no_trigger", "written_by_hand", "auditx", "auditx_masked"];

/// Rows of each table.
const ROWS: u32 = 20_000;

const HAND_WRITTEN: &str = "CREATE TABLE history (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
     at timestamptz NOT NULL DEFAULT now(), old jsonb, new jsonb); \
     CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     INSERT INTO history (old, new) VALUES (to_jsonb(OLD), to_jsonb(NEW)); RETURN NULL; END $$; \
     CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON written_by_hand \
     FOR EACH ROW EXECUTE FUNCTION note()";

/// What the triggers wrote is removed, so that no run is slower for the size of the tables.
const EMPTY: &str = "TRUNCATE history, auditx.outbox, auditx.row_change";

#[derive(Debug, Serialize)]
pub(super) struct Row {
    subject: &'static str,
    updates_per_s: f64,
    /// The median over the runs of each run's ratio to the one without a trigger before it.
    throughput_ratio: f64,
    cost_percent: f64,
    /// The CPU time of the server for an update: a machine with other work slows it less than the throughput.
    server_us: f64,
    clients: u32,
    runs: usize,
}

struct Run {
    updates_per_s: f64,
    server_us: f64,
}

pub(super) fn rows(options: &Options) -> Outcome<Vec<Row>> {
    let server = started()?;
    let directory = options.repetition.directory()?;
    let mut runs = SUBJECTS.map(|_| Vec::new());
    for round in 1..=options.repetition.runs {
        for (subject, runs) in SUBJECTS.into_iter().zip(&mut runs) {
            eprintln!("run {round} of {}: {subject}", options.repetition.runs);
            server.sql(EMPTY);
            server.sql(&format!("VACUUM ANALYZE {subject}"));
            runs.push(run(options, &server, subject, directory.path())?);
        }
    }
    let rows = SUBJECTS.into_iter().zip(&runs).map(|(subject, of_subject)| {
        let pairs = of_subject.iter().zip(&runs[0]);
        let ratio = quantile::median(pairs.map(|(with, without)| with.updates_per_s / without.updates_per_s));
        Row {
            subject,
            updates_per_s: quantile::median(of_subject.iter().map(|run| run.updates_per_s)).round(),
            throughput_ratio: rounded(ratio),
            cost_percent: rounded((1.0 - ratio) * 100.0),
            server_us: quantile::median(of_subject.iter().map(|run| run.server_us)).round(),
            clients: options.clients,
            runs: of_subject.len(),
        }
    });
    Ok(rows.collect())
}

pub(super) fn goal(rows: &[Row]) -> Goal {
    let cost = |subject| rows.iter().find(|row| row.subject == subject).map_or(100.0, |row| row.cost_percent);
    let (ours, by_hand) = (cost("auditx"), cost("written_by_hand"));
    Goal {
        what: "the trigger costs at most 25 % of an UPDATE's throughput",
        measured: format!("{ours} %, one written by hand {by_hand} %"),
        reached: ours <= 25.0,
    }
}

/// Starts a server with a table for each subject.
fn started() -> Outcome<Server> {
    let server = Server::start_with(&[]);
    for subject in SUBJECTS {
        // Room for new versions of rows, as in a table that is updated often.
        server.sql(&format!("CREATE TABLE {subject} ({CUSTOMER}) WITH (fillfactor = 70)"));
        server.sql(&format!("INSERT INTO {subject} SELECT {CUSTOMERS} FROM generate_series(1, {ROWS}) n"));
    }
    server.sql(HAND_WRITTEN);
    let url = server.url("admin", server.port());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let masked = Table::new("auditx_masked", "crm").mask(["phone"]).exclude(["updated_at"]);
    for table in [Table::new("auditx", "crm"), masked] {
        runtime.block_on(enable(&url, &table))?;
    }
    Ok(server)
}

/// Updates rows for some seconds.
fn run(options: &Options, server: &Server, table: &str, directory: &Path) -> Outcome<Run> {
    let script = directory.join("update.sql");
    fs::write(
        &script,
        format!(
            "\\set id random(1, {ROWS})\n\
             UPDATE {table} SET credit = credit + 1, updated_at = now() WHERE id = :id;\n"
        ),
    )?;
    let pgbench = program("pgbench");
    let before = ended_us(server)?;
    let output = Command::new(&pgbench)
        .args(["--no-vacuum", "--client", &options.clients.to_string()])
        .args(["--time", &options.seconds.to_string(), "--file"])
        .arg(&script)
        .arg(server.url("admin", server.port()))
        .output()
        .map_err(|error| {
            format!(
                "cannot start {} ({error}): run `cargo xtask setup`, which installs the Debian package \
                 postgresql with it",
                pgbench.display()
            )
        })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("pgbench ended with {}: {}", output.status, message.trim()).into());
    }
    let figure = |before: &str| {
        let (_, rest) = text.split_once(before).ok_or_else(|| format!("pgbench printed no {before:?}"))?;
        let figure = rest.split_whitespace().next().unwrap_or_default();
        figure.parse::<f64>().map_err(|error| format!("{before:?} of pgbench: {error}"))
    };
    let updates = figure("number of transactions actually processed: ")?;
    auditx_tests::deadline::wait_for("the end of all sessions", || {
        let others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'";
        (server.sql(others) == "0").then_some(())
    });
    let server_us = (ended_us(server)? - before) / updates;
    Ok(Run { updates_per_s: figure("tps = ")?, server_us })
}

/// Returns the CPU time of all sessions that have ended.
fn ended_us(server: &Server) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid()))?;
    // The name of the program, in parentheses, may contain spaces. The third field follows it.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in the status of the server")?;
    let ticks: Vec<u64> = fields.split_whitespace().skip(13).take(2).flat_map(str::parse).collect();
    let [user, system] = ticks[..] else { return Err("no times in the status of the server".into()) };
    Ok(quantile::float(user + system) * 1e6 / quantile::float(rustix::param::clock_ticks_per_second()))
}
