//! The settings of a logger: from setters, environment variables, or an application's own configuration file.

mod environment;
mod modes;
mod policy;
mod validation;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auditx_format::clock::{Clock, SystemClock};
use auditx_format::line::RecordedEntry;
use auditx_format::redact::Redaction;
use auditx_format::{Error, HookError, Result};
use auditx_tlog::Signer;
use serde::Deserialize;

use crate::dir::Dir;
use crate::key_source::KeySource;

pub use policy::{Cadence, Compression, Console, Durability, JournalKind, OnFull, RateLimit, Retention};
pub(crate) use validation::{ALERT_PREFIX, CONSOLE, PROJECTION, SHIPPER_PREFIX};

/// The log directory if none is configured.
pub const DEFAULT_LOG_DIR: &str = "logs";

const DEFAULT_MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;
const DEFAULT_JOURNAL_BYTES: u64 = 16 * 1024 * 1024;

pub(crate) type HookFn = dyn Fn(&RecordedEntry<'_>) -> Result<(), HookError> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Hook {
    pub(crate) name: String,
    pub(crate) from_start: bool,
    pub(crate) run: Arc<HookFn>,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook")
            .field("name", &self.name)
            .field("from_start", &self.from_start)
            .finish_non_exhaustive()
    }
}

/// The settings of a logger.
///
/// A configuration implements `Deserialize`. Durations are then text such as `"100ms"` or `"30d"`, and
/// unknown keys are rejected. Settings are validated when the trail is opened.
///
/// ```
/// use auditx_core::{Config, Retention};
/// use std::time::Duration;
///
/// let retention = Retention::RetainFor(Duration::from_secs(86_400 * 400));
/// let config = Config::new("logs").origin("erp.example.com").retention(retention);
/// let text = r#"{"log_dir": "/var/log/erp", "durability": "every-entry"}"#;
/// let from_file: Config = serde_json::from_str(text)?;
/// # let _ = (config, from_file);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub(crate) log_dir: PathBuf,
    pub(crate) instance: String,
    pub(crate) origin: String,
    pub(crate) hostname: String,
    pub(crate) console: Console,
    pub(crate) max_file_bytes: u64,
    #[serde(deserialize_with = "policy::optional_duration")]
    pub(crate) max_age: Option<Duration>,
    pub(crate) retention: Retention,
    pub(crate) compression: Compression,
    pub(crate) durability: Durability,
    pub(crate) journal: JournalKind,
    pub(crate) journal_bytes: u64,
    pub(crate) on_full: OnFull,
    pub(crate) redaction: Redaction,
    pub(crate) default_currency: String,
    pub(crate) rate_limit: RateLimit,
    pub(crate) checkpoints: Cadence,
    pub(crate) signing_key: KeySource,
    pub(crate) file_mode: Option<modes::Octal>,
    pub(crate) dir_mode: Option<modes::Octal>,
    pub(crate) group: String,
    pub(crate) exclusive: bool,
    #[serde(skip)]
    pub(crate) hooks: Vec<Hook>,
    #[serde(skip, default = "system_clock")]
    pub(crate) clock: Arc<dyn Clock>,
}

fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log_dir: PathBuf::from(DEFAULT_LOG_DIR),
            instance: String::new(),
            origin: String::new(),
            hostname: String::new(),
            console: Console::default(),
            max_file_bytes: DEFAULT_MAX_FILE_BYTES,
            max_age: None,
            retention: Retention::default(),
            compression: Compression::default(),
            durability: Durability::default(),
            journal: JournalKind::default(),
            journal_bytes: DEFAULT_JOURNAL_BYTES,
            on_full: OnFull::default(),
            redaction: Redaction::default(),
            default_currency: String::new(),
            rate_limit: RateLimit::default(),
            checkpoints: Cadence::default(),
            signing_key: KeySource::default(),
            file_mode: None,
            dir_mode: None,
            group: String::new(),
            exclusive: false,
            hooks: Vec::new(),
            clock: system_clock(),
        }
    }
}

