//! Entries: found by a search, one by its number, its proof, and those related to it.

use std::sync::Arc;

use auditx_reader::Field;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::dashboard::{Dashboard, Read};
use crate::entry_page::{Numbered, one_line, read_of_entry, row_of};
use crate::guard::Visit;
use crate::page::Hit;
use crate::problem::Problem;
use crate::proof;
use crate::related::{Reasons, query_of_all, relations};
use crate::selection::Parameters;

use super::answer::{json_text, listed, page};
use super::parameters::{Direction, Listed, OfTrail, Part};

pub(super) async fn entries(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(asked): Query<Listed>,
) -> Result<Response, Problem> {
    let parameters = asked.parameters();
    let page = page(&ui, &visit, &parameters, asked.order, asked.limit, &asked.cursor).await?;
    let read = Read::search("Audit trail searched", &parameters, page.hits.len() as u64);
    ui.record(&visit.viewer, &read).await?;
    listed(&ui, &visit, &page, |hit| hit.named_line().into_owned())
}

pub(super) async fn entry(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Path(Numbered { seq }): Path<Numbered>,
    Query(OfTrail { trail }): Query<OfTrail>,
) -> Result<Response, Problem> {
    let line = one_line(&ui, &visit, &trail, seq).await?;
    let parameters = Parameters { trail, ..Parameters::default() };
    ui.record(&visit.viewer, &read_of_entry(&parameters, seq)).await?;
    Ok(json_text(line))
}

pub(super) async fn proof(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Path(Numbered { seq }): Path<Numbered>,
    Query(OfTrail { trail }): Query<OfTrail>,
) -> Result<Response, Problem> {
    one_line(&ui, &visit, &trail, seq).await?;
    let parameters = Parameters { trail, ..Parameters::default() };
    ui.record(&visit.viewer, &read_of_entry(&parameters, seq)).await?;
    let proof = proof::read(&ui, &visit, &parameters.trail, seq).await??.proof.to_string();
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{seq}.tlog-proof\"")),
    ];
    Ok((headers, proof).into_response())
}

/// Entries that have something in common with one, newest first.
pub(super) async fn related(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Path(Numbered { seq }): Path<Numbered>,
    Query(asked): Query<Part>,
) -> Result<Response, Problem> {
    let line = one_line(&ui, &visit, &asked.trail, seq).await?;
    let row = row_of(&line)?;
    let relations = relations(&row);
    let reasons = Reasons::of(&relations)?;
    let parameters =
        Parameters { q: query_of_all(&relations, &row.text(Field::Id)), ..Parameters::default() };
    let page = page(&ui, &visit, &parameters, Direction::Desc, asked.limit, &asked.cursor).await?;
    // The query follows from the entry, and the viewer did not write it.
    let asked = Parameters { trail: asked.trail, ..Parameters::default() };
    let read = Read {
        description: "Related audit entries viewed",
        found: Some(page.hits.len() as u64),
        ..read_of_entry(&asked, seq)
    };
    ui.record(&visit.viewer, &read).await?;
    listed(&ui, &visit, &page, |hit: &Hit| {
        let why = hit.row().map(|row| reasons.names(&row)).unwrap_or_default();
        format!("{{\"why\":{},\"entry\":{}}}", json!(why), hit.named_line())
    })
}
