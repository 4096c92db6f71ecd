//! Verification on request.

use std::sync::Arc;
use std::time::Instant;

use crate::blocking;
use crate::dashboard::Dashboard;
use crate::problem::Problem;

/// Verifies all trails and remembers the outcome. Checks run one at a time; requests that arrive while
/// one runs share the next.
pub(crate) async fn check(ui: &Arc<Dashboard>) -> Result<(), Problem> {
    let asked = Instant::now();
    let _turn = ui.turn_to_check.lock().await;
    if ui.last_check().as_ref().is_some_and(|checked| checked.began >= asked) {
        return Ok(());
    }
    let (owned, limit) = (ui.clone(), ui.reads.clone());
    blocking::run(&limit, move || owned.check()).await?
}
