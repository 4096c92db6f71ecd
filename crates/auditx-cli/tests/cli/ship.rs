//! Tests of `auditx ship` and `auditx verify --from` with real servers.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use auditx_core::{AuditLogger, Cadence, Compression, Config, Retention};
use auditx_tests::child::Child;
use auditx_tests::deadline::{TIMEOUT, wait_until};
use auditx_tests::nats::Servers;
use auditx_tests::postgres::Server;
use auditx_tests::random::Random;
use rustix::process::Signal;
use serde_json::Value;

use crate::program::{auditx, command, ended, without_trail};

/// Starts a server with the schema, and users with the roles to ship and to read.
pub(crate) fn server() -> Server {
    let server = Server::start();
    let made = ended(&mut without_trail(&["ship", "init", "--to", &server.url("admin", server.port())]));
    assert_eq!(
        (made.status, made.out.trim()),
        (Some(0), "Created the schema auditx, version 5."),
        "{}",
        made.err
    );
    server.sql("CREATE ROLE erp LOGIN PASSWORD 'secret' IN ROLE auditx_ship");
    server.sql("CREATE ROLE auditor LOGIN PASSWORD 'secret' IN ROLE auditx_read");
    server
}

fn config(directory: &Path) -> Config {
    Config::new(directory).checkpoints(Cadence::new(Duration::from_millis(20), 100))
}

fn record(logger: &AuditLogger, from: usize, count: usize) {
    for number in from..from + count {
        logger.log(format!("Invoice {number} posted")).reference_no(format!("SI-{number}")).record().unwrap();
    }
}

/// Writes the key and a checkpoint of a trail to files, and returns the flags for `verify`.
fn evidence(logger: &AuditLogger, directory: &Path) -> [String; 4] {
    let (key, note) = (directory.join("key"), directory.join("note"));
    fs::write(&key, logger.verifier_key().unwrap().to_string()).unwrap();
    fs::write(&note, logger.checkpoint().unwrap().as_str()).unwrap();
    ["--key".to_owned(), key.display().to_string(), "--known".to_owned(), note.display().to_string()]
}

