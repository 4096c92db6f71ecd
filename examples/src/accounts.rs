//! The accounts of the service and their bearer tokens.
//!
//! A token is never recorded, returned or printed.

use auditx_core::{RequestContext, audit};
use serde::Serialize;

use crate::refusal::Refusal;

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Posts invoices and issues stock.
    Clerk,
    /// May also change customers' terms.
    Manager,
}

impl Role {
    /// Returns the role's name as it appears in entries.
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
    /// The user's name.
    pub user: &'static str,
    /// What the user may do.
    pub role: Role,
    /// The user's company.
    pub company_id: &'static str,
    /// The user's branch.
    pub branch_id: &'static str,
}

/// All users, by token. A real service keeps them in a database and stores only the hashes of tokens.
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

/// Authenticates a request by the value of its `Authorization` header.
///
/// Sets the user in the request's context, so that all later entries of the request, including its closing
/// entry, name the user.
///
/// # Errors
/// [`Refusal::Unauthenticated`] if the token is missing or unknown; the attempt is recorded.
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
    /// Checks that the user is a manager. `action` completes the sentence "only a manager may …".
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] if the user is not a manager; the attempt is recorded.
    pub fn require_manager(&self, action: &str) -> Result<(), Refusal> {
        if self.role == Role::Manager {
            return Ok(());
        }
        let refusal = Refusal::Forbidden(format!("only a manager may {action}"));
        audit().log_security("Permission denied").success(false).reason(refusal.to_string()).record()?;
        Err(refusal)
    }
}

/// The request's user and id, as its handler sees them.
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
    /// Reads the current context.
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
