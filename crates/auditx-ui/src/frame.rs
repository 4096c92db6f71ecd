//! The frame of every page: navigation, the form of a search, and what is proven.

use std::sync::Arc;

use auditx_reader::{Moment, Zone};
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::assets::Script;
use crate::blocking;
use crate::checking;
use crate::dashboard::{Checked, Dashboard};
use crate::guard::Visit;
use crate::layout::{self, visible};
use crate::problem::Problem;
use crate::selection::Parameters;
use crate::source::Signed;
use crate::table;

/// What the frame of a page shows.
pub(crate) struct Frame<'v> {
    visit: &'v Visit,
    /// The names of the trails of a family; empty for a viewer for whom some entries do not exist.
    trails: Vec<String>,
    signed: Result<Signed, Problem>,
    checked: Option<Checked>,
    /// Whether new entries can be announced.
    can_be_live: bool,
}

impl<'v> Frame<'v> {
    pub(crate) async fn of(ui: &Dashboard, visit: &'v Visit) -> Self {
        let (source, can_be_live) = (ui.shown().clone(), ui.shown().has_files());
        let read = blocking::run(&ui.reads, move || source.names_and_signed()).await;
        let (trails, signed) = match read.and_then(|read| read) {
            Ok((trails, signed)) => (trails, Ok(signed)),
            Err(problem) => (Vec::new(), Err(problem)),
        };
        let trails = if visit.viewer.is_scoped() { Vec::new() } else { trails };
        Self { visit, trails, signed, checked: ui.last_check().clone(), can_be_live }
    }

    /// The form of a search. It leads to `path` below the dashboard.
    pub(crate) fn form(&self, parameters: &Parameters, path: &str) -> Markup {
        let Parameters { q, since, until, tz, source, trail, live, .. } = parameters;
        let base = &self.visit.base;
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
                @if !self.trails.is_empty() {
                    label { "Trail" select name="trail" {
                        option value="" { "All" }
                        @for name in &self.trails { option selected[name == trail] { (visible(name)) } }
                    } }
                } @else if !trail.is_empty() { input type="hidden" name="trail" value=(trail); }
                @if !live.is_empty() { input type="hidden" name="live" value=(live); }
                @if !source.is_empty() { input type="hidden" name="source" value=(source); }
                button { "Search" }
            }
        }
    }

    /// The page, which runs these scripts, with navigation and what is proven.
    pub(crate) fn page(
        &self,
        title: &str,
        parameters: &Parameters,
        content: &Markup,
        scripts: &[&Script],
    ) -> Markup {
        let visit = self.visit;
        let trail = layout::home(&visit.base);
        let link = |source: &str, name: &str, is_here: bool| {
            html! {
                a href=(parameters.address(trail, |other| other.source = source.to_owned()))
                    aria-current=[is_here.then_some("page")] { (name) }
            }
        };
        let end = html! {
            nav aria-label="Trails" {
                (link("", "Trail", title == "Trail")) " · "
                (link("security", "Security", title == "Security")) " · "
                a href=(parameters.address(&format!("{}/counts", visit.base), |_| ()))
                    aria-current=[(title == "Counts").then_some("page")] { "Counts" }
            }
            div.end {
                @if self.can_be_live && (title == "Trail" || title == "Security") { (self.live(parameters)) }
                (self.badge(&parameters.zone().unwrap_or_default()))
                span.quiet { bdi { (visible(&visit.viewer.name)) } }
                @if visit.has_session {
                    form.inline method="post" action=(format!("{}/sign-out", visit.base)) {
                        button { "Sign out" }
                    }
                }
            }
        };
        layout::framed(&visit.base, title, &end, content, scripts)
    }

    /// Switches the live view on and off.
    fn live(&self, parameters: &Parameters) -> Markup {
        let (name, value) = if parameters.is_live() { ("Stop live", "") } else { ("Live", "on") };
        let trail = layout::home(&self.visit.base);
        html! {
            a href=(parameters.address(trail, |other| other.live = value.to_owned())) { (name) }
        }
    }

    /// Says what is proven: how far the trail is signed, and what the last check found. A viewer for whom
    /// some entries do not exist learns neither their number nor where the damage is.
    fn badge(&self, zone: &Zone) -> Markup {
        let visit = self.visit;
        let at = |at: Moment| table::short(&zone.rfc3339(at));
        let to = |signed: &Signed| match signed {
            Signed::Not => "Not signed".to_owned(),
            Signed::To(signed) if !visit.viewer.is_scoped() => format!("Signed to {signed}"),
            Signed::To(_) | Signed::Each => "Signed".to_owned(),
        };
        html! {
            @match &self.checked {
                Some(checked) if checked.fault.is_some() => {
                    span.badge.broken title=[checked.fault.as_deref().filter(|_| !visit.viewer.is_scoped())] {
                        "Broken, checked " (at(checked.at))
                    }
                }
                Some(checked) => span.badge {
                    (to(&checked.signed)) ", checked " (at(checked.at))
                },
                None => span.badge {
                    @match &self.signed {
                        Ok(Signed::Not) => (to(&Signed::Not)),
                        Ok(signed) => { (to(signed)) ", not checked" }
                        Err(_) => { "The checkpoint cannot be read" }
                    }
                },
            }
            form.inline method="post" action=(format!("{}/check", visit.base)) { button { "Check now" } }
        }
    }
}

/// Verifies the trails, then shows the first page again with the outcome.
pub(crate) async fn check(State(ui): State<Arc<Dashboard>>, Extension(visit): Extension<Visit>) -> Response {
    match checking::check(&ui).await {
        Ok(()) => Redirect::to(layout::home(&visit.base)).into_response(),
        Err(problem) => problem.page(&visit.base),
    }
}