impl Config {
    /// Creates a configuration with the default settings for this log directory; see [`Config::log_dir`].
    #[must_use]
    pub fn new(log_dir: impl Into<PathBuf>) -> Self {
        Self { log_dir: log_dir.into(), ..Self::default() }
    }

    /// Sets the directory of the trail. Default: `logs`. It is created if it does not exist.
    #[must_use]
    pub fn log_dir(mut self, log_dir: impl Into<PathBuf>) -> Self {
        self.log_dir = log_dir.into();
        self
    }

    /// Sets the instance name. Default: none. The trail is then in a directory of this name below the log
    /// directory, so that several programs can use the same log directory, each with its own trail. 1 to 64
    /// characters of `[A-Za-z0-9._-]`.
    #[must_use]
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = name.into();
        self
    }

    /// Sets the origin, the name of the log in its first record, such as `erp.example.com`. Default: the
    /// hostname.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Sets the hostname written to each entry. Default: the one of the operating system.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = hostname.into();
        self
    }

    /// Sets whether entries are also written to standard output or standard error. Default: [`Console::Off`].
    /// If several processes share the trail, the one that writes it prints the entries of all.
    #[must_use]
    pub fn console(mut self, console: Console) -> Self {
        self.console = console;
        self
    }

    /// Sets the size in bytes at which the active segment is sealed. Default: 10 MiB; at least 65,535.
    #[must_use]
    pub fn max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file_bytes = bytes;
        self
    }

    /// Sets the age at which the active segment is sealed, if it has any entries. Default: none.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Sets which sealed segments are retired. Default: [`Retention::KeepEverything`].
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Sets the compression of sealed segments. Default: [`Compression::Zstd`].
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets when accepted entries become durable. Default: [`Durability::Interval`] of 100 ms.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the journal between `record()` and the trail. Default: [`JournalKind::Auto`].
    #[must_use]
    pub fn journal(mut self, journal: JournalKind) -> Self {
        self.journal = journal;
        self
    }

    /// Sets the size of the ring in bytes, on disk and in memory. Default: 16 MiB; a power of two from 256
    /// KiB to 1 GiB.
    #[must_use]
    pub fn journal_bytes(mut self, bytes: u64) -> Self {
        self.journal_bytes = bytes;
        self
    }

    /// Sets what `record()` does while the journal is full. Default: [`OnFull::Wait`] of 10 s.
    #[must_use]
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }

    /// Sets the redaction rules. Default: [`Redaction::default`], which masks values whose key names a
    /// secret.
    #[must_use]
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Sets the currency of amounts without one, such as `MMK`. Default: none.
    #[must_use]
    pub fn default_currency(mut self, currency: impl Into<String>) -> Self {
        self.default_currency = currency.into();
        self
    }

    /// Sets when failed security events become CRITICAL. Default: after 5 failures in 60 s per address.
    #[must_use]
    pub fn rate_limit(mut self, rate_limit: RateLimit) -> Self {
        self.rate_limit = rate_limit;
        self
    }

    /// Sets when checkpoints are signed. Default: every second or every 1,024 entries while entries arrive,
    /// and a heartbeat every hour otherwise. A checkpoint is also signed at each seal and at `close`.
    #[must_use]
    pub fn checkpoints(mut self, cadence: Cadence) -> Self {
        self.checkpoints = cadence;
        self
    }

    /// Sets the key that signs checkpoints. Default: [`KeySource::Trail`].
    #[must_use]
    pub fn signing_key(mut self, source: KeySource) -> Self {
        self.signing_key = source;
        self
    }

    /// Sets a signer implemented by the application, such as a KMS or an HSM. Default: none.
    #[must_use]
    pub fn signer(self, signer: impl Signer + 'static) -> Self {
        self.signing_key(KeySource::Signer(Arc::new(signer)))
    }

    /// Sets the permissions of files, regardless of the umask. Default: `0o640`, reduced by the umask. Keys
    /// and the ring always have 0600. In configuration files and `AUDITX_FILE_MODE`, octal digits as text:
    /// `0644`.
    #[must_use]
    pub fn file_mode(mut self, mode: u32) -> Self {
        self.file_mode = Some(modes::Octal(mode));
        self
    }

    /// Sets the permissions of directories, like [`Config::file_mode`]. Default: `0o750`, reduced by the
    /// umask. The directory of keys always has 0700.
    #[must_use]
    pub fn dir_mode(mut self, mode: u32) -> Self {
        self.dir_mode = Some(modes::Octal(mode));
        self
    }

    /// Sets the group of files and directories, for example that of the log collector. Default: the group of
    /// the process. A name in /etc/group or a number.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// Sets whether this process must be the only one that has the trail open. Default: `false`: any number of
    /// processes of one machine share the trail, one of them writes it, and another one takes over when that
    /// ends. If `true`, opening fails while another process has the trail open, and no other process can join.
    #[must_use]
    pub fn exclusive(mut self, exclusive: bool) -> Self {
        self.exclusive = exclusive;
        self
    }

    /// Adds a hook that is called with every entry recorded since the first open with a hook of this name.
    /// Default: no hooks.
    ///
    /// Each hook runs on its own thread and gets the entries in order, each after it is durable (with
    /// [`Durability::Os`]: written). Its progress is stored under its name in the directory of the trail. An
    /// entry is delivered at least once: after an error or a panic, which is written to app.log, the same
    /// entry is retried with increasing delays. A failing hook neither delays recording nor loses entries.
    ///
    /// If several processes share the trail, the hook runs in the one that writes it. Add it in all of them:
    /// another process that becomes the writer continues where the hook was.
    #[must_use]
    pub fn on_audit(
        self,
        name: impl Into<String>,
        hook: impl Fn(&RecordedEntry<'_>) -> Result<(), HookError> + Send + Sync + 'static,
    ) -> Self {
        self.with_hook(name.into(), false, Arc::new(hook))
    }

    /// Like [`Config::on_audit`], but a hook with a new name begins with the oldest entry of the trail. For
    /// copies of the trail.
    #[must_use]
    pub fn on_audit_from_start(
        self,
        name: impl Into<String>,
        hook: impl Fn(&RecordedEntry<'_>) -> Result<(), HookError> + Send + Sync + 'static,
    ) -> Self {
        self.with_hook(name.into(), true, Arc::new(hook))
    }

    fn with_hook(mut self, name: String, from_start: bool, run: Arc<HookFn>) -> Self {
        self.hooks.push(Hook { name, from_start, run });
        self
    }

    /// Sets the clock of timestamps and of the rate limit. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Returns the directory of the trail: the log directory, or the directory of the instance below it.
    #[must_use]
    pub fn trail_dir(&self) -> PathBuf {
        if self.instance.is_empty() { self.log_dir.clone() } else { self.log_dir.join(&self.instance) }
    }

    /// Returns a number that differs if settings differ that one process applies for all that share a trail.
    pub(crate) fn fingerprint(&self) -> u64 {
        let settings = format!(
            "{:?}",
            (
                (self.max_file_bytes, self.max_age, self.retention, self.compression),
                (self.durability, self.journal_bytes, &self.checkpoints, &self.signing_key),
            )
        );
        xxhash_rust::xxh3::xxh3_64(settings.as_bytes()).max(1)
    }

    /// Opens the directory of the trail, which is created if it does not exist.
    pub(crate) fn hold_dir(&self) -> Result<Dir> {
        let path = self.trail_dir();
        Dir::hold(&path, modes::modes(self.file_mode, self.dir_mode, &self.group)?)
            .map_err(|error| Error::storage("cannot open the log directory", &path, error))
    }
}

#[cfg(test)]
mod tests;
