//! A service that passes long work to background workers (`jobs_worker`).
//!
//! ```console
//! $ redis-server --save "" --appendonly no
//! $ cargo run -p auditx-examples --bin jobs_web
//! $ curl -i -H 'Authorization: Bearer demo-9f27c1e4-thida' --json '{"product_id": "SKU-1001"}' \
//!     http://127.0.0.1:8080/reports/export
//! ```

use std::error::Error;

use auditx_core::{Config, audit, configure};
use auditx_examples::axum_server::{self, Failure, SignedIn};
use auditx_examples::jobs::{self, Export, Requested};
use auditx_examples::options::{CLOSE_TIMEOUT, Options};
use auditx_examples::queue::Queue;
use axum::Router;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use clap::Parser;

/// A small service with background jobs. Its trail is the directory `web` below the log directory.
#[derive(Debug, Parser)]
#[command(version)]
struct WebOptions {
    #[command(flatten)]
    service: Options,

    /// URL of the Redis server that holds the queue.
    #[arg(long, value_name = "URL", default_value = "redis://127.0.0.1:6379")]
    redis: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = WebOptions::parse();
    configure(Config::new(&options.service.log_dir).instance("web"))?;
    let served = serve(&options);
    // The runtime and all requests have ended, so nothing is recorded after the trail's `close` record.
    audit().close(CLOSE_TIMEOUT)?;
    served
}

#[tokio::main]
async fn serve(options: &WebOptions) -> Result<(), Box<dyn Error>> {
    let routes = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/reports/export", post(export))
        .with_state(Queue::connect(&options.redis)?);
    let audit_layer = axum_server::audit_layer(&options.service)?;
    axum_server::serve(routes.layer(audit_layer), &options.service).await
}

async fn export(
    _: SignedIn,
    State(queue): State<Queue>,
    Json(export): Json<Export>,
) -> Result<(StatusCode, Json<Requested>), Failure> {
    Ok((StatusCode::ACCEPTED, Json(jobs::request(&queue, export).await?)))
}
