//! Services that are stopped with SIGTERM or killed.

use std::thread;

use serde_json::json;

use crate::client::{CLERK, Client, MANAGER, Request};
use crate::server::{Server, Service};
use crate::trail;

for_each_service! {
    a_stopping_service_closes_idle_connections,
    a_request_longer_than_the_grace_period_leaves_its_entry,
    a_killed_service_keeps_everything_it_answered,
}

fn a_stopping_service_closes_idle_connections(service: Service) {
    let server = Server::start_with(service, &["--grace", "3600"]);
    let mut idle: Vec<Client> = (0..10).map(|_| server.client()).collect();
    for client in &mut idle {
        assert_eq!(client.request(&Request::get("/me").token(MANAGER)).status, 200);
    }
    // `stop` checks that the trail's last line is `close`.
    let entries = server.stop();
    assert_eq!(trail::closings(&entries).len(), idle.len());
    for mut client in idle {
        assert!(client.receive().is_none(), "the connection is closed");
    }
}

fn a_request_longer_than_the_grace_period_leaves_its_entry(service: Service) {
    let server = Server::start_with(service, &["--grace", "1"]);
    let mut client = server.client();
    client.send(&Request::get("/reports/slow").token(MANAGER).id("late").to_bytes());
    trail::wait_for_entry(&server.logs(), "the start of the handler", |entry| entry.request_id == "late");
    let entries = server.stop();
    let closing = trail::closing(&entries, "late");
    assert_eq!(trail::ending(closing), ("WARNING", Some(499), false, "client_aborted"));
    assert_eq!(closing.user, "thida");
    assert!(client.receive().is_none());
}

fn a_killed_service_keeps_everything_it_answered(service: Service) {
    const CLIENTS: usize = 8;
    const MIN_ENTRIES: u64 = 1_000;

    let server = Server::start(service);
    let (directory, answered) = thread::scope(|scope| {
        let address = server.address();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || post_until_the_end(&mut Client::connect(address), number)))
            .collect();
        trail::wait_for_entry(&server.logs(), "a trail of some length", |entry| entry.seq >= MIN_ENTRIES);
        let directory = server.kill();
        let answered: Vec<String> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        (directory, answered)
    });
    let logs = directory.path().join("logs");
    let killed = trail::read(&logs);
    assert!(killed.iter().all(|entry| trail::kind(entry) != Some("close")), "it was killed");
    assert!(answered.len() > CLIENTS);

    let next = Server::start_in(service, &[], directory);
    assert_eq!(next.request(&Request::get("/me").token(MANAGER).id("next")).status, 200);
    let entries = next.stop();
    assert_eq!(entries[..killed.len()], killed, "recorded entries do not change");
    for id in &answered {
        assert_eq!(trail::recorded_in(&entries, id).len(), 1, "the invoice of {id}");
        assert_eq!(trail::closing(&entries, id).status, Some(201));
    }
    let kinds: Vec<&str> = entries[killed.len()..].iter().filter_map(trail::kind).collect();
    // A kill may leave unsigned lines and a torn last line; a torn line belongs to a request without an
    // answer.
    let kinds = kinds.strip_prefix(&["recovered"]).unwrap_or(&kinds);
    assert_eq!(kinds, ["open", "checkpoint", "close"]);
    trail::closing(&entries, "next");
}

/// Posts invoices until the service no longer answers. Returns the ids of the answered requests.
fn post_until_the_end(client: &mut Client, number: usize) -> Vec<String> {
    let mut answered = Vec::new();
    loop {
        let id = format!("{number}-{}", answered.len());
        let body = json!({"reference_no": id, "customer": "Golden Trading Co.", "amount": "10.10"});
        match client.try_request(&Request::post("/sales/invoice", &body).token(CLERK).id(&id)) {
            Some(answer) => assert_eq!((answer.status, answer.id()), (201, id.as_str())),
            None => return answered,
        }
        answered.push(id);
    }
}
