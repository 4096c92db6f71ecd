//! Downloads of everything that a view finds, as a stream.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use auditx_core::AuditAction;
use auditx_export::{Exporter, Format};
use auditx_reader::{Found, Search};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::dashboard::{Dashboard, Read};
use crate::guard::Visit;
use crate::problem::Problem;
use crate::selection::Parameters;

/// Pieces of text that wait for a slow client.
const AHEAD: usize = 4;

/// A client that takes nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// After this time a search that finds nothing looks whether the client is still there.
const SLICE: Duration = Duration::from_secs(1);

/// Text, or `None` at the end.
type Piece = io::Result<Option<Vec<u8>>>;

pub(crate) async fn export(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(parameters): Query<Parameters>,
    Path(Named { format }): Path<Named>,
) -> Response {
    begin(&ui, &visit, &parameters, &format).await.unwrap_or_else(|problem| problem.page(&visit.base))
}

/// The format in an address.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    pub(crate) format: String,
}

/// Begins a download. Records it first.
pub(crate) async fn begin(
    ui: &Dashboard,
    visit: &Visit,
    parameters: &Parameters,
    format: &str,
) -> Result<Response, Problem> {
    let (exporter, kind) = match format {
        "csv" => (Some(Exporter::new(Format::Csv)), "text/csv; charset=utf-8"),
        "ndjson" => (None, "application/x-ndjson"),
        other => return Err(Problem::not_found(format!("unknown format {other:?}: expected csv or ndjson"))),
    };
    // One thread: a client cannot make a download as fast as several can.
    let search = parameters.search(ui.directory(), &visit.viewer)?.threads(1);
    let permit = ui.exports.clone().try_acquire_owned().map_err(|_| {
        let detail = "as many downloads run as may run at the same time: try again in 10 s";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(10)
    })?;
    let read = Read {
        description: "Audit trail exported",
        action: AuditAction::Export,
        parameters,
        seq: None,
        found: None,
    };
    ui.record(&visit.viewer, &read).await?;
    let (sender, receiver) = mpsc::channel::<Piece>(AHEAD);
    // Ends by itself: when the client is gone, sending fails.
    drop(tokio::task::spawn_blocking(move || {
        let end = send(search, exporter.as_ref(), &sender).map(|()| None);
        // If the client is gone, nobody needs to know.
        drop(put(&sender, end));
        drop(permit);
    }));
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"audit.{format}\"")),
    ];
    Ok((headers, Body::from_stream(pieces(receiver))).into_response())
}

/// The pieces up to the end. Without an end, the download breaks off: it must not look complete when it is
/// not.
fn pieces(receiver: mpsc::Receiver<Piece>) -> impl Stream<Item = io::Result<Vec<u8>>> {
    stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Ok(Some(text))) => Some((Ok(text), Some(receiver))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Err(io::ErrorKind::UnexpectedEof.into()), None)),
        }
    })
}

/// Sends what the search finds. Fails if the result is incomplete or wrong, or the client does not take it.
fn send(mut search: Search, exporter: Option<&Exporter>, sender: &mpsc::Sender<Piece>) -> io::Result<()> {
    let mut header = Vec::new();
    if let Some(exporter) = exporter {
        exporter.header(&mut header);
        put(sender, Ok(Some(header)))?;
    }
    let render = |found: &Found<'_>, out: &mut Vec<u8>| match exporter {
        Some(exporter) => exporter.entry(found.row.line().as_bytes(), &found.row.entry(), out),
        None => {
            out.extend_from_slice(found.row.line().as_bytes());
            out.push(b'\n');
        }
    };
    search = search.time_limit(SLICE);
    loop {
        let summary =
            search.write(render, |text| put(sender, Ok(Some(text.to_vec())))).map_err(io::Error::other)?;
        if summary.fault.is_some() || summary.errors.segments() > 0 || summary.errors.lines() > 0 {
            return Err(io::Error::other("the trail is damaged"));
        }
        match summary.next.filter(|_| summary.is_out_of_time) {
            Some(next) if !sender.is_closed() => search = search.after(next),
            Some(_) => return Err(io::ErrorKind::BrokenPipe.into()),
            None => return Ok(()),
        }
    }
}

/// Waits until the client takes a piece, but not for ever.
fn put(sender: &mpsc::Sender<Piece>, piece: Piece) -> io::Result<()> {
    let sent = Handle::current().block_on(sender.send_timeout(piece, PATIENCE));
    sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
}
