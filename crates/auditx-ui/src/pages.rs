//! The page of the trail, and the frame of every page: navigation, and what is proven.

use std::sync::Arc;

use auditx_reader::{Moment, Order, Zone};
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::blocking;
use crate::dashboard::{Dashboard, Read};
use crate::guard::Visit;
use crate::layout::{self, visible};
use crate::problem::Problem;
use crate::saved;
use crate::selection::{Hit, Page, Parameters, cursor, time_reached, warnings};
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
        // The form remains, so that the query can be mended.
        Err(problem) => {
            let title = title(&parameters);
            let content = html! {
                h1 { (title) }
                (form(&visit.base, &parameters, ""))
                (saved::links(&ui.saved, &visit.base, &parameters))
                pre.problem role="alert" { (problem.detail()) }
            };
            (problem.status(), framed(&ui, &visit, title, &parameters, &content)).into_response()
        }
    }
}

fn title(parameters: &Parameters) -> &'static str {
    if parameters.is_security() { "Security" } else { "Trail" }
}

async fn trail_page(ui: Arc<Dashboard>, visit: &Visit, parameters: &Parameters) -> Result<Markup, Problem> {
    let zone = parameters.zone()?;
    let search = parameters.search(ui.directory(), &visit.viewer)?;
    let (before, after) = (cursor(&parameters.before)?, cursor(&parameters.after)?);
    let (owned, viewer) = (ui.clone(), visit.viewer.clone());
    let (page, reached) = blocking::run(&ui.reads, move || {
        let page = match (before, after) {
            (None, Some(after)) => Page::of(search.after(after), Order::OldestFirst, PAGE).map(|mut page| {
                page.hits.reverse();
                page
            }),
            (Some(before), _) => Page::of(search.after(before), Order::NewestFirst, PAGE),
            (None, None) => Page::of(search, Order::NewestFirst, PAGE),
        }?;
        let reached = time_reached(owned.directory(), &page.summary, &viewer);
        Ok::<_, auditx_reader::Error>((page, reached))
    })
    .await??;
    let read = Read::search("Audit trail searched", parameters, page.hits.len() as u64);
    ui.record(&visit.viewer, &read).await?;
    let title = title(parameters);
    let content = html! {
        h1 { (title) }
        (form(&visit.base, parameters, ""))
        (saved::links(&ui.saved, &visit.base, parameters))
        @for warning in warnings(&page.summary, &visit.viewer) {
            p.problem role="alert" { (visible(&warning)) }
        }
        @if page.hits.is_empty() {
            p { "No entries found." }
        } @else {
            (table::rows(&page.hits, &zone, &visit.base))
        }
        @if page.summary.is_out_of_time { (out_of_time(parameters, reached, &zone)) }
        (pages(visit, parameters, &page))
        p.quiet {
            "Download what is found: "
            a href=(parameters.address(&format!("{}/export/csv", visit.base), |_| ())) { "CSV" } " · "
            a href=(parameters.address(&format!("{}/export/ndjson", visit.base), |_| ())) { "JSON lines" }
        }
    };
    Ok(framed(&ui, visit, title, parameters, &content))
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
fn pages(visit: &Visit, parameters: &Parameters, page: &Page) -> Markup {
    let trail = layout::home(&visit.base);
    let at =
        |hit: Option<&Hit>, otherwise: &str| hit.map_or(otherwise.to_owned(), |hit| hit.cursor.to_string());
    let next = page.next.as_ref().map(ToString::to_string);
    let (older, newer) = if parameters.is_backwards() {
        (Some(at(page.hits.last(), &parameters.after)), next)
    } else {
        let newer = at(page.hits.first(), &parameters.before);
        (next, Some(newer).filter(|_| !parameters.before.is_empty()))
    };
    let name = |usual: &'static str, is_onward: bool| {
        if page.summary.is_out_of_time && is_onward { "Search on" } else { usual }
    };
    html! {
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
    }
}

