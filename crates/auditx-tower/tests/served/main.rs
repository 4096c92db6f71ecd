//! The layer under real servers with real clients: beside other middleware, under upgrades, streams and gRPC.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bodies;
mod composition;
mod durable;
mod grpc;
mod routes;
mod secrets;
mod server;
mod streams;
mod upgrades;
