//! Tests of the example programs with real processes, connections and kills.
//!
//! A test of the services is one function that runs against each of them. It waits for entries in the trail.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

/// Defines a test for each function and each service.
macro_rules! for_each_service {
    ($($test:ident,)*) => {
        mod axum {
            $(#[test] fn $test() { super::$test($crate::server::Service::Axum) })*
        }
        mod actix {
            $(#[test] fn $test() { super::$test($crate::server::Service::Actix) })*
        }
        mod poem {
            $(#[test] fn $test() { super::$test($crate::server::Service::Poem) })*
        }
    };
}

/// Defines a test for each function and each of the services whose adapters are crates of this workspace.
macro_rules! for_axum_and_actix {
    ($($test:ident,)*) => {
        mod axum {
            $(#[test] fn $test() { super::$test($crate::server::Service::Axum) })*
        }
        mod actix {
            $(#[test] fn $test() { super::$test($crate::server::Service::Actix) })*
        }
    };
}

mod client;
mod quick_start;
mod redis;
mod server;
mod trail;

mod aborts;
mod abuse;
mod business;
mod deployment;
mod claims;
mod copies;
mod crowd;
mod dashboard;
mod endings;
mod jobs;
mod prefork;
mod sqlite_capture;
mod three_witnesses;
mod stops;
