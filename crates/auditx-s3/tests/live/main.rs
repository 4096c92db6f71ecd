//! Archives to a real S3 server: each sealed segment is stored once and unchanged, whatever fails meanwhile.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Cadence, Compression, Config, Retention};
use auditx_reader::{Answer, Verification, VerifyOptions, latest_checkpoint, recorded_keys, verify};
use auditx_s3::{S3, S3Copy};
use auditx_ship::{Progress, Shipper, State, StoredCopy, restore};
use auditx_store::{sealed_segments, shipper_positions};
use auditx_tests::deadline::{TIMEOUT, wait_until};
use auditx_tests::proxy::{Fault, Proxy};
use auditx_tests::s3::Server;
use auditx_tests::shipping::{lines, settings, stop};

const BUCKET: &str = "audit";

const BUSY: &str = "HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const TOO_MANY: &str = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Starts a server with a bucket that has Object Lock.
fn server() -> Server {
    let server = Server::start();
    server.make_bucket(BUCKET);
    server
}

fn url(port: u16) -> String {
    format!("s3://erp:secret@{BUCKET}/erp?endpoint=http://127.0.0.1:{port}&region=us-east-1")
}

fn config(directory: &Path) -> Config {
    Config::new(directory).max_file_bytes(65_535).checkpoints(Cadence::new(Duration::from_millis(20), 100))
}

fn record(logger: &AuditLogger, count: usize) {
    for number in 0..count {
        logger.log(format!("Invoice {number} posted")).metadata("pad", "x".repeat(800)).record().unwrap();
    }
}

/// Creates a closed trail with some sealed segments. Returns the sequence number of the first line after
/// them.
fn trail(directory: &Path, config: Config, count: usize) -> u64 {
    let logger = AuditLogger::open(config).unwrap();
    record(&logger, count);
    logger.close(TIMEOUT).unwrap();
    end_of_sealed(directory)
}

/// Returns the sequence number of the first line of the active segment.
fn end_of_sealed(directory: &Path) -> u64 {
    let active = fs::read(directory.join("audit.jsonl")).unwrap();
    let first = active.split(|byte| *byte == b'\n').next().unwrap();
    auditx_tlog::parse_seq(first).unwrap()
}

fn archive(directory: &Path, port: u16) -> Shipper {
    Shipper::spawn_archive(directory, S3::new(&url(port)).unwrap(), settings()).unwrap()
}

fn wait_for_all(shipper: &Shipper, end: u64) {
    let is_done = shipper.wait_until(Instant::now() + TIMEOUT, |progress| {
        progress.state == State::CaughtUp && progress.next == end
    });
    assert!(is_done, "{:?} of {end}", shipper.progress());
}

/// Restores a trail from the archive and verifies it.
fn verified(server: &Server) -> (tempfile::TempDir, Verification) {
    let restored = tempfile::tempdir().unwrap();
    wait(async {
        let mut copy = S3Copy::open(&url(server.port())).unwrap();
        let trails = copy.trails().await.unwrap();
        let [stored] = &trails[..] else { panic!("{trails:?}") };
        restore(&mut copy, stored, restored.path(), |_, _| {}).await.unwrap();
    });
    let key = recorded_keys(restored.path()).unwrap()[0].key.clone();
    let known = latest_checkpoint(restored.path()).unwrap();
    let options = VerifyOptions::new().key(key).known(known);
    let verification = verify(restored.path(), &options, &mut |_, _| {}).unwrap();
    (restored, verification)
}

fn assert_same(server: &Server, directory: &Path, end: u64) {
    let (restored, verification) = verified(server);
    assert_eq!((verification.answer, verification.lines), (Answer::Intact, end), "{verification:?}");
    let expected = lines(directory);
    let found = lines(restored.path());
    assert!(
        found
            .iter()
            .rev()
            .zip(expected.iter().take(usize::try_from(end).unwrap()).rev())
            .all(|(one, other)| one == other)
    );
}

/// Returns the names of all objects.
fn objects(server: &Server) -> Vec<String> {
    let listing = server.curl(&[&format!("{}/{BUCKET}?list-type=2&prefix=erp%2F", server.endpoint())]);
    listing.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned()).collect()
}

