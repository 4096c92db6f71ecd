//! Serves a witness over HTTP.

use std::sync::Arc;

use auditx_tlog::Submission;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::answer::Answer;
use crate::witness::Witness;

/// Returns a router with `POST /add-checkpoint` (C2SP tlog-witness) and, at `/`, the public key of the
/// witness.
pub fn router(witness: Arc<Witness>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/", get(key))
        .layer(DefaultBodyLimit::max(Submission::MAX_BYTES))
        .with_state(witness)
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: Bytes) -> Response {
    let answer = witness.submit(&body).await;
    let (status, text) = answer.http();
    let kind = match answer {
        Answer::Conflict(_) => "text/x.tlog.size",
        _ => "text/plain; charset=utf-8",
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn key(State(witness): State<Arc<Witness>>) -> String {
    format!("{}\n", witness.key())
}
