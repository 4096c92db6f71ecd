//! Downloads of everything that a view finds, as a stream.

use std::io;
use std::sync::Arc;

use auditx_core::AuditAction;
use auditx_export::{Exporter, Format};
use auditx_reader::{Found, Search};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc;

use crate::dashboard::{Dashboard, Read};
use crate::guard::Visit;
use crate::problem::Problem;
use crate::selection::{Parameters, warnings};

/// Pieces of text that wait for a slow client.
const AHEAD: usize = 4;

type Piece = io::Result<Vec<u8>>;

pub(crate) async fn export(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(parameters): Query<Parameters>,
    Path(format): Path<String>,
) -> Response {
    begin(&ui, &visit, &parameters, &format).unwrap_or_else(|problem| problem.page(&visit.base))
}

fn begin(ui: &Dashboard, visit: &Visit, parameters: &Parameters, format: &str) -> Result<Response, Problem> {
    let (exporter, kind) = match format {
        "csv" => (Some(Exporter::new(Format::Csv)), "text/csv; charset=utf-8"),
        "ndjson" => (None, "application/x-ndjson"),
        other => return Err(Problem::not_found(format!("unknown format {other:?}: expected csv or ndjson"))),
    };
    let search = parameters.search(ui.directory(), &visit.viewer)?;
    let read = Read {
        description: "Audit trail exported",
        action: AuditAction::Export,
        parameters,
        seq: None,
        found: None,
    };
    ui.record(&visit.viewer, &read)?;
    let (sender, receiver) = mpsc::channel::<Piece>(AHEAD);
    // Ends by itself: when the client is gone, sending fails.
    drop(tokio::task::spawn_blocking(move || send(&search, exporter.as_ref(), &sender)));
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"audit.{format}\"")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Sends what the search finds. Breaks the connection off if the result is incomplete or wrong: a download must
/// not look complete when it is not.
fn send(search: &Search, exporter: Option<&Exporter>, sender: &mpsc::Sender<Piece>) {
    let mut header = Vec::new();
    if let Some(exporter) = exporter {
        exporter.header(&mut header);
    }
    let put = |text: &[u8]| {
        sender.blocking_send(Ok(text.to_vec())).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    };
    let render = |found: &Found<'_>, out: &mut Vec<u8>| match exporter {
        Some(exporter) => exporter.entry(found.row.line().as_bytes(), &found.row.entry(), out),
        None => {
            out.extend_from_slice(found.row.line().as_bytes());
            out.push(b'\n');
        }
    };
    let outcome = put(&header).and_then(|()| search.write(render, put).map_err(io::Error::other));
    let failure = match outcome {
        Ok(summary) if summary.fault.is_some() || summary.errors.segments() > 0 => {
            Some(io::Error::other(warnings(&summary).join(" ")))
        }
        Ok(_) => None,
        Err(error) => Some(error),
    };
    if let Some(error) = failure {
        // If the client is gone, nobody needs to know.
        let _is_sent = sender.blocking_send(Err(error)).is_ok();
    }
}
