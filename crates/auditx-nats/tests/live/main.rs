//! Ships to real NATS servers: each line arrives once, in order and unchanged, whatever fails meanwhile.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod cluster;
mod refusals;
mod relay;

use std::fs;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use auditx_nats::{Nats, NatsCopy, init};
use auditx_reader::{Answer, VerifyOptions, latest_checkpoint, recorded_keys, verify};
use auditx_ship::{
    Batch, CoveringCheckpoint, Destination, Progress, Settings, ShipError, ShippedLine, Shipper, StoredCopy,
    TrailName, dead_letters, restore,
};
use auditx_store::{checkpoint_path, shipper_positions};
use auditx_tests::deadline::{TIMEOUT, wait_for};
use auditx_tests::nats::Servers;
use auditx_tests::proxy::{DRIP, Fault, Proxy};
use auditx_tests::shipping::{lines, open, settings, stop, trail, wait_for_all};
use auditx_tlog::SignedCheckpoint;

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Starts a server with the stream. Its duplicate window is as short as possible.
fn server() -> Servers {
    let server = Servers::one("");
    let said = wait(init(&server.url())).unwrap();
    assert_eq!(said[0], "Created stream AUDIT.");
    wait(async {
        let client = async_nats::connect(format!("127.0.0.1:{}", server.port(0))).await.unwrap();
        let context = jetstream::new(client);
        let config = context.get_stream("AUDIT").await.unwrap().cached_info().config.clone();
        // Shipping must not depend on the duplicate window.
        assert_eq!(config.duplicate_window, Duration::from_millis(100));
    });
    server
}

fn ship_to(url: &str, directory: &Path, settings: Settings) -> Shipper {
    Shipper::spawn(directory, Nats::new(url).unwrap(), settings).unwrap()
}

fn ship(servers: &Servers, directory: &Path) -> Shipper {
    ship_to(&servers.url(), directory, settings())
}

/// Asserts that the stream contains this trail only, with each line once, in order and unchanged, and that
/// the copy verifies.
fn assert_same(url: &str, directory: &Path) {
    assert_all_same(url, &[directory]);
}

/// Asserts the same for several trails.
fn assert_all_same(url: &str, directories: &[&Path]) {
    for directory in directories {
        let (expected, known) = (lines(directory), latest_checkpoint(directory).unwrap());
        // Servers of a cluster that have just started do not respond to all requests yet.
        let restored = wait_for("a copy that can be read", || {
            let restored = tempfile::tempdir().unwrap();
            wait(async {
                let mut copy = NatsCopy::open(url).await.ok()?;
                let trails = copy.trails().await.ok()?;
                assert_eq!(trails.len(), directories.len(), "{trails:?}");
                let stored = trails.iter().find(|stored| stored.origin == known.origin()).unwrap();
                assert_eq!((stored.first, stored.next), (0, expected.len() as u64));
                restore(&mut copy, stored, restored.path(), |_, _| {}).await.ok()
            })?;
            Some(restored)
        });
        assert!(lines(restored.path()) == expected);
        let key = recorded_keys(directory).unwrap()[0].key.clone();
        let options = VerifyOptions::new().key(key).known(known);
        let verification = verify(restored.path(), &options, &mut |_, _| {}).unwrap();
        // The lines were equal a moment ago: what is there now, and is the answer the same?
        let again = || {
            let answer = verify(restored.path(), &options, &mut |_, _| {}).unwrap().answer;
            let (now, known) = (lines(restored.path()), expected.iter().zip(0..));
            let differing: Vec<_> = known.filter(|(line, at)| now.get(*at) != Some(line)).take(2).collect();
            format!("{answer:?} the second time; {} lines, differing: {differing:?}", now.len())
        };
        assert_eq!(verification.answer, Answer::Intact, "{verification:?}; {}", again());
    }
}

/// Returns a trail's name and its lines as a shipper sends them.
fn to_be_shipped(directory: &Path) -> (TrailName, Vec<ShippedLine>) {
    let origin = latest_checkpoint(directory).unwrap().origin().to_owned();
    let name = TrailName { id: origin.rsplit('/').next().unwrap().parse().unwrap(), origin };
    let shipped = lines(directory).into_iter().zip(0..).map(|(line, seq)| {
        let leaf_hash = auditx_tlog::leaf_hash(line.as_bytes());
        ShippedLine { seq, leaf_hash, line }
    });
    (name, shipped.collect())
}

/// Returns the number of messages in the stream, checkpoints included.
fn messages(url: &str) -> u64 {
    wait(async {
        let client = async_nats::connect(url.trim_end_matches("/AUDIT")).await.unwrap();
        let mut stream = jetstream::new(client).get_stream("AUDIT").await.unwrap();
        stream.info().await.unwrap().state.messages
    })
}

