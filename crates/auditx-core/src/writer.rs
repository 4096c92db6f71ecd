//! The writer's thread: fdatasync for many at once, sealing by age, waking followers. Callers never wait for it
//! unless they ask for durability.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app_log::AppLog;
use crate::config::Durability;
use crate::error::{Error, Result};
use crate::journal::Direct;
use crate::metrics::Counters;
use crate::segment::ACTIVE;
use crate::watermark::Watermark;

/// How soon followers hear of a line that nobody waits for.
const TICK: Duration = Duration::from_millis(5);

/// How often an idle writer looks whether a segment has grown old, since clocks may be set.
const AGE_CHECK: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    journal: Arc<Direct>,
    watermark: Arc<Watermark>,
    durability: Durability,
    counters: Arc<Counters>,
    app_log: Arc<AppLog>,
    stopping: AtomicBool,
}

impl Writer {
    pub(crate) fn start(
        journal: Arc<Direct>,
        watermark: Arc<Watermark>,
        durability: Durability,
        counters: Arc<Counters>,
        app_log: Arc<AppLog>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            journal,
            watermark,
            durability,
            counters,
            app_log,
            stopping: AtomicBool::new(false),
        });
        let thread = std::thread::Builder::new()
            .name("auditx-writer".to_owned())
            .spawn({
                let shared = shared.clone();
                move || shared.run()
            })
            .map_err(|error| Error::storage("cannot start the writer's thread", "auditx-writer", error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Syncs what is there and ends the thread.
    pub(crate) fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.watermark.wake_writer();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.shared.app_log.trouble("the writer's thread panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self) {
        let mut announced = self.watermark.written();
        let mut unsynced_since: Option<Instant> = None;
        loop {
            let stopping = self.stopping.load(Ordering::SeqCst);
            self.journal.appender().seal_if_old();
            let written = self.watermark.written();
            let dirty = written > self.watermark.durable();
            if dirty && unsynced_since.is_none() {
                unsynced_since = Some(Instant::now());
            }
            if dirty && (stopping || self.is_sync_due(unsynced_since)) {
                unsynced_since = None;
                if self.sync().is_err() {
                    // Poisoned: nothing more will ever be synced.
                    return;
                }
            } else if written > announced {
                self.watermark.notify();
            }
            announced = written;
            if stopping && self.watermark.written() == self.watermark.durable() {
                return;
            }
            self.rest(announced);
        }
    }

    fn is_sync_due(&self, unsynced_since: Option<Instant>) -> bool {
        self.watermark.is_sync_wanted()
            || match self.durability {
                Durability::Interval(interval) => {
                    unsynced_since.is_some_and(|since| since.elapsed() >= interval)
                }
                Durability::EveryEntry => true,
                Durability::Os => false,
            }
    }

    fn rest(&self, announced: u64) {
        let written = self.watermark.written();
        let syncs_later = written > self.watermark.durable() && self.durability != Durability::Os;
        let idle = written == announced && !syncs_later;
        let pause = if idle {
            self.journal.appender().age_left().map(|left| left.min(AGE_CHECK))
        } else {
            Some(TICK)
        };
        self.watermark.wait_for_work(pause.map(|pause| Instant::now() + pause), idle, || {
            self.stopping.load(Ordering::SeqCst)
                || self.watermark.is_sync_wanted()
                || (idle && self.watermark.written() > announced)
        });
    }

    /// One fdatasync for every line written so far. Callers go on meanwhile.
    fn sync(&self) -> Result<()> {
        let (file, len, next_seq) = {
            let appender = self.journal.appender();
            let (file, len) = appender.active_file();
            (file, len, appender.next_seq())
        };
        let fault = match file.sync_data().and_then(|()| file.len()) {
            Ok(found) if found >= len => {
                self.counters.fsyncs.add(1);
                self.watermark.publish_durable(next_seq);
                return Ok(());
            }
            Ok(found) => Error::corrupt(format!(
                "somebody cut the active segment from {len} to {found} bytes (logrotate's copytruncate?); \
                 the trail takes no more entries"
            )),
            Err(error) => Error::storage(
                "cannot sync the active segment; the trail takes no more entries",
                ACTIVE,
                error,
            ),
        };
        self.counters.fsync_failures.add(1);
        self.journal.appender().poison(&fault);
        self.watermark.poison(&fault);
        self.app_log.trouble(&fault.to_string());
        Err(fault)
    }
}
