//! A slice of an ERP, small but real: what its services share, whatever framework serves them.
//!
//! Business code here records what it does by [`auditx_core::audit`] and never names a request: the middleware made the
//! request's context current, [`accounts::sign_in`] said in it who acts, and each entry takes it from there.

pub mod accounts;
pub mod axum_edge;
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
pub mod quick_start;
pub mod refusal;
pub mod reports;
pub mod sales;
pub mod sqlite_copy;
pub mod stop;

// Their code is compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/DATABASES.md")]
mod databases {}
#[cfg(doctest)]
#[doc = include_str!("../../docs/OTHER_FRAMEWORKS.md")]
mod other_frameworks {}
#[cfg(doctest)]
#[doc = include_str!("../../docs/JOBS.md")]
mod jobs_page {}
