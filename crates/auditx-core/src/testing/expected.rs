//! The values that a test expects in an entry.

use std::net::IpAddr;

use auditx_format::amount::Amount;
use auditx_format::line::StoredEntry;
use auditx_format::vocabulary::{AuditAction, BusinessModule, LogLevel};
use serde_json::Value;

/// The field values that an entry must have to match. Fields that are not set match any value.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    texts: Vec<(&'static str, String)>,
    amount: Option<Amount>,
    status: Option<u16>,
    success: Option<bool>,
    metadata: Vec<(String, Value)>,
    old_values: Option<Value>,
    new_values: Option<Value>,
}

macro_rules! text_fields {
    ($($field:ident,)*) => {
        $(
            #[doc = concat!("Expects this `", stringify!($field), "`.")]
            #[must_use]
            pub fn $field(mut self, text: impl Into<String>) -> Self {
                self.texts.push((stringify!($field), text.into()));
                self
            }
        )*

        fn text_of<'e>(entry: &'e StoredEntry, field: &str) -> &'e str {
            match field {
                "level" => &entry.level,
                "module" => &entry.module,
                "action" => &entry.action,
                "ip" => &entry.ip,
                $(stringify!($field) => &entry.$field,)*
                _ => "",
            }
        }
    };
}

impl Expected {
    /// Matches entries with this description.
    #[must_use]
    pub fn new(description: impl Into<String>) -> Self {
        Self::any().description(description)
    }

    /// Matches every entry.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    text_fields! {
        description, user, user_role, on_behalf_of, company_id, branch_id, entity_type, entity_id,
        reference_no, currency, request_id, session_id, method, endpoint,
    }

    /// Expects this level.
    #[must_use]
    pub fn level(mut self, level: LogLevel) -> Self {
        self.texts.push(("level", level.to_string()));
        self
    }

    /// Expects this module.
    #[must_use]
    pub fn module(mut self, module: BusinessModule) -> Self {
        self.texts.push(("module", module.to_string()));
        self
    }

    /// Expects this action.
    #[must_use]
    pub fn action(mut self, action: AuditAction) -> Self {
        self.texts.push(("action", action.to_string()));
        self
    }

    /// Expects this client address.
    #[must_use]
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.texts.push(("ip", ip.to_string()));
        self
    }

    /// Expects this amount with exactly these digits: `1250000` does not match `1250000.00`.
    #[must_use]
    pub fn amount(mut self, amount: impl Into<Amount>) -> Self {
        self.amount = Some(amount.into());
        self
    }

    /// Expects this HTTP status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Expects success or failure.
    #[must_use]
    pub fn success(mut self, success: bool) -> Self {
        self.success = Some(success);
        self
    }

    /// Expects this metadata key with this value.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Expects these `old_values`.
    #[must_use]
    pub fn old_values(mut self, values: impl Into<Value>) -> Self {
        self.old_values = Some(values.into());
        self
    }

    /// Expects these `new_values`.
    #[must_use]
    pub fn new_values(mut self, values: impl Into<Value>) -> Self {
        self.new_values = Some(values.into());
        self
    }

    /// Returns a description of each field that does not match.
    pub(super) fn mismatches(&self, entry: &StoredEntry) -> Vec<String> {
        let mut mismatches = Vec::new();
        let mut compare = |field: &str, wanted: String, found: String| {
            if wanted != found {
                mismatches.push(format!("{field} is {found}, not {wanted}"));
            }
        };
        for (field, wanted) in &self.texts {
            compare(field, format!("{wanted:?}"), format!("{:?}", Self::text_of(entry, field)));
        }
        if let Some(wanted) = &self.amount {
            let found = entry.amount.as_ref().map_or("absent".to_owned(), ToString::to_string);
            compare("amount", wanted.to_string(), found);
        }
        if let Some(wanted) = self.status {
            let found = entry.status.map_or("absent".to_owned(), |status| status.to_string());
            compare("status", wanted.to_string(), found);
        }
        if let Some(wanted) = self.success {
            compare("success", wanted.to_string(), entry.success.to_string());
        }
        for (key, wanted) in &self.metadata {
            let found = entry.metadata.get(key).map_or("absent".to_owned(), ToString::to_string);
            compare(&format!("metadata.{key}"), wanted.to_string(), found);
        }
        let values = [
            ("old_values", &self.old_values, &entry.old_values),
            ("new_values", &self.new_values, &entry.new_values),
        ];
        for (field, wanted, found) in values {
            if let Some(wanted) = wanted {
                compare(field, wanted.to_string(), found.to_string());
            }
        }
        mismatches
    }
}
