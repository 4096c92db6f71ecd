//! The types of individual settings, and their syntax in configuration files and environment variables.

use std::str::FromStr;
use std::time::Duration;

use auditx_format::{Error, Result};
use serde::{Deserialize, Deserializer};

/// When accepted entries become durable, that is, survive a power loss. Every accepted entry survives the
/// death of the process.
///
/// Written as `os`, `every-entry` or a duration. SECURITY and CRITICAL entries are synced at once, except
/// with `Os`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum Durability {
    /// When the operating system writes them. Also at checkpoints, seals, `flush` and `close`, and while a
    /// receipt is waited for.
    Os,
    /// At most this long after the entry was accepted.
    Interval(Duration),
    /// Before `record()` returns. Threads that record at the same time share one fdatasync(2) (group commit).
    EveryEntry,
}

impl Default for Durability {
    fn default() -> Self {
        Self::Interval(Duration::from_millis(100))
    }
}

/// What `record()` does while the journal is full, because entries arrive faster than the disk can write them
/// or the disk is full.
///
/// Written as `reject`, `drop`, or a duration, which is the longest wait. Rejected and dropped entries are
/// counted, and a `gap` record in the trail has their number and the time. The direct journal is never full;
/// this setting then has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum OnFull {
    /// Waits until the journal has room. Fails with `is_full` after `max`.
    Wait {
        /// The longest wait.
        max: Duration,
    },
    /// Fails with `is_full` at once.
    Reject,
    /// Drops the entry and returns `Ok`.
    Drop,
}

impl Default for OnFull {
    fn default() -> Self {
        Self::Wait { max: Duration::from_secs(10) }
    }
}

/// The journal between `record()` and the trail. Written as `ring`, `direct` or `auto`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum JournalKind {
    /// `Ring` on Linux on file systems that honour preallocated space (ext4, XFS, tmpfs); otherwise `Direct`.
    #[default]
    Auto,
    /// A memory-mapped ring that a drain thread empties. Opening fails if the ring cannot be used.
    Ring,
    /// One write(2) per entry, under a lock.
    Direct,
}

/// Which sealed segments are retired, that is, deleted. Each deletion is recorded in the trail as a `retired`
/// record. A segment is retired only after every hook has processed it.
///
/// Written as `keep-everything`, `backup-count=N` or `retain-for=400d`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum Retention {
    /// No segment.
    #[default]
    KeepEverything,
    /// All except this number of the newest.
    BackupCount(usize),
    /// Segments sealed longer ago than this.
    RetainFor(Duration),
}

/// The compression of sealed segments. Written as `zstd` or `none`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum Compression {
    /// Zstandard. The maintenance thread compresses and checks each segment.
    #[default]
    Zstd,
    /// No compression.
    None,
}

/// Whether entries are also written to standard output or standard error, and in which form. Written as
/// `off`, `stdout`, `stderr`, `stdout-json` or `stderr-json`.
///
/// The console gets each line once, in the order of the trail, including control records: all lines that this
/// process writes, and those that recovery adds for a process that was killed. Lines that were in the trail
/// before are not repeated. `AuditLogger::close` waits until the last line is written, within its timeout.
///
/// If the output is a broken pipe, one message is written to app.log, the failure is counted in
/// [`FollowerMetrics`](crate::metrics::FollowerMetrics), and the console stops. Recording continues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum Console {
    /// No console output.
    #[default]
    Off,
    /// Human-readable text on standard output, coloured on a terminal.
    Stdout,
    /// Human-readable text on standard error, coloured on a terminal.
    Stderr,
    /// NDJSON on standard output, for a collector of container logs. The output consists of the exact lines
    /// of the trail, each written after it is durable, and with one write(2) if the output accepts it whole.
    StdoutJson,
    /// NDJSON on standard error; see [`Console::StdoutJson`].
    StderrJson,
}

/// When failed security events of one address are raised to level CRITICAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RateLimit {
    /// The number of failures within the window above which further failures are CRITICAL. Default: 5.
    pub limit: u32,
    /// The length of the sliding window. Default: 60 s.
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
    /// The number of addresses kept in memory; the least recently used is evicted first. Default: 10,000.
    pub addresses: usize,
}

impl RateLimit {
    /// Creates a limit of failures within a window.
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        Self { limit, window, ..Self::default() }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { limit: 5, window: Duration::from_secs(60), addresses: 10_000 }
    }
}

