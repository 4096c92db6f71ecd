//! The page of one entry.

use std::sync::Arc;

use auditx_core::AuditAction;
use auditx_reader::{Field, Line, Row, Zone, changes, find_line, prove};
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::blocking;
use crate::dashboard::{Dashboard, Read};
use crate::guard::Visit;
use crate::layout::{self, visible};
use crate::pages::framed;
use crate::problem::Problem;
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
    let line = one_line(&ui, visit, seq).await?;
    let proof = proof_of(&ui, seq).await?;
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
        pre { (visible(row.line())) }
        h2 { "Proof" }
        @match proof {
            Ok(proof) => {
                p { "Check it on any machine with the key of the trail: "
                    code { "auditx check FILE --key KEY" } }
                pre { (proof) }
                p { a href=(format!("{}/api/v1/entries/{seq}/proof", visit.base)) { "Download the proof" } }
            }
            Err(error) => p.quiet { (visible(&error.why())) },
        }
    };
    Ok(framed(&ui, visit, &format!("Entry {seq}"), parameters, &content))
}

/// Returns the line with this number, if it exists for this viewer. One that cannot be read, or differs from
/// what was signed, is an error only for a viewer for whom every entry exists.
pub(crate) async fn one_line(ui: &Arc<Dashboard>, visit: &Visit, seq: u64) -> Result<Line, Problem> {
    let owned = ui.clone();
    let found = match blocking::run(&ui.reads, move || find_line(owned.directory(), seq)).await? {
        Err(_) if visit.viewer.is_scoped() => None,
        found => found?,
    };
    let scope = visit.viewer.scope();
    let line = found.filter(|line| line.row().is_ok_and(|row| scope.matches(&row)));
    line.ok_or_else(|| Problem::not_found(format!("there is no entry {seq} in this trail, or not any more")))
}

/// Returns the proof of this line as text, or the reason why it has none.
pub(crate) async fn proof_of(ui: &Dashboard, seq: u64) -> Result<auditx_reader::Result<String>, Problem> {
    let directory = ui.directory().to_path_buf();
    blocking::run(&ui.reads, move || prove(&directory, seq).map(|proof| proof.to_string())).await
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
