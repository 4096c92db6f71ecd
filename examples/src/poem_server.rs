//! Serving poem's endpoints over HTTP/1, in place of poem's own server.
//!
//! That one (3.1) goes on polling a connection that has ended, so the handler of a client that went away is not dropped: its
//! closing entry comes when the handler ends by itself, or never.

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

/// Between two attempts to accept a connection, where the operating system has no room for one more.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, and then whatever is under way for as long as `grace`. What still runs at the end is dropped with the
/// runtime.
///
/// # Errors
/// Where the listener has no address.
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
            sleep(PAUSE).await;
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
        // How a connection ends, its requests' entries say.
        tokio::spawn(connections.watch(connection));
    }
    drop(listener);
    // Late or not: whoever asked has waited long enough.
    timeout(grace, connections.shutdown()).await.unwrap_or(());
    Ok(())
}
