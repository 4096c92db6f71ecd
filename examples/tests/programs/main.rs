//! The example programs as they are run: real processes, real connections, real kills.
//!
//! Every test of the services is one function that runs against each; what it waits for, it sees in the trail.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

/// Makes a test of each function, once for each service.
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

/// The same for the two whose adapters are the library's own.
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
mod endings;
mod jobs;
mod stops;
