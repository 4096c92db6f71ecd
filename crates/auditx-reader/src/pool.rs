//! Runs jobs on several threads and delivers their results in the order of the jobs.
//!
//! Each job has a short queue for its results. A thread that takes a job registers its queue, so the results
//! come in the order of the jobs no matter which thread is faster. The length and the number of the
//! queues bound the memory: a thread that is far ahead waits.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::{Error, Result};

/// The settings of a pool.
pub(crate) struct Pool {
    /// Part of the threads' names.
    pub(crate) name: &'static str,
    pub(crate) threads: usize,
    /// How many results of one job may wait to be taken.
    pub(crate) waiting: usize,
    /// How many jobs may be ahead of the one whose results are taken.
    pub(crate) ahead: usize,
}

/// Where a job puts its results.
pub(crate) struct Output<R>(SyncSender<R>);

impl<R> Output<R> {
    /// Queues a result; blocks while the queue is full. Returns `Break` once results are no longer wanted.
    pub(crate) fn put(&self, result: R) -> ControlFlow<()> {
        match self.0.send(result) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// The jobs that no thread has taken.
struct Jobs<J, R> {
    jobs: J,
    /// `None` once there are no more jobs to take.
    queues: Option<SyncSender<Receiver<R>>>,
}

impl<J: Iterator, R> Jobs<J, R> {
    /// Takes the next job and registers the queue for its results. Returns `None` at the end, or if no more
    /// results are taken.
    fn take(&mut self, waiting: usize) -> Option<(J::Item, Output<R>)> {
        let queues = self.queues.as_ref()?;
        let taken = self.jobs.next().and_then(|job| {
            let (results, queue) = sync_channel(waiting);
            queues.send(queue).ok()?;
            Some((job, Output(results)))
        });
        if taken.is_none() {
            self.queues = None;
        }
        taken
    }
}

/// Stops giving out jobs if its thread panics; otherwise the caller could wait for results forever.
struct EndOnPanic<'c, J, R>(&'c Mutex<Jobs<J, R>>);

impl<J, R> Drop for EndOnPanic<'_, J, R> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).queues = None;
        }
    }
}

impl Pool {
    /// Runs `work` on every job, on several threads, each with a state made by `init`; a thread stops when
    /// `work` breaks. Calls `take` on the calling thread with the results in the order of the jobs, until
    /// `take` breaks. Returns the states.
    ///
    /// `work` may break only after [`Output::put`] did: jobs that no thread takes would be waited for.
    ///
    /// # Errors
    /// `is_storage` if no thread can be started.
    pub(crate) fn run<J: Iterator + Send, R: Send, S: Send>(
        &self,
        jobs: J,
        init: &(impl Fn() -> S + Sync),
        work: &(impl Fn(&mut S, J::Item, &Output<R>) -> ControlFlow<()> + Sync),
        mut take: impl FnMut(R) -> ControlFlow<()>,
    ) -> Result<Vec<S>> {
        let (queues, taken) = sync_channel(self.ahead);
        let jobs = Mutex::new(Jobs { jobs, queues: Some(queues) });
        let work = || {
            let _end = EndOnPanic(&jobs);
            let mut state = init();
            loop {
                let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).take(self.waiting);
                let Some((job, output)) = job else { return state };
                if work(&mut state, job, &output).is_break() {
                    return state;
                }
            }
        };
        thread::scope(|scope| {
            // Moved into the closure and so dropped on every return: blocked threads then fail to send.
            let taken: Receiver<Receiver<R>> = taken;
            let mut workers = Vec::with_capacity(self.threads);
            for number in 0..self.threads {
                let name = format!("auditx-{}-{number}", self.name);
                match thread::Builder::new().name(name.clone()).spawn_scoped(scope, work) {
                    Ok(worker) => workers.push(worker),
                    Err(error) if number == 0 => {
                        return Err(Error::storage("cannot start a thread to read", name.as_ref(), error));
                    }
                    // The threads already started do all the work.
                    Err(_) => break,
                }
            }
            let mut flow = ControlFlow::Continue(());
            while flow.is_continue()
                && let Ok(results) = taken.recv()
            {
                flow = results.into_iter().try_for_each(&mut take);
            }
            drop(taken);
            let join = |worker: thread::ScopedJoinHandle<'_, S>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            Ok(workers.into_iter().map(join).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn pool(threads: usize) -> Pool {
        Pool { name: "test", threads, waiting: 1, ahead: 2 }
    }

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let mut taken = Vec::new();
        let work = |count: &mut usize, job: usize, output: &Output<(usize, usize)>| {
            *count += 1;
            (0..3).try_for_each(|part| output.put((job, part)))
        };
        let counts = pool(4).run(0..100, &|| 0, &work, |result| {
            taken.push(result);
            ControlFlow::Continue(())
        });
        let expected: Vec<_> = (0..100).flat_map(|job| (0..3).map(move |part| (job, part))).collect();
        assert_eq!(taken, expected);
        assert_eq!(counts.unwrap().iter().sum::<usize>(), 100);
    }

    #[test]
    fn a_break_ends_all_threads() {
        let worked = AtomicUsize::new(0);
        let work = |(): &mut (), job: usize, output: &Output<usize>| {
            worked.fetch_add(1, Ordering::Relaxed);
            while output.put(job).is_continue() {}
            ControlFlow::Continue(())
        };
        let states = pool(3).run(0..1_000_000, &|| (), &work, |_| ControlFlow::Break(()));
        assert_eq!(states.unwrap().len(), 3);
        assert!(worked.load(Ordering::Relaxed) < 100, "most jobs are not begun");
    }

    #[test]
    fn no_job_is_made_once_no_more_results_are_taken() {
        let made = AtomicUsize::new(0);
        let jobs = std::iter::repeat_with(|| made.fetch_add(1, Ordering::Relaxed));
        let work = |(): &mut (), job: usize, output: &Output<usize>| {
            // Each thread asks for another job, although nobody takes results any more.
            let _is_taken = output.put(job);
            ControlFlow::Continue(())
        };
        pool(16).run(jobs, &|| (), &work, |_| ControlFlow::Break(())).unwrap();
        // The first one, those ahead of it, and the one whose queue was not taken.
        assert!(made.load(Ordering::Relaxed) <= 1 + 2 + 1, "{made:?}");
    }

    #[test]
    fn a_panic_of_a_thread_is_not_swallowed() {
        let run = || {
            let work = |(): &mut (), job: usize, _: &Output<()>| {
                assert_ne!(job, 5, "the sixth job");
                ControlFlow::Continue(())
            };
            drop(pool(2).run(0..10, &|| (), &work, ControlFlow::Continue));
        };
        assert!(std::panic::catch_unwind(run).is_err());
    }
}
