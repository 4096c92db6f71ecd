//! The trail a command is about: where it is, and opening it for what is done to it rather than in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use auditx_core::{
    ACTIVE, AUDITX_DIR, AuditLogger, Compression, Config, Console, DEFAULT_LOG_DIR, Error, Retention,
    checkpoint_path, lock_holder,
};

use crate::failure::{Failure, how_to_make};
use crate::terminal::harmless;

/// How long the disk may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Which trail.
#[derive(Debug, clap::Args)]
pub(crate) struct Trail {
    /// The directory of the trail
    #[arg(long = "dir", value_name = "DIR", default_value = DEFAULT_LOG_DIR, env = "AUDITX_LOG_DIR", hide_env_values = true)]
    directory: PathBuf,
}

impl Trail {
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory in words.
    pub(crate) fn place(&self) -> String {
        harmless(&self.directory.to_string_lossy())
    }

    /// The settings of the environment, less what would do more than was asked for: no retention, no compression unless it
    /// is configured, and nothing on the console. `--dir` is the trail itself, whatever instance is configured.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let config = Config::from_env()?
            .log_dir(&self.directory)
            .instance("")
            .console(Console::Off)
            .retention(Retention::KeepEverything);
        let is_compression_configured =
            std::env::var_os("AUDITX_COMPRESSION").is_some_and(|value| !value.is_empty());
        Ok(if is_compression_configured { config } else { config.compression(Compression::None) })
    }

    /// Opens the trail for its maintenance. It makes none where there is none.
    pub(crate) fn open(&self) -> Result<AuditLogger, Failure> {
        self.must_be_there()?;
        let logger = AuditLogger::open(self.config()?).map_err(|error| self.refusal(&error))?;
        // The trail's own followers hold nothing back once they are up to date.
        logger.flush(PATIENCE)?;
        Ok(logger)
    }

    /// Whether there is a trail.
    pub(crate) fn is_there(&self) -> bool {
        let identity = self.directory.join(AUDITX_DIR).join("trail.json");
        let marks = [identity, checkpoint_path(&self.directory), self.directory.join(ACTIVE)];
        marks.iter().any(|mark| mark.exists())
    }

    /// Opening makes a trail where there is none, which is not what a maintenance command is called for.
    pub(crate) fn must_be_there(&self) -> Result<(), Failure> {
        if self.is_there() {
            return Ok(());
        }
        Err(Failure::said(format!("no audit trail in {}{}", self.place(), how_to_make(&self.directory))))
    }

    /// Why the trail could not be opened.
    pub(crate) fn refusal(&self, error: &Error) -> Failure {
        let what_to_do = "stop that one first, or call the library in it: a trail has one writer";
        refusal(error, &self.directory, what_to_do)
    }
}

/// Why a trail could not be opened; `what_to_do` where somebody else has it.
pub(crate) fn refusal(error: &Error, directory: &Path, what_to_do: &str) -> Failure {
    if !error.is_locked() {
        return Failure::said(harmless(&error.to_string()));
    }
    let holder = lock_holder(directory).ok().flatten().unwrap_or_else(|| "another process".to_owned());
    let place = harmless(&directory.to_string_lossy());
    Failure::said(format!("{place} is being written by {}: {what_to_do}", harmless(&holder)))
}
