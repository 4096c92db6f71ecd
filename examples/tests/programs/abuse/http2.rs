//! HTTP/2: a thousand streams over one connection, half of which the client resets.

use std::net::SocketAddr;

use h2::client::{ResponseFuture, SendRequest};
use http::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{assert_answers, closings_of};
use crate::client::MANAGER;
use crate::server::{Server, Service};
use crate::trail;

for_axum_and_actix! {
    a_thousand_streams_leave_a_thousand_entries,
}

const STREAMS: usize = 1_000;
/// Less than the servers' limit of concurrent streams.
const CONCURRENT: usize = 50;

fn a_thousand_streams_leave_a_thousand_entries(service: Service) {
    let server = Server::start(service);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(send_a_thousand_requests(server.address()));
    drop(runtime);
    assert_answers(&server);
    let closings = closings_of(server);
    assert_eq!(closings.len(), STREAMS);
    for number in 0..STREAMS {
        let closing = trail::closing(&closings, &format!("stream-{number}"));
        let expected = if number % 2 == 0 {
            ("AUDIT", Some(200), true, "completed")
        } else {
            ("WARNING", Some(200), false, "body_aborted")
        };
        assert_eq!(trail::ending(closing), expected);
    }
}

async fn send_a_thousand_requests(address: SocketAddr) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut tasks = JoinSet::new();
    for number in 0..STREAMS {
        if tasks.len() == CONCURRENT {
            tasks.join_next().await.unwrap().unwrap();
        }
        let client = client.clone();
        tasks.spawn(async move {
            if number % 2 == 0 { read(client, number).await } else { reset(client, number).await }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    drop(client);
    connection.await.unwrap().unwrap();
}

async fn send(client: SendRequest<bytes::Bytes>, path: &str, number: usize) -> ResponseFuture {
    let request = Request::get(format!("http://erp.test{path}"))
        .header("authorization", format!("Bearer {MANAGER}"))
        .header("x-request-id", format!("stream-{number}"))
        .body(())
        .unwrap();
    client.ready().await.unwrap().send_request(request, true).unwrap().0
}

/// Reads the whole response.
async fn read(client: SendRequest<bytes::Bytes>, number: usize) {
    let response = send(client, "/me", number).await.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let len = data.unwrap().len();
        body.flow_control().release_capacity(len).unwrap();
    }
}

/// Reads the head of a response that is longer than the flow-control window, and resets the stream.
async fn reset(client: SendRequest<bytes::Bytes>, number: usize) {
    let response = send(client, "/reports/stream?chunks=64", number).await.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // Dropping the body resets its stream.
    drop(response);
}
