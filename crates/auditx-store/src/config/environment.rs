//! Reads a configuration from environment variables.

use auditx_format::Result;

use super::{Config, policy};

impl Config {
    /// Returns the defaults, overridden by environment variables.
    ///
    /// The variables are `AUDITX_LOG_DIR`, `AUDITX_INSTANCE`, `AUDITX_ORIGIN`, `AUDITX_HOSTNAME`,
    /// `AUDITX_CONSOLE`, `AUDITX_MAX_FILE_BYTES`, `AUDITX_MAX_AGE`, `AUDITX_RETENTION`, `AUDITX_COMPRESSION`,
    /// `AUDITX_DURABILITY`, `AUDITX_JOURNAL`, `AUDITX_JOURNAL_BYTES`, `AUDITX_ON_FULL`,
    /// `AUDITX_DEFAULT_CURRENCY`, `AUDITX_SIGNING_KEY`, `AUDITX_FILE_MODE`, `AUDITX_DIR_MODE`, `AUDITX_GROUP`
    /// and `AUDITX_EXCLUSIVE` (`true` or `false`). Values have the same syntax as in a configuration file. Empty variables are ignored.
    ///
    /// # Errors
    /// `is_invalid` if a value cannot be parsed. The message names the variable.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    pub(super) fn from_variables(read: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<Self> {
        let mut config = Self::default();
        let text = |name: &str| match read(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value
                .into_string()
                .map(Some)
                .map_err(|value| policy::in_variable(name, &format!("{:?} is not Unicode", value))),
        };
        if let Some(log_dir) = read("AUDITX_LOG_DIR").filter(|value| !value.is_empty()) {
            config.log_dir = log_dir.into();
        }
        for (name, setting) in [
            ("AUDITX_INSTANCE", &mut config.instance),
            ("AUDITX_ORIGIN", &mut config.origin),
            ("AUDITX_HOSTNAME", &mut config.hostname),
            ("AUDITX_DEFAULT_CURRENCY", &mut config.default_currency),
            ("AUDITX_GROUP", &mut config.group),
        ] {
            if let Some(value) = text(name)? {
                *setting = value;
            }
        }
        policy::read_variable(&text, "AUDITX_CONSOLE", &mut config.console)?;
        policy::read_variable(&text, "AUDITX_MAX_FILE_BYTES", &mut config.max_file_bytes)?;
        policy::read_variable(&text, "AUDITX_RETENTION", &mut config.retention)?;
        policy::read_variable(&text, "AUDITX_COMPRESSION", &mut config.compression)?;
        policy::read_variable(&text, "AUDITX_DURABILITY", &mut config.durability)?;
        policy::read_variable(&text, "AUDITX_JOURNAL", &mut config.journal)?;
        policy::read_variable(&text, "AUDITX_JOURNAL_BYTES", &mut config.journal_bytes)?;
        policy::read_variable(&text, "AUDITX_ON_FULL", &mut config.on_full)?;
        policy::read_variable(&text, "AUDITX_SIGNING_KEY", &mut config.signing_key)?;
        policy::read_variable(&text, "AUDITX_EXCLUSIVE", &mut config.exclusive)?;
        for (name, mode) in
            [("AUDITX_FILE_MODE", &mut config.file_mode), ("AUDITX_DIR_MODE", &mut config.dir_mode)]
        {
            if let Some(text) = text(name)? {
                *mode = Some(text.parse().map_err(|error| policy::in_variable(name, &error))?);
            }
        }
        if let Some(age) = text("AUDITX_MAX_AGE")? {
            config.max_age = Some(
                policy::parse_duration(&age)
                    .map_err(|error| policy::in_variable("AUDITX_MAX_AGE", &error))?,
            );
        }
        Ok(config)
    }
}
