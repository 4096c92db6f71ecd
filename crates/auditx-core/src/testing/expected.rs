//! What a test expects of an entry.

use std::net::IpAddr;

use serde_json::Value;

use crate::amount::Amount;
use crate::line::StoredEntry;
use crate::vocabulary::{AuditAction, BusinessModule, LogLevel};

/// Facts that an entry must state; whatever is not named may be anything.
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

macro_rules! text_facts {
    ($($field:ident,)*) => {
        $(
            #[doc = concat!("States this `", stringify!($field), "`.")]
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
    /// An entry with this description.
    #[must_use]
    pub fn new(description: impl Into<String>) -> Self {
        Self::any().description(description)
    }

    /// Any entry.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    text_facts! {
        description, user, user_role, on_behalf_of, company_id, branch_id, entity_type, entity_id, reference_no, currency, request_id,
        session_id, method, endpoint,
    }

    /// At this level.
    #[must_use]
    pub fn level(mut self, level: LogLevel) -> Self {
        self.texts.push(("level", level.to_string()));
        self
    }

    /// Of this module.
    #[must_use]
    pub fn module(mut self, module: BusinessModule) -> Self {
        self.texts.push(("module", module.to_string()));
        self
    }

    /// Of this action.
    #[must_use]
    pub fn action(mut self, action: AuditAction) -> Self {
        self.texts.push(("action", action.to_string()));
        self
    }

    /// From this address.
    #[must_use]
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.texts.push(("ip", ip.to_string()));
        self
    }

    /// With exactly these digits: 1250000 is not 1250000.00.
    #[must_use]
    pub fn amount(mut self, amount: impl Into<Amount>) -> Self {
        self.amount = Some(amount.into());
        self
    }

    /// With this HTTP status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Of success or failure.
    #[must_use]
    pub fn success(mut self, success: bool) -> Self {
        self.success = Some(success);
        self
    }

    /// With this in its metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Of a change from this.
    #[must_use]
    pub fn old_values(mut self, values: impl Into<Value>) -> Self {
        self.old_values = Some(values.into());
        self
    }

    /// Of a change to this.
    #[must_use]
    pub fn new_values(mut self, values: impl Into<Value>) -> Self {
        self.new_values = Some(values.into());
        self
    }

    /// In what the entry is not as expected.
    pub(super) fn misses(&self, entry: &StoredEntry) -> Vec<String> {
        let mut misses = Vec::new();
        let mut compare = |field: &str, wanted: String, found: String| {
            if wanted != found {
                misses.push(format!("{field} is {found}, not {wanted}"));
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
        misses
    }
}
