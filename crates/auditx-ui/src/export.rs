//! Downloads of everything that a view finds, as a stream.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use auditx_core::AuditAction;
use auditx_export::{Exporter, Format};
use auditx_reader::{Cursor, Order};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::dashboard::{Dashboard, Read, unrecorded};
use crate::guard::Visit;
use crate::position::Position;
use crate::problem::Problem;
use crate::selection::{Ask, Parameters};
use crate::source::Source;

/// Pieces of text that wait for a slow client.
pub(crate) const AHEAD: usize = 4;

/// A client that takes nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Entries that are searched at a time; after each, and after [`TIME_LIMIT`](crate::source::TIME_LIMIT), it
/// is checked whether the client is still there.
const BATCH: u64 = 10_000;

/// Text, or `None` at the end.
pub(crate) type Piece = io::Result<Option<Vec<u8>>>;

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
        other => {
            return Err(Problem::not_found(format!(
                "unknown format {other:?}: expected csv, ndjson or bundle"
            )));
        }
    };
    let (source, mut ask) = (ui.shown().clone(), parameters.ask(&visit.viewer)?);
    // A client cannot take a download as fast as several threads read.
    ask.threads = 1;
    let permit = permit(ui)?;
    let read = Read::begun("Audit trail exported", AuditAction::Export, parameters);
    // Then no entry recorded before is pending: a search that is oldest first does not find pending entries.
    if let Some(receipt) = ui.record(&visit.viewer, &read).await? {
        receipt.durable().await.map_err(unrecorded)?;
    }
    let (sender, receiver) = mpsc::channel::<Piece>(AHEAD);
    // Ends by itself: when the client is gone, sending fails.
    drop(tokio::task::spawn_blocking(move || {
        let end = send(&source, &ask, exporter, &sender).map(|()| None);
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

/// Admits a download, unless as many run as may run at the same time.
pub(crate) fn permit(ui: &Dashboard) -> Result<OwnedSemaphorePermit, Problem> {
    ui.exports.clone().try_acquire_owned().map_err(|_| {
        let detail = "as many downloads run as may run at the same time: try again in 10 s";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(10)
    })
}

/// The pieces up to the end. Without an end, the download breaks off: it must not look complete when it is
/// not.
pub(crate) fn pieces(receiver: mpsc::Receiver<Piece>) -> impl Stream<Item = io::Result<Vec<u8>>> {
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

/// Sends what is found, oldest first. Fails if the result is incomplete or wrong, or the client does not take
/// it.
fn send(
    source: &Source,
    ask: &Ask,
    exporter: Option<Exporter>,
    sender: &mpsc::Sender<Piece>,
) -> io::Result<()> {
    let read = |problem: Problem| io::Error::other(problem.detail().to_owned());
    let is_family = source.is_family(&ask.trail, &ask.viewer).map_err(read)?;
    let exporter = exporter.map(|exporter| if is_family { exporter.trail_column() } else { exporter });
    if let Some(exporter) = &exporter {
        let mut header = Vec::new();
        exporter.header(&mut header);
        put(sender, Ok(Some(header)))?;
    }
    let mut at = Position::default();
    loop {
        let page = source.page(ask, &at, Order::OldestFirst, BATCH).map_err(read)?;
        if page.status.is_damaged {
            return Err(io::Error::other("the trail is damaged"));
        }
        let mut text = Vec::new();
        for hit in &page.hits {
            match (&exporter, hit.row()) {
                (Some(exporter), Some(row)) => {
                    exporter.entry_of(&hit.trail, hit.line.as_bytes(), &row.entry(), &mut text);
                }
                _ => {
                    text.extend_from_slice(hit.named_line().as_bytes());
                    text.push(b'\n');
                }
            }
        }
        if sender.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !text.is_empty() {
            put(sender, Ok(Some(text)))?;
        }
        match page.next {
            Some(next) => {
                at = next;
                // Trails that ended would otherwise be read again for each batch.
                page.ended.iter().for_each(|trail| at.set(trail, Cursor::Seq(u64::MAX)));
            }
            None => return Ok(()),
        }
    }
}

/// Waits until the client takes a piece, but not for ever.
pub(crate) fn put(sender: &mpsc::Sender<Piece>, piece: Piece) -> io::Result<()> {
    let sent = Handle::current().block_on(sender.send_timeout(piece, PATIENCE));
    sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
}
