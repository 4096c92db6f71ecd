//! Validates a configuration before anything is opened.

use auditx_format::{Error, Result};
use auditx_tlog::{MAX_LINE, is_key_name};

use super::{Config, modes};
use crate::ring::is_capacity;

/// The names of the built-in followers, which no hook may have.
pub(crate) const PROJECTION: &str = "security.jsonl";
pub(crate) const CONSOLE: &str = "console";

/// Names of shippers' cursors begin with this prefix. Retention waits for them.
pub(crate) const SHIPPER_PREFIX: &str = "ship-";

/// Names of alerts' cursors begin with this prefix.
pub(crate) const ALERT_PREFIX: &str = "alert-";

const NAME_RULE: &str = "expected 1 to 64 characters of [A-Za-z0-9._-], the first not a dot";

impl Config {
    pub(crate) fn check(&self) -> Result<()> {
        if !self.instance.is_empty() && !is_name(&self.instance) {
            return Err(Error::invalid(format!("invalid instance {:?}: {NAME_RULE}", self.instance)));
        }
        if self.max_file_bytes < MAX_LINE as u64 {
            return Err(Error::invalid(format!(
                "invalid max_file_bytes {}: expected at least {MAX_LINE}, the size of the longest line",
                self.max_file_bytes
            )));
        }
        if !self.origin.is_empty() && !is_key_name(&self.origin) {
            return Err(Error::invalid(format!(
                "invalid origin {:?}: it names the signing key and must not contain white space, control \
                 characters or `+`",
                self.origin
            )));
        }
        if !is_capacity(self.journal_bytes) {
            return Err(Error::invalid(format!(
                "invalid journal_bytes {}: expected a power of two from 256 KiB to 1 GiB",
                self.journal_bytes
            )));
        }
        self.checkpoints.check()?;
        modes::modes(self.file_mode, self.dir_mode, &self.group)?;
        for (index, hook) in self.hooks.iter().enumerate() {
            if !is_name(&hook.name) {
                return Err(Error::invalid(format!(
                    "invalid name of an on_audit hook {:?}: {NAME_RULE}",
                    hook.name
                )));
            }
            if [PROJECTION, CONSOLE].contains(&hook.name.as_str()) {
                return Err(Error::invalid(format!(
                    "invalid name of an on_audit hook {:?}: the name of a built-in follower",
                    hook.name
                )));
            }
            for (prefix, owners) in [(SHIPPER_PREFIX, "shippers"), (ALERT_PREFIX, "alerts")] {
                if hook.name.starts_with(prefix) {
                    return Err(Error::invalid(format!(
                        "invalid name of an on_audit hook {:?}: names that begin with `{prefix}` are reserved \
                         for {owners}",
                        hook.name
                    )));
                }
            }
            if self.hooks[..index].iter().any(|earlier| earlier.name == hook.name) {
                return Err(Error::invalid(format!(
                    "two on_audit hooks have the name {:?}: each needs its own cursor",
                    hook.name
                )));
            }
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
