//! The pages: the trail, and one entry.

use std::sync::Arc;

use auditx_core::AuditAction;
use auditx_reader::{Field, Moment, Order, Row, Zone, changes, find_line, prove};
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::blocking;
use crate::dashboard::{Dashboard, Read};
use crate::guard::Visit;
use crate::layout::{self, visible};
use crate::problem::Problem;
use crate::selection::{Page, Parameters, cursor, percent_encode};
use crate::table;

/// Entries on a page.
const PAGE: u64 = 100;

/// How far the related entries of an entry may be from it in time.
const RELATED: std::time::Duration = std::time::Duration::from_secs(15 * 60);

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
    let page = blocking::run(move || match (before, after) {
        (None, Some(after)) => Page::of(search.after(after), Order::OldestFirst, PAGE).map(|mut page| {
            page.hits.reverse();
            page
        }),
        (Some(before), _) => Page::of(search.after(before), Order::NewestFirst, PAGE),
        (None, None) => Page::of(search, Order::NewestFirst, PAGE),
    })
    .await??;
    let read = Read {
        description: "Audit trail searched",
        action: AuditAction::Read,
        parameters,
        seq: None,
        found: Some(page.hits.len()),
    };
    ui.record(&visit.viewer, &read)?;
    let title = title(parameters);
    let content = html! {
        h1 { (title) }
        (form(&visit.base, parameters, ""))
        @for warning in page.warnings() { p.problem role="alert" { (visible(&warning)) } }
        @if page.hits.is_empty() {
            p { "No entries found." }
        } @else {
            (table::rows(&page.hits, &zone, &visit.base))
        }
        (pages(&ui, visit, parameters, &page, &zone))
        p.quiet {
            "Download what is found: "
            a href=(parameters.address(&format!("{}/export/csv", visit.base), |_| ())) { "CSV" } " · "
            a href=(parameters.address(&format!("{}/export/ndjson", visit.base), |_| ())) { "JSON lines" }
        }
    };
    Ok(framed(&ui, visit, title, parameters, &content))
}

/// Links to the entries before and after these.
fn pages(ui: &Dashboard, visit: &Visit, parameters: &Parameters, page: &Page, zone: &Zone) -> Markup {
    let trail = layout::home(&visit.base);
    let is_backwards = parameters.before.is_empty() && !parameters.after.is_empty();
    let oldest = page.hits.last().and_then(crate::selection::Hit::seq).map(|seq| format!("seq:{seq}"));
    let newest = page.hits.first().and_then(crate::selection::Hit::seq).map(|seq| format!("seq:{seq}"));
    let next = page.summary.next.as_ref().map(ToString::to_string);
    let (older, newer) = match (is_backwards, parameters.before.is_empty()) {
        (true, _) => (oldest, next),
        (false, true) => (next, None),
        (false, false) => (next, newest.or_else(|| Some(parameters.before.clone()))),
    };
    let reached = next_time(ui, page, zone);
    html! {
        @if let Some(reached) = reached {
            p role="status" { "Searched back to " (reached) "; older entries were not searched yet." }
        }
        nav.pages aria-label="Pages" {
            @if let Some(newer) = newer {
                a rel="prev" href=(parameters.address(trail, |other| other.after = newer)) { "Newer" }
            }
            @if let Some(older) = older {
                a rel="next" href=(parameters.address(trail, |other| other.before = older)) {
                    @if page.summary.is_out_of_time { "Search on" } @else { "Older" }
                }
            }
            @if !parameters.before.is_empty() || !parameters.after.is_empty() {
                a href=(parameters.address(trail, |_| ())) { "Newest" }
            }
        }
    }
}

/// The time of the line to which a search came that ran out of time.
fn next_time(ui: &Dashboard, page: &Page, zone: &Zone) -> Option<String> {
    let auditx_reader::Cursor::Seq(seq) =
        page.summary.next.as_ref().filter(|_| page.summary.is_out_of_time)?
    else {
        return None;
    };
    let line = find_line(ui.directory(), *seq).ok().flatten()?;
    Some(table::times(&line.row().ok()?, zone).0)
}

/// The form of a search. It leads to `path` below the dashboard.
pub(crate) fn form(base: &str, parameters: &Parameters, path: &str) -> Markup {
    let Parameters { q, since, until, tz, source, .. } = parameters;
    html! {
        form.query method="get" action=(if path.is_empty() { layout::home(base).to_owned() } else { format!("{base}{path}") }) role="search" {
            label.wide { "Query" input type="search" name="q" value=(q) autocomplete="off" spellcheck="false"; }
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
                form.inline method="post" action=(format!("{}/sign-out", visit.base)) { button { "Sign out" } }
            }
        }
    };
    layout::framed(&visit.base, title, &end, content)
}

