//! Audit trails in a browser.
//!
//! [`Dashboard`] makes an [`axum::Router`]: pages to search a trail and to look at its entries, their changes
//! and proofs, and an HTTP API with the same. Pages work without JavaScript, which only adds to them, and
//! load nothing from other sites. Every read is recorded in the trail.
//!
//! [`Alerts`] posts to webhooks when new entries match a query. It needs no dashboard.

mod viewer;
mod assets;
mod layout;
mod forward_auth;
mod problem;
mod blocking;
mod key;
mod selection;
mod position;
mod page;
mod source;
mod follower;
mod seal;
#[cfg_attr(not(feature = "tls"), path = "tls/absent.rs")]
mod tls;
mod webhook;
mod saved;
mod firing;
mod alert_watch;
mod alerts;
mod counts;
mod table;
mod dashboard;
mod checking;
mod related;
mod guard;
mod sign_in;
mod frame;
mod pages;
mod proof;
mod entry_page;
mod counts_page;
mod export;
mod bundle;
mod api;
mod routes;

pub use alerts::{Alerts, RunningAlerts};
pub use dashboard::Dashboard;
pub use forward_auth::ForwardAuth;
pub use key::{Key, KeyError};
pub use saved::{SavedError, SavedQueries};
pub use source::Source;
pub use viewer::Viewer;
