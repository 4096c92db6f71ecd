//! Refused batches: other shippers of the same trail, and limits of the server.

use super::*;
use async_nats::jetstream::stream::Config;

#[test]
fn a_late_shipper_is_fenced_beyond_the_duplicate_window() {
    let (server, directory) = (server(), trail(10));
    let (trail, shipped) = to_be_shipped(directory.path());
    let checkpoint =
        CoveringCheckpoint { signed: latest_checkpoint(directory.path()).unwrap(), is_boundary: true };
    let batch = Batch::new(trail.clone(), Some(checkpoint), shipped).unwrap();
    wait(async {
        let [mut one, mut other] = [(); 2].map(|()| Nats::new(&server.url()).unwrap());
        assert!(one.last(trail.id).await.unwrap().is_none() && other.last(trail.id).await.unwrap().is_none());
        assert_eq!(one.send(&batch).await.unwrap(), batch.last());
        assert!(matches!(other.send(&batch).await.unwrap_err(), ShipError::Fenced));
        assert!(
            matches!(other.send(&batch).await.unwrap_err(), ShipError::Fenced),
            "the last line must be requested first"
        );
        assert_eq!(other.last(trail.id).await.unwrap(), Some(batch.last()));
    });
    assert_eq!(messages(&server.url()), batch.lines().len() as u64 + 1);
}

#[test]
fn a_late_fast_batch_stores_nothing() {
    let (server, directory) = (server(), trail(300));
    let (trail, shipped) = to_be_shipped(directory.path());
    let batch = |from: usize| Batch::new(trail.clone(), None, shipped[from..from + 100].to_vec()).unwrap();
    wait(async {
        let [mut one, mut other] = [(); 2].map(|()| Nats::new(&server.url()).unwrap());
        other.last(trail.id).await.unwrap();
        other.send(&batch(0)).await.unwrap();
        one.last(trail.id).await.unwrap();
        one.send(&batch(100)).await.unwrap();
        assert_eq!(other.send(&batch(100)).await.unwrap(), batch(100).last());
    });
    assert_eq!(messages(&server.url()), 200);
}

/// Starts a server with further settings, and creates the stream with a changed configuration.
fn with_limits(more: &str, limit: impl FnOnce(&mut Config)) -> Servers {
    let server = Servers::one(more);
    wait(init(&server.url())).unwrap();
    change(&server, limit);
    server
}

fn change(server: &Servers, limit: impl FnOnce(&mut Config)) {
    wait(async {
        let client = async_nats::connect(format!("127.0.0.1:{}", server.port(0))).await.unwrap();
        let context = jetstream::new(client);
        let mut config = context.get_stream("AUDIT").await.unwrap().cached_info().config.clone();
        limit(&mut config);
        context.update_stream(config).await.unwrap();
    });
}

#[test]
fn a_line_over_the_size_limit_is_parked_and_replaced_by_a_stub() {
    for server in
        [with_limits("max_payload: 8192", |_| {}), with_limits("", |config| config.max_message_size = 8_192)]
    {
        let directory = tempfile::tempdir().unwrap();
        let logger = open(directory.path());
        logger.log("small").record().unwrap();
        logger.log("large").metadata("scan", "x".repeat(9_000)).record().unwrap();
        logger.log("small again").record().unwrap();
        logger.close(TIMEOUT).unwrap();
        let shipper = ship(&server, directory.path());
        let lines = lines(directory.path());
        wait_for_all(&shipper, lines.len());
        assert_eq!(shipper.progress().parked, 1);
        stop(shipper);
        let seq = lines.iter().position(|line| line.contains("large")).unwrap();
        let [(name, _)] = &shipper_positions(directory.path()).unwrap()[..] else { panic!() };
        assert_eq!(dead_letters(directory.path(), name).unwrap(), [seq as u64]);
        let stored = wait(async {
            let mut copy = NatsCopy::open(&server.url()).await.unwrap();
            let trail = copy.ids().await.unwrap()[0];
            copy.lines(trail, 0).await.unwrap()
        });
        assert_eq!(stored.len(), lines.len());
        let stub = auditx_tlog::leaf_of(stored[seq].line.as_bytes()).unwrap();
        assert!(stub.is_erased && stub.hash == auditx_tlog::leaf_hash(lines[seq].as_bytes()));
    }
}

#[test]
fn a_fast_batch_that_fails_leaves_no_gap() {
    let server = with_limits("", |config| {
        (config.max_messages_per_subject, config.discard_new_per_subject) = (200, true);
    });
    let directory = trail(300);
    let (name, shipped) = to_be_shipped(directory.path());
    let checkpoint =
        CoveringCheckpoint { signed: latest_checkpoint(directory.path()).unwrap(), is_boundary: true };
    let batch =
        |lines: &[ShippedLine], checkpoint| Batch::new(name.clone(), checkpoint, lines.to_vec()).unwrap();
    wait(async {
        let mut nats = Nats::new(&server.url()).unwrap();
        nats.last(name.id).await.unwrap();
        nats.send(&batch(&shipped[..100], None)).await.unwrap();
        let stored = nats.send(&batch(&shipped[100..], Some(checkpoint))).await.unwrap();
        assert_eq!(stored, shipped[199].position());
    });
    assert_eq!(messages(&server.url()), 200);
    change(&server, |config| {
        (config.max_messages_per_subject, config.discard_new_per_subject) = (-1, false);
    });
    let shipper = ship(&server, directory.path());
    wait_for_all(&shipper, shipped.len());
    stop(shipper);
    assert_same(&server.url(), directory.path());
}

#[test]
fn a_fast_batch_ends_at_the_first_line_of_another_shipper() {
    let (server, directory) = (server(), trail(300));
    let (name, shipped) = to_be_shipped(directory.path());
    let batch = |from: usize, count: usize| {
        Batch::new(name.clone(), None, shipped[from..from + count].to_vec()).unwrap()
    };
    let proxy = Proxy::before(server.port(0), Fault::None);
    let next = wait(async {
        let mut slow = Nats::new(&format!("nats://127.0.0.1:{}", proxy.port())).unwrap();
        slow.last(name.id).await.unwrap();
        slow.send(&batch(0, 100)).await.unwrap();
        // Some milliseconds per line: slow enough for the other shipper, fast enough not to time out.
        proxy.change(Fault::Trickle(Duration::from_micros(1)));
        let intruder = async {
            let mut nats = Nats::new(&server.url()).unwrap();
            loop {
                let next = usize::try_from(nats.last(name.id).await.unwrap().unwrap().seq + 1).unwrap();
                assert!(next < 170, "the fast batch was not interrupted");
                if next > 105 && nats.send(&batch(next, 10)).await.is_ok() {
                    return next;
                }
                tokio::task::yield_now().await;
            }
        };
        let fast = batch(100, 80);
        let (stored, next) = tokio::join!(slow.send(&fast), intruder);
        assert_eq!(stored.unwrap(), shipped[next - 1].position());
        next
    });
    assert_eq!(messages(&server.url()), next as u64 + 10);
}
