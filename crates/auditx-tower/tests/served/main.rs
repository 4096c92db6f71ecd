//! The layer in real servers with real clients: with other middleware, upgrades, streams and gRPC.
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
