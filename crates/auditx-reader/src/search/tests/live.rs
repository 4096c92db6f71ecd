//! Searches while a real writer seals and compresses segments, removes plain files and writes indexes.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Atomic};
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config, RequestContext};

use super::query;
use crate::search::{Order, Search};

const LONGEST: Duration = Duration::from_secs(60);

/// The maximum number of entries, so that the searches of a debug build end in time.
const MOST: u64 = 30_000;

#[test]
fn a_search_finds_every_line_written_before_it_began() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path()).max_file_bytes(128 * 1024)).unwrap();
    let (stop, flushed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut count = 0_u64;
            while !stop.load(Atomic::Relaxed) && count < MOST {
                let _scope = RequestContext::new().user(format!("user-{}", count % 7)).enter();
                logger.log(format!("entry {count}")).record().unwrap();
                count += 1;
                if count.is_multiple_of(100) {
                    logger.flush(LONGEST).unwrap();
                    flushed.store(count, Atomic::SeqCst);
                }
            }
        });
        let stopping = StopOnDrop(&stop);
        let begin = Instant::now();
        let mut rounds = 0;
        while rounds < 8 || logger.metrics().compressed < 3 {
            assert!(begin.elapsed() < LONGEST, "{:?}", logger.metrics());
            let lines_before = flushed.load(Atomic::SeqCst);
            rounds += 1;
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let (mut seqs, mut users) = (Vec::new(), 0);
                let search = Search::new(directory.path()).order(order).threads(2);
                let summary = search
                    .each(|found| {
                        seqs.push(found.row.seq().unwrap());
                        ControlFlow::Continue(())
                    })
                    .unwrap();
                assert_eq!(
                    (summary.errors.lines(), summary.errors.segments()),
                    (0, 0),
                    "{:?}",
                    summary.errors
                );
                if order == Order::NewestFirst {
                    seqs.reverse();
                }
                assert!(seqs.iter().copied().eq(0..seqs.len() as u64), "a gap or a repetition");
                assert!(seqs.len() as u64 >= lines_before, "{} of {lines_before}", seqs.len());
                search
                    .clone()
                    .query(query("user:user-3"))
                    .each(|_| {
                        users += 1;
                        ControlFlow::Continue(())
                    })
                    .unwrap();
                assert!(users * 7 + seqs.len() / 20 + 50 >= seqs.len(), "{users} of {}", seqs.len());
            }
        }
        drop(stopping);
        writer.join().unwrap();
    });
}

/// Stops the writer even if an assertion fails.
struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Atomic::Relaxed);
    }
}
