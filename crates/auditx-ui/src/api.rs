//! The HTTP API, version 1: entries as JSON, proofs, health.

use std::sync::Arc;

use auditx_reader::Order;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::blocking;
use crate::dashboard::{Dashboard, Read};
use crate::entry_page::{Numbered, one_line, read_of_entry};
use crate::guard::Visit;
use crate::page::Hit;
use crate::position::Position;
use crate::problem::Problem;
use crate::proof;
use crate::selection::Parameters;

/// The default and the largest number of entries of one answer.
const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1_000;

/// Parameters of a list of entries besides those of a search.
#[derive(Debug, Deserialize)]
pub(crate) struct Listing {
    #[serde(default)]
    order: String,
    limit: Option<u64>,
    /// Where the answer before this one ended.
    #[serde(default)]
    cursor: String,
}

pub(crate) async fn entries(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(parameters): Query<Parameters>,
    Query(listing): Query<Listing>,
) -> Response {
    list(&ui, &visit, &parameters, &listing).await.unwrap_or_else(|problem| problem.json())
}

async fn list(
    ui: &Dashboard,
    visit: &Visit,
    parameters: &Parameters,
    listing: &Listing,
) -> Result<Response, Problem> {
    let order = match listing.order.as_str() {
        "" | "desc" => Order::NewestFirst,
        "asc" => Order::OldestFirst,
        other => {
            return Err(Problem::bad_request(format!("invalid order {other:?}: expected asc or desc")));
        }
    };
    let limit = listing.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format!("invalid limit {limit}: expected 1 to {MAX_LIMIT}")));
    }
    let (source, ask) = (ui.shown().clone(), parameters.ask(&visit.viewer)?);
    let at: Position = listing.cursor.parse()?;
    let page = blocking::run(&ui.reads, move || source.page(&ask, &at, order, limit)).await??;
    let read = Read::search("Audit trail searched", parameters, page.hits.len() as u64);
    ui.record(&visit.viewer, &read).await?;
    // Lines are passed on as they are stored, with the digits of their numbers.
    let lines: Vec<_> = page.hits.iter().map(Hit::named_line).collect();
    let rest = json!({
        "next": page.next.as_ref().map(ToString::to_string),
        "is_out_of_time": page.status.is_out_of_time,
        "unsigned": page.hits.iter().filter(|hit| hit.is_unsigned).count(),
        "signed": page.status.signed,
        "warnings": page.status.warnings,
    });
    let body = format!("{{\"entries\":[{}],{}", lines.join(","), &rest.to_string()[1..]);
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

pub(crate) async fn entry(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(parameters): Query<Parameters>,
    Path(Numbered { seq }): Path<Numbered>,
) -> Response {
    let read = async {
        let line = one_line(&ui, &visit, &parameters.trail, seq).await?;
        ui.record(&visit.viewer, &read_of_entry(&parameters, seq)).await?;
        Ok::<_, Problem>(([(header::CONTENT_TYPE, "application/json")], line).into_response())
    };
    read.await.unwrap_or_else(|problem| problem.json())
}

pub(crate) async fn proof(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(parameters): Query<Parameters>,
    Path(Numbered { seq }): Path<Numbered>,
) -> Response {
    let read = async {
        one_line(&ui, &visit, &parameters.trail, seq).await?;
        ui.record(&visit.viewer, &read_of_entry(&parameters, seq)).await?;
        let proof = proof::read(&ui, &parameters.trail, seq).await??.proof.to_string();
        let headers = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{seq}.tlog-proof\"")),
        ];
        Ok::<_, Problem>((headers, proof).into_response())
    };
    read.await.unwrap_or_else(|problem| problem.json())
}

/// Says that the server runs. Needs no viewer.
pub(crate) async fn health() -> &'static str {
    "ok"
}

pub(crate) async fn unknown() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "the API has no such path").json()
}
