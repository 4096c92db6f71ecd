//! The page of one entry.

use std::sync::Arc;

use auditx_core::AuditAction;
use auditx_reader::{Field, Line, Row, Zone, changes};
use axum::Extension;
use axum::extract::{Path, Query, State};
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

/// The number in an address. By its name, since the prefix of the dashboard may have parameters too.
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
    let proof = proof::read(&ui, &parameters.trail, seq).await?;
    ui.record(&visit.viewer, &read_of_entry(parameters, seq)).await?;
    let row = line.row()?;
    let description = row.text(Field::Description);
    let changes = changes(&row);
    let content = html! {
        h1 { bdi { (visible(&description)) } }
        p.sentence { (visible(&sentence(&row, &zone))) }
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
        h2 { "Related" }
        (related(&row, visit))
        h2 { "Fields" }
        (table::fields(&row))
        h2 { "Line" }
        pre #line { (visible(row.line())) }
        h2 { "Proof" }
        @match proof {
            Ok(proof) => (proof::shown(&proof, &table::proof_address(&visit.base, &parameters.trail, seq), seq)),
            Err(error) => p.quiet { (visible(&error.why())) },
        }
    };
    let frame = Frame::of(&ui, visit).await;
    Ok(frame.page(&format!("Entry {seq}"), parameters, &content, &[&assets::PROOF]))
}

/// Returns the line with this number, if it exists for this viewer.
pub(crate) async fn one_line(
    ui: &Arc<Dashboard>,
    visit: &Visit,
    trail: &str,
    seq: u64,
) -> Result<Line, Problem> {
    let (source, viewer, trail) = (ui.shown().clone(), visit.viewer.clone(), trail.to_owned());
    blocking::run(&ui.reads, move || source.one(&trail)?.line(seq, &viewer)).await?
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
