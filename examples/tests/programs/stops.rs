//! The service's own end: told to stop, or killed in the middle of its work.

use std::thread;

use serde_json::json;

use crate::client::{CLERK, Client, MANAGER, Request};
use crate::server::{Server, Service};
use crate::trail;

for_each_service! {
    a_service_told_to_stop_closes_idle_connections_and_ends_its_trail,
    a_request_that_outlives_the_grace_leaves_its_entry_before_the_end_of_the_trail,
    a_killed_service_leaves_everything_it_answered_and_the_next_goes_on,
}

fn a_service_told_to_stop_closes_idle_connections_and_ends_its_trail(service: Service) {
    let server = Server::start_with(service, &["--grace", "3600"]);
    let mut idle: Vec<Client> = (0..10).map(|_| server.client()).collect();
    for client in &mut idle {
        assert_eq!(client.ask(&Request::get("/me").token(MANAGER)).status, 200);
    }
    // Stopping checks that the last line is the trail's `close`.
    let entries = server.stop();
    assert_eq!(trail::closings(&entries).len(), idle.len());
    for mut client in idle {
        assert!(client.receive().is_none(), "the connection is closed");
    }
}

fn a_request_that_outlives_the_grace_leaves_its_entry_before_the_end_of_the_trail(service: Service) {
    let server = Server::start_with(service, &["--grace", "1"]);
    let mut client = server.client();
    client.send(&Request::get("/reports/slow").token(MANAGER).id("late").to_bytes());
    trail::wait_for_entry(&server.logs(), "the handler's beginning", |entry| entry.request_id == "late");
    let entries = server.stop();
    let closing = trail::closing(&entries, "late");
    assert_eq!(trail::ending(closing), ("WARNING", Some(499), false, "client_aborted"));
    assert_eq!(closing.user, "thida");
    assert!(client.receive().is_none());
}

fn a_killed_service_leaves_everything_it_answered_and_the_next_goes_on(service: Service) {
    const CLIENTS: usize = 8;
    const ENOUGH: u64 = 1_000;

    let server = Server::start(service);
    let (directory, answered) = thread::scope(|scope| {
        let address = server.address();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || post_until_the_end(&mut Client::connect(address), number)))
            .collect();
        trail::wait_for_entry(&server.logs(), "a trail of some length", |entry| entry.seq >= ENOUGH);
        let directory = server.kill();
        let answered: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        (directory, answered)
    });
    let logs = directory.path().join("logs");
    let killed = trail::read(&logs);
    assert!(killed.iter().all(|entry| trail::kind(entry) != Some("close")), "it was killed");
    assert!(answered.len() > CLIENTS);

    let next = Server::start_in(service, &[], directory);
    assert_eq!(next.ask(&Request::get("/me").token(MANAGER).id("next")).status, 200);
    let entries = next.stop();
    assert_eq!(entries[..killed.len()], killed, "what was recorded stays as it was");
    for id in &answered {
        assert_eq!(trail::recorded_in(&entries, id).len(), 1, "the invoice of {id}");
        assert_eq!(trail::closing(&entries, id).status, Some(201));
    }
    let kinds: Vec<&str> = entries[killed.len()..].iter().filter_map(trail::kind).collect();
    // A kill may leave lines unsigned and tear the one that is being written, which belongs to a request that nobody had an
    // answer to.
    let kinds = kinds.strip_prefix(&["recovered"]).unwrap_or(&kinds);
    assert_eq!(kinds, ["open", "checkpoint", "close"]);
    trail::closing(&entries, "next");
}

/// Posts invoices until there is no answer any more; the ids of the requests that were answered.
fn post_until_the_end(client: &mut Client, number: usize) -> Vec<String> {
    let mut answered = Vec::new();
    loop {
        let id = format!("{number}-{}", answered.len());
        let body = json!({"reference_no": id, "customer": "Golden Trading Co.", "amount": "10.10"});
        match client.try_ask(&Request::post("/sales/invoice", &body).token(CLERK).id(&id)) {
            Some(answer) => assert_eq!((answer.status, answer.id()), (201, id.as_str())),
            None => return answered,
        }
        answered.push(id);
    }
}
