//! How a logger is set up: consuming setters, environment variables, or an application's own configuration file.

mod environment;
mod modes;
mod policy;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::c2sp::is_key_name;
use crate::clock::{Clock, SystemClock};
use crate::dir::Dir;
use crate::encode::MAX_LINE;
use crate::error::{Error, HookError, Result};
use crate::key::{KeySource, Signer};
use crate::line::RecordedEntry;
use crate::redact::Redaction;
use crate::ring::is_capacity;

pub use policy::{Cadence, Compression, Console, Durability, JournalKind, OnFull, RateLimit, Retention};

/// Where a logger writes when nothing is configured.
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

/// Settings of a logger.
///
/// With serde, durations are text like `"100ms"` or `"30d"`; unknown keys are refused.
///
/// ```
/// use auditx_core::{Config, Retention};
/// use std::time::Duration;
///
/// let config = Config::new("logs").origin("erp.example.com").retention(Retention::RetainFor(Duration::from_secs(86_400 * 400)));
/// let from_file: Config = serde_json::from_str(r#"{"log_dir": "/var/log/erp", "durability": "every-entry"}"#)?;
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
            hooks: Vec::new(),
            clock: system_clock(),
        }
    }
}

impl Config {
    /// Default: `logs`. The directory of the trail; made where it does not exist.
    #[must_use]
    pub fn new(log_dir: impl Into<PathBuf>) -> Self {
        Self { log_dir: log_dir.into(), ..Self::default() }
    }

    /// Default: `logs`. The directory of the trail; made where it does not exist.
    #[must_use]
    pub fn log_dir(mut self, log_dir: impl Into<PathBuf>) -> Self {
        self.log_dir = log_dir.into();
        self
    }

