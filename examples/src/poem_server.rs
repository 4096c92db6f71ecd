//! Serves poem's endpoints over HTTP/1 with hyper, in place of poem's own server.
//!
//! Poem's server (3.1) continues to poll a connection that has ended, so it does not drop the handler when
//! the client disconnects: the closing entry is written when the handler ends, or never.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

/// Pause before the next attempt to accept a connection, if the operating system refused one.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves requests until `stop` resolves, then waits up to `grace` for the running ones. Requests that still
/// run after that are dropped with the runtime.
///
/// # Errors
/// Fails if the listener's address cannot be read.
pub async fn serve(
    listener: TcpListener,
    app: impl Endpoint + 'static,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<()> {
    let (app, local) = (Arc::new(app), listener.local_addr()?);
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, peer)) = accepted else {
            sleep(ACCEPT_RETRY).await;
            continue;
        };
        let app = app.clone();
        let (local, peer) = (LocalAddr(Addr::from(local)), RemoteAddr(Addr::from(peer)));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (app, local, peer) = (app.clone(), local.clone(), peer.clone());
            async move {
                let response = app.get_response((request, local, peer, Scheme::HTTP).into()).await;
                Ok::<hyper::Response<BoxBody<Bytes, io::Error>>, Infallible>(response.into())
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // Its result is not needed: the closing entries tell how each request ended.
        tokio::spawn(connections.watch(connection));
    }
    drop(listener);
    // Returns after the grace period even if requests still run.
    timeout(grace, connections.shutdown()).await.unwrap_or(());
    Ok(())
}
