//! Who may use the service: bearer tokens, and the account each stands for.
//!
//! Comes in: the value of `Authorization`. Goes out: the account, and a context that names it. A token is never recorded,
//! returned or printed.

use auditx_core::{RequestContext, audit};
use serde::Serialize;

use crate::refusal::Refusal;

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Daily work.
    Clerk,
    /// Daily work, and what changes the terms of it.
    Manager,
}

impl Role {
    /// As entries say it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clerk => "clerk",
            Self::Manager => "manager",
        }
    }
}

/// A user of the service.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// Who it is.
    pub user: &'static str,
    /// What they may do.
    pub role: Role,
    /// For which company.
    pub company_id: &'static str,
    /// In which branch.
    pub branch_id: &'static str,
}

/// The users there are, by token. A real service keeps them in a database, and of a token only its hash.
pub static ACCOUNTS: [(&str, Account); 4] = [
    ("demo-9f27c1e4-thida", account("thida", Role::Manager, "CO-001", "BR-YGN")),
    ("demo-51b0d8a3-kyaw", account("kyaw", Role::Clerk, "CO-001", "BR-MDY")),
    ("demo-e6043f7b-nilar", account("nilar", Role::Manager, "CO-002", "BR-NPT")),
    ("demo-2ad85c96-zaw", account("zaw", Role::Clerk, "CO-002", "BR-TGI")),
];

const fn account(
    user: &'static str,
    role: Role,
    company_id: &'static str,
    branch_id: &'static str,
) -> Account {
    Account { user, role, company_id, branch_id }
}

/// Finds out who sends a request. From here on the request's context names them: in every entry the request records, and
/// in its closing entry.
///
/// # Errors
/// [`Refusal::Unauthenticated`] for a token nobody has, and for none; the attempt is recorded.
pub fn sign_in(authorization: Option<&str>) -> Result<&'static Account, Refusal> {
    let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
    let found = token.and_then(|token| ACCOUNTS.iter().find(|(known, _)| *known == token));
    if let Some((_, account)) = found {
        RequestContext::update(|context| {
            context.user = account.user.to_owned();
            context.user_role = account.role.as_str().to_owned();
            context.company_id = account.company_id.to_owned();
            context.branch_id = account.branch_id.to_owned();
        });
        return Ok(account);
    }
    let reason = if token.is_some() { "unknown bearer token" } else { "no bearer token" };
    audit().log_security("Authentication failed").success(false).reason(reason).record()?;
    Err(Refusal::Unauthenticated)
}

impl Account {
    /// Whether they may do what only a manager may.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] where they may not; the attempt is recorded.
    pub fn must_be_manager(&self, to_do_what: &str) -> Result<(), Refusal> {
        if self.role == Role::Manager {
            return Ok(());
        }
        let refusal = Refusal::Forbidden(format!("only a manager may {to_do_what}"));
        audit().log_security("Permission denied").success(false).reason(refusal.to_string()).record()?;
        Err(refusal)
    }
}

/// The request as its handler sees it.
#[derive(Debug, Serialize)]
pub struct Me {
    request_id: String,
    user: String,
    user_role: String,
    company_id: String,
    branch_id: String,
    ip: String,
}

impl Me {
    /// What the current context says.
    #[must_use]
    pub fn from_context() -> Self {
        let context = RequestContext::current().fields();
        Self {
            request_id: context.request_id,
            user: context.user,
            user_role: context.user_role,
            company_id: context.company_id,
            branch_id: context.branch_id,
            ip: context.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        }
    }
}
