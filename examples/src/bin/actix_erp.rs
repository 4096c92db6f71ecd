//! The example service on actix-web.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin actix_erp
//! $ curl -i -H 'Authorization: Bearer demo-9f27c1e4-thida' http://127.0.0.1:8080/me
//! ```

use std::error::Error;
use std::fmt;
use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::{ErrorRequestTimeout, JsonPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::{Next, from_fn};
use actix_web::rt::spawn;
use actix_web::web::{
    Data, Json, JsonConfig, Path, Payload as Body, Query, ServiceConfig, get, post, put, scope,
};
use actix_web::{App, FromRequest, HttpRequest, HttpResponse, HttpServer, ResponseError};
use actix_ws::{Message, MessageStream, Session};
use auditx_actix::{AuditContext, AuditMiddleware};
use auditx_core::{Config, audit, configure};
use auditx_examples::accounts::{Account, Me, sign_in};
use auditx_examples::counter;
use auditx_examples::customers::{CreditLimit, Customer};
use auditx_examples::erp::Erp;
use auditx_examples::faulty::Period;
use auditx_examples::inventory::{Issue, Issued};
use auditx_examples::options::{CLOSE_TIMEOUT, Options};
use auditx_examples::refusal::Refusal;
use auditx_examples::reports::{Extent, REPORT_TIMEOUT};
use auditx_examples::sales::Invoice;
use auditx_examples::shutdown;
use clap::Parser;
use futures_util::StreamExt as _;
use tokio::time::timeout;

/// Longer than the minute for which reverse proxies usually keep connections, and long enough that a stalled
/// disk is not mistaken for a slow client.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(75);

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    configure(Config::new(&options.log_dir).default_currency("MMK"))?;
    let served = listen(&options);
    // The runtime and all requests have ended, so nothing is recorded after the trail's `close` record.
    audit().close(CLOSE_TIMEOUT)?;
    served
}

#[actix_web::main]
async fn listen(options: &Options) -> Result<(), Box<dyn Error>> {
    let audited = AuditMiddleware::builder()
        .exclude(["/healthz"])
        .trust_proxies(options.trusted_proxies.iter().cloned())
        .build()?;
    let erp = Data::new(Erp::default());
    let app = move || {
        // The timeout is outside the audit middleware: when it expires, the request is dropped, and its
        // closing entry says so.
        let timed = scope("/timed")
            .route("/valuation", get().to(valuation))
            .wrap(audited.clone())
            .wrap(from_fn(with_timeout));
        App::new()
            .app_data(erp.clone())
            .app_data(json_config())
            .service(timed)
            .service(scope("").configure(routes).wrap(audited.clone()))
    };

    let server = HttpServer::new(app)
        // Drops a handler when its client disconnects.
        .h1_allow_half_closed(false)
        .keep_alive(CLIENT_TIMEOUT)
        .client_request_timeout(CLIENT_TIMEOUT)
        .shutdown_signal(shutdown::signal()?)
        .shutdown_timeout(options.grace)
        .bind_auto_h2c(options.addr)?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    Ok(server.run().await?)
}

/// Reports invalid JSON by line and column only: serde's message quotes the value, which may be a secret in
/// the wrong field.
fn json_config() -> JsonConfig {
    JsonConfig::default().error_handler(|error, _| {
        let why = match error {
            JsonPayloadError::Deserialize(error) => {
                format!("not the expected JSON at line {} column {}", error.line(), error.column())
            }
            other => other.to_string(),
        };
        Failure(Refusal::Malformed(why)).into()
    })
}

