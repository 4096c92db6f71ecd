//! A small ERP service, shared by the example programs in `src/bin`.
//!
//! Business code records entries with [`auditx_core::audit`] and never passes a request: the middleware makes
//! the request's context current, [`accounts::sign_in`] sets the user in it, and each entry takes both from
//! there.

pub mod accounts;
pub mod axum_server;
pub mod counter;
pub mod customers;
pub mod deployment;
pub mod erp;
pub mod faulty;
pub mod inventory;
pub mod jobs;
pub mod money;
pub mod options;
pub mod poem_audit;
pub mod poem_server;
pub mod queue;
pub mod entries;
pub mod refusal;
pub mod reports;
pub mod sales;
pub mod shutdown;
pub mod sqlite_copy;

// Compiles and runs the code of these documents as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/CAPTURE.md")]
mod capture {}
#[cfg(doctest)]
#[doc = include_str!("../../docs/DATABASES.md")]
mod databases {}
#[cfg(doctest)]
#[doc = include_str!("../../docs/WITNESSES.md")]
mod witnesses {}
#[cfg(doctest)]
#[doc = include_str!("../../docs/TIMESTAMPS.md")]
mod time_stamps {}
#[cfg(doctest)]
#[doc = include_str!("../../docs/OTHER_FRAMEWORKS.md")]
mod other_frameworks {}
#[cfg(doctest)]
#[doc = include_str!("../../docs/JOBS.md")]
mod jobs_page {}
