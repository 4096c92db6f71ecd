//! The page of counts: a timeline, and the most frequent values, each a link to its entries.

use std::sync::Arc;

use auditx_reader::Zone;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::blocking;
use crate::counts::{Bar, Counts, FACETS, LEVELS};
use crate::dashboard::{Dashboard, Read};
use crate::frame::Frame;
use crate::guard::Visit;
use crate::layout::{self, visible};
use crate::problem::Problem;
use crate::selection::{Parameters, narrowed, quoted};
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
    let (source, ask, counted_in) = (ui.shown().clone(), parameters.ask(&visit.viewer)?, zone.clone());
    let counts = blocking::run(&ui.reads, move || Counts::of(&source, &ask, &counted_in)).await??;
    let read = Read::search("Audit trail counted", parameters, counts.total);
    ui.record(&visit.viewer, &read).await?;
    let (home, frame) = (layout::home(&visit.base), Frame::of(&ui, visit).await);
    let failed = parameters.address(home, |other| other.q = narrowed(&other.q, "success:false"));
    let content = html! {
        h1 { "Counts" }
        (frame.form(parameters, "/counts"))
        @for warning in &counts.status.warnings {
            p.problem role="alert" { (visible(warning)) }
        }
        p role="status" {
            a href=(parameters.address(home, |_| ())) { (counts.total) " entries" }
            ", of which " a href=(failed) { (counts.failed) " failed" }
            @if counts.status.is_out_of_time {
                @if let Some(reached) = counts.status.reached {
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
    Ok(frame.page("Counts", parameters, &content, &[]))
}

/// The bars of the timeline, and the same as a table.
fn timeline(counts: &Counts, zone: &Zone, base: &str, parameters: &Parameters) -> Markup {
    let Some(most) = counts.bars.iter().map(Bar::total).max() else { return html! {} };
    let step = WIDTH / counts.bars.len().max(1) as u64;
    let zoomed = |bar: &Bar| {
        parameters.address(&format!("{base}/counts"), |other| {
            other.since = zone.rfc3339(bar.begin);
            other.until = zone.rfc3339(bar.end);
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
                            td.when { a href=(zoomed(bar)) { (table::short(&zone.rfc3339(bar.begin))) } }
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