fn routes(app: &mut ServiceConfig) {
    app.route("/healthz", get().to(async || "ok"))
        .route("/me", get().to(me))
        .route("/sales/invoice", post().to(post_invoice))
        .route("/inventory/issue", post().to(issue_stock))
        .route("/customers/{id}/credit-limit", put().to(set_credit_limit))
        .route("/reports/stream", get().to(stock_movements))
        .route("/reports/slow", get().to(valuation))
        .route("/reports/release", post().to(release))
        .route("/reports/fail", get().to(trial_balance))
        .route("/reports/panic", get().to(cash_flow))
        .route("/reports/panic/extractor", get().to(async |_: Year| "never"))
        .route("/reports/panic/body", get().to(ledger))
        .route("/reports/estimate", get().to(estimate))
        .route("/inventory/counter", get().to(count_stock));
}

async fn with_timeout<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    match timeout(REPORT_TIMEOUT, next.call(request)).await {
        Ok(response) => response,
        Err(_) => Err(ErrorRequestTimeout("the report timed out")),
    }
}

async fn me(_: SignedIn) -> Json<Me> {
    Json(Me::from_context())
}

async fn post_invoice(
    _: SignedIn,
    erp: Data<Erp>,
    Json(invoice): Json<Invoice>,
) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::Created().json(erp.sales.post(invoice)?))
}

async fn issue_stock(_: SignedIn, erp: Data<Erp>, Json(issue): Json<Issue>) -> Result<Json<Issued>, Failure> {
    Ok(Json(erp.inventory.issue(&issue)?))
}

async fn set_credit_limit(
    SignedIn(by): SignedIn,
    erp: Data<Erp>,
    id: Path<String>,
    Json(limit): Json<CreditLimit>,
) -> Result<Json<Customer>, Failure> {
    Ok(Json(erp.customers.set_credit_limit(by, &id, &limit).await?))
}

async fn stock_movements(
    _: SignedIn,
    erp: Data<Erp>,
    Query(extent): Query<Extent>,
) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::Ok().streaming(erp.reports.stock_movements(&extent)?))
}

async fn valuation(_: SignedIn, erp: Data<Erp>) -> Result<&'static str, Failure> {
    Ok(erp.reports.valuation().await?)
}

async fn release(_: SignedIn, erp: Data<Erp>) -> HttpResponse {
    erp.reports.release();
    HttpResponse::NoContent().finish()
}

async fn trial_balance(_: SignedIn, erp: Data<Erp>) -> Result<&'static str, Failure> {
    Ok(erp.reports.trial_balance()?)
}

async fn ledger(_: SignedIn, erp: Data<Erp>) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::Ok().streaming(erp.reports.ledger()?))
}

async fn estimate(_: SignedIn, erp: Data<Erp>) -> Result<&'static str, Failure> {
    Ok(erp.reports.estimate().await?)
}

/// Counts stock over a WebSocket. The context does not follow an upgraded connection, so it is passed to the
/// task.
async fn count_stock(
    _: SignedIn,
    AuditContext(context): AuditContext,
    request: HttpRequest,
    body: Body,
) -> actix_web::Result<HttpResponse> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    spawn(context.in_task(take_counts(session, messages)));
    Ok(response)
}

async fn take_counts(mut session: Session, mut messages: MessageStream) {
    while let Some(Ok(message)) = messages.next().await {
        let Message::Text(count) = message else { continue };
        let answer = counter::record(&count).unwrap_or_else(|refusal| refusal.to_string());
        if session.text(answer).await.is_err() {
            return;
        }
    }
}

async fn cash_flow(_: SignedIn, erp: Data<Erp>) -> &'static str {
    erp.reports.cash_flow()
}

/// The signed-in user. A request without a valid token is rejected before its handler is called.
struct SignedIn(&'static Account);

impl FromRequest for SignedIn {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        ready(sign_in(authorization).map(Self).map_err(Failure))
    }
}

/// The year of a report.
struct Year;

impl FromRequest for Year {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Period = Period::from_request();
        ready(Ok(Self))
    }
}

/// A [`Refusal`] as an actix-web error. The middleware finds the error in the response and records its text
/// as `metadata.error` of the closing entry.
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

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(self.0.to_json())
    }
}
