//! The service with axum.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin axum_erp
//! $ curl -i -H 'Authorization: Bearer demo-9f27c1e4-thida' http://127.0.0.1:8080/me
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use auditx_core::{Config, RequestContext, audit, configure};
use auditx_examples::accounts::{Account, Me, sign_in};
use auditx_examples::customers::{CreditLimit, Customer};
use auditx_examples::erp::Erp;
use auditx_examples::inventory::{Issue, Issued};
use auditx_examples::options::{CLOSE_TIMEOUT, Options};
use auditx_examples::refusal::Refusal;
use auditx_examples::reports::Extent;
use auditx_examples::sales::{Invoice, Posted};
use auditx_examples::stop;
use auditx_tower::AuditLayer;
use axum::body::Body;
use axum::extract::{FromRequestParts, Json, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Router, serve};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::time::sleep;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    configure(Config::new(&options.log_dir).default_currency("MMK"))?;
    let served = listen(&options);
    // The runtime has ended, and with it every request: nothing is recorded after the trail's `close`.
    audit().close(CLOSE_TIMEOUT)?;
    served
}

#[tokio::main]
async fn listen(options: &Options) -> Result<(), Box<dyn Error>> {
    let audited = AuditLayer::builder()
        .exclude(["/healthz"])
        .trust_proxies(options.trusted_proxies.iter().cloned())
        .build()?;
    let app = routes().layer(audited).into_make_service_with_connect_info::<SocketAddr>();

    let (stop, told_to_stop) = (stop::requested()?, stop::requested()?);
    let listener = TcpListener::bind(options.addr).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        served = serve(listener, app).with_graceful_shutdown(stop) => Ok(served?),
        // Whatever still runs then is dropped with the runtime, and leaves its closing entry too.
        () = async { told_to_stop.await; sleep(options.grace()).await } => Ok(()),
    }
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

/// Whoever sends the request, known by their token; requests without one get no further.
struct SignedIn(&'static Account);

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        Ok(Self(sign_in(authorization)?))
    }
}

struct Failure(Refusal);

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(refusal) = self;
        // A layer sees the response only. What the reason was, the closing entry learns from the context.
        RequestContext::update(|context| {
            context.extra.insert("error".to_owned(), refusal.to_string().into());
        });
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(refusal.to_json())).into_response()
    }
}
