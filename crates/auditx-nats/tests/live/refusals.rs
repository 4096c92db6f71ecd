//! What is refused: by a fence, by a limit.

use super::*;
use async_nats::jetstream::stream::Config;

#[test]
fn a_shipper_that_comes_late_is_fenced_whatever_the_server_remembers() {
    let (server, directory) = (server(), trail(10));
    let (trail, shipped) = handed_over(directory.path());
    let note = Note { checkpoint: latest_checkpoint(directory.path()).unwrap(), is_boundary: true };
    let batch = Batch::new(trail.clone(), Some(note), shipped).unwrap();
    wait(async {
        let [mut one, mut other] = [(); 2].map(|()| Nats::new(&server.url()).unwrap());
        assert!(one.last(trail.id).await.unwrap().is_none() && other.last(trail.id).await.unwrap().is_none());
        assert_eq!(one.send(&batch).await.unwrap(), batch.last());
        assert!(matches!(other.send(&batch).await.unwrap_err(), ShipError::Fenced));
        assert!(matches!(other.send(&batch).await.unwrap_err(), ShipError::Fenced), "it has to ask first");
        assert_eq!(other.last(trail.id).await.unwrap(), Some(batch.last()));
    });
    assert_eq!(messages(&server.url()), batch.lines().len() as u64 + 1);
}

#[test]
fn a_late_row_stores_nothing() {
    let (server, directory) = (server(), trail(300));
    let (trail, shipped) = handed_over(directory.path());
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

/// A stream on a server, and what else is to hold for it.
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
fn a_line_that_is_too_large_for_the_server_or_the_stream_is_parked_once_and_its_stub_keeps_the_proof_whole() {
    for server in
        [with_limits("max_payload: 8192", |_| {}), with_limits("", |config| config.max_message_size = 8_192)]
    {
        let directory = tempfile::tempdir().unwrap();
        let logger = open(directory.path());
        logger.log("small").record().unwrap();
        logger.log("large").metadata("scan", "x".repeat(9_000)).record().unwrap();
        logger.log("small again").record().unwrap();
        logger.close(PATIENCE).unwrap();
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
        let stub = auditx_core::leaf_of(stored[seq].line.as_bytes()).unwrap();
        assert!(stub.is_erased && stub.hash == auditx_core::leaf_hash(lines[seq].as_bytes()));
    }
}

#[test]
fn a_row_that_breaks_is_not_gone_on_with_behind_the_gap() {
    let server = with_limits("", |config| {
        (config.max_messages_per_subject, config.discard_new_per_subject) = (200, true);
    });
    let directory = trail(300);
    let (name, shipped) = handed_over(directory.path());
    let note = Note { checkpoint: latest_checkpoint(directory.path()).unwrap(), is_boundary: true };
    let batch = |lines: &[Shipped], note| Batch::new(name.clone(), note, lines.to_vec()).unwrap();
    wait(async {
        let mut nats = Nats::new(&server.url()).unwrap();
        nats.last(name.id).await.unwrap();
        nats.send(&batch(&shipped[..100], None)).await.unwrap();
        let kept = nats.send(&batch(&shipped[100..], Some(note))).await.unwrap();
        assert_eq!(kept, shipped[199].position());
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
fn a_row_ends_where_another_shipper_of_its_trail_comes_in_between() {
    let (server, directory) = (server(), trail(300));
    let (name, shipped) = handed_over(directory.path());
    let batch = |from: usize, count: usize| {
        Batch::new(name.clone(), None, shipped[from..from + count].to_vec()).unwrap()
    };
    let proxy = Proxy::before(server.port(0), Fault::None);
    let next = wait(async {
        let mut slow = Nats::new(&format!("nats://127.0.0.1:{}", proxy.port())).unwrap();
        slow.last(name.id).await.unwrap();
        slow.send(&batch(0, 100)).await.unwrap();
        // Some milliseconds a line: time enough to come in between, and not to lose patience.
        proxy.change(Fault::Trickle(Duration::from_micros(1)));
        let intruder = async {
            let mut nats = Nats::new(&server.url()).unwrap();
            loop {
                let next = usize::try_from(nats.last(name.id).await.unwrap().unwrap().seq + 1).unwrap();
                assert!(next < 170, "the row was too fast");
                if next > 105 && nats.send(&batch(next, 10)).await.is_ok() {
                    return next;
                }
                tokio::task::yield_now().await;
            }
        };
        let row = batch(100, 80);
        let (kept, next) = tokio::join!(slow.send(&row), intruder);
        assert_eq!(kept.unwrap(), shipped[next - 1].position());
        next
    });
    assert_eq!(messages(&server.url()), next as u64 + 10);
}
