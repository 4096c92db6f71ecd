//! Tests of the service of several processes: one trail, whichever worker served a request.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use auditx_core::StoredEntry;
use auditx_tests::deadline::wait_for;
use rustix::process::{Pid, Signal, kill_process};

use crate::server::{Server, Service};
use crate::trail;

/// Posts an order over a connection of its own. Returns the process that served it; `None` if that ended.
fn post(address: SocketAddr, order: u32) -> Option<i32> {
    let mut connection = TcpStream::connect(address).ok()?;
    let head = format!("POST /orders/{order} HTTP/1.1\r\nHost: erp.test\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes()).ok()?;
    let mut response = String::new();
    connection.read_to_string(&mut response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{response}");
    body.parse().ok()
}

/// Ends the load also if the test fails.
struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Returns how often each order is in the trail.
fn orders(entries: &[StoredEntry]) -> HashMap<u32, usize> {
    let mut found = HashMap::new();
    for number in entries.iter().filter_map(|entry| entry.reference_no.strip_prefix("SO-")) {
        *found.entry(number.parse().unwrap()).or_insert(0) += 1;
    }
    found
}

#[test]
fn all_workers_record_into_one_trail() {
    let server = Server::start_with(Service::Prefork, &["--workers", "4"]);
    let mut workers = HashSet::new();
    let mut posted = 0;
    while posted < 40 || workers.len() < 4 {
        posted += 1;
        workers.insert(post(server.address(), posted).unwrap());
    }
    let entries = server.stop();
    assert_eq!(orders(&entries), (1..=posted).map(|order| (order, 1)).collect());
    assert_eq!(trail::closings(&entries).len(), usize::try_from(posted).unwrap());
    let ids: HashSet<&str> = entries.iter().map(|entry| entry.request_id.as_str()).collect();
    assert!(ids.len() > usize::try_from(posted).unwrap(), "each request has its own id");
}

#[test]
fn kills_and_rolling_restarts_under_load_lose_no_order() {
    let server = Server::start_with(Service::Prefork, &["--workers", "4"]);
    let (next, done) = (AtomicU32::new(1), AtomicBool::new(false));
    let answered: Mutex<Vec<(u32, i32)>> = Mutex::default();
    let known = || answered.lock().unwrap().iter().map(|(_, worker)| *worker).collect::<HashSet<_>>();
    thread::scope(|scope| {
        let _done = Done(&done);
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let order = next.fetch_add(1, Ordering::SeqCst);
                    if let Some(worker) = post(server.address(), order) {
                        answered.lock().unwrap().push((order, worker));
                    }
                }
            });
        }
        let mut ending = HashSet::new();
        for _ in 0..3 {
            wait_for("four workers", || (known().len() >= 4).then_some(()));
            // One that serves now.
            let answers = answered.lock().unwrap().len();
            let latest = || {
                let answered = answered.lock().unwrap();
                let mut workers = answered[answers..].iter().map(|(_, worker)| *worker);
                workers.find(|worker| !ending.contains(worker))
            };
            let killed = wait_for("an answer", latest);
            let seen = known().len();
            kill_process(Pid::from_raw(killed).unwrap(), Signal::KILL).unwrap();
            wait_for("a new worker", || (known().len() > seen).then_some(()));
            ending = known();
            server.signal(Signal::HUP);
            wait_for("new workers", || (known().len() > seen + 4).then_some(()));
        }
    });
    let found = orders(&server.stop());
    for (order, worker) in answered.into_inner().unwrap() {
        assert_eq!(found.get(&order), Some(&1), "order {order}, served by {worker}");
    }
    assert!(found.values().all(|count| *count == 1), "each at most once");
}