    /// Default: none. Opens the trail in a directory of this name below the log directory, so that several processes
    /// can share one place, each with a trail of its own. One to 64 characters of `[A-Za-z0-9._-]`.
    #[must_use]
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = name.into();
        self
    }

    /// Default: the host's name. The name of the log in its first record, such as `erp.example.com`.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Default: the operating system's. Written into each entry.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = hostname.into();
        self
    }

    /// Default: [`Console::Off`]. Shows entries on standard output or standard error, to people or as lines of JSON to a collector.
    #[must_use]
    pub fn console(mut self, console: Console) -> Self {
        self.console = console;
        self
    }

    /// Default: 10 MiB. Seals the active segment once it holds this many bytes; at least 65,535.
    #[must_use]
    pub fn max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file_bytes = bytes;
        self
    }

    /// Default: none. Seals the active segment this long after it began, if it holds any entry.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Default: [`Retention::KeepEverything`]. Which sealed segments are retired.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Default: [`Compression::Zstd`]. How sealed segments are kept.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Default: [`Durability::Interval`] of 100 ms. When accepted entries are made to survive a power loss.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Default: [`JournalKind::Auto`]. What stands between `record()` and the trail.
    #[must_use]
    pub fn journal(mut self, journal: JournalKind) -> Self {
        self.journal = journal;
        self
    }

    /// Default: 16 MiB. Room in the ring, on disk and in memory: a power of two from 256 KiB to 1 GiB.
    #[must_use]
    pub fn journal_bytes(mut self, bytes: u64) -> Self {
        self.journal_bytes = bytes;
        self
    }

    /// Default: [`OnFull::Wait`] of 10 s. What `record()` does while the journal is full.
    #[must_use]
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }

    /// Default: the deny-list of secrets. What must never be stored.
    #[must_use]
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Default: none. The currency of amounts that name none, such as `MMK`.
    #[must_use]
    pub fn default_currency(mut self, currency: impl Into<String>) -> Self {
        self.default_currency = currency.into();
        self
    }

    /// Default: 5 failures in 60 s per address. When failed security events become CRITICAL.
    #[must_use]
    pub fn rate_limit(mut self, rate_limit: RateLimit) -> Self {
        self.rate_limit = rate_limit;
        self
    }

    /// Default: each second or 1,024 entries while any arrive, a heartbeat each hour while none do. When checkpoints are
    /// signed; they are in any case at seals and at `close`.
    #[must_use]
    pub fn checkpoints(mut self, cadence: Cadence) -> Self {
        self.checkpoints = cadence;
        self
    }

    /// Default: [`KeySource::Trail`]. The key that signs checkpoints.
    #[must_use]
    pub fn signing_key(mut self, source: KeySource) -> Self {
        self.signing_key = source;
        self
    }

    /// Default: none. Signs checkpoints with something of the application's own: a KMS, an HSM.
    #[must_use]
    pub fn signer(self, signer: impl Signer + 'static) -> Self {
        self.signing_key(KeySource::Signer(Arc::new(signer)))
    }

    /// Default: `0o640` less the umask. The permissions of files, exactly these whatever the umask. Keys and the journal's ring
    /// stay 0600. In configuration files and `AUDITX_FILE_MODE`: text in octal, `0644`.
    #[must_use]
    pub fn file_mode(mut self, mode: u32) -> Self {
        self.file_mode = Some(modes::Octal(mode));
        self
    }

    /// Default: `0o750` less the umask. The permissions of directories, as [`Config::file_mode`]. Keys' stays 0700.
    #[must_use]
    pub fn dir_mode(mut self, mode: u32) -> Self {
        self.dir_mode = Some(modes::Octal(mode));
        self
    }

    /// Default: the process's group. The group that files and directories are given to, such as the one of the log collector:
    /// a name in /etc/group, or a number.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// Default: none. Calls `hook` with every entry recorded from the first open with this hook on.
    ///
    /// Hooks run on a thread of their own, after the entry is durable (under [`Durability::Os`]: written), in order and
    /// at least once: the name's cursor is kept in the trail's directory. An error or a panic goes to app.log and the
    /// same entry is tried again with growing pauses; it blocks and loses nothing.
    #[must_use]
    pub fn on_audit(
        self,
        name: impl Into<String>,
        hook: impl Fn(&RecordedEntry<'_>) -> Result<(), HookError> + Send + Sync + 'static,
    ) -> Self {
        self.with_hook(name.into(), false, Arc::new(hook))
    }

    /// The same as [`Config::on_audit`], but a new name begins with the oldest entry the trail holds: for copies.
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

    /// Default: the system's. Where timestamps and the rate limit's window come from.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The directory the trail itself stands in.
    #[must_use]
    pub fn trail_dir(&self) -> PathBuf {
        if self.instance.is_empty() { self.log_dir.clone() } else { self.log_dir.join(&self.instance) }
    }

    /// Opens the directory of the trail, which is created where it does not exist.
    pub(crate) fn hold_dir(&self) -> Result<Dir> {
        let path = self.trail_dir();
        Dir::hold(&path, modes::modes(self.file_mode, self.dir_mode, &self.group)?)
            .map_err(|error| Error::storage("cannot open the log directory", &path, error))
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !self.instance.is_empty() && !is_name(&self.instance) {
            return Err(Error::invalid(format!("instance {:?} {NAME_RULE}", self.instance)));
        }
        if self.max_file_bytes < MAX_LINE as u64 {
            return Err(Error::invalid(format!(
                "max_file_bytes {} is less than one line may need, {MAX_LINE} bytes",
                self.max_file_bytes
            )));
        }
        if !self.origin.is_empty() && !is_key_name(&self.origin) {
            return Err(Error::invalid(format!(
                "origin {:?} cannot name the signing key: it must not hold white space, control characters or `+`",
                self.origin
            )));
        }
        if !is_capacity(self.journal_bytes) {
            return Err(Error::invalid(format!(
                "journal_bytes {} is not a power of two from 256 KiB to 1 GiB",
                self.journal_bytes
            )));
        }
        self.checkpoints.check()?;
        modes::modes(self.file_mode, self.dir_mode, &self.group)?;
        for (place, hook) in self.hooks.iter().enumerate() {
            if !is_name(&hook.name) {
                return Err(Error::invalid(format!("on_audit hook {:?} {NAME_RULE}", hook.name)));
            }
            if RESERVED_NAMES.contains(&hook.name.as_str()) {
                return Err(Error::invalid(format!(
                    "on_audit hook {:?} has the name of a follower of ours",
                    hook.name
                )));
            }
            if self.hooks[..place].iter().any(|earlier| earlier.name == hook.name) {
                return Err(Error::invalid(format!(
                    "two on_audit hooks are named {:?}: each needs its own cursor",
                    hook.name
                )));
            }
        }
        Ok(())
    }
}

/// The followers every logger may have; see `follow`.
const RESERVED_NAMES: [&str; 2] = ["security.jsonl", "console"];

const NAME_RULE: &str = "must be 1 to 64 characters of [A-Za-z0-9._-] and not begin with a dot";

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests;
