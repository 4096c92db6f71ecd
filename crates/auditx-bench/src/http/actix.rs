//! actix-web with one worker thread.

use std::path::Path;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest as Request, ServiceResponse as Response};
use actix_web::middleware::Logger;
use actix_web::rt::{System, spawn};
use actix_web::{App, Error, HttpServer, web};
use tracing_actix_web::TracingLogger;
use tracing_subscriber::fmt::format::FmtSpan;

use super::{logging, server, subject};
use crate::Outcome;

/// Serves the application without middleware.
pub(super) fn bare() -> Outcome<()> {
    serve(app)?;
    server::send_usage();
    Ok(())
}

/// Serves with actix-web's own logger: env_logger writes a line of text in the worker thread.
pub(super) fn with_logger(directory: &Path) -> Outcome<()> {
    logging::env_logger_to_file(directory)?;
    serve(|| app().wrap(Logger::default()))?;
    server::send_usage();
    Ok(())
}

/// Serves with tracing-actix-web, which writes one JSON line when its root span closes.
pub(super) fn with_tracing(directory: &Path) -> Outcome<()> {
    let guard = logging::tracing_to_file(directory, FmtSpan::CLOSE)?;
    serve(|| app().wrap(TracingLogger::default()))?;
    drop(guard);
    server::send_usage();
    Ok(())
}

pub(super) fn app()
-> App<impl ServiceFactory<Request, Config = (), Response = Response, Error = Error, InitError = ()>> {
    App::new().route("/sales/invoice/{id}", web::get().to(invoice))
}

async fn invoice(_id: web::Path<u64>) -> &'static str {
    subject::BODY
}

/// Serves on a free loopback port until the parent process stops it.
pub(super) fn serve<F, S, B>(application: F) -> Outcome<()>
where
    F: Fn() -> App<S> + Send + Clone + 'static,
    S: ServiceFactory<Request, Config = (), Response = Response<B>, Error = Error, InitError = ()> + 'static,
    B: MessageBody + 'static,
{
    System::new().block_on(async {
        let server = HttpServer::new(application).workers(1).disable_signals().bind(("127.0.0.1", 0))?;
        let port = server.addrs().first().ok_or("no address")?.port();
        let server = server.run();
        let handle = server.handle();
        let stopped = server::listen_for_commands(port)?;
        spawn(async move {
            // A closed channel means that the command thread has ended, which also stops the server.
            drop(stopped.await);
            handle.stop(true).await;
        });
        Ok(server.await?)
    })
}
