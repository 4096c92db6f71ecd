//! The service with axum.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin axum_erp
//! $ curl -i -H 'Authorization: Bearer demo-9f27c1e4-thida' http://127.0.0.1:8080/me
//! ```

use std::error::Error;
use std::sync::Arc;

use auditx_core::{Config, audit, configure};
use auditx_examples::accounts::Me;
use auditx_examples::axum_edge::{self, Failure, SignedIn};
use auditx_examples::customers::{CreditLimit, Customer};
use auditx_examples::erp::Erp;
use auditx_examples::inventory::{Issue, Issued};
use auditx_examples::options::{CLOSE_TIMEOUT, Options};
use auditx_examples::reports::Extent;
use auditx_examples::sales::{Invoice, Posted};
use axum::Router;
use axum::body::Body;
use axum::extract::{Json, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use clap::Parser;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    configure(Config::new(&options.log_dir).default_currency("MMK"))?;
    let served = serve(&options);
    // The runtime has ended, and with it every request: nothing is recorded after the trail's `close`.
    audit().close(CLOSE_TIMEOUT)?;
    served
}

#[tokio::main]
async fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    axum_edge::listen(routes(), options).await
}

fn routes() -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/me", get(me))
        .route("/sales/invoice", post(post_invoice))
        .route("/inventory/issue", post(issue_stock))
        .route("/customers/{id}/credit-limit", put(set_credit_limit))
        .route("/reports/stream", get(stock_movements))
        .route("/reports/slow", get(valuation))
        .route("/reports/release", post(release))
        .route("/reports/fail", get(trial_balance))
        .route("/reports/panic", get(cash_flow))
        .with_state(Arc::new(Erp::default()))
}

type Books = State<Arc<Erp>>;

async fn me(_: SignedIn) -> Json<Me> {
    Json(Me::from_context())
}

async fn post_invoice(
    _: SignedIn,
    State(erp): Books,
    Json(invoice): Json<Invoice>,
) -> Result<(StatusCode, Json<Posted>), Failure> {
    Ok((StatusCode::CREATED, Json(erp.sales.post(invoice)?)))
}

async fn issue_stock(
    _: SignedIn,
    State(erp): Books,
    Json(issue): Json<Issue>,
) -> Result<Json<Issued>, Failure> {
    Ok(Json(erp.inventory.issue(&issue)?))
}

async fn set_credit_limit(
    SignedIn(by): SignedIn,
    State(erp): Books,
    Path(id): Path<String>,
    Json(limit): Json<CreditLimit>,
) -> Result<Json<Customer>, Failure> {
    Ok(Json(erp.customers.set_credit_limit(by, &id, &limit).await?))
}

async fn stock_movements(
    _: SignedIn,
    State(erp): Books,
    Query(extent): Query<Extent>,
) -> Result<Body, Failure> {
    Ok(Body::from_stream(erp.reports.stock_movements(&extent)?))
}

async fn valuation(_: SignedIn, State(erp): Books) -> Result<&'static str, Failure> {
    Ok(erp.reports.valuation().await?)
}

async fn release(_: SignedIn, State(erp): Books) -> StatusCode {
    erp.reports.release();
    StatusCode::NO_CONTENT
}

async fn trial_balance(_: SignedIn, State(erp): Books) -> Result<&'static str, Failure> {
    Ok(erp.reports.trial_balance()?)
}

async fn cash_flow(_: SignedIn, State(erp): Books) -> &'static str {
    erp.reports.cash_flow()
}