#[test]
fn lines_arrive_unchanged_and_once_even_without_a_cursor() {
    let (server, directory) = (server(), tempfile::tempdir().unwrap());
    let again = wait(init(&server.url())).unwrap();
    assert!(again[0].contains("already exists") && again[1].contains("fewer than three"), "{again:?}");
    let shipper = ship(&server, directory.path());
    // The shipper starts before the trail exists, and the trail grows while it is shipped.
    let logger = open(directory.path());
    for number in 0..2_500 {
        logger
            .log(format!("Invoice {number} posted"))
            .company_id(format!("CO {}", number % 3))
            .record()
            .unwrap();
    }
    logger.close(TIMEOUT).unwrap();
    let count = lines(directory.path()).len();
    wait_for_all(&shipper, count);
    stop(shipper);
    assert_same(&server.url(), directory.path());
    let [(name, saved)] = &shipper_positions(directory.path()).unwrap()[..] else { panic!() };
    assert_eq!(*saved, count as u64);

    let before = messages(&server.url());
    fs::remove_file(directory.path().join(format!(".auditx/cursors/ship-{name}"))).unwrap();
    let shipper = ship(&server, directory.path());
    wait_for_all(&shipper, count);
    assert_eq!(shipper.progress().sent, 0, "the stream reports its last line");
    stop(shipper);
    assert_eq!(messages(&server.url()), before);
}

#[test]
fn cut_connections_lose_and_duplicate_nothing() {
    let (server, directory) = (server(), trail(300));
    // Some of the cuts lose the acknowledgement of a stored batch.
    let proxy = Proxy::before(server.port(0), Fault::Cut { first: 1, more: 31 });
    let mut settings = settings();
    settings.lines = 16;
    let shipper = ship_to(&format!("nats://127.0.0.1:{}", proxy.port()), directory.path(), settings);
    wait_for_all(&shipper, lines(directory.path()).len());
    let progress = shipper.progress();
    stop(shipper);
    assert!(proxy.cuts() > 20 && progress.retries.sum() > 20, "{} {progress:?}", proxy.cuts());
    assert!(progress.sent < progress.next, "no acknowledgement was lost: {progress:?}");
    assert_same(&server.url(), directory.path());
}

#[test]
fn a_slow_or_silent_network_loses_nothing() {
    let (server, directory) = (server(), trail(30));
    let proxy = Proxy::before(server.port(0), Fault::Trickle(Duration::from_millis(1)));
    let mut settings = settings();
    settings.lines = 1;
    settings.timeout = Duration::from_millis(4_000);
    let shipper = ship_to(&format!("nats://127.0.0.1:{}", proxy.port()), directory.path(), settings);
    assert!(
        shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.next > 0),
        "{:?}",
        shipper.progress()
    );
    for fault in [DRIP, Fault::Blackhole] {
        let before = shipper.progress().retries.timed_out;
        proxy.change(fault);
        let has_timed_out = |progress: &Progress| progress.retries.timed_out > before;
        assert!(
            shipper.wait_until(Instant::now() + TIMEOUT, has_timed_out),
            "{fault:?} {:?}",
            shipper.progress()
        );
    }
    proxy.change(Fault::None);
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    assert_same(&server.url(), directory.path());
}

#[test]
fn a_server_that_is_killed_repeatedly_stores_each_line_once() {
    let (mut server, directory) = (server(), trail(4_000));
    let mut settings = settings();
    settings.lines = 50;
    let shipper = ship_to(&server.url(), directory.path(), settings);
    let count = lines(directory.path()).len();
    for part in 1..=4 {
        let so_far = (count * part / 6) as u64;
        assert!(shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.next >= so_far));
        server.kill(0);
        server.start_again(0);
    }
    wait_for_all(&shipper, count);
    assert!(shipper.progress().retries.sum() > 0);
    stop(shipper);
    assert_same(&server.url(), directory.path());
}

#[test]
fn two_shippers_of_one_trail_duplicate_nothing() {
    let (server, directory) = (server(), trail(2_000));
    let mut settings = settings();
    settings.lines = 20;
    let shippers = [(); 2].map(|()| ship_to(&server.url(), directory.path(), settings.clone()));
    for shipper in shippers {
        wait_for_all(&shipper, lines(directory.path()).len());
        stop(shipper);
    }
    assert_same(&server.url(), directory.path());
}