/// When checkpoints are signed while entries arrive, and how often an idle trail gets a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Cadence {
    /// The longest time between an entry becoming durable and the checkpoint that covers it. Default: 1 s.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// The number of new entries after which a checkpoint is signed at once, at most ten times per interval.
    /// The latest checkpoint is also recorded in the trail itself, every this many entries. Default: 1,024.
    pub entries: u64,
    /// The interval at which a trail without entries gets a `heartbeat` record and a checkpoint. Default: 1
    /// h.
    #[serde(deserialize_with = "duration")]
    pub heartbeat: Duration,
}

impl Cadence {
    /// Signs a checkpoint after this time or this many entries, whichever comes first.
    #[must_use]
    pub fn new(interval: Duration, entries: u64) -> Self {
        Self { interval, entries, ..Self::default() }
    }

    /// Sets the interval of `heartbeat` records in an idle trail. Default: 1 h.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    pub(crate) fn check(self) -> Result<()> {
        if self.interval.is_zero() || self.entries == 0 || self.heartbeat < Duration::from_secs(1) {
            return Err(Error::invalid(format!(
                "invalid checkpoints (interval {:?}, {} entries, heartbeat {:?}): interval and entries must \
                 not be 0, and heartbeat must be at least 1s",
                self.interval, self.entries, self.heartbeat
            )));
        }
        Ok(())
    }
}

impl Default for Cadence {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), entries: 1_024, heartbeat: Duration::from_secs(3_600) }
    }
}

/// Parses a duration such as `100ms`, `90s` or `30d`.
pub(super) fn parse_duration(text: &str) -> Result<Duration> {
    humantime::parse_duration(text).map_err(|error| {
        Error::invalid(format!("invalid duration {text:?}: expected for example 100ms, 90s or 30d"))
            .because(error)
    })
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

pub(super) fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let text: Option<String> = Deserialize::deserialize(deserializer)?;
    text.map(|text| parse_duration(&text)).transpose().map_err(serde::de::Error::custom)
}

/// Sets `setting` from an environment variable, if the variable is set.
pub(super) fn read_variable<T: FromStr<Err: std::fmt::Display>>(
    text: &impl Fn(&str) -> Result<Option<String>>,
    name: &str,
    setting: &mut T,
) -> Result<()> {
    if let Some(value) = text(name)? {
        *setting = value.parse().map_err(|error| in_variable(name, &error))?;
    }
    Ok(())
}

pub(super) fn in_variable(name: &str, error: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("environment variable {name}: {error}"))
}

/// Implements parsing from text, for environment variables and configuration files.
macro_rules! from_text {
    ($name:ident, $parse:expr, $expected:literal) => {
        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                parse(text).ok_or_else(|| {
                    Error::invalid(format!(concat!("invalid value {:?}: expected ", $expected), text))
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }
    };
}

from_text!(
    Durability,
    |text| match text {
        "os" => Some(Self::Os),
        "every-entry" => Some(Self::EveryEntry),
        text => parse_duration(text).ok().map(Self::Interval),
    },
    "`os`, `every-entry` or a duration such as 100ms"
);

from_text!(
    OnFull,
    |text| match text {
        "reject" => Some(Self::Reject),
        "drop" => Some(Self::Drop),
        text => parse_duration(text).ok().map(|max| Self::Wait { max }),
    },
    "`reject`, `drop` or a duration such as 10s"
);

from_text!(
    JournalKind,
    |text| match text {
        "auto" => Some(Self::Auto),
        "ring" => Some(Self::Ring),
        "direct" => Some(Self::Direct),
        _ => None,
    },
    "`auto`, `ring` or `direct`"
);

from_text!(
    Retention,
    |text| match text.split_once('=') {
        None if text == "keep-everything" => Some(Self::KeepEverything),
        Some(("backup-count", count)) => count.parse().ok().map(Self::BackupCount),
        Some(("retain-for", age)) => parse_duration(age).ok().map(Self::RetainFor),
        _ => None,
    },
    "`keep-everything`, `backup-count=N` or `retain-for=400d`"
);

from_text!(
    Compression,
    |text| match text {
        "zstd" => Some(Self::Zstd),
        "none" => Some(Self::None),
        _ => None,
    },
    "`zstd` or `none`"
);

from_text!(
    Console,
    |text| match text {
        "off" => Some(Self::Off),
        "stdout" => Some(Self::Stdout),
        "stderr" => Some(Self::Stderr),
        "stdout-json" => Some(Self::StdoutJson),
        "stderr-json" => Some(Self::StderrJson),
        _ => None,
    },
    "`off`, `stdout`, `stderr`, `stdout-json` or `stderr-json`"
);
