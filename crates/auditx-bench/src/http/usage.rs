//! What a process has used: CPU time, also of each thread, allocations and memory.

use std::collections::BTreeMap;
use std::path::Path;

use auditx_tests::allocations::allocations_of_process;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::memory::Memory;
use crate::quantile::float;

/// Counted from the start of the process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Usage {
    /// The CPU time in nanoseconds, of ended threads too.
    cpu_ns: u64,
    allocations: u64,
    resident_kib: u64,
    /// The CPU time of the threads with each name, as the kernel shortens it.
    threads: BTreeMap<String, u64>,
}

/// What was used for each request.
#[derive(Debug, Clone)]
pub(super) struct PerRequest {
    pub(super) cpu_us: f64,
    pub(super) allocations: f64,
    /// The memory of the process after the load.
    pub(super) resident_mib: f64,
    pub(super) threads_us: BTreeMap<String, f64>,
}

impl Usage {
    pub(super) fn of_this_process() -> Outcome<Self> {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let cpu_ns = u64::try_from(i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec))?;
        let mut threads = BTreeMap::new();
        for thread in std::fs::read_dir("/proc/self/task")? {
            // A thread may end meanwhile.
            if let Ok((name, time)) = thread_time(&thread?.path()) {
                *threads.entry(name).or_default() += time;
            }
        }
        let resident_kib = Memory::of_this_process()?.resident;
        Ok(Self { cpu_ns, allocations: allocations_of_process(), resident_kib, threads })
    }

    /// Returns what was used from `before` to `after` the load, and in all until `end`, for each request.
    pub(super) fn per_request(before: &Self, after: &Self, end: &Self, requests: f64) -> PerRequest {
        let micros = |time: u64, earlier: u64| float(time.saturating_sub(earlier)) / 1_000.0 / requests;
        let earlier = |name: &String| before.threads.get(name).copied().unwrap_or_default();
        PerRequest {
            cpu_us: micros(end.cpu_ns, before.cpu_ns),
            allocations: float(after.allocations.saturating_sub(before.allocations)) / requests,
            resident_mib: float(after.resident_kib) / 1024.0,
            threads_us: after
                .threads
                .iter()
                .map(|(name, time)| (name.clone(), micros(*time, earlier(name))))
                .collect(),
        }
    }
}

/// Returns name and CPU time of a thread.
fn thread_time(task: &Path) -> Outcome<(String, u64)> {
    let name = std::fs::read_to_string(task.join("comm"))?.trim().to_owned();
    // Nanoseconds on a processor, nanoseconds waiting for one, number of turns.
    let times = std::fs::read_to_string(task.join("schedstat"))?;
    let time = times.split(' ').next().ok_or("an empty schedstat")?.parse()?;
    Ok((name, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_thread_is_counted_under_its_name() {
        let before = Usage::of_this_process().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("busy".to_owned()).spawn(move || {
            while Usage::of_this_process().unwrap().threads["busy"] < 2_000_000 {}
            receive.recv().ok();
        });
        let mut after = Usage::of_this_process().unwrap();
        while after.threads.get("busy").is_none_or(|time| *time < 2_000_000) {
            after = Usage::of_this_process().unwrap();
        }
        send.send(()).unwrap();
        thread.unwrap().join().unwrap();
        let used = Usage::per_request(&before, &after, &after, 2.0);
        assert!(used.threads_us["busy"] >= 1_000.0 && used.cpu_us >= 1_000.0, "{used:?}");
    }
}
