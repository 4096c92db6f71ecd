//! The routes of a dashboard.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::dashboard::Dashboard;
use crate::{api, assets, bundle, counts_page, entry_page, export, frame, guard, pages, sign_in};

impl Dashboard {
    /// Returns the routes, to be served at the root or below a prefix ([`Router::nest`]) without a slash at
    /// its end.
    pub fn router(self) -> Router {
        of(Arc::new(self))
    }
}

fn of(ui: Arc<Dashboard>) -> Router {
    Router::new()
        .route("/", get(pages::trail))
        .route("/counts", get(counts_page::counts))
        .route("/entries/{seq}", get(entry_page::entry))
        .route("/export/bundle", get(bundle::bundle))
        .route("/export/{format}", get(export::export))
        .route("/check", post(frame::check))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/assets/dashboard.css", get(assets::style))
        .route("/assets/{file}", get(assets::script))
        .nest("/api/v1", api::router())
        .layer(from_fn_with_state(ui.clone(), guard::guard))
        .with_state(ui)
}
