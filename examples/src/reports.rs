//! Reports that are slow, large, or fail.

use std::convert::Infallible;
use std::time::Duration;

use auditx_core::{AuditAction, BusinessModule, audit};
use bytes::Bytes;
use futures_util::stream::iter;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::refusal::Refusal;

const LINE: &str = "SKU-1001,LED Panel 24W,WH-MAIN,BR-YGN,50,SI-2026-0042,1250000.10\r\n";
const LINES_PER_CHUNK: usize = 1_000;

/// The time limit of [`Reports::estimate`] and of the routes under `/timed`.
pub const REPORT_TIMEOUT: Duration = Duration::from_millis(100);

/// The reports of the service.
#[derive(Debug, Default)]
pub struct Reports {
    released: Notify,
}

/// The size of a report.
#[derive(Debug, Deserialize)]
pub struct Extent {
    #[serde(default = "Extent::default_chunks")]
    chunks: u16,
}

impl Extent {
    fn default_chunks() -> u16 {
        64
    }
}

impl Reports {
    /// Streams all stock movements in chunks.
    ///
    /// # Errors
    /// Fails if the export cannot be recorded.
    pub fn stock_movements(
        &self,
        extent: &Extent,
    ) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + use<>, Refusal> {
        record("Stock movements exported", AuditAction::Export)?;
        let chunk = Bytes::from(LINE.repeat(LINES_PER_CHUNK));
        Ok(iter((0..extent.chunks).map(move |_| Ok(chunk.clone()))))
    }

    /// Waits until [`Reports::release`] is called, as a slow report would.
    ///
    /// # Errors
    /// Fails if the report cannot be recorded.
    pub async fn valuation(&self) -> Result<&'static str, Refusal> {
        // Created before the entry is recorded, so that a release right after the entry is not missed.
        let released = self.released.notified();
        record("Stock valuation begun", AuditAction::Read)?;
        released.await;
        record("Stock valuation finished", AuditAction::Read)?;
        Ok("valued")
    }

    /// Lets all running valuations finish.
    pub fn release(&self) {
        self.released.notify_waiters();
    }

    /// Fails because the period is locked.
    ///
    /// # Errors
    /// Always.
    pub fn trial_balance(&self) -> Result<&'static str, Refusal> {
        Err(Refusal::Failed("ledger 2026-07 is locked by the year-end run".to_owned()))
    }

    /// Returns the valuation, with a time limit.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] after [`REPORT_TIMEOUT`]; [`Refusal::NotRecorded`] if it cannot be recorded.
    pub async fn estimate(&self) -> Result<&'static str, Refusal> {
        let late = |_| Refusal::Unavailable("the valuation timed out".to_owned());
        timeout(REPORT_TIMEOUT, self.valuation()).await.map_err(late)?
    }

    /// Panics, as a report with a bug would.
    ///
    /// # Panics
    /// Always.
    #[must_use]
    pub fn cash_flow(&self) -> &'static str {
        panic!("cash flow: the opening balance is missing");
    }

    /// Streams a report whose second page panics, after the first was sent.
    ///
    /// # Errors
    /// Fails if the export cannot be recorded.
    pub fn ledger(&self) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + use<>, Refusal> {
        record("Ledger exported", AuditAction::Export)?;
        let pages = [Some(Bytes::from_static(LINE.as_bytes())), None];
        Ok(iter(pages).map(|page| Ok(page.expect("ledger: page 2 is missing"))))
    }
}

fn record(description: &'static str, action: AuditAction) -> Result<(), Refusal> {
    audit().log(description).module(BusinessModule::Reporting).action(action).record()?;
    Ok(())
}