#[test]
fn a_trail_is_shipped_verified_searched_and_dropped() {
    let (server, outside) = (server(), tempfile::tempdir().unwrap());
    let directory = outside.path().join("trail");
    let logger = AuditLogger::open(config(&directory)).unwrap();
    record(&logger, 0, 500);
    logger.close(TIMEOUT).unwrap();
    let evidence = evidence(&logger, outside.path());
    let size = logger.checkpoint().unwrap().size();
    let url = server.url("erp", server.port());

    let metrics = outside.path().join("ship.prom");
    let shipped =
        auditx(&["ship", "--once", "--to", &url, "--metrics", metrics.to_str().unwrap()], &directory);
    let name = format!("postgres-127.0.0.1-{}-postgres", server.port());
    let metrics = fs::read_to_string(metrics).unwrap();
    for line in [
        "# TYPE auditx_ship_lag_lines gauge".to_owned(),
        format!("auditx_ship_lag_lines{{destination=\"{name}\"}} 0"),
        format!("auditx_ship_lag_bytes{{destination=\"{name}\"}} 0"),
        format!("auditx_ship_sent_lines_total{{destination=\"{name}\"}} {size}"),
        format!("auditx_ship_retries_total{{destination=\"{name}\",kind=\"refused\"}} 0"),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    assert_eq!(shipped.out, format!("{name}: all {size} signed lines shipped.\n"), "{}", shipped.err);
    assert_eq!((shipped.status, shipped.err.as_str()), (Some(0), ""));
    let status = auditx(&["ship", "status"], &directory);
    assert_eq!((status.status, status.out.as_str()), (Some(0), shipped.out.as_str()));

    let auditor = server.url("auditor", server.port()).replace(":secret", "");
    let mut verify = without_trail(&["verify", "--from", &auditor, "--keep"]);
    let kept = outside.path().join("kept");
    let verified = ended(
        verify.arg(&kept).args(&evidence).env("PGPASSWORD", "secret").env("AUDITX_LOG_DIR", "/nowhere"),
    );
    assert_eq!(verified.status, Some(0), "{}{}", verified.out, verified.err);
    let found = auditx(&["query", "SI-77", "-o", "ndjson"], &kept);
    assert_eq!(found.out.lines().count(), 1, "{}", found.err);

    for question in [
        &["SI-77"][..],
        &["ref:SI-7*", "--order", "desc"],
        &["-user:SYSTEM", "--since", "1h"],
        &["-n", "3"],
        &["--sort", "reference_no:desc", "-n", "4"],
    ] {
        let mut there = without_trail(&["query", "-o", "raw", "--from", &auditor]);
        let there = ended(there.args(question).env("PGPASSWORD", "secret"));
        let here = ended(command(&["query", "-o", "raw"], &kept).args(question));
        assert_eq!((there.status, &there.out), (here.status, &here.out), "{question:?}: {}", there.err);
    }
    let mut count = without_trail(&["query", "--count", "--from", &auditor, "posted"]);
    assert_eq!(ended(count.env("PGPASSWORD", "secret")).out, "500\n");

    server.sql(
        "SET session_replication_role = replica; \
         UPDATE auditx.entry SET line = replace(line, '77 posted', '78 posted') \
         WHERE line LIKE '%Invoice 77 posted%'",
    );
    let verified = ended(
        without_trail(&["verify", "--json", "--from", &auditor]).args(&evidence).env("PGPASSWORD", "secret"),
    );
    let answer: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!((verified.status, &answer["fault"]["seq"]), (Some(1), &Value::from(79)), "{answer}");
    assert!(answer["directory"].as_str().unwrap().ends_with(&name), "{answer}");

    let before = fs::metadata(directory.join("audit.jsonl")).unwrap().len();
    let logger = AuditLogger::open(config(&directory)).unwrap();
    record(&logger, 500, 10);
    logger.close(TIMEOUT).unwrap();
    let more = fs::metadata(directory.join("audit.jsonl")).unwrap().len() - before;
    let status = auditx(&["ship", "status", "--json"], &directory);
    let status: Value = serde_json::from_str(&status.out).unwrap();
    let destination = &status["destinations"][0];
    assert_eq!(
        (&destination["lag_lines"], &destination["lag_bytes"], &status["healthy"]),
        (&Value::from(13), &Value::from(more), &Value::from(true))
    );
    let refused = auditx(&["ship", "drop", "--to", &url], &directory);
    assert!(refused.status == Some(2) && refused.err.contains("--accept-gap"), "{}", refused.err);
    let dropped = auditx(&["ship", "drop", "--to", &url, "--accept-gap"], &directory);
    assert_eq!(
        dropped.out,
        format!("Retention no longer waits for {name}, which received every line before line {size}.\n"),
        "{}",
        dropped.err
    );
    let status = auditx(&["ship", "status"], &directory);
    assert!(status.out.contains("has no destinations"), "{}", status.out);
    let recorded = auditx(&["query", "-o", "ndjson", "Shipping"], &directory);
    assert!(
        recorded.out.contains(&format!(
            r#""auditx":{{"destination":"{name}","kind":"shipping_dropped","next":{size}}}"#
        )),
        "{}",
        recorded.out
    );
}

/// Records with retention while an agent ships the trail and is killed a hundred times, then closes the
/// trail.
fn killed_a_hundred_times(url: &str, directory: &Path) -> AuditLogger {
    let config = config(directory)
        .max_file_bytes(65_535)
        .compression(Compression::None)
        .retention(Retention::BackupCount(1));
    let logger = AuditLogger::open(config).unwrap();
    let agent = || {
        let mut agent = command(&["ship", "--batch", "80", "--to", url], directory);
        Child::start(agent.stderr(std::process::Stdio::null()))
    };
    let mut random = Random::seeded();
    // Retention waits for the agent only after it has created its cursor.
    let first = agent();
    wait_until("a cursor", || !auditx_store::shipper_positions(directory).unwrap().is_empty());
    first.signal(Signal::KILL);
    for round in 0..100 {
        record(&logger, round * 300, 300);
        let agent = agent();
        std::thread::sleep(Duration::from_millis(random.below(60)));
        agent.signal(Signal::KILL);
        agent.end();
    }
    logger.close(TIMEOUT).unwrap();
    logger
}

/// Asserts that the copy contains every signed line once and in order.
fn assert_verified(url: &str, logger: &AuditLogger, outside: &Path) {
    let evidence = evidence(logger, outside);
    let verified = ended(without_trail(&["verify", "--json", "--from", url]).args(&evidence));
    assert_eq!(verified.status, Some(0), "{}{}", verified.out, verified.err);
    let answer: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(answer["lines"], logger.checkpoint().unwrap().size(), "{answer}");
    // The retired lines exist only in the copy.
    assert!(logger.metrics().retired > 0, "nothing was retired");
}

#[test]
fn a_killed_agent_leaves_each_line_once_in_a_database() {
    let (server, outside) = (server(), tempfile::tempdir().unwrap());
    let directory = outside.path().join("trail");
    let url = server.url("erp", server.port());
    let logger = killed_a_hundred_times(&url, &directory);
    let count = logger.checkpoint().unwrap().size();
    assert_ne!(server.sql("SELECT count(*) FROM auditx.entry"), "0", "no agent lived long enough");
    let shipped = auditx(&["ship", "--once", "--to", &url], &directory);
    assert_eq!(shipped.status, Some(0), "{}", shipped.err);
    assert_eq!(
        server.sql("SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM auditx.entry"),
        format!("{count}|{count}|0|{}", count - 1)
    );
    assert_verified(&server.url("auditor", server.port()), &logger, outside.path());
}

#[test]
fn a_killed_agent_leaves_each_line_once_in_a_stream() {
    // With rows, of which the kill leaves a part.
    let (server, outside) = (Servers::relaxed(), tempfile::tempdir().unwrap());
    let made = ended(&mut without_trail(&["ship", "init", "--to", &server.url()]));
    assert_eq!(made.status, Some(0), "{}", made.err);
    let directory = outside.path().join("trail");
    let logger = killed_a_hundred_times(&server.url(), &directory);
    let shipped = auditx(&["ship", "--once", "--to", &server.url()], &directory);
    assert_eq!(shipped.status, Some(0), "{}", shipped.err);
    assert_verified(&server.url(), &logger, outside.path());
}

#[test]
fn two_trails_go_through_a_stream_into_one_database() {
    let (server, outside) = (server(), tempfile::tempdir().unwrap());
    let stream = Servers::one("");
    let made = ended(&mut without_trail(&["ship", "init", "--to", &stream.url()]));
    assert!(made.status == Some(0) && made.out.starts_with("Created stream AUDIT.\n"), "{made:?}");
    let (mut keys, mut reports) = (Vec::new(), Vec::new());
    for branch in ["YGN", "MDY"] {
        let directory = outside.path().join(branch);
        let logger = AuditLogger::open(config(&directory)).unwrap();
        for number in 0..300 {
            logger.log(format!("Invoice {number} posted")).branch_id(branch).record().unwrap();
        }
        logger.close(TIMEOUT).unwrap();
        let shipped = auditx(&["ship", "--once", "--to", &stream.url()], &directory);
        assert_eq!(shipped.status, Some(0), "{}", shipped.err);
        let checkpoint = logger.checkpoint().unwrap();
        let id = checkpoint.origin().rsplit('/').next().unwrap().to_owned();
        reports.push(format!("all {} signed lines shipped.", checkpoint.size()));
        keys.push((id, evidence(&logger, &directory)));
    }
    let url = server.url("erp", server.port());
    let drained =
        auditx(&["ship", "--once", "--from", &stream.url(), "--to", &url], &outside.path().join("refused"));
    assert_eq!((drained.status, drained.out.lines().count()), (Some(0), 2), "{drained:?}");
    for (id, report) in keys.iter().map(|(id, _)| id).zip(&reports) {
        let line = drained.out.lines().find(|line| line.contains(id));
        assert!(line.is_some_and(|line| line.ends_with(report)), "{id} {report}: {}", drained.out);
    }

    let auditor = server.url("auditor", server.port());
    let asked = |question: &[&str]| {
        ended(without_trail(&["query", "--from", &auditor, "--count"]).args(question)).out
    };
    assert_eq!(
        [asked(&["branch:MDY"]), asked(&["branch:MDY,YGN", "\"Invoice 7 posted\""])],
        ["300\n", "2\n"]
    );
    for (id, evidence) in &keys {
        for place in [&auditor, &stream.url()] {
            let verified =
                ended(without_trail(&["verify", "--from", place, "--trail-id", &id[..8]]).args(evidence));
            assert_eq!(verified.status, Some(0), "{}{}", verified.out, verified.err);
        }
    }
    let unclear = ended(&mut without_trail(&["verify", "--from", &auditor]));
    assert!(
        unclear.status == Some(2) && keys.iter().all(|(id, _)| unclear.err.contains(id)),
        "{}",
        unclear.err
    );
    let refused = ended(&mut without_trail(&["query", "--from", &stream.url(), "x"]));
    assert!(
        refused.status == Some(2) && refused.err.contains("only a database copy can be searched"),
        "{}",
        refused.err
    );
}

#[test]
fn archived_segments_are_verified() {
    let (store, outside) = (auditx_tests::s3::Server::start(), tempfile::tempdir().unwrap());
    store.make_bucket("audit");
    let directory = outside.path().join("trail");
    let logger = AuditLogger::open(config(&directory).max_file_bytes(65_535)).unwrap();
    record(&logger, 0, 600);
    logger.close(TIMEOUT).unwrap();
    let url = format!("s3://erp:secret@audit/erp?endpoint={}&region=us-east-1", store.endpoint());
    let checked = ended(&mut without_trail(&["ship", "init", "--to", &url]));
    assert!(checked.out.starts_with("Bucket audit can be reached and contains 0 trails."), "{checked:?}");
    let archived = auditx(&["ship", "--once", "--to", &url], &directory);
    assert!(archived.status == Some(0) && archived.out.starts_with("s3-audit-erp: all "), "{archived:?}");
    let kept = outside.path().join("kept");
    let key = evidence(&logger, outside.path());
    let mut verify = without_trail(&["verify", "--from", &url, "--key", &key[1], "--keep"]);
    let verified = ended(verify.arg(&kept));
    // No checkpoint of the archived lines was passed.
    assert_eq!(verified.status, Some(3), "{}{}", verified.out, verified.err);
    assert!(verified.out.contains("no fault was found"), "{}", verified.out);
    let found = auditx(&["query", "--count", "posted"], &kept);
    assert!(found.out.trim().parse::<u64>().unwrap() > 100, "{}", found.out);
}

#[test]
fn an_agent_stops_during_an_outage() {
    let (mut server, outside) = (server(), tempfile::tempdir().unwrap());
    let directory = outside.path().join("trail");
    let logger = AuditLogger::open(config(&directory)).unwrap();
    record(&logger, 0, 100);
    logger.close(TIMEOUT).unwrap();
    server.kill();
    let complaints = outside.path().join("complaints");
    let mut agent: Command = command(&["ship", "--to", &server.url("erp", server.port())], &directory);
    let agent = Child::start(agent.stderr(File::create(&complaints).unwrap()));
    wait_until("a complaint", || fs::read_to_string(&complaints).unwrap().contains("(will retry)"));
    agent.signal(Signal::TERM);
    let (status, said) = agent.end();
    assert!(status.success() && said[0].ends_with("0 lines shipped, 103 waiting."), "{said:?}");
    assert!(!fs::read_to_string(&complaints).unwrap().contains("secret"), "no password is shown");
}
