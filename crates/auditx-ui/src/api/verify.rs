//! Verification: runs a check, and says what the last one found.

use std::sync::Arc;

use auditx_reader::Zone;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use serde_json::{Value, json};

use crate::checking;
use crate::dashboard::Dashboard;
use crate::guard::Visit;
use crate::problem::Problem;
use crate::source::Signed;

use super::answer::json_text;
use super::parameters::Nothing;

/// Says what the last check found.
pub(super) async fn outcome(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(Nothing {}): Query<Nothing>,
) -> Response {
    answer(&ui, &visit)
}

/// Verifies the whole trail, and says what that found.
pub(super) async fn check(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Problem> {
    checking::check(&ui).await?;
    Ok(answer(&ui, &visit))
}

/// A viewer for whom some entries do not exist learns neither their number nor where the damage is.
fn answer(ui: &Dashboard, visit: &Visit) -> Response {
    let checked = ui.last_check().clone();
    let mut answer = json!({
        "is_sound": checked.as_ref().map(|checked| checked.fault.is_none()),
        "checked_at": checked.as_ref().map(|checked| Zone::default().rfc3339(checked.at)),
        "signed": Value::Null,
        "fault": Value::Null,
    });
    if let Some(checked) = checked.filter(|_| !visit.viewer.is_scoped()) {
        answer["signed"] = match checked.signed {
            Signed::To(signed) => json!(signed),
            Signed::Not | Signed::Each => Value::Null,
        };
        answer["fault"] = json!(checked.fault);
    }
    json_text(answer.to_string())
}
