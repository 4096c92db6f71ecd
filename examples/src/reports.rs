//! Reports: what takes long, is long, or fails.

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
const LINES_A_CHUNK: usize = 1_000;

/// Those who will not wait any longer.
pub const IMPATIENCE: Duration = Duration::from_millis(100);

/// What reports need.
#[derive(Debug, Default)]
pub struct Reports {
    released: Notify,
}

/// How long a report is to be.
#[derive(Debug, Deserialize)]
pub struct Extent {
    #[serde(default = "Extent::usual")]
    chunks: u16,
}

impl Extent {
    fn usual() -> u16 {
        64
    }
}

impl Reports {
    /// All movements of stock, in chunks.
    ///
    /// # Errors
    /// Where it cannot be recorded.
    pub fn stock_movements(
        &self,
        extent: &Extent,
    ) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + use<>, Refusal> {
        note("Stock movements exported", AuditAction::Export)?;
        let chunk = Bytes::from(LINE.repeat(LINES_A_CHUNK));
        Ok(iter((0..extent.chunks).map(move |_| Ok(chunk.clone()))))
    }

    /// A report that takes as long as nobody calls [`Reports::release`].
    ///
    /// # Errors
    /// Where it cannot be recorded.
    pub async fn valuation(&self) -> Result<&'static str, Refusal> {
        // Made first, so that a release right after the entry is not missed.
        let released = self.released.notified();
        note("Stock valuation begun", AuditAction::Read)?;
        released.await;
        note("Stock valuation finished", AuditAction::Read)?;
        Ok("valued")
    }

    /// Lets every valuation under way finish.
    pub fn release(&self) {
        self.released.notify_waiters();
    }

    /// A report whose period is locked.
    ///
    /// # Errors
    /// Always.
    pub fn trial_balance(&self) -> Result<&'static str, Refusal> {
        Err(Refusal::Failed("ledger 2026-07 is locked by the year-end run".to_owned()))
    }

    /// The valuation, for those who will not wait long for it.
    ///
    /// # Errors
    /// Where it takes longer than [`IMPATIENCE`], or cannot be recorded.
    pub async fn estimate(&self) -> Result<&'static str, Refusal> {
        let late = |_| Refusal::Unavailable("the valuation takes too long".to_owned());
        timeout(IMPATIENCE, self.valuation()).await.map_err(late)?
    }

    /// A report with a fault in it.
    ///
    /// # Panics
    /// Always.
    #[must_use]
    pub fn cash_flow(&self) -> &'static str {
        panic!("cash flow: the opening balance is missing");
    }

    /// A report whose fault shows after some of it has gone out.
    ///
    /// # Errors
    /// Where it cannot be recorded.
    pub fn ledger(&self) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + use<>, Refusal> {
        note("Ledger exported", AuditAction::Export)?;
        let pages = [Some(Bytes::from_static(LINE.as_bytes())), None];
        Ok(iter(pages).map(|page| Ok(page.expect("ledger: page 2 is missing"))))
    }
}

fn note(description: &'static str, action: AuditAction) -> Result<(), Refusal> {
    audit().log(description).module(BusinessModule::Reporting).action(action).record()?;
    Ok(())
}
