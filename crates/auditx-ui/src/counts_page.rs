//! The page of counts: a timeline, and the most frequent values, each a link to its entries.

use std::sync::Arc;

use auditx_reader::{Moment, Zone};
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::blocking;
use crate::counts::{Bar, Counts, FACETS, LEVELS};
use crate::dashboard::{Dashboard, Read};
use crate::guard::Visit;
use crate::layout::{self, visible};
use crate::pages::{form, framed};
use crate::problem::Problem;
use crate::selection::{Parameters, quoted, time_reached, warnings};
use crate::table;

/// The size of the timeline in its own units; it is as wide as the page.
const WIDTH: u64 = 1_200;
const HEIGHT: u64 = 120;

pub(crate) async fn counts(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(parameters): Query<Parameters>,
) -> Response {
    match page(ui, &visit, &parameters).await {
        Ok(page) => page.into_response(),
        Err(problem) => problem.page(&visit.base),
    }
}

async fn page(ui: Arc<Dashboard>, visit: &Visit, parameters: &Parameters) -> Result<Markup, Problem> {
    let zone = parameters.zone()?;
    let search = parameters.search(ui.directory(), &visit.viewer)?;
    let (owned, viewer) = (ui.clone(), visit.viewer.clone());
    let (counts, reached) = blocking::run(&ui.reads, move || {
        let counts = Counts::of(&search)?;
        let reached = time_reached(owned.directory(), &counts.summary, &viewer);
        Ok::<_, auditx_reader::Error>((counts, reached))
    })
    .await??;
    let read = Read::search("Audit trail counted", parameters, counts.total);
    ui.record(&visit.viewer, &read).await?;
    let home = layout::home(&visit.base);
    let failed = parameters.address(home, |other| other.q = narrowed(&other.q, "success:false"));
    let content = html! {
        h1 { "Counts" }
        (form(&visit.base, parameters, "/counts"))
        @for warning in warnings(&counts.summary, &visit.viewer) {
            p.problem role="alert" { (visible(&warning)) }
        }
        p role="status" {
            a href=(parameters.address(home, |_| ())) { (counts.total) " entries" }
            ", of which " a href=(failed) { (counts.failed) " failed" }
            @if counts.summary.is_out_of_time {
                @if let Some(reached) = reached {
                    ". Counted back to " (table::short(&zone.rfc3339(reached)))
                } @else {
                    ". Counted for two seconds"
                }
                "; older entries were not counted. A shorter period is counted as a whole."
            } @else { "." }
        }
        (timeline(&counts, &zone, &visit.base, parameters))
        div.facets {
            @for ((_, title, name), values) in FACETS.iter().zip(&counts.values) {
                @if !values.is_empty() {
                    section {
                        h2 { (title) }
                        ul {
                            @for (value, count) in values {
                                li {
                                    a href=(parameters.address(home, |other| {
                                        other.q = narrowed(&other.q, &format!("{name}:{}", quoted(value)));
                                    })) { bdi { (visible(value)) } }
                                    " " span.quiet { (count) }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(framed(&ui, visit, "Counts", parameters, &content))
}

/// The bars of the timeline, and the same as a table.
fn timeline(counts: &Counts, zone: &Zone, base: &str, parameters: &Parameters) -> Markup {
    let Some(most) = counts.bars.iter().map(Bar::total).max() else { return html! {} };
    let step = WIDTH / counts.bars.len().max(1) as u64;
    let zoomed = |bar: &Bar| {
        parameters.address(&format!("{base}/counts"), |other| {
            other.since = exact(zone, bar.begin);
            other.until = exact(zone, bar.begin + counts.length);
        })
    };
    html! {
        svg.timeline viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" aria-hidden="true" {
            @for (number, bar) in counts.bars.iter().enumerate() {
                a href=(zoomed(bar)) tabindex="-1" {
                    @for (level, bottom, height) in parts(bar, most) {
                        rect class=(level) x=(number as u64 * step) y=(HEIGHT - bottom - height)
                            width=(step.saturating_sub(2).max(1)) height=(height) {}
                    }
                }
            }
        }
        details {
            summary { "The same as a table" }
            table {
                thead { tr {
                    th scope="col" { "From" }
                    th scope="col" { "Entries" }
                    th scope="col" { "Warnings" }
                    th scope="col" { "Errors" }
                    th scope="col" { "Security" }
                } }
                tbody {
                    @for bar in counts.bars.iter().filter(|bar| bar.total() > 0) {
                        tr {
                            td.when { a href=(zoomed(bar)) { (table::short(&exact(zone, bar.begin))) } }
                            td { (bar.total()) }
                            @for count in &bar.counts[1..] { td { (count) } }
                        }
                    }
                }
            }
        }
    }
}

/// The parts of a bar from below: the class of its level, where it begins, and its height.
fn parts(bar: &Bar, most: u64) -> Vec<(String, u64, u64)> {
    let mut bottom = 0;
    let mut parts = Vec::new();
    for (level, count) in LEVELS.iter().zip(bar.counts).filter(|(_, count)| *count > 0) {
        // A single entry among a million remains visible.
        let height = (count * HEIGHT).div_ceil(most).clamp(2, HEIGHT - bottom.min(HEIGHT - 2));
        parts.push((level.to_ascii_lowercase(), bottom.min(HEIGHT - height), height));
        bottom += height;
    }
    parts
}

/// A second as RFC 3339 in this zone.
pub(crate) fn exact(zone: &Zone, second: i64) -> String {
    let since = Moment::parse("1970-01-01T00:00:00Z").map(|epoch| {
        let length = std::time::Duration::from_secs(second.unsigned_abs());
        if second < 0 { epoch.before(length) } else { epoch.after(length) }
    });
    since.map(|moment| zone.rfc3339(moment)).unwrap_or_default()
}

/// A query that also has this condition.
fn narrowed(query: &str, condition: &str) -> String {
    match query.trim() {
        "" => condition.to_owned(),
        query if query.contains(" OR ") => format!("({query}) {condition}"),
        query => format!("{query} {condition}"),
    }
}
