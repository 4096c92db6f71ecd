//! Passes a context to another process as a map of strings, for message headers and job arguments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ContextFields, RequestContext};
use crate::error::{Error, Result};

const VERSION_KEY: &str = "auditx-version";
const VERSION: &str = "1";
const IP_KEY: &str = "auditx-ip";
const EXTRA_KEY: &str = "auditx-extra";

/// A context as a map of strings, which is also its serialized form.
///
/// Keys start with `auditx-`. Keys that this version does not know are passed on unchanged.
///
/// ```
/// use auditx_core::{Carrier, RequestContext};
///
/// // In the request handler:
/// let job = serde_json::to_string(&RequestContext::new().user("admin").to_carrier())?;
///
/// // In the worker process:
/// let carrier: Carrier = serde_json::from_str(&job)?;
/// let context = RequestContext::from_carrier(&carrier)?;
/// assert_eq!(context.fields().user, "admin");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Carrier(BTreeMap<String, String>);

impl Carrier {
    /// Returns the keys and values, for message headers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Carrier {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

fn text_fields(fields: &mut ContextFields) -> [(&'static str, &mut String); 6] {
    [
        ("auditx-user", &mut fields.user),
        ("auditx-user-role", &mut fields.user_role),
        ("auditx-company-id", &mut fields.company_id),
        ("auditx-branch-id", &mut fields.branch_id),
        ("auditx-session-id", &mut fields.session_id),
        ("auditx-request-id", &mut fields.request_id),
    ]
}

impl RequestContext {
    /// Returns the context as a map of strings, from which another process restores it with
    /// [`RequestContext::from_carrier`].
    #[must_use]
    pub fn to_carrier(&self) -> Carrier {
        let mut fields = self.fields();
        let mut map = std::mem::take(&mut fields.carried);
        map.insert(VERSION_KEY.into(), VERSION.into());
        for (key, value) in text_fields(&mut fields) {
            if !value.is_empty() {
                map.insert(key.into(), std::mem::take(value));
            }
        }
        if let Some(ip) = fields.ip {
            map.insert(IP_KEY.into(), ip.to_string());
        }
        if !fields.extra.is_empty() {
            map.insert(EXTRA_KEY.into(), Value::from_iter(fields.extra).to_string());
        }
        Carrier(map)
    }

    /// Restores the context that another process passed on with [`RequestContext::to_carrier`].
    ///
    /// # Errors
    /// `is_invalid` if the version is missing or unknown, the IP address cannot be parsed, or the additional
    /// keys are not a JSON object.
    pub fn from_carrier(carrier: &Carrier) -> Result<Self> {
        let mut map = carrier.0.clone();
        match map.remove(VERSION_KEY).as_deref() {
            Some(VERSION) => {}
            Some(other) => {
                return Err(Error::invalid(format!(
                    "unknown carrier version {other:?}: this process reads version {VERSION}; update the \
                     receiving process before the sending one"
                )));
            }
            None => {
                return Err(Error::invalid(format!(
                    "carrier has no key {VERSION_KEY:?}: the map was not made by `to_carrier`"
                )));
            }
        }
        let mut fields = ContextFields::default();
        for (key, field) in text_fields(&mut fields) {
            *field = map.remove(key).unwrap_or_default();
        }
        if let Some(ip) = map.remove(IP_KEY) {
            let parsed = ip.parse().map_err(|error| {
                Error::invalid(format!("invalid carrier key {IP_KEY:?}: {ip:?} is not an IP address"))
                    .because(error)
            })?;
            fields.ip = Some(parsed);
        }
        if let Some(extra) = map.remove(EXTRA_KEY) {
            fields.extra = serde_json::from_str(&extra).map_err(|error| {
                Error::invalid(format!("invalid carrier key {EXTRA_KEY:?}: expected a JSON object"))
                    .because(error)
            })?;
        }
        fields.carried = map;
        let context = Self::new();
        context.replace(fields);
        Ok(context)
    }
}
