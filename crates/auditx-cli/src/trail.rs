//! `--dir`: the trail that a command reads or maintains.

use std::path::{Path, PathBuf};
use std::time::Duration;

use auditx_core::{AuditLogger, Compression, Config, Console, Error, OnFull, Retention};
use auditx_store::{ACTIVE, AUDITX_DIR, DEFAULT_LOG_DIR, checkpoint_path, lock_holder};

use crate::failure::{Failure, creation_hint};
use crate::terminal::sanitized;

/// How long flushing and closing may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// `--dir`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Trail {
    /// The directory of the trail
    #[arg(
        long = "dir",
        value_name = "DIR",
        default_value = DEFAULT_LOG_DIR,
        env = "AUDITX_LOG_DIR",
        hide_env_values = true
    )]
    directory: PathBuf,
}

impl Trail {
    pub(crate) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the directory for messages.
    pub(crate) fn display_path(&self) -> String {
        sanitized(&self.directory.to_string_lossy())
    }

    /// Returns the configuration of the environment without what would do more than the command says: no
    /// retention, no compression unless it is configured, no console output.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let config = self.recording_config()?.exclusive(true).retention(Retention::KeepEverything);
        let is_compression_configured =
            std::env::var_os("AUDITX_COMPRESSION").is_some_and(|value| !value.is_empty());
        Ok(if is_compression_configured { config } else { config.compression(Compression::None) })
    }

    /// Returns the configuration of the environment for recording: that of an application, without console
    /// output. `--dir` is the trail itself, so `AUDITX_INSTANCE` is ignored.
    pub(crate) fn recording_config(&self) -> Result<Config, Failure> {
        let config = Config::from_env()?.log_dir(&self.directory).instance("").console(Console::Off);
        let drops = std::env::var_os("AUDITX_ON_FULL").is_some_and(|value| value == "drop");
        // A dropped entry has a receipt like any other. The command must not print its id.
        Ok(if drops { config.on_full(OnFull::Reject) } else { config })
    }

    /// Opens the trail for maintenance. Fails if there is no trail.
    pub(crate) fn open(&self) -> Result<AuditLogger, Failure> {
        self.must_be_there()?;
        let logger = AuditLogger::open(self.config()?).map_err(|error| self.open_failure(&error))?;
        // The trail's own followers do not delay retention once they are up to date.
        logger.flush(TIMEOUT)?;
        Ok(logger)
    }

    /// Returns `true` if the directory contains a trail.
    pub(crate) fn is_there(&self) -> bool {
        let identity = self.directory.join(AUDITX_DIR).join("trail.json");
        let marks = [identity, checkpoint_path(&self.directory), self.directory.join(ACTIVE)];
        marks.iter().any(|mark| mark.exists())
    }

    /// Fails if there is no trail. Opening would create one, which a maintenance command must not do.
    pub(crate) fn must_be_there(&self) -> Result<(), Failure> {
        if self.is_there() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "no audit trail in {}{}",
            self.display_path(),
            creation_hint(&self.directory)
        )))
    }

    /// Returns the failure to report if the trail could not be opened.
    pub(crate) fn open_failure(&self, error: &Error) -> Failure {
        let advice = "stop that process first, or call the library from it: a trail has one writer";
        open_failure(error, &self.directory, advice)
    }
}

/// Like [`Trail::open_failure`]; `advice` is the advice if another process has the trail open.
pub(crate) fn open_failure(error: &Error, directory: &Path, advice: &str) -> Failure {
    if !error.is_locked() {
        return Failure::new(sanitized(&error.to_string()));
    }
    let holder = lock_holder(directory).ok().flatten().unwrap_or_else(|| "another process".to_owned());
    let display_path = sanitized(&directory.to_string_lossy());
    Failure::new(format!("{display_path} is being written by {}: {advice}", sanitized(&holder)))
}
