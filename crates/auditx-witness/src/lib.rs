//! Witnesses of audit trails.

mod error;
mod step;
mod answer;
mod journal;
mod witness;
mod target;
mod cosigned;
mod witnesses;
#[cfg(feature = "server")]
mod server;

pub use answer::Answer;
pub use error::{Error, Result};
#[cfg(feature = "server")]
pub use server::router;
pub use witness::Witness;
pub use witnesses::{Progress, Submitter, VARIABLE, Witnesses};
