//! gRPC with tonic: the HTTP status is always 200, and the status of the call is in the trailers.

use auditx_core::StoredEntry;
use auditx_core::testing::TestTrail;
use auditx_tests::served::wait_for_closings;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;

use crate::server::layer;

fn ending(entry: &StoredEntry) -> (Option<u16>, bool, &str, Option<u64>) {
    let grpc = entry.metadata.get("grpc_status").and_then(serde_json::Value::as_u64);
    (entry.status, entry.success, entry.metadata["outcome"].as_str().unwrap(), grpc)
}

#[tokio::test]
async fn success_follows_the_grpc_status() {
    let trail = TestTrail::new();
    let (reporter, health) = health_reporter();
    reporter.set_service_status("erp.Stock", tonic_health::ServingStatus::Serving).await;
    let incoming = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let server = Server::builder().layer(layer(&trail)).add_service(health);
    tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });

    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);
    let service = |name: &str| HealthCheckRequest { service: name.to_owned() };
    client.check(service("erp.Stock")).await.unwrap();
    assert_eq!(client.check(service("erp.Nothing")).await.unwrap_err().code(), tonic::Code::NotFound);
    let closings = wait_for_closings(&trail, 2).await;
    assert_eq!(ending(&closings[0]), (Some(200), true, "completed", Some(0)));
    assert_eq!(closings[0].endpoint, "/grpc.health.v1.Health/Check");
    assert_eq!(ending(&closings[1]), (Some(200), false, "completed", Some(5)));
    assert_eq!(closings[1].level, "WARNING");
    assert!(closings[1].metadata.contains_key("error"));

    let mut watched = client.watch(service("erp.Stock")).await.unwrap().into_inner();
    assert!(watched.message().await.unwrap().is_some());
    drop(watched);
    let left = wait_for_closings(&trail, 3).await.remove(2);
    assert_eq!(ending(&left), (Some(200), false, "body_aborted", Some(2)), "the client reset the stream");
}
