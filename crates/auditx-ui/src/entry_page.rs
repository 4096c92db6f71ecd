//! The page of one entry.

use std::sync::Arc;

use auditx_core::AuditAction;
use auditx_reader::{Field, Row, Zone};
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::assets;
use crate::blocking;
use crate::dashboard::{Dashboard, Read};
use crate::frame::Frame;
use crate::guard::Visit;
use crate::layout::{self, visible};
use crate::problem::Problem;
use crate::proof;
use crate::related::{Why, relations};
use crate::selection::Parameters;
use crate::table;

/// The number in an address. Taken by name, since the prefix of the dashboard may have parameters too.
#[derive(Debug, Deserialize)]
pub(crate) struct Numbered {
    pub(crate) seq: u64,
}

pub(crate) async fn entry(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(parameters): Query<Parameters>,
    Path(Numbered { seq }): Path<Numbered>,
) -> Response {
    match entry_page(ui, &visit, &parameters, seq).await {
        Ok(page) => page.into_response(),
        Err(problem) => problem.page(&visit.base),
    }
}

async fn entry_page(
    ui: Arc<Dashboard>,
    visit: &Visit,
    parameters: &Parameters,
    seq: u64,
) -> Result<Markup, Problem> {
    let zone = parameters.zone()?;
    let line = one_line(&ui, visit, &parameters.trail, seq).await?;
    // A copy has no tiles with the hashes of the tree, so a proof needs the hash of every line.
    let proof = if ui.shown().has_files() {
        Some(proof::read(&ui, visit, &parameters.trail, seq).await?)
    } else {
        None
    };
    let proof_address = table::proof_address(&visit.base, &parameters.trail, seq);
    ui.record(&visit.viewer, &read_of_entry(parameters, seq)).await?;
    let row = row_of(&line)?;
    let description = row.text(Field::Description);
    let content = html! {
        h1 { bdi { (visible(&description)) } }
        p.sentence { (visible(&sentence(&row, &zone))) }
        (changes(&row))
        h2 { "Related" }
        (related(&row, visit))
        h2 { "Fields" }
        (table::fields(&row))
        h2 { "Line" }
        pre #line { (visible(row.line())) }
        h2 { "Proof" }
        @match proof {
            Some(Ok(proof)) => (proof::shown(&proof, &proof_address, seq)),
            Some(Err(problem)) => p.quiet { (visible(problem.detail())) },
            None => p {
                "A proof is made of the hashes of all lines of the copy: "
                a href=(proof_address) { "Download the proof" }
                ". Check it on any machine with the key of the trail: "
                code { "auditx check FILE --key KEY" }
            },
        }
    };
    let frame = Frame::of(&ui, visit).await;
    Ok(frame.page(&format!("Entry {seq}"), parameters, &content, &[&assets::PROOF]))
}

/// The fields that an entry changed.
fn changes(row: &Row<'_>) -> Markup {
    let changes = auditx_reader::changes(row);
    html! {
        @if !changes.is_empty() {
            h2 { "Changes" }
            table {
                thead { tr {
                    th scope="col" { "Field" }
                    th scope="col" { "Before" }
                    th scope="col" { "After" }
                } }
                tbody {
                    @for change in &changes {
                        tr {
                            th scope="row" { bdi { (visible(&change.field)) } }
                            td { bdi { (visible(&change.old.map(table::text).unwrap_or_default())) } }
                            td { bdi { (visible(&change.new.map(table::text).unwrap_or_default())) } }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the line with this number, if it exists for this viewer.
pub(crate) async fn one_line(
    ui: &Arc<Dashboard>,
    visit: &Visit,
    trail: &str,
    seq: u64,
) -> Result<String, Problem> {
    let (source, viewer, trail) = (ui.shown().clone(), visit.viewer.clone(), trail.to_owned());
    blocking::run(&ui.reads, move || source.one(&trail, &viewer)?.line(seq, &viewer)).await?
}

/// Parses a line that was found.
pub(crate) fn row_of(line: &str) -> Result<Row<'_>, Problem> {
    let unreadable =
        |why| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot read the line: {why}"));
    Row::read_text(line).map_err(unreadable)
}

pub(crate) fn read_of_entry(parameters: &Parameters, seq: u64) -> Read<'_> {
    Read {
        description: "Audit entry viewed",
        action: AuditAction::Read,
        parameters,
        seq: Some(seq),
        found: None,
    }
}

/// Says who did what, when and from where.
fn sentence(row: &Row<'_>, zone: &Zone) -> String {
    let field = |field| row.text(field).into_owned();
    let (user, role, entity, ip) =
        (field(Field::User), field(Field::UserRole), table::entity(row), field(Field::Ip));
    let who = match (user.is_empty(), role.is_empty()) {
        (true, _) => "An unnamed user".to_owned(),
        (false, true) => user,
        (false, false) => format!("{user} ({role})"),
    };
    let (action, outcome) = (field(Field::Action), if row.is_success() { "" } else { ", which failed" });
    let about = if entity.is_empty() { String::new() } else { format!(" on {entity}") };
    let from = if ip.is_empty() { String::new() } else { format!(" from {ip}") };
    format!("{who}: {action}{about}{outcome}, {}{from}.", table::times(row, zone).1)
}

/// Links to entries that share something with this one.
fn related(row: &Row<'_>, visit: &Visit) -> Markup {
    html! {
        ul {
            @for relation in relations(row) {
                li { a href=(relation.parameters().address(layout::home(&visit.base), |_| ())) {
                    @match relation.why {
                        Why::Request => "The same request",
                        Why::Session => "The same session",
                        Why::User => "The same user, 15 minutes before and after",
                        Why::Entity => { "The history of " bdi { (visible(&table::entity(row))) } }
                    }
                } }
            }
        }
    }
}
