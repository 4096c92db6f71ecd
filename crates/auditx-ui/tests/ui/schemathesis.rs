//! The API does what its description says: schemathesis makes requests from the description, valid and
//! invalid ones, and compares each answer with it.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use auditx_core::RequestContext;
use auditx_tests::tool::python_module;
use auditx_ui::{Dashboard, Key, Viewer};
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use serde_json::json;

use crate::server::{HOSTILE, Server, TIMEOUT, Trail};

const KEY: &str = "a key of sixteen bytes or more";

/// Entries of every kind: with changes, relations, control records, failures, hostile text.
fn trail() -> Trail {
    let trail = Trail::with(12);
    let _scope = RequestContext::new().user("thida").session_id("s1").request_id("r1").enter();
    for amount in [100, 120] {
        let entry = trail.logger.log("Customer corrected").entity("customer", "CUST-220");
        let entry = entry.old_values(json!({ "limit": amount, "name": HOSTILE, "address": { "zip": 1 } }));
        entry.new_values(json!({ "limit": amount * 2, "name": "Golden" })).record().unwrap();
    }
    trail.logger.log_security("Login failed").user(HOSTILE).success(false).record().unwrap();
    trail.logger.flush(TIMEOUT).unwrap();
    trail
}

/// Serves each request as if it came from another address: wrong keys are tried on purpose, and would
/// otherwise make the right one wait.
fn from_many_addresses(router: Router) -> Router {
    let number = Arc::new(AtomicU32::new(u32::from(Ipv4Addr::new(10, 0, 0, 0))));
    router.layer(from_fn(move |mut request: Request, next: Next| {
        let ip = Ipv4Addr::from(number.fetch_add(1, Ordering::Relaxed));
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((ip, 1))));
        next.run(request)
    }))
}

#[test]
fn answers_are_as_the_description_says() {
    let trail = trail();
    let dashboard = Dashboard::new(&trail.logger).unwrap().hosts(["127.0.0.1"]);
    let dashboard = dashboard.key(Key::new(KEY).unwrap(), Viewer::new("mya"));
    let server = Server::serving(from_many_addresses(dashboard.router()));
    let folder = tempfile::tempdir().unwrap();
    // A request that finds nothing to check, or parameters that are never valid, are warnings.
    std::fs::write(folder.path().join("schemathesis.toml"), "[warnings]\nfail-on = true\n").unwrap();
    let output = Command::new("python3")
        .args(["-m", "schemathesis.cli", "run", &server.url("/api/v1/openapi.json"), "--no-color"])
        .args(["--checks", "all", "--seed", "20", "--max-examples", "25", "--workers", "2"])
        .args(["--header", &format!("Authorization: Bearer {KEY}"), "--generation-database", "none"])
        // Its events never end; the tests of streaming read them.
        .args(["--exclude-path", "/stream"])
        // A machine that does other work at the same time is slow, which is no fault of the API.
        .args(["--suppress-health-check", "too_slow", "--request-timeout", "60"])
        .env("PYTHONPATH", python_module("schemathesis"))
        .env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ui/schemathesis.py"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "schemathesis ended with {}:\n{report}\n{errors}", output.status);
}