#[test]
fn plain_and_compressed_segments_are_archived_once() {
    let server = server();
    let directory = tempfile::tempdir().unwrap();
    let end = trail(directory.path(), config(directory.path()).compression(Compression::None), 400);
    let shipper = archive(directory.path(), server.port());
    wait_for_all(&shipper, end);
    let segments = sealed_segments(directory.path()).unwrap().len();
    assert!(segments > 3 && objects(&server).len() == 2 * segments, "{:?}", objects(&server));
    // The archiver continues while the trail grows and its sealed segments are compressed.
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    record(&logger, 300);
    wait_until("the compression of every sealed segment", || {
        logger.metrics().compressed >= logger.metrics().seals
    });
    logger.close(TIMEOUT).unwrap();
    let end = end_of_sealed(directory.path());
    wait_for_all(&shipper, end);
    stop(shipper);
    assert_same(&server, directory.path(), end);
    let before = objects(&server);
    let [(name, saved)] = &shipper_positions(directory.path()).unwrap()[..] else { panic!() };
    assert_eq!(*saved, end);
    fs::remove_file(directory.path().join(format!(".auditx/cursors/ship-{name}"))).unwrap();
    let shipper = archive(directory.path(), server.port());
    wait_for_all(&shipper, end);
    assert_eq!(shipper.progress().sent, 0, "the archive reports its last line");
    stop(shipper);
    assert_eq!(objects(&server), before);
}

#[test]
fn two_archivers_and_a_missing_manifest_duplicate_nothing() {
    let server = server();
    let directory = tempfile::tempdir().unwrap();
    let end = trail(directory.path(), config(directory.path()), 400);
    let shippers = [(); 2].map(|()| archive(directory.path(), server.port()));
    for shipper in shippers {
        wait_for_all(&shipper, end);
        stop(shipper);
    }
    let all = objects(&server);
    assert_eq!(all.len(), 2 * sealed_segments(directory.path()).unwrap().len());
    // As if the archiver had crashed after storing the segment and before storing its manifest.
    let newest = all.iter().rfind(|name| name.ends_with(".json")).unwrap();
    let deleted = server.curl(&["-X", "DELETE", &format!("{}/{BUCKET}/{newest}", server.endpoint())]);
    assert!(deleted.starts_with("HTTP/1.1 204"), "{deleted}");
    let shipper = archive(directory.path(), server.port());
    wait_for_all(&shipper, end);
    assert_eq!(shipper.progress().regressions, 1);
    stop(shipper);
    assert_same(&server, directory.path(), end);
}

#[test]
fn a_killed_server_and_cut_connections_lose_nothing() {
    let (mut server, directory) = (server(), tempfile::tempdir().unwrap());
    let end = trail(directory.path(), config(directory.path()), 1_500);
    let proxy = Proxy::before(server.port(), Fault::Cut { first: 1, more: 97 });
    let shipper = archive(directory.path(), proxy.port());
    assert!(
        shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.next > end / 4),
        "{:?}",
        shipper.progress()
    );
    server.kill();
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.state == State::Waiting));
    server.start_again();
    proxy.change(Fault::Blackhole);
    proxy.change(Fault::None);
    wait_for_all(&shipper, end);
    assert!(shipper.progress().retries.unreachable > 5, "{:?}", shipper.progress());
    stop(shipper);
    assert_same(&server, directory.path(), end);
}

#[test]
fn a_missing_bucket_is_retried_while_retention_waits() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let shipper = archive(directory.path(), server.port());
    let logger = AuditLogger::open(config(directory.path()).retention(Retention::BackupCount(0))).unwrap();
    record(&logger, 300);
    logger.flush(TIMEOUT).unwrap();
    let is_reported = |progress: &Progress| progress.state == State::Waiting && progress.retries.sum() > 2;
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, is_reported), "{:?}", shipper.progress());
    assert_eq!(logger.metrics().retired, 0);
    server.make_bucket(BUCKET);
    wait_until("retirement", || {
        record(&logger, 10);
        logger.metrics().retired > 3
    });
    logger.close(TIMEOUT).unwrap();
    let end = end_of_sealed(directory.path());
    wait_for_all(&shipper, end);
    stop(shipper);
    let (restored, verification) = verified(&server);
    assert_eq!((verification.answer, verification.lines), (Answer::Intact, end), "{verification:?}");
    assert_eq!(lines(restored.path()).len() as u64, end, "the archive contains retired segments");
}

