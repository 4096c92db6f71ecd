//! A stream on a cluster of three servers.

use super::*;

/// Creates the stream on all three servers.
fn with_stream(servers: Servers) -> Servers {
    // The cluster elects its leader first.
    let said = wait_for("a stream on three servers", || wait(init(&servers.url())).ok());
    assert_eq!(said[0], "Created stream AUDIT.");
    assert!(!said.iter().any(|line| line.contains("fewer than three")), "{said:?}");
    servers
}

/// Returns the number of the server that is the stream's leader.
fn leader(servers: &Servers) -> usize {
    let hosts: Vec<String> = (0..3).map(|number| format!("127.0.0.1:{}", servers.port(number))).collect();
    wait_for("a leader", || {
        wait(async {
            let client = async_nats::connect(&hosts).await.ok()?;
            let mut stream = jetstream::new(client).get_stream("AUDIT").await.ok()?;
            let name = stream.info().await.ok()?.cluster.clone()?.leader?;
            name.trim_start_matches('n').parse().ok()
        })
    })
}

fn is_past(shipper: &Shipper, line: u64) {
    let is_there = shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.next >= line);
    assert!(is_there, "{:?}", shipper.progress());
}

#[test]
fn a_cluster_that_loses_servers_stores_each_line_once() {
    let (mut servers, directory) = (with_stream(Servers::three()), tempfile::tempdir().unwrap());
    let logger = open(directory.path());
    let mut settings = settings();
    settings.lines = 20;
    settings.timeout = Duration::from_secs(2);
    let shipper = ship_to(&servers.url(), directory.path(), settings);
    let mut count = 0;
    let mut record = |more: u64| {
        for _ in 0..more {
            logger.log(format!("Invoice {count} posted")).record().unwrap();
            count += 1;
        }
        logger.flush(TIMEOUT).unwrap();
        count
    };

    is_past(&shipper, record(300));
    let first = leader(&servers);
    let follower = (first + 1) % 3;
    servers.kill(follower);
    is_past(&shipper, record(300));
    servers.start_again(follower);

    let first = leader(&servers);
    servers.kill(first);
    is_past(&shipper, record(300));
    servers.start_again(first);
    is_past(&shipper, record(100));

    // Two of three servers are down: nothing may be acknowledged, and the cursor does not advance.
    let lead = leader(&servers);
    let others = [(lead + 1) % 3, (lead + 2) % 3];
    others.iter().for_each(|number| servers.kill(*number));
    let before = shipper.progress();
    record(300);
    let is_stalled = |progress: &Progress| progress.retries.sum() > before.retries.sum() + 2;
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, is_stalled), "{:?}", shipper.progress());
    let [(_, saved)] = &shipper_positions(directory.path()).unwrap()[..] else { panic!() };
    assert!(
        shipper.progress().next == before.next && *saved <= before.next,
        "{before:?} {:?}",
        shipper.progress()
    );
    others.iter().for_each(|number| servers.start_again(*number));

    logger.close(TIMEOUT).unwrap();
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    assert_same(&servers.url(), directory.path());
}

#[test]
fn a_partitioned_follower_loses_and_duplicates_nothing() {
    let (servers, between) = Servers::three_with_proxies();
    let (servers, directory) = (with_stream(servers), tempfile::tempdir().unwrap());
    let logger = open(directory.path());
    let shipper = ship_to(&servers.url(), directory.path(), settings());
    let record = |name: &str| {
        for number in 0..20 {
            logger.log(format!("Invoice {name}-{number} posted")).record().unwrap();
        }
        logger.flush(TIMEOUT).unwrap();
        logger.checkpoint().map_or(0, |checkpoint| checkpoint.size())
    };
    is_past(&shipper, record("before"));
    let route = &between[leader(&servers)];
    let before = route.cuts();
    route.change(Fault::Down);
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        record("meanwhile");
        std::thread::sleep(Duration::from_millis(250));
    }
    assert!(route.cuts() > before, "no connection was cut");
    route.change(Fault::None);
    record("after");
    logger.close(TIMEOUT).unwrap();
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    assert_same(&servers.url(), directory.path());
}
