//! `GET /api/v1/stream`: new entries as server-sent events (HTML standard, 9.2).
//!
//! The id of an event is the position after it, so that a client that connects again, with `Last-Event-ID`,
//! continues where it was. What a client missed is searched for in the trails; only lines that were retired
//! in the meantime are missing, and the event `gap` says which.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use auditx_core::AuditAction;
use auditx_reader::{Cursor, Order};
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, Interval, interval, timeout_at};

use crate::blocking;
use crate::dashboard::{Dashboard, Read};
use crate::follower::{self, NewEntry};
use crate::guard::Visit;
use crate::page::named;
use crate::position::Position;
use crate::problem::Problem;
use crate::selection::Ask;

use super::parameters::Followed;

/// The number of entries that are searched at a time. They wait in memory until the client takes them.
const BATCH: u64 = 100;

/// The interval of events that say that the connection works.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// After this time the client has to connect again, so that one who may no longer read is refused.
const LONGEST: Duration = Duration::from_secs(60 * 60);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) async fn stream(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(asked): Query<Followed>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let parameters = asked.parameters();
    let ask = parameters.ask(&visit.viewer)?;
    let permit = ui.streams.clone().try_acquire_owned().map_err(|_| {
        let detail = "as many viewers follow the trail as may at the same time: try again in 10 s";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(10)
    })?;
    // A client that connects again sends the position of the last event.
    let last = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
    let sent = last.unwrap_or(&asked.after);
    // The key of an encrypted position may have been that of an earlier process.
    let (after, is_lost) = match ui.position(sent, &visit.viewer) {
        Err(_) if visit.viewer.is_scoped() && last.is_some() => (Position::default(), true),
        after => (after?, false),
    };
    let (owned, asked) = (ui.clone(), ask.clone());
    let (events, begin) = blocking::run(&ui.catch_ups, move || {
        let events = owned.follower.subscribe(owned.shown(), &asked)?;
        let begin = if after.is_empty() { owned.shown().end(&asked.trail, &asked.viewer)? } else { after };
        Ok::<_, Problem>((events, begin))
    })
    .await??;
    let read = Read::begun("Audit trail followed", AuditAction::Read, &parameters);
    ui.record(&visit.viewer, &read).await?;
    let mut flow = Flow {
        ui,
        ask,
        position: begin,
        is_behind: true,
        events,
        ready: VecDeque::new(),
        heartbeat: interval(HEARTBEAT),
        end: Instant::now() + LONGEST,
        _permit: permit,
    };
    // The client knows its position before the first entry.
    let first = if is_lost { flow.event("gap", "{}".to_owned())? } else { flow.heartbeat_event()? };
    flow.ready.push_back(first);
    flow.heartbeat.reset();
    let events = stream::unfold(flow, |mut flow| async move {
        let event = flow.next().await?;
        Some((Ok::<_, Infallible>(event), flow))
    });
    // Asks proxies not to buffer the answer.
    Ok(([(HeaderName::from_static("x-accel-buffering"), "no")], Sse::new(events)).into_response())
}

/// The events of one client.
struct Flow {
    ui: Arc<Dashboard>,
    ask: Ask,
    /// Every entry up to here was sent, or does not match.
    position: Position,
    /// Whether entries after the position may be in the trails that were not received from the follower.
    is_behind: bool,
    events: Receiver<follower::Event>,
    ready: VecDeque<Event>,
    heartbeat: Interval,
    end: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Flow {
    /// Returns the next event; `None` if the client has to connect again.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_behind {
                self.catch_up().await.ok()?;
                continue;
            }
            let received = tokio::select! {
                received = timeout_at(self.end, self.events.recv()) => received.ok()??,
                _ = self.heartbeat.tick() => return self.heartbeat_event().ok(),
            };
            match received {
                follower::Event::Missed => self.is_behind = true,
                follower::Event::Entry(entry) => self.add(entry).ok()?,
            }
        }
    }

    /// Searches for what is after the position.
    async fn catch_up(&mut self) -> Result<(), Problem> {
        let (source, ask, mut at) = (self.ui.shown().clone(), self.ask.clone(), self.position.clone());
        let read = move || {
            let gaps = source.gaps(&ask, &mut at)?;
            let page = source.page(&ask, &at, Order::OldestFirst, BATCH)?;
            Ok::<_, Problem>((gaps, at, page))
        };
        let (gaps, at, page) = blocking::run(&self.ui.catch_ups, read).await??;
        self.position = at;
        for gap in gaps {
            // The lines next to the gap may not exist for the viewer.
            let data = if self.ask.viewer.is_scoped() { json!({}) } else { json!(gap) };
            self.ready.push_back(self.event("gap", data.to_string())?);
        }
        for hit in &page.hits {
            // Legacy lines have no number, so no position is after one.
            if matches!(hit.cursor, Cursor::Seq(_)) {
                self.position.set(&hit.trail, hit.cursor.clone());
                self.ready.push_back(self.event("entry", hit.named_line().into_owned())?);
            }
        }
        self.is_behind = page.next.is_some();
        if let Some(next) = page.next {
            self.position = next;
        }
        if self.is_behind && self.ready.is_empty() {
            // The search may take long, and the client would give up the connection.
            self.ready.push_back(self.heartbeat_event()?);
        }
        Ok(())
    }

    fn add(&mut self, NewEntry { trail, seq, line }: NewEntry) -> Result<(), Problem> {
        // A search has already found it.
        if matches!(self.position.of(&trail), Some(Cursor::Seq(last)) if *last >= seq) {
            return Ok(());
        }
        self.position.set(&trail, Cursor::Seq(seq));
        self.ready.push_back(self.event("entry", named(&trail, &line).into_owned())?);
        Ok(())
    }

    fn heartbeat_event(&self) -> Result<Event, Problem> {
        // Browsers do not dispatch events without data.
        self.event("heartbeat", "{}".to_owned())
    }

    fn event(&self, kind: &str, data: String) -> Result<Event, Problem> {
        let id = self.ui.text_of(&self.position, &self.ask.viewer)?;
        Ok(Event::default().event(kind).id(id).data(data))
    }
}