/// The form of a search. It leads to `path` below the dashboard.
pub(crate) fn form(base: &str, parameters: &Parameters, path: &str) -> Markup {
    let Parameters { q, since, until, tz, source, .. } = parameters;
    let action = if path.is_empty() { layout::home(base).to_owned() } else { format!("{base}{path}") };
    html! {
        form.query method="get" action=(action) role="search" {
            label.wide {
                "Query"
                input type="search" name="q" value=(q) autocomplete="off" spellcheck="false";
            }
            label { "Since" input name="since" value=(since) placeholder="2h, today, 2026-11-29"; }
            label { "Until" input name="until" value=(until); }
            label { "Time zone" input name="tz" value=(tz) placeholder="UTC"; }
            @if !source.is_empty() { input type="hidden" name="source" value=(source); }
            button { "Search" }
        }
    }
}

/// The frame of a page, with navigation and what is proven.
pub(crate) fn framed(
    ui: &Dashboard,
    visit: &Visit,
    title: &str,
    parameters: &Parameters,
    content: &Markup,
) -> Markup {
    let trail = layout::home(&visit.base);
    let link = |source: &str, name: &str, is_here: bool| {
        html! {
            a href=(parameters.address(trail, |other| other.source = source.to_owned()))
                aria-current=[is_here.then_some("page")] { (name) }
        }
    };
    let end = html! {
        nav aria-label="Trails" {
            (link("", "Trail", title == "Trail")) " · " (link("security", "Security", title == "Security"))
            " · "
            a href=(parameters.address(&format!("{}/counts", visit.base), |_| ()))
                aria-current=[(title == "Counts").then_some("page")] { "Counts" }
        }
        div.end {
            (badge(ui, visit, &parameters.zone().unwrap_or_default()))
            span.quiet { bdi { (visible(&visit.viewer.name)) } }
            @if visit.has_session {
                form.inline method="post" action=(format!("{}/sign-out", visit.base)) {
                    button { "Sign out" }
                }
            }
        }
    };
    layout::framed(&visit.base, title, &end, content)
}

/// Says what is proven: how far the trail is signed, and what the last check found. A viewer for whom some
/// entries do not exist learns neither their number nor where the damage is.
fn badge(ui: &Dashboard, visit: &Visit, zone: &Zone) -> Markup {
    let checked = ui.last_check().clone();
    let at = |at: Moment| table::short(&zone.rfc3339(at));
    let to = |signed: Option<u64>| {
        signed.filter(|_| !visit.viewer.is_scoped()).map(|signed| format!(" to {signed}"))
    };
    html! {
        @match checked {
            Some(checked) if checked.fault.is_some() => {
                span.badge.broken title=[checked.fault.as_deref().filter(|_| !visit.viewer.is_scoped())] {
                    "Broken, checked " (at(checked.at))
                }
            }
            Some(checked) => span.badge {
                @if checked.signed.is_some() { "Signed" (to(checked.signed).unwrap_or_default()) }
                @else { "Not signed" }
                ", checked " (at(checked.at))
            },
            None => span.badge {
                @match ui.signed() {
                    Ok(Some(signed)) => { "Signed" (to(Some(signed)).unwrap_or_default()) ", not checked" }
                    Ok(None) => { "Not signed" }
                    Err(_) => { "The checkpoint cannot be read" }
                }
            },
        }
        form.inline method="post" action=(format!("{}/check", visit.base)) { button { "Check now" } }
    }
}

/// Verifies the trail, then shows it again with the outcome. Requests that arrive while a check runs share the
/// next one.
pub(crate) async fn check(State(ui): State<Arc<Dashboard>>, Extension(visit): Extension<Visit>) -> Response {
    let asked = std::time::Instant::now();
    let _turn = ui.turn_to_check.lock().await;
    let is_new = ui.last_check().as_ref().is_some_and(|checked| checked.began >= asked);
    let outcome = if is_new { Ok(()) } else { run_check(ui.clone()).await };
    match outcome {
        Ok(()) => Redirect::to(layout::home(&visit.base)).into_response(),
        Err(problem) => problem.page(&visit.base),
    }
}

async fn run_check(ui: Arc<Dashboard>) -> Result<(), Problem> {
    let limit = ui.reads.clone();
    Ok(blocking::run(&limit, move || ui.check()).await??)
}
