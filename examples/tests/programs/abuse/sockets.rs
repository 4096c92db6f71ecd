//! Malformed, slow and interrupted HTTP/1.

use serde_json::json;

use super::{assert_answers, closings_of};
use crate::client::{Client, MANAGER, Request};
use crate::server::{Server, Service};
use crate::trail;

for_axum_and_actix! {
    only_complete_slow_requests_leave_an_entry,
    a_half_closed_connection_leaves_at_most_one_entry,
    a_reset_in_the_head_leaves_no_entry,
    a_reset_in_the_body_leaves_one_entry,
    ten_thousand_pipelined_requests_leave_one_entry_each,
    a_head_of_a_megabyte_is_refused,
    invalid_utf8_leaves_at_most_one_entry,
    a_slow_download_of_100_megabytes_completes,
}

const CLIENTS: usize = 20;

fn ids(name: &str) -> Vec<String> {
    (0..CLIENTS).map(|number| format!("{name}-{number}")).collect()
}

fn me(id: &str) -> Request {
    Request::get("/me").token(MANAGER).id(id)
}

fn only_complete_slow_requests_leave_an_entry(service: Service) {
    let server = Server::start(service);
    let ids = ids("loris");
    let mut lorises: Vec<(Client, Vec<u8>)> =
        ids.iter().map(|id| (server.client(), me(id).to_bytes())).collect();
    let longest = lorises.iter().map(|(_, request)| request.len()).max().unwrap();
    // One byte of each in turn; every second client stops before its last byte.
    for at in 0..longest {
        for (number, (client, request)) in lorises.iter_mut().enumerate() {
            let end = request.len() - number % 2;
            if at < end {
                client.send(&request[at..=at]);
            }
        }
    }
    for (number, (client, _)) in lorises.iter_mut().enumerate() {
        if number % 2 == 0 {
            assert_eq!(client.receive().unwrap().status, 200);
        }
    }
    drop(lorises);
    assert_answers(&server);
    let closings = closings_of(server);
    assert_eq!(closings.len(), CLIENTS / 2);
    for id in ids.iter().step_by(2) {
        assert_eq!(trail::ending(trail::closing(&closings, id)), ("AUDIT", Some(200), true, "completed"));
    }
}

fn a_half_closed_connection_leaves_at_most_one_entry(service: Service) {
    let server = Server::start(service);
    let ids = ids("half");
    let mut answered = Vec::new();
    for id in &ids {
        let mut client = server.client();
        client.send(&me(id).to_bytes());
        client.finish_sending();
        // A server may answer, drop the request, or, as hyper does, not start it, because the client seems to
        // have disconnected.
        answered.extend((!client.receive_to_end().is_empty()).then_some(id));
    }
    assert_answers(&server);
    let closings = closings_of(server);
    for closing in &closings {
        let (_, _, _, outcome) = trail::ending(trail::closing(&closings, &closing.request_id));
        assert!(["completed", "client_aborted"].contains(&outcome), "{outcome}");
    }
    for id in answered {
        trail::closing(&closings, id);
    }
}

fn a_reset_in_the_head_leaves_no_entry(service: Service) {
    let server = Server::start(service);
    for id in ids("head") {
        let mut client = server.client();
        let request = me(&id).to_bytes();
        client.send(&request[..request.len() - 2]);
        client.reset();
    }
    assert_answers(&server);
    assert!(closings_of(server).is_empty());
}

fn a_reset_in_the_body_leaves_one_entry(service: Service) {
    let server = Server::start(service);
    let ids = ids("body");
    let invoice = json!({"reference_no": "SI-1", "customer": "Golden Trading Co.", "amount": 1});
    for id in &ids {
        let mut client = server.client();
        let request = Request::post("/sales/invoice", &invoice).token(MANAGER).id(id).to_bytes();
        client.send(&request[..request.len() - 5]);
        // The head has certainly arrived.
        client.reset();
    }
    for id in &ids {
        trail::wait_for_closing(&server.logs(), id);
    }
    assert_answers(&server);
    let closings = closings_of(server);
    assert_eq!(closings.len(), CLIENTS);
    for id in &ids {
        assert!(!trail::closing(&closings, id).success);
    }
}

fn ten_thousand_pipelined_requests_leave_one_entry_each(service: Service) {
    const REQUESTS: usize = 10_000;
    let server = Server::start(service);
    let mut client = server.client();
    let mut sender = client.try_clone();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..REQUESTS {
                sender.send(&me(&format!("piped-{number}")).to_bytes());
            }
        });
        for number in 0..REQUESTS {
            let answer = client.receive().unwrap();
            assert_eq!((answer.status, answer.id()), (200, format!("piped-{number}").as_str()));
        }
    });
    let closings = closings_of(server);
    assert_eq!(closings.len(), REQUESTS);
    let in_order = (0..REQUESTS).map(|number| format!("piped-{number}"));
    assert!(closings.iter().map(|entry| entry.request_id.clone()).eq(in_order));
}

fn a_head_of_a_megabyte_is_refused(service: Service) {
    let server = Server::start(service);
    let mut client = server.client();
    let request = me("large").header("X-Note", vec![b'x'; 1 << 20]).to_bytes();
    // The server may close the connection before it has read everything.
    client.try_send(&request);
    let answer = String::from_utf8_lossy(&client.receive_to_end()).into_owned();
    assert!(!answer.contains(" 200 "), "{answer}");
    assert_answers(&server);
    assert!(closings_of(server).is_empty(), "it does not reach the middleware");
}

fn invalid_utf8_leaves_at_most_one_entry(service: Service) {
    let server = Server::start(service);
    let header = server.request(&me("header").header("X-Note", b"\xff\xfe \x80"));
    assert_eq!(header.status, 200);
    let mut expected = vec!["header".to_owned()];
    for (number, path) in
        [b"/\xff\xfe".as_slice(), b"/%ff%00%0a", b"/\xe2\x80\xae", b"/a\x7fb"].iter().enumerate()
    {
        let id = format!("path-{number}");
        let mut client = server.client();
        let head =
            [b"GET ", *path, b" HTTP/1.1\r\nHost: erp.test\r\nX-Request-ID: ", id.as_bytes(), b"\r\n\r\n"];
        client.send(&head.concat());
        let answer = client.receive().unwrap();
        assert!((400..500).contains(&answer.status), "{}", answer.status);
        // The response has the id only if the server passed the request to the middleware.
        expected.extend((answer.header("x-request-id") == Some(id.as_str())).then_some(id));
    }
    assert_answers(&server);
    let closings = closings_of(server);
    let mut seen: Vec<String> = closings.iter().map(|entry| entry.request_id.clone()).collect();
    seen.sort();
    assert_eq!(seen, expected);
}

fn a_slow_download_of_100_megabytes_completes(service: Service) {
    const CHUNKS: usize = 1_600;
    let server = Server::start(service);
    let mut client = server.client();
    client.send(
        &Request::get(&format!("/reports/stream?chunks={CHUNKS}")).token(MANAGER).id("long").to_bytes(),
    );
    assert_eq!(client.receive_head().unwrap().status, 200);
    // The client pauses while others are served, so that the service must hold its data back.
    let len = client.receive_chunks(|number| {
        if number % 100 == 0 {
            assert_answers(&server);
        }
    });
    assert!(len >= 100_000_000, "{len}");
    let closings = closings_of(server);
    assert_eq!(closings.len(), 1);
    let closing = trail::closing(&closings, "long");
    assert_eq!(trail::ending(closing), ("AUDIT", Some(200), true, "completed"));
    assert_eq!(closing.metadata["bytes"], len);
}
