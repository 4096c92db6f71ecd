//! Audit trails in a browser.
//!
//! [`Dashboard`] makes an [`axum::Router`]: pages to search a trail and to look at its entries, their changes
//! and proofs, and an HTTP API with the same. Pages work without JavaScript and load nothing from elsewhere.
//! Every read is recorded in the trail.
//!
//! [`Alerts`] posts to webhooks when new entries match a query. It needs no dashboard.

mod viewer;
mod layout;
mod forward_auth;
mod problem;
mod blocking;
mod key;
mod selection;
mod webhook;
mod saved;
mod firing;
mod alert_watch;
mod alerts;
mod counts;
mod table;
mod dashboard;
mod guard;
mod assets;
mod sign_in;
mod pages;
mod entry_page;
mod counts_page;
mod export;
mod api;
mod routes;

pub use alerts::{Alerts, RunningAlerts};
pub use dashboard::Dashboard;
pub use forward_auth::ForwardAuth;
pub use key::{Key, KeyError};
pub use saved::{SavedError, SavedQueries};
pub use viewer::Viewer;
