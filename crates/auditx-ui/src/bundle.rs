//! Downloads of what a view finds together with its proofs: evidence for an auditor.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use auditx_bundle::{Bundle, Error};
use auditx_core::AuditAction;
use auditx_reader::{Moment, Source as Level};
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
use crate::selection::{Ask, Parameters};
use crate::source::{Member, warnings};

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

/// Begins a download. Records it first.
pub(crate) async fn begin(
    ui: &Dashboard,
    visit: &Visit,
    parameters: &Parameters,
) -> Result<Response, Problem> {
    let (zone, ask) = (parameters.zone()?, parameters.ask(&visit.viewer)?);
    let permit = permit(ui)?;
    let read = Read::begun("Audit trail exported with proofs", AuditAction::Export, parameters);
    let recorded = match ui.record(&visit.viewer, &read).await? {
        Some(receipt) => Some(receipt.durable().await.map_err(unrecorded)?.seq),
        None => None,
    };
    let zone = if zone.is_utc() { String::new() } else { format!("--tz {zone}") };
    let (source, own, query) = (ui.shown().clone(), ui.own_directory(), joined([parameters.q.clone(), zone]));
    let (sender, mut receiver) = mpsc::channel::<Result<Packed, Problem>>(1);
    // Ends by itself: when the client is gone, packing stops and sending fails.
    drop(tokio::task::spawn_blocking(move || {
        let client = sender.clone();
        let packed = source.one(&ask.trail, &ask.viewer).and_then(|member| {
            let before = recorded.filter(|_| {
                own.is_some_and(|own| member.directory().is_ok_and(|shown| is_same(&own, shown)))
            });
            Packing { member, ask, query, before }.pack(move || client.is_closed())
        });
        match packed {
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
    member: Member,
    ask: Ask,
    /// The query as it was entered, and its time zone.
    query: String,
    /// The seq of the line that records this download. That line and later ones are left out.
    before: Option<u64>,
}

impl Packing {
    /// Writes the archive to a file without a name, and returns it with its length.
    fn pack(&self, is_over: impl Fn() -> bool + Send + Sync + 'static) -> Result<(File, u64), Problem> {
        let problem = |error| self.problem(&error);
        let mut bundle = Bundle::open(self.member.directory()?)
            .map_err(problem)?
            .query_text(&self.query)
            .scope_text(scope_text(&self.ask))
            .max_entries(MAX_ENTRIES)
            .max_bytes(MAX_TEXT)
            .stop_when(is_over);
        if self.ask.viewer.is_scoped() {
            bundle = bundle.confined();
        }
        if let Some(seq) = self.before {
            bundle = bundle.before(seq);
        }
        // A client cannot take a download as fast as several threads read.
        let selected = self.ask.search(self.member.directory()?).threads(1);
        let period = selected.clone().query(self.ask.viewer.scope());
        let mut file = BufWriter::new(tempfile::tempfile().map_err(failed)?);
        let outcome = bundle.write(&selected, &period, &mut file).map_err(problem)?;
        if outcome.summary.errors.segments() > 0 {
            return Err(failed(warnings(&outcome.summary, &self.ask.viewer).join(" ")));
        }
        if outcome.summary.found == 0 {
            return Err(Problem::not_found("no entries were found, so there is nothing to prove"));
        }
        let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        let len = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.rewind().map_err(failed)?;
        Ok((file, len))
    }

    /// The answer to this error.
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
        if error.is_missing() { Problem::not_found(error.why()) } else { failed(error.why()) }
    }
}

/// Returns what limits the entries besides the query, as flags of the command.
fn scope_text(ask: &Ask) -> String {
    let time = |name: &str, moment: Option<Moment>| {
        moment.map_or_else(String::new, |moment| format!("--{name} {moment}"))
    };
    let source = if ask.level == Level::Security { "--source security" } else { "" };
    joined([time("since", ask.since), time("until", ask.until), source.to_owned(), ask.viewer.scope_text()])
}

/// Whether two paths lead to one directory.
fn is_same(one: &Path, other: &Path) -> bool {
    // One that cannot be found is not the same.
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

fn joined<const N: usize>(parts: [String; N]) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn failed(error: impl ToString) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the bundle failed: {}", error.to_string()))
}
