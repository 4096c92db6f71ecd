//! Downloads, as the pages have them.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;

use crate::bundle;
use crate::dashboard::Dashboard;
use crate::export::{Named, begin};
use crate::guard::Visit;
use crate::problem::Problem;

use super::parameters::Searched;

pub(super) async fn export(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(asked): Query<Searched>,
    Path(Named { format }): Path<Named>,
) -> Result<Response, Problem> {
    begin(&ui, &visit, &asked.parameters(), &format).await
}

pub(super) async fn bundle(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(asked): Query<Searched>,
) -> Result<Response, Problem> {
    bundle::begin(&ui, &visit, &asked.parameters()).await
}