#[test]
fn refusals_of_all_kinds_are_retried() {
    let (mut server, directory) = (server(), tempfile::tempdir().unwrap());
    let end = trail(directory.path(), config(directory.path()), 300);
    // A real store cannot be made to send these responses on demand.
    let proxy = Proxy::before(server.port(), Fault::Answer(BUSY));
    let shipper = archive(directory.path(), proxy.port());
    for (answer, status) in [(BUSY, "503"), (UNAUTHORIZED, "401"), (TOO_MANY, "429")] {
        let before = shipper.progress().retries.sum();
        proxy.change(Fault::Answer(answer));
        let is_reported =
            |progress: &Progress| progress.retries.sum() > before + 2 && progress.last_error.contains(status);
        assert!(
            shipper.wait_until(Instant::now() + TIMEOUT, is_reported),
            "{status} {:?}",
            shipper.progress()
        );
    }
    assert_eq!(objects(&server).len(), 0);
    let progress = shipper.progress();
    let sealed: u64 = sealed_segments(directory.path())
        .unwrap()
        .iter()
        .map(|segment| fs::metadata(&segment.path).unwrap().len())
        .sum();
    assert_eq!((progress.lag(), progress.lag_bytes), (end, Some(sealed)));
    assert!(progress.age() > Duration::ZERO, "{progress:?}");
    // The store itself sends 403, because its password has been changed.
    server.change_password("another");
    proxy.change(Fault::None);
    let is_reported = |progress: &Progress| progress.last_error.contains("403");
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, is_reported), "{:?}", shipper.progress());
    server.change_password("secret");
    wait_for_all(&shipper, end);
    stop(shipper);
    assert_same(&server, directory.path(), end);
}

#[test]
fn a_segment_under_a_retention_rule_cannot_be_removed() {
    let (server, directory) = (server(), tempfile::tempdir().unwrap());
    let bucket = format!("{}/{BUCKET}", server.endpoint());
    let rule = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>\
        <DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule>\
        </ObjectLockConfiguration>";
    let file = directory.path().join("rule.xml");
    fs::write(&file, rule).unwrap();
    let ruled = server.curl(&["-T", file.to_str().unwrap(), &format!("{bucket}?object-lock=")]);
    assert!(ruled.contains("HTTP/1.1 200"), "{ruled}");
    let end = trail(directory.path(), config(directory.path()), 300);
    let shipper = archive(directory.path(), server.port());
    wait_for_all(&shipper, end);
    stop(shipper);
    for name in objects(&server) {
        let head = server.curl(&["-I", &format!("{bucket}/{name}")]).to_lowercase();
        let version = head.split("x-amz-version-id: ").nth(1).unwrap().split_whitespace().next().unwrap();
        assert!(head.contains("x-amz-object-lock-mode: compliance"), "{head}");
        let deleted = server.curl(&["-X", "DELETE", &format!("{bucket}/{name}?versionId={version}")]);
        assert!(deleted.starts_with("HTTP/1.1 403"), "{deleted}");
    }
    assert_same(&server, directory.path(), end);
}

#[test]
fn an_altered_segment_is_found_and_ends_the_archiver() {
    let server = server();
    let directory = tempfile::tempdir().unwrap();
    let end = trail(directory.path(), config(directory.path()), 300);
    let shipper = archive(directory.path(), server.port());
    wait_for_all(&shipper, end);
    stop(shipper);
    // The owner of the bucket can put a newer version over an object; the lock protects the older version.
    let second = objects(&server).into_iter().filter(|name| name.ends_with(".zst")).nth(1).unwrap();
    let first = sealed_segments(directory.path()).unwrap()[1].first_seq;
    let text: String = lines(directory.path())
        .iter()
        .skip(usize::try_from(first).unwrap())
        .take_while(|line| {
            auditx_tlog::parse_seq(line.as_bytes())
                < Some(sealed_segments(directory.path()).unwrap()[2].first_seq)
        })
        .map(|line| {
            format!("{line}\n").replacen(
                "posted",
                "voided",
                usize::from(line.contains(&format!("\"seq\":{}", first + 5))),
            )
        })
        .collect();
    let forged = directory.path().join("forged.zst");
    fs::write(&forged, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    let put =
        server.curl(&["-T", forged.to_str().unwrap(), &format!("{}/{BUCKET}/{second}", server.endpoint())]);
    assert!(put.contains("HTTP/1.1 200"), "{put}");
    let (_, verification) = verified(&server);
    assert_eq!(verification.answer, Answer::Broken);
    let fault = verification.fault.unwrap();
    assert!(fault.seq <= Some(first + 5) && fault.message.contains("between line"), "{fault:?}");

    // Without its manifest, the segment is archived again and the archiver finds the forged object.
    let manifests = objects(&server).into_iter().filter(|name| name.ends_with(".json")).skip(1);
    for manifest in manifests {
        let deleted = server.curl(&["-X", "DELETE", &format!("{}/{BUCKET}/{manifest}", server.endpoint())]);
        assert!(deleted.starts_with("HTTP/1.1 204"), "{deleted}");
    }
    let shipper = archive(directory.path(), server.port());
    let ended = |progress: &Progress| progress.state == State::Ended;
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, ended), "{:?}", shipper.progress());
    let error = shipper.stop(Instant::now() + TIMEOUT).unwrap_err();
    assert!(error.is_diverged() && error.to_string().contains(&format!("line {first} ")), "{error}");
}
