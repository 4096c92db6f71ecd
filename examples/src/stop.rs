//! Being told to stop: SIGTERM from whoever runs the service, ctrl-c from whoever tries it out.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Ends when one of the signals comes; from this call on neither ends the process by itself. To be called inside a tokio
/// runtime.
///
/// # Errors
/// Where the operating system refuses.
pub fn requested() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
