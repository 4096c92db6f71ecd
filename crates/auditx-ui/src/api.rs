//! The HTTP API, version 1, which `openapi.json` describes.

mod parameters;
mod answer;
mod entries;
mod history;
mod stats;
mod verify;
mod export;
mod stream;
mod description;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, get};

use crate::dashboard::Dashboard;
use crate::problem::Problem;

/// Returns the routes below `/api/v1`.
pub(crate) fn router() -> Router<Arc<Dashboard>> {
    let router = Router::new();
    routes().into_iter().fold(router, |router, (path, method)| router.route(path, method)).fallback(unknown)
}

/// Each path, as in the description.
fn routes() -> [(&'static str, MethodRouter<Arc<Dashboard>>); 12] {
    [
        ("/entries", get(entries::entries)),
        ("/entries/{seq}", get(entries::entry)),
        ("/entries/{seq}/proof", get(entries::proof)),
        ("/entries/{seq}/related", get(entries::related)),
        ("/history", get(history::history)),
        ("/stats", get(stats::stats)),
        ("/verify", get(verify::outcome).post(verify::check)),
        ("/export/{format}", get(export::export)),
        ("/export/bundle", get(export::bundle)),
        ("/stream", get(stream::stream)),
        ("/openapi.json", get(description::description)),
        ("/healthz", get(health)),
    ]
}

/// Says that the server runs. Needs no viewer.
async fn health() -> &'static str {
    "ok"
}

async fn unknown() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "the API has no such path").json()
}
