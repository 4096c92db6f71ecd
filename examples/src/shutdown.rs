//! Signals that stop a program: SIGTERM, and SIGINT (ctrl-c).

use std::future::Future;
use std::io;

use tokio::signal::unix::{self, SignalKind};

/// Returns a future that resolves when SIGTERM or SIGINT arrives. From this call on, neither signal ends the
/// process. Must be called inside a tokio runtime.
///
/// # Errors
/// Fails if the signal handlers cannot be installed.
pub fn signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = unix::signal(SignalKind::terminate())?;
    let mut interrupt = unix::signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
