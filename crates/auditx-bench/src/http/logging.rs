//! The log output of the other middlewares: one file, without lossy buffers.

use std::fs::File;
use std::path::Path;

use ::tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::Outcome;
use crate::output::FILE;

/// Writes flattened JSON lines through tracing-appender's background thread. The list of all spans is off,
/// because it would repeat the only span of each request.
pub(super) fn tracing_to_file(directory: &Path, span_events: FmtSpan) -> Outcome<WorkerGuard> {
    let file = ::tracing_appender::rolling::never(directory, FILE);
    let (writer, guard) = NonBlockingBuilder::default().lossy(false).finish(file);
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_span_events(span_events)
        .with_writer(writer)
        .try_init()?;
    Ok(guard)
}

/// Writes env_logger's lines to a file, as in actix-web's documentation.
pub(super) fn env_logger_to_file(directory: &Path) -> Outcome<()> {
    let file = File::options().create(true).append(true).open(directory.join(FILE))?;
    env_logger::Builder::new()
        .filter_level(log::LevelFilter::Info)
        .target(env_logger::Target::Pipe(Box::new(file)))
        .try_init()?;
    Ok(())
}
