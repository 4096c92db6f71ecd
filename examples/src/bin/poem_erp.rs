//! The example service on poem, with the audit middleware of `examples/src/poem_audit.rs`.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin poem_erp
//! $ curl -i -H 'Authorization: Bearer demo-9f27c1e4-thida' http://127.0.0.1:8080/me
//! ```

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use auditx_core::{Config, audit, configure};
use auditx_examples::accounts::{Account, Me, sign_in};
use auditx_examples::customers::{CreditLimit, Customer};
use auditx_examples::erp::Erp;
use auditx_examples::inventory::{Issue, Issued};
use auditx_examples::options::{CLOSE_TIMEOUT, Options};
use auditx_examples::poem_audit::PoemAudit;
use auditx_examples::poem_server;
use auditx_examples::refusal::Refusal;
use auditx_examples::reports::Extent;
use auditx_examples::sales::{Invoice, Posted};
use auditx_examples::shutdown;
use clap::Parser;
use futures_util::TryStreamExt;
use poem::error::ResponseError;
use poem::http::StatusCode;
use poem::http::header::AUTHORIZATION;
use poem::middleware::AddData;
use poem::web::{Data, Json, Path, Query};
use poem::{
    Body, Endpoint, EndpointExt, FromRequest, IntoResponse, Request, RequestBody, Response, Route, get,
    handler, post, put,
};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

/// Far more than any request of this service needs; poem itself sets no limit.
const MAX_BODY: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    configure(Config::new(&options.log_dir).default_currency("MMK"))?;
    let served = listen(&options);
    // The runtime and all requests have ended, so nothing is recorded after the trail's `close` record.
    audit().close(CLOSE_TIMEOUT)?;
    served
}

#[tokio::main]
async fn listen(options: &Options) -> Result<(), Box<dyn Error>> {
    let audited = PoemAudit::builder()
        .exclude(["/healthz"])
        .trust_proxies(options.trusted_proxies.iter().cloned())
        .build()?;
    let app = routes().with(audited);

    let stop = shutdown::signal()?;
    let listener = TcpListener::bind(options.addr).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // Requests that still run after the grace period are dropped with the runtime; each writes its closing
    // entry when it is dropped.
    Ok(poem_server::serve(listener, app, stop, options.grace()).await?)
}

fn routes() -> impl Endpoint + 'static {
    Route::new()
        .at("/healthz", get(healthz))
        .at("/me", get(me))
        .at("/sales/invoice", post(post_invoice))
        .at("/inventory/issue", post(issue_stock))
        .at("/customers/:id/credit-limit", put(set_credit_limit))
        .at("/reports/stream", get(stock_movements))
        .at("/reports/slow", get(valuation))
        .at("/reports/release", post(release))
        .at("/reports/fail", get(trial_balance))
        .at("/reports/panic", get(cash_flow))
        .with(AddData::new(Arc::new(Erp::default())))
}

type ErpData<'a> = Data<&'a Arc<Erp>>;

#[handler]
fn healthz() -> &'static str {
    "ok"
}

#[handler]
fn me(_: SignedIn) -> Json<Me> {
    Json(Me::from_context())
}

#[handler]
fn post_invoice(
    _: SignedIn,
    Data(erp): ErpData<'_>,
    JsonBody(invoice): JsonBody<Invoice>,
) -> Result<(StatusCode, Json<Posted>), Failure> {
    Ok((StatusCode::CREATED, Json(erp.sales.post(invoice)?)))
}

#[handler]
fn issue_stock(
    _: SignedIn,
    Data(erp): ErpData<'_>,
    JsonBody(issue): JsonBody<Issue>,
) -> Result<Json<Issued>, Failure> {
    Ok(Json(erp.inventory.issue(&issue)?))
}

#[handler]
async fn set_credit_limit(
    SignedIn(by): SignedIn,
    Data(erp): ErpData<'_>,
    Path(id): Path<String>,
    JsonBody(limit): JsonBody<CreditLimit>,
) -> Result<Json<Customer>, Failure> {
    Ok(Json(erp.customers.set_credit_limit(by, &id, &limit).await?))
}

#[handler]
fn stock_movements(
    _: SignedIn,
    Data(erp): ErpData<'_>,
    Query(extent): Query<Extent>,
) -> Result<Body, Failure> {
    let movements = erp.reports.stock_movements(&extent)?;
    Ok(Body::from_bytes_stream(movements.map_err(io::Error::other)))
}

#[handler]
async fn valuation(_: SignedIn, Data(erp): ErpData<'_>) -> Result<&'static str, Failure> {
    Ok(erp.reports.valuation().await?)
}

#[handler]
fn release(_: SignedIn, Data(erp): ErpData<'_>) -> StatusCode {
    erp.reports.release();
    StatusCode::NO_CONTENT
}

#[handler]
fn trial_balance(_: SignedIn, Data(erp): ErpData<'_>) -> Result<&'static str, Failure> {
    Ok(erp.reports.trial_balance()?)
}

#[handler]
fn cash_flow(_: SignedIn, Data(erp): ErpData<'_>) -> &'static str {
    erp.reports.cash_flow()
}

/// The signed-in user. A request without a valid token is rejected before its handler is called.
struct SignedIn(&'static Account);

impl<'a> FromRequest<'a> for SignedIn {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(sign_in(request.header(AUTHORIZATION)).map_err(Failure)?))
    }
}

/// A JSON body. Invalid JSON is reported by line and column only: serde's message quotes the value, which may
/// be a secret in the wrong field.
struct JsonBody<T>(T);

impl<'a, T: DeserializeOwned> FromRequest<'a> for JsonBody<T> {
    async fn from_request(_: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = body.take()?.into_bytes_limit(MAX_BODY).await?;
        let parsed = serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let why = format!("not the expected JSON at line {} column {}", error.line(), error.column());
            Failure(Refusal::Malformed(why))
        });
        Ok(parsed?)
    }
}

/// A [`Refusal`] as a poem error. The middleware records the error's text as `metadata.error` of the closing
/// entry.
#[derive(Debug)]
struct Failure(Refusal);

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Failure {}

impl ResponseError for Failure {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn as_response(&self) -> Response {
        (self.status(), Json(self.0.to_json())).into_response()
    }
}
