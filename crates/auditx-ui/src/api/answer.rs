//! A page of entries as an answer. Lines are passed on as they are stored, with the digits of their numbers.

use std::sync::Arc;

use auditx_reader::{Json, Order};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::blocking;
use crate::dashboard::Dashboard;
use crate::guard::Visit;
use crate::page::{Hit, Page};
use crate::problem::Problem;
use crate::selection::Parameters;

use super::parameters::{Direction, Limit};

/// Searches a page of entries.
pub(super) async fn page(
    ui: &Arc<Dashboard>,
    visit: &Visit,
    parameters: &Parameters,
    order: Direction,
    limit: Limit,
    after: &str,
) -> Result<Page, Problem> {
    let (limit, after) = (limit.get()?, ui.position(after, &visit.viewer)?);
    let (source, ask) = (ui.shown().clone(), parameters.ask(&visit.viewer)?);
    blocking::run(&ui.reads, move || source.page(&ask, &after, Order::from(order), limit)).await?
}

/// Returns the page as JSON; `item` returns the JSON of an entry.
pub(super) fn listed(
    ui: &Dashboard,
    visit: &Visit,
    page: &Page,
    item: impl Fn(&Hit) -> String,
) -> Result<Response, Problem> {
    let next = page.next.as_ref().map(|next| ui.text_of(next, &visit.viewer)).transpose()?;
    let items: Vec<String> = page.hits.iter().map(item).collect();
    let rest = json!({
        "next": next,
        "is_out_of_time": page.status.is_out_of_time,
        "unsigned": page.hits.iter().filter(|hit| hit.is_unsigned).count(),
        "signed": page.status.signed,
        "warnings": page.status.warnings,
    });
    Ok(json_text(format!("{{\"entries\":[{}],{}", items.join(","), &rest.to_string()[1..])))
}

/// Returns text that is JSON.
pub(super) fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Returns a value as it is stored.
pub(super) fn stored(value: Json<'_>) -> String {
    match value {
        Json::Text(raw) => format!("\"{raw}\""),
        Json::Object(raw) | Json::Array(raw) | Json::Number(raw) => raw.to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Null => "null".to_owned(),
    }
}
