//! The page of the trail.

use std::sync::Arc;

use auditx_reader::{Cursor, Field, Moment, Order, Zone};
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::assets::{self, Script};
use crate::blocking;
use crate::dashboard::{Dashboard, Read};
use crate::frame::Frame;
use crate::guard::Visit;
use crate::layout::{self, visible};
use crate::page::Page;
use crate::position::Position;
use crate::problem::Problem;
use crate::saved;
use crate::selection::{Parameters, narrowed, quoted};
use crate::table;

/// Entries on a page.
const PAGE: u64 = 100;

pub(crate) async fn trail(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(parameters): Query<Parameters>,
) -> Response {
    match trail_page(ui.clone(), &visit, &parameters).await {
        Ok(page) => page.into_response(),
        // The form remains, so that the query can be corrected.
        Err(problem) => {
            let (title, frame) = (title(&parameters), Frame::of(&ui, &visit).await);
            let content = html! {
                h1 { (title) }
                (frame.form(&parameters, ""))
                (saved::links(&ui.saved, &visit.base, &parameters))
                pre.problem role="alert" { (problem.detail()) }
            };
            (problem.status(), frame.page(title, &parameters, &content, &[])).into_response()
        }
    }
}

fn title(parameters: &Parameters) -> &'static str {
    if parameters.is_security() { "Security" } else { "Trail" }
}

async fn trail_page(ui: Arc<Dashboard>, visit: &Visit, parameters: &Parameters) -> Result<Markup, Problem> {
    let zone = parameters.zone()?;
    let (source, ask) = (ui.shown().clone(), parameters.ask(&visit.viewer)?);
    let before = ui.position(&parameters.before, &visit.viewer)?;
    let after = ui.position(&parameters.after, &visit.viewer)?;
    let has_files = source.has_files();
    let is_live = has_files && parameters.is_live();
    let (page, end) = blocking::run(&ui.reads, move || {
        // Taken before the search, so that what is recorded in between is shown or announced.
        let end = if is_live { source.end(&ask.trail, &ask.viewer)? } else { Position::default() };
        if before.is_empty() && !after.is_empty() {
            let mut page = source.page(&ask, &after, Order::OldestFirst, PAGE)?;
            page.hits.reverse();
            return Ok((page, end));
        }
        Ok::<_, Problem>((source.page(&ask, &before, Order::NewestFirst, PAGE)?, end))
    })
    .await??;
    let read = Read::search("Audit trail searched", parameters, page.hits.len() as u64);
    ui.record(&visit.viewer, &read).await?;
    let (title, frame) = (title(parameters), Frame::of(&ui, visit).await);
    let live = is_live.then(|| live(&ui, visit, parameters, &page, end)).transpose()?;
    let pages = pages(&ui, visit, parameters, &page)?;
    let content = html! {
        h1 { (title) }
        (frame.form(parameters, ""))
        (saved::links(&ui.saved, &visit.base, parameters))
        @if let Some(live) = live { (live) }
        @for warning in &page.status.warnings {
            p.problem role="alert" { (visible(warning)) }
        }
        @if page.hits.is_empty() {
            p { "No entries found." }
        } @else {
            (table::rows(&page.hits, &zone, &visit.base))
        }
        @if page.status.is_out_of_time { (out_of_time(parameters, page.status.reached, &zone)) }
        (pages)
        p.quiet {
            "Download what is found: "
            a href=(parameters.address(&format!("{}/export/csv", visit.base), |_| ())) { "CSV" } " · "
            a href=(parameters.address(&format!("{}/export/ndjson", visit.base), |_| ())) { "JSON lines" }
            @if has_files {
                " · "
                a href=(parameters.address(&format!("{}/export/bundle", visit.base), |_| ())) {
                    "Evidence bundle"
                }
            }
        }
    };
    let scripts: &[&Script] = if is_live { &[&assets::LIVE] } else { &[] };
    Ok(frame.page(title, parameters, &content, scripts))
}

/// Where a script says how many entries are new, and what it needs for that.
fn live(
    ui: &Dashboard,
    visit: &Visit,
    parameters: &Parameters,
    page: &Page,
    mut after: Position,
) -> Result<Markup, Problem> {
    for hit in &page.hits {
        let Cursor::Seq(seq) = hit.cursor else { continue };
        if !matches!(after.of(&hit.trail), Some(Cursor::Seq(end)) if *end >= seq) {
            after.set(&hit.trail, hit.cursor.clone());
        }
    }
    let pending = page.hits.iter().filter(|hit| hit.cursor.is_pending());
    let ids: Vec<String> = pending.filter_map(|hit| Some(hit.row()?.text(Field::Id).into_owned())).collect();
    let after = ui.text_of(&after, &visit.viewer)?;
    let stream = parameters.address(&format!("{}/api/v1/stream", visit.base), |other| {
        // Otherwise each view of the page would announce its own record.
        let own = format!("-(module:audit user:{})", quoted(&visit.viewer.name));
        other.q = narrowed(&other.q, &own);
        (other.after, other.live) = (after, String::new());
    });
    Ok(html! {
        p #live role="status" data-stream=(stream) data-pending=(ids.join(" ")) {
            "New entries are announced here if the browser runs scripts."
        }
    })
}

/// Says how far a search came that ran out of time.
fn out_of_time(parameters: &Parameters, reached: Option<Moment>, zone: &Zone) -> Markup {
    let (way, others) = if parameters.is_backwards() { ("up to", "newer") } else { ("back to", "older") };
    html! {
        p role="status" {
            @match reached {
                Some(moment) => { "Searched " (way) " " (table::short(&zone.rfc3339(moment))) },
                None => "Searched for two seconds",
            }
            "; " (others) " entries were not searched yet."
        }
    }
}

/// Links to the entries before and after these.
fn pages(ui: &Dashboard, visit: &Visit, parameters: &Parameters, page: &Page) -> Result<Markup, Problem> {
    let trail = layout::home(&visit.base);
    let text = |position: &Position| ui.text_of(position, &visit.viewer);
    let (next, back) = (page.next.as_ref().map(text).transpose()?, text(&page.back)?);
    let (older, newer) = if parameters.is_backwards() {
        (Some(back), next)
    } else {
        (next, Some(back).filter(|_| !parameters.before.is_empty()))
    };
    let name = |usual: &'static str, is_onward: bool| {
        if page.status.is_out_of_time && is_onward { "Search on" } else { usual }
    };
    Ok(html! {
        nav.pages aria-label="Pages" {
            @if let Some(newer) = newer {
                a rel="prev" href=(parameters.address(trail, |other| other.after = newer)) {
                    (name("Newer", parameters.is_backwards()))
                }
            }
            @if let Some(older) = older {
                a rel="next" href=(parameters.address(trail, |other| other.before = older)) {
                    (name("Older", !parameters.is_backwards()))
                }
            }
            @if !parameters.before.is_empty() || !parameters.after.is_empty() {
                a href=(parameters.address(trail, |_| ())) { "Newest" }
            }
        }
    })
}