#[test]
fn interleaved_trails_are_each_complete_and_in_order() {
    // This server does not sync, so fast batches are used, and the trails interrupt each other's.
    let server = Servers::relaxed();
    wait(init(&server.url())).unwrap();
    let mut settings = settings();
    settings.lines = 100;
    let trails = [trail(8_000), trail(8_000)];
    let shippers = trails
        .each_ref()
        .map(|trail| [(); 2].map(|()| ship_to(&server.url(), trail.path(), settings.clone())));
    for (shippers, trail) in shippers.into_iter().zip(&trails) {
        for shipper in shippers {
            wait_for_all(&shipper, lines(trail.path()).len());
            stop(shipper);
        }
    }
    assert_all_same(&server.url(), &trails.each_ref().map(|trail| trail.path()));
}

#[test]
fn errors_that_an_operator_can_fix_are_retried() {
    let server = Servers::one("authorization { user: erp, password: secret }");
    let directory = trail(100);
    let url = |password: &str| format!("nats://erp:{password}@127.0.0.1:{}", server.port(0));
    let shipper = ship_to(&url("secret"), directory.path(), settings());
    let reports = |shipper: &Shipper, what: &str| {
        let is_reported =
            shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.last_error.contains(what));
        assert!(is_reported, "{what}: {:?}", shipper.progress());
    };
    reports(&shipper, "stream AUDIT does not exist");
    let stranger = ship_to(&url("wrong"), directory.path(), settings());
    reports(&stranger, "authorization violation");
    stop(stranger);
    wait(init(&url("secret"))).unwrap();
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    assert_same(&url("secret"), directory.path());
}

#[test]
fn a_diverged_stream_ends_the_shipper_an_empty_one_is_refilled() {
    let (server, directory) = (server(), trail(200));
    let count = lines(directory.path()).len();
    let shipper = ship(&server, directory.path());
    wait_for_all(&shipper, count);
    stop(shipper);

    // Another trail with the same id, like a copied directory to which further entries were recorded.
    let (checkpoint, other) = (fs::read(checkpoint_path(directory.path())).unwrap(), trail(300));
    let (ours, theirs) =
        (SignedCheckpoint::parse(&checkpoint).unwrap(), latest_checkpoint(other.path()).unwrap());
    let forged = theirs.as_str().replace(theirs.origin(), ours.origin());
    fs::write(checkpoint_path(other.path()), forged).unwrap();
    fs::remove_dir_all(other.path().join(".auditx/checkpoints")).unwrap();
    let shipper = ship(&server, other.path());
    let ended = |progress: &Progress| progress.state == auditx_ship::State::Ended;
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, ended), "{:?}", shipper.progress());
    let error = shipper.stop(Instant::now() + TIMEOUT).unwrap_err();
    assert!(error.is_diverged() && error.to_string().contains(&format!("line {}", count - 1)), "{error}");

    wait(async {
        let client = async_nats::connect(format!("127.0.0.1:{}", server.port(0))).await.unwrap();
        let context = jetstream::new(client);
        let stream = context.get_stream("AUDIT").await.unwrap();
        assert!(
            stream.purge().await.is_err() && stream.delete_message(1).await.is_err(),
            "nothing can be removed"
        );
        context.delete_stream("AUDIT").await.unwrap();
        init(&server.url()).await.unwrap();
    });
    let shipper = ship(&server, directory.path());
    wait_for_all(&shipper, count);
    assert_eq!(shipper.progress().regressions, 1);
    stop(shipper);
    assert_same(&server.url(), directory.path());
}

#[test]
fn one_reachable_server_of_the_address_is_enough() {
    let server = server();
    let [down, down_too] = auditx_tests::tool::free_ports();
    let url = format!("nats://127.0.0.1:{down},127.0.0.1:{down_too},127.0.0.1:{}/AUDIT", server.port(0));
    // The servers are tried in random order.
    for _ in 0..10 {
        wait(NatsCopy::open(&url)).unwrap();
    }
}

#[test]
fn a_shipper_stops_during_an_outage_and_continues_later() {
    let (mut server, directory) = (server(), trail(500));
    server.kill(0);
    let shipper = ship(&server, directory.path());
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.retries.unreachable > 2));
    let (progress, trail) = (shipper.progress(), lines(directory.path()));
    let bytes: usize = trail.iter().map(|line| line.len() + 1).sum();
    assert_eq!((progress.lag(), progress.lag_bytes), (trail.len() as u64, Some(bytes as u64)));
    assert!(progress.age() > Duration::ZERO, "{progress:?}");
    shipper.stop(Instant::now()).unwrap();
    server.start_again(0);
    let shipper = ship(&server, directory.path());
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    assert_same(&server.url(), directory.path());
}
