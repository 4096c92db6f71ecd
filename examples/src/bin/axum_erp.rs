//! The example service on axum.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin axum_erp
//! $ curl -i -H 'Authorization: Bearer demo-9f27c1e4-thida' http://127.0.0.1:8080/me
//! $ curl -i -H 'Authorization: Bearer demo-9f27c1e4-thida' http://127.0.0.1:8080/admin/audit
//! ```

use std::error::Error;
use std::sync::Arc;

use auditx_core::{Config, audit, configure};
use auditx_examples::accounts::Me;
use auditx_examples::axum_server::{self, Failure, SignedIn};
use auditx_examples::counter;
use auditx_examples::customers::{CreditLimit, Customer};
use auditx_examples::erp::Erp;
use auditx_examples::faulty::Period;
use auditx_examples::inventory::{Issue, Issued};
use auditx_examples::options::{CLOSE_TIMEOUT, Options};
use auditx_examples::reports::{Extent, REPORT_TIMEOUT};
use auditx_examples::sales::{Invoice, Posted};
use auditx_tower::AuditContext;
use auditx_ui::{Dashboard, Viewer};
use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Json, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{any, get, post, put};
use clap::Parser;
use tower::ServiceBuilder;
use tower_http::timeout::TimeoutLayer;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    configure(Config::new(&options.log_dir).default_currency("MMK"))?;
    let served = serve(&options);
    // The runtime and all requests have ended, so nothing is recorded after the trail's `close` record.
    audit().close(CLOSE_TIMEOUT)?;
    served
}

#[tokio::main]
async fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let audit_layer = axum_server::audit_layer(options)?;
    // The timeout is outside the audit layer: when it expires, the request is dropped, and its closing entry
    // says so.
    let with_timeout = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REPORT_TIMEOUT))
        .layer(audit_layer.clone());
    let app = routes().layer(audit_layer.clone()).merge(timed_routes().layer(with_timeout));
    let app = app.with_state(Arc::new(Erp::default())).merge(dashboard()?.layer(audit_layer));
    axum_server::serve(app, options).await
}

/// The dashboard of the trail, for managers: each sees the entries of their company.
fn dashboard() -> Result<Router, Box<dyn Error>> {
    let admit = from_fn(async |SignedIn(by): SignedIn, mut request: Request, next: Next| {
        by.require_manager("see the audit trail")?;
        let viewer = Viewer::new(by.user).role(by.role.as_str()).company(by.company_id);
        request.extensions_mut().insert(viewer);
        Ok::<_, Failure>(next.run(request).await)
    });
    Ok(Router::new().nest("/admin/audit", Dashboard::new(audit())?.router().layer(admit)))
}

fn timed_routes() -> Router<Arc<Erp>> {
    Router::new().route("/timed/valuation", get(valuation))
}

fn routes() -> Router<Arc<Erp>> {
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
        .route("/reports/panic/extractor", get(async |_: Period| "never"))
        .route("/reports/panic/body", get(ledger))
        .route("/reports/estimate", get(estimate))
        .route("/inventory/counter", any(count_stock))
}

type ErpState = State<Arc<Erp>>;

async fn me(_: SignedIn) -> Json<Me> {
    Json(Me::from_context())
}

async fn post_invoice(
    _: SignedIn,
    State(erp): ErpState,
    Json(invoice): Json<Invoice>,
) -> Result<(StatusCode, Json<Posted>), Failure> {
    Ok((StatusCode::CREATED, Json(erp.sales.post(invoice)?)))
}

async fn issue_stock(
    _: SignedIn,
    State(erp): ErpState,
    Json(issue): Json<Issue>,
) -> Result<Json<Issued>, Failure> {
    Ok(Json(erp.inventory.issue(&issue)?))
}

async fn set_credit_limit(
    SignedIn(by): SignedIn,
    State(erp): ErpState,
    Path(id): Path<String>,
    Json(limit): Json<CreditLimit>,
) -> Result<Json<Customer>, Failure> {
    Ok(Json(erp.customers.set_credit_limit(by, &id, &limit).await?))
}

async fn stock_movements(
    _: SignedIn,
    State(erp): ErpState,
    Query(extent): Query<Extent>,
) -> Result<Body, Failure> {
    Ok(Body::from_stream(erp.reports.stock_movements(&extent)?))
}

async fn valuation(_: SignedIn, State(erp): ErpState) -> Result<&'static str, Failure> {
    Ok(erp.reports.valuation().await?)
}

async fn release(_: SignedIn, State(erp): ErpState) -> StatusCode {
    erp.reports.release();
    StatusCode::NO_CONTENT
}

async fn trial_balance(_: SignedIn, State(erp): ErpState) -> Result<&'static str, Failure> {
    Ok(erp.reports.trial_balance()?)
}

async fn ledger(_: SignedIn, State(erp): ErpState) -> Result<Body, Failure> {
    Ok(Body::from_stream(erp.reports.ledger()?))
}

async fn estimate(_: SignedIn, State(erp): ErpState) -> Result<&'static str, Failure> {
    Ok(erp.reports.estimate().await?)
}

/// Counts stock over a WebSocket. The context does not follow an upgraded connection, so it is passed to the
/// task.
async fn count_stock(
    _: SignedIn,
    AuditContext(context): AuditContext,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(move |socket| context.in_task(take_counts(socket)))
}

async fn take_counts(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(count) = message else { continue };
        let answer = counter::record(&count).unwrap_or_else(|refusal| refusal.to_string());
        if socket.send(Message::Text(answer.into())).await.is_err() {
            return;
        }
    }
}

async fn cash_flow(_: SignedIn, State(erp): ErpState) -> &'static str {
    erp.reports.cash_flow()
}
