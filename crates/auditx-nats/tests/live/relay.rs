//! Relays a trail from a stream to PostgreSQL.

use auditx_nats::NatsSource;
use auditx_postgres::Postgres;
use auditx_ship::TrailId;
use auditx_tests::postgres::Server;

use super::*;

fn relay(stream: &str, trail: TrailId, state: &Path, database: &Server) -> Shipper {
    let source = NatsSource::new(stream, trail).unwrap();
    let destination = Postgres::new(&database.url("admin", database.port())).unwrap();
    let mut settings = settings();
    settings.lines = 100;
    Shipper::relay(source, state, destination, settings).unwrap()
}

#[test]
fn a_relay_survives_crashes_of_the_stream_and_the_database() {
    let (mut servers, mut database, directory) = (server(), Server::start(), trail(3_000));
    wait(auditx_postgres::init(&database.url("admin", database.port()))).unwrap();
    let shipper = ship(&servers, directory.path());
    let expected = lines(directory.path());
    wait_for_all(&shipper, expected.len());
    stop(shipper);
    let state = tempfile::tempdir().unwrap();
    let trail = wait(async { NatsCopy::open(&servers.url()).await.unwrap().ids().await.unwrap() })[0];
    let relaying = relay(&servers.url(), trail, state.path(), &database);
    let is_past = |relaying: &Shipper, line: u64| {
        assert!(
            relaying.wait_until(Instant::now() + TIMEOUT, |progress| progress.next >= line),
            "{:?}",
            relaying.progress()
        );
    };
    is_past(&relaying, 300);
    database.kill();
    database.start_again();
    is_past(&relaying, 900);
    servers.kill(0);
    servers.start_again(0);
    is_past(&relaying, 1_500);
    stop(relaying);
    // A relay has no cursor: the database reports its last line.
    let relaying = relay(&servers.url(), trail, state.path(), &database);
    wait_for_all(&relaying, expected.len());
    assert!(relaying.progress().sent < expected.len() as u64, "{:?}", relaying.progress());
    stop(relaying);
    let there = database.sql("SELECT line FROM auditx.entry ORDER BY seq");
    assert!(there.lines().eq(&expected));
    let checkpoint = database.sql("SELECT checkpoint FROM auditx.trail");
    assert_eq!(checkpoint.trim_end(), latest_checkpoint(directory.path()).unwrap().as_str().trim_end());
    assert_ne!(database.sql("SELECT count(*) FROM auditx.checkpoint"), "0");
}

#[test]
fn a_relay_stops_while_its_stream_does_not_respond() {
    let (servers, database, directory) = (server(), Server::start(), trail(100));
    wait(auditx_postgres::init(&database.url("admin", database.port()))).unwrap();
    let shipper = ship(&servers, directory.path());
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    let trail = wait(async { NatsCopy::open(&servers.url()).await.unwrap().ids().await.unwrap() })[0];
    let (proxy, state) = (Proxy::before(servers.port(0), Fault::None), tempfile::tempdir().unwrap());
    let relaying = relay(&format!("nats://127.0.0.1:{}", proxy.port()), trail, state.path(), &database);
    wait_for_all(&relaying, lines(directory.path()).len());
    proxy.change(Fault::Blackhole);
    let (sender, stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(relaying.stop(Instant::now())));
    stopped.recv_timeout(TIMEOUT).expect("the relay should stop").unwrap();
}