/// Says what is proven: how far the trail is signed, and what the last check found.
fn badge(ui: &Dashboard, visit: &Visit, zone: &Zone) -> Markup {
    let checked = ui.last_check().clone();
    let at = |at: Moment| table::short(&zone.rfc3339(at));
    html! {
        @match checked {
            Some(checked) if checked.fault.is_some() => {
                span.badge.broken title=(checked.fault.as_deref().unwrap_or_default()) {
                    "Broken, checked " (at(checked.at))
                }
            }
            Some(checked) => span.badge {
                "Signed to " (checked.signed.unwrap_or(0)) ", checked " (at(checked.at))
            },
            None => span.badge {
                @match ui.signed() {
                    Some(signed) => { "Signed to " (signed) ", not checked" }
                    None => { "Not signed" }
                }
            },
        }
        form.inline method="post" action=(format!("{}/check", visit.base)) { button { "Check now" } }
    }
}

/// Verifies the trail, then shows it again with the outcome.
pub(crate) async fn check(State(ui): State<Arc<Dashboard>>, Extension(visit): Extension<Visit>) -> Response {
    let run = blocking::run(move || ui.check()).await;
    match run.and_then(|checked| Ok(checked?)) {
        Ok(_) => Redirect::to(layout::home(&visit.base)).into_response(),
        Err(problem) => problem.page(&visit.base),
    }
}

pub(crate) async fn entry(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(parameters): Query<Parameters>,
    Path(seq): Path<u64>,
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
    let proof = {
        let ui = ui.clone();
        blocking::run(move || prove(ui.directory(), seq).map(|proof| proof.to_string())).await?
    };
    ui.record(&visit.viewer, &read_of_entry(parameters, seq))?;
    let row = line.row()?;
    let description = row.text(Field::Description);
    let changes = changes(&row);
    let content = html! {
        h1 { bdi { (visible(&description)) } }
        p.sentence { (visible(&sentence(&row, &zone))) }
        @if !changes.is_empty() {
            h2 { "Changes" }
            table {
                thead { tr { th scope="col" { "Field" } th scope="col" { "Before" } th scope="col" { "After" } } }
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

/// Returns the line with this number, if it exists for this viewer.
pub(crate) async fn one_line(
    ui: &Arc<Dashboard>,
    visit: &Visit,
    seq: u64,
) -> Result<auditx_reader::Line, Problem> {
    let owned = ui.clone();
    let found = blocking::run(move || find_line(owned.directory(), seq)).await??;
    let scope = visit.viewer.scope();
    let line = found.filter(|line| line.row().is_ok_and(|row| scope.matches(&row)));
    line.ok_or_else(|| Problem::not_found(format!("there is no entry {seq} in this trail, or not any more")))
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
    let named = [
        ("The same request", "request", Field::RequestId),
        ("The same session", "session", Field::SessionId),
        ("The same user, 15 minutes before and after", "user", Field::User),
    ];
    let moment = Moment::parse(&row.text(Field::Timestamp));
    let address = |query: &str, is_near: bool| {
        let mut address = format!("{}?q=", layout::home(&visit.base));
        percent_encode(query, &mut address);
        if is_near && let Some(moment) = moment {
            let period = [("since", moment.before(RELATED)), ("until", moment.after(RELATED))];
            for (name, moment) in period {
                address.push_str(&format!("&{name}="));
                percent_encode(&Zone::default().rfc3339(moment), &mut address);
            }
        }
        address
    };
    let (kind, id) = (row.text(Field::EntityType), row.text(Field::EntityId));
    html! {
        ul {
            @for (title, name, field) in named {
                @if !row.text(field).is_empty() {
                    li { a href=(address(&format!("{name}:{}", quoted(&row.text(field))), field == Field::User)) {
                        (title)
                    } }
                }
            }
            @if !kind.is_empty() && !id.is_empty() {
                li { a href=(address(&format!("entity_type:{} entity_id:{}", quoted(&kind), quoted(&id)), false)) {
                    "The history of " bdi { (visible(&kind)) "/" (visible(&id)) }
                } }
            }
        }
    }
}

/// Returns a value of the query language that is taken literally.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
