//! The history of a record: every entry about it, with the fields that it changed.

use std::sync::Arc;

use auditx_reader::{Row, changes};
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use serde_json::json;

use crate::dashboard::{Dashboard, Read};
use crate::guard::Visit;
use crate::page::Hit;
use crate::problem::Problem;
use crate::related::of_entity;
use crate::selection::Parameters;

use super::answer::{listed, page, stored};
use super::parameters::OfRecord;

pub(super) async fn history(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(asked): Query<OfRecord>,
) -> Result<Response, Problem> {
    let OfRecord { entity, since, until, tz, trail, order, limit, cursor } = asked;
    let parts = entity.split_once('/').filter(|(kind, id)| !kind.is_empty() && !id.is_empty());
    let (kind, id) = parts.ok_or_else(|| {
        let detail = format!("invalid entity {entity:?}: expected TYPE/ID, for example customer/CUST-220");
        Problem::bad_request(detail)
    })?;
    let parameters = Parameters { q: of_entity(kind, id), since, until, tz, trail, ..Parameters::default() };
    let page = page(&ui, &visit, &parameters, order, limit, &cursor).await?;
    let read = Read::search("Audit history viewed", &parameters, page.hits.len() as u64);
    ui.record(&visit.viewer, &read).await?;
    listed(&ui, &visit, &page, |hit: &Hit| {
        let changes = hit.row().map(|row| changed(&row)).unwrap_or_default();
        format!("{{\"changes\":[{changes}],\"entry\":{}}}", hit.named_line())
    })
}

/// Returns the changes of an entry as JSON. `old` is absent if the field was added, `new` if it was removed.
fn changed(row: &Row<'_>) -> String {
    let one = |change: auditx_reader::Change<'_>| {
        let mut text = format!("{{\"field\":{}", json!(change.field));
        for (name, value) in [("old", change.old), ("new", change.new)] {
            if let Some(value) = value {
                text.push_str(&format!(",\"{name}\":{}", stored(value)));
            }
        }
        text + "}"
    };
    changes(row).into_iter().map(one).collect::<Vec<_>>().join(",")
}
