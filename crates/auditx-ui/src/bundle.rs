//! Downloads of what a view finds together with its proofs: evidence for an auditor.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use auditx_bundle::{Bundle, Error};
use auditx_core::AuditAction;
use auditx_reader::{Moment, Search, TimeBase, end_moment_of, moment_of};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use crate::dashboard::{Dashboard, Read, unrecorded};
use crate::export::{AHEAD, Piece, permit, pieces, put};
use crate::guard::Visit;
use crate::problem::Problem;
use crate::selection::{Parameters, warnings};
use crate::viewer::Viewer;

/// Entries of a bundle. Each needs a proof, which is longer than the entry.
const MAX_ENTRIES: u64 = 10_000;

/// Text of a bundle before compression, and so about the largest temporary file.
const MAX_TEXT: u64 = 256 << 20;

/// Length of a piece of a file that is sent.
const PIECE: u64 = 64 << 10;

/// A complete archive: its length and its content.
type Packed = (u64, mpsc::Receiver<Piece>);

pub(crate) async fn bundle(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(parameters): Query<Parameters>,
) -> Response {
    begin(&ui, &visit, &parameters).await.unwrap_or_else(|problem| problem.page(&visit.base))
}

async fn begin(ui: &Dashboard, visit: &Visit, parameters: &Parameters) -> Result<Response, Problem> {
    let mut packing = Packing::new(ui, &visit.viewer, parameters)?;
    let permit = permit(ui)?;
    let read = Read {
        description: "Audit trail exported with proofs",
        action: AuditAction::Export,
        parameters,
        seq: None,
        found: None,
    };
    if let Some(receipt) = ui.record(&visit.viewer, &read).await? {
        packing.before = Some(receipt.durable().await.map_err(unrecorded)?.seq);
    }
    let (sender, mut receiver) = mpsc::channel::<Result<Packed, Problem>>(1);
    // Ends by itself: when the client is gone, packing stops and sending fails.
    drop(tokio::task::spawn_blocking(move || {
        let client = sender.clone();
        match packing.pack(move || client.is_closed()) {
            Ok((file, len)) => {
                let (pieces, content) = mpsc::channel(AHEAD);
                if sender.blocking_send(Ok((len, content))).is_ok() {
                    let end = send(file, &pieces).map(|()| None);
                    // If the client is gone, nobody needs to know.
                    drop(put(&pieces, end));
                }
            }
            // As above.
            Err(problem) => drop(sender.blocking_send(Err(problem))),
        }
        drop(permit);
    }));
    let packed = receiver.recv().await.unwrap_or_else(|| Err(failed("packing ended unexpectedly")));
    let (len, content) = packed?;
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.zip\"".to_owned()),
        (header::CONTENT_LENGTH, len.to_string()),
    ];
    Ok((headers, Body::from_stream(pieces(content))).into_response())
}

/// Sends a file piece by piece.
fn send(mut file: File, sender: &mpsc::Sender<Piece>) -> io::Result<()> {
    loop {
        let mut piece = Vec::new();
        if (&mut file).take(PIECE).read_to_end(&mut piece)? == 0 {
            return Ok(());
        }
        put(sender, Ok(Some(piece)))?;
    }
}

/// What a bundle is made of.
struct Packing {
    directory: PathBuf,
    viewer: Viewer,
    selected: Search,
    /// All entries of the same period that exist for the viewer.
    period: Search,
    query: String,
    scope: String,
    /// The line that records this download, and those after it, are not part of it.
    before: Option<u64>,
}

impl Packing {
    fn new(ui: &Dashboard, viewer: &Viewer, parameters: &Parameters) -> Result<Self, Problem> {
        let zone = parameters.zone()?;
        let base = TimeBase::new(Moment::now(), zone.clone());
        // Absolute times, so that both searches and the manifest have the same period. A time that cannot be
        // parsed remains, and the search refuses it.
        let absolute = |moment: Option<Moment>, text: &str| {
            moment.map_or_else(|| text.to_owned(), |moment| moment.to_string())
        };
        let mut limited = parameters.clone();
        limited.since = absolute(moment_of(&parameters.since, base.clone()), &parameters.since);
        limited.until = absolute(end_moment_of(&parameters.until, base), &parameters.until);
        // One thread: a client cannot make a download as fast as several can.
        let search = |parameters: &Parameters| {
            parameters.search(ui.directory(), viewer).map(|search| search.threads(1))
        };
        let selected = search(&limited)?;
        let period = search(&Parameters { q: String::new(), ..limited.clone() })?;
        let zone = if zone.is_utc() { String::new() } else { format!("--tz {zone}") };
        Ok(Self {
            directory: ui.directory().to_path_buf(),
            viewer: viewer.clone(),
            selected,
            period,
            query: joined([parameters.q.clone(), zone]),
            scope: scope_text(&limited, viewer),
            before: None,
        })
    }

    /// Writes the archive to a file without a name, and returns it with its length.
    fn pack(&self, is_over: impl Fn() -> bool + Send + Sync + 'static) -> Result<(File, u64), Problem> {
        let problem = |error| self.problem(&error);
        let mut bundle = Bundle::open(&self.directory)
            .map_err(problem)?
            .query_text(&self.query)
            .scope_text(&self.scope)
            .max_entries(MAX_ENTRIES)
            .max_bytes(MAX_TEXT)
            .stop_when(is_over);
        if self.viewer.is_scoped() {
            bundle = bundle.confined();
        }
        if let Some(seq) = self.before {
            bundle = bundle.before(seq);
        }
        let mut file = BufWriter::new(tempfile::tempfile().map_err(failed)?);
        let outcome = bundle.write(&self.selected, &self.period, &mut file).map_err(problem)?;
        if outcome.summary.errors.segments() > 0 {
            return Err(failed(warnings(&outcome.summary, &self.viewer).join(" ")));
        }
        if outcome.summary.found == 0 {
            return Err(Problem::not_found("no entries were found, so there is nothing to prove"));
        }
        let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        let len = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.rewind().map_err(failed)?;
        Ok((file, len))
    }

    /// The answer to this error. A viewer for whom some entries do not exist learns nothing about those.
    fn problem(&self, error: &Error) -> Problem {
        if error.is_too_large() {
            let (entries, mebibytes) = (MAX_ENTRIES, MAX_TEXT >> 20);
            return Problem::bad_request(format!(
                "too much is selected: each entry has a proof, so a bundle may have {entries} entries and \
                 {mebibytes} MiB of text; narrow the search, for example to a shorter period"
            ));
        }
        if error.is_changed() {
            let detail = format!("{error}: try again");
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1);
        }
        // A proof is computed from other lines too, and the error may name those.
        if self.viewer.is_scoped() && !error.is_missing() && !error.is_output() {
            return failed(
                "the trail is damaged or cannot be read, so these entries cannot be proved: report this to \
                 its operator",
            );
        }
        if error.is_missing() { Problem::not_found(error.why()) } else { failed(error.why()) }
    }
}

/// Returns what limits the entries besides the query, as flags of the command.
fn scope_text(parameters: &Parameters, viewer: &Viewer) -> String {
    let flag = |name: &str, value: &str| {
        if value.is_empty() { String::new() } else { format!("--{name} {value}") }
    };
    let source = if parameters.is_security() { "security" } else { "" };
    joined([
        flag("since", &parameters.since),
        flag("until", &parameters.until),
        flag("source", source),
        viewer.scope_text(),
    ])
}

fn joined<const N: usize>(parts: [String; N]) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn failed(error: impl ToString) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the bundle failed: {}", error.to_string()))
}
