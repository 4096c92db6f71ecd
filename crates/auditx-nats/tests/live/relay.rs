//! Out of a stream into PostgreSQL.

use super::*;
use auditx_nats::NatsSource;
use auditx_postgres::Postgres;
use auditx_ship::TrailId;
use auditx_tests::postgres::Server;

fn relay(stream: &str, trail: TrailId, state: &Path, database: &Server) -> Shipper {
    let source = NatsSource::new(stream, trail).unwrap();
    let destination = Postgres::new(&database.url("admin", database.port())).unwrap();
    let mut settings = settings();
    settings.lines = 100;
    Shipper::relay(source, state, destination, settings).unwrap()
}

#[test]
fn a_stream_is_drained_into_a_database_whichever_of_them_is_killed() {
    let (mut servers, mut database, directory) = (server(), Server::start(), trail(3_000));
    wait(auditx_postgres::init(&database.url("admin", database.port()))).unwrap();
    let shipper = ship(&servers, directory.path());
    let expected = lines(directory.path());
    wait_for_all(&shipper, expected.len());
    stop(shipper);
    let state = tempfile::tempdir().unwrap();
    let trail = wait(async { NatsCopy::open(&servers.url()).await.unwrap().ids().await.unwrap() })[0];
    let drain = relay(&servers.url(), trail, state.path(), &database);
    let is_past = |drain: &Shipper, line: u64| {
        assert!(
            drain.wait_until(Instant::now() + PATIENCE, |progress| progress.next >= line),
            "{:?}",
            drain.progress()
        );
    };
    is_past(&drain, 300);
    database.kill();
    database.start_again();
    is_past(&drain, 900);
    servers.kill(0);
    servers.start_again(0);
    is_past(&drain, 1_500);
    stop(drain);
    // Nothing is remembered here: the database says how far it is.
    let drain = relay(&servers.url(), trail, state.path(), &database);
    wait_for_all(&drain, expected.len());
    assert!(drain.progress().sent < expected.len() as u64, "{:?}", drain.progress());
    stop(drain);
    let there = database.sql("SELECT line FROM auditx.entry ORDER BY seq");
    assert!(there.lines().eq(&expected));
    let note = database.sql("SELECT checkpoint FROM auditx.trail");
    assert_eq!(note.trim_end(), latest_checkpoint(directory.path()).unwrap().as_str().trim_end());
    assert_ne!(database.sql("SELECT count(*) FROM auditx.checkpoint"), "0");
}

#[test]
fn a_drain_whose_stream_falls_silent_stops_when_it_is_told_to() {
    let (servers, database, directory) = (server(), Server::start(), trail(100));
    wait(auditx_postgres::init(&database.url("admin", database.port()))).unwrap();
    let shipper = ship(&servers, directory.path());
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    let trail = wait(async { NatsCopy::open(&servers.url()).await.unwrap().ids().await.unwrap() })[0];
    let (proxy, state) = (Proxy::before(servers.port(0), Fault::None), tempfile::tempdir().unwrap());
    let drain = relay(&format!("nats://127.0.0.1:{}", proxy.port()), trail, state.path(), &database);
    wait_for_all(&drain, lines(directory.path()).len());
    proxy.change(Fault::Blackhole);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(drain.stop(Instant::now())));
    told.recv_timeout(PATIENCE).expect("it stops").unwrap();
}
