//! The service with poem, through hooks of its own: `examples/src/poem_audit.rs`.
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
use auditx_examples::stop;
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

/// Far more than any of these requests has to say; poem itself sets no limit.
const MAX_BODY: usize = 64 * 1024;

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
    let audited = PoemAudit::builder()
        .exclude(["/healthz"])
        .trust_proxies(options.trusted_proxies.iter().cloned())
        .build()?;
    let app = routes().with(audited);

    let stop = stop::requested()?;
    let listener = TcpListener::bind(options.addr).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // Whatever still runs after the grace is dropped with the runtime, and leaves its closing entry too.
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

type Books<'a> = Data<&'a Arc<Erp>>;

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
    Data(erp): Books<'_>,
    Given(invoice): Given<Invoice>,
) -> Result<(StatusCode, Json<Posted>), Failure> {
    Ok((StatusCode::CREATED, Json(erp.sales.post(invoice)?)))
}

#[handler]
fn issue_stock(
    _: SignedIn,
    Data(erp): Books<'_>,
    Given(issue): Given<Issue>,
) -> Result<Json<Issued>, Failure> {
    Ok(Json(erp.inventory.issue(&issue)?))
}

#[handler]
async fn set_credit_limit(
    SignedIn(by): SignedIn,
    Data(erp): Books<'_>,
    Path(id): Path<String>,
    Given(limit): Given<CreditLimit>,
) -> Result<Json<Customer>, Failure> {
    Ok(Json(erp.customers.set_credit_limit(by, &id, &limit).await?))
}

#[handler]
fn stock_movements(_: SignedIn, Data(erp): Books<'_>, Query(extent): Query<Extent>) -> Result<Body, Failure> {
    let movements = erp.reports.stock_movements(&extent)?;
    Ok(Body::from_bytes_stream(movements.map_err(io::Error::other)))
}

#[handler]
async fn valuation(_: SignedIn, Data(erp): Books<'_>) -> Result<&'static str, Failure> {
    Ok(erp.reports.valuation().await?)
}

#[handler]
fn release(_: SignedIn, Data(erp): Books<'_>) -> StatusCode {
    erp.reports.release();
    StatusCode::NO_CONTENT
}

#[handler]
fn trial_balance(_: SignedIn, Data(erp): Books<'_>) -> Result<&'static str, Failure> {
    Ok(erp.reports.trial_balance()?)
}

#[handler]
fn cash_flow(_: SignedIn, Data(erp): Books<'_>) -> &'static str {
    erp.reports.cash_flow()
}

/// Whoever sends the request, known by their token; requests without one get no further.
struct SignedIn(&'static Account);

impl<'a> FromRequest<'a> for SignedIn {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(sign_in(request.header(AUTHORIZATION)).map_err(Failure)?))
    }
}

/// A body in JSON. What does not fit is refused without being repeated: serde's message quotes it, and it may be a secret in
/// a wrong field.
struct Given<T>(T);

impl<'a, T: DeserializeOwned> FromRequest<'a> for Given<T> {
    async fn from_request(_: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = body.take()?.into_bytes_limit(MAX_BODY).await?;
        let parsed = serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let why = format!("not the expected JSON at line {} column {}", error.line(), error.column());
            Failure(Refusal::Malformed(why))
        });
        Ok(parsed?)
    }
}

/// The closing entry's `metadata.error` is what this displays: the middleware finds it in the error.
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
