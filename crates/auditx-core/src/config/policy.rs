//! The choices a configuration makes, and how each is spelled in files and environment variables.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};

/// When accepted entries are made to survive a power loss. They survive the death of the process in any case.
///
/// Spelled `os`, `every-entry`, or a duration. SECURITY and CRITICAL entries are synced at once except under `Os`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum Durability {
    /// When the operating system likes, at checkpoints, at seals, at `flush`, at `close`, and when a receipt is waited for.
    Os,
    /// At most this long after the entry was accepted.
    Interval(Duration),
    /// Before `record()` returns. Threads that record at the same time share one fdatasync (group commit).
    EveryEntry,
}

impl Default for Durability {
    fn default() -> Self {
        Self::Interval(Duration::from_millis(100))
    }
}

/// What `record()` does while the journal is full: entries come faster than the disk takes them, or the disk is full.
///
/// Spelled `reject`, `drop`, or the longest wait as a duration. Whatever is refused or dropped is counted, and a `gap` record in
/// the trail tells how much and when. The direct journal has nothing that can be full; where it is used this does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum OnFull {
    /// Waits for room at most so long, then is an error.
    Wait {
        /// The longest wait.
        max: Duration,
    },
    /// Is an error at once.
    Reject,
    /// Goes on without the entry and without an error.
    Drop,
}

impl Default for OnFull {
    fn default() -> Self {
        Self::Wait { max: Duration::from_secs(10) }
    }
}

/// What stands between `record()` and the trail. Spelled `ring`, `direct` or `auto`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum JournalKind {
    /// The ring on Linux, on file systems that keep promised space (ext4, XFS, tmpfs); elsewhere direct.
    #[default]
    Auto,
    /// A memory-mapped ring and a thread that empties it; an error where it cannot be had.
    Ring,
    /// One write(2) for each entry, under a lock.
    Direct,
}

/// Which sealed segments are retired. Each deletion leaves a `retired` record in the trail, and none happens before
/// every hook has passed the segment.
///
/// Spelled `keep-everything`, `backup-count=N`, or `retain-for=400d`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum Retention {
    /// None.
    #[default]
    KeepEverything,
    /// All but this many of the newest.
    BackupCount(usize),
    /// Those sealed longer ago than this.
    RetainFor(Duration),
}

/// How sealed segments are kept. Spelled `zstd` or `none`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum Compression {
    /// As Zstandard files, compressed and checked on a thread of its own.
    #[default]
    Zstd,
    /// As they were written.
    None,
}

/// Where entries are shown besides the trail, and in which form. Spelled `off`, `stdout`, `stderr`, `stdout-json` or `stderr-json`.
///
/// A console shows each line once, in the order of the trail, the library's own control records too: all that this process writes, and
/// what recovery adds for a process that was killed. Lines that were in the trail before are not shown again. A clean
/// [`close`](crate::AuditLogger::close) waits until the last line is shown, as long as its timeout allows.
///
/// If nobody reads the output any more (a broken pipe), app.log says so once, the failure is counted in
/// [`FollowerMetrics`](crate::FollowerMetrics), and nothing more is shown. Recording goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum Console {
    /// Nowhere.
    #[default]
    Off,
    /// As text for people on standard output, coloured on a terminal.
    Stdout,
    /// As text for people on standard error, coloured on a terminal.
    Stderr,
    /// As NDJSON on standard output, for a collector of container logs: the exact lines of the trail, each once it is durable, each with
    /// one write(2) where the output takes it.
    StdoutJson,
    /// The same on standard error.
    StderrJson,
}

/// When failed security events of one address become CRITICAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RateLimit {
    /// Failures within the window that are still ordinary. Default: 5.
    pub limit: u32,
    /// The sliding window. Default: 60 s.
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
    /// Addresses remembered at most; the least recently seen is forgotten first. Default: 10,000.
    pub addresses: usize,
}

impl RateLimit {
    /// A limit of failures within a window.
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

/// When checkpoints are signed while entries arrive, and how often an idle trail says that it is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Cadence {
    /// A durable entry is signed after at most this long. Default: 1 s.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// So many new entries are signed at once, though at most ten times in an interval. As often, the latest checkpoint is
    /// recorded in the trail itself. Default: 1,024.
    pub entries: u64,
    /// A trail without entries gets a `heartbeat` record and a checkpoint this often. Default: 1 h.
    #[serde(deserialize_with = "duration")]
    pub heartbeat: Duration,
}

impl Cadence {
    /// A checkpoint after this time or this many entries.
    #[must_use]
    pub fn new(interval: Duration, entries: u64) -> Self {
        Self { interval, entries, ..Self::default() }
    }

    /// Default: 1 h. How often an idle trail says that it is alive.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    pub(crate) fn check(self) -> Result<()> {
        if self.interval.is_zero() || self.entries == 0 || self.heartbeat < Duration::from_secs(1) {
            return Err(Error::invalid(format!(
                "checkpoints every {:?} or {} entries with a heartbeat each {:?}: none may be zero, and a heartbeat not below 1 s",
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

/// Text like `100ms`, `90s`, `30d`.
pub(super) fn parse_duration(text: &str) -> Result<Duration> {
    humantime::parse_duration(text).map_err(|error| {
        Error::invalid(format!("{text:?} is no duration like 100ms, 90s or 30d")).because(error)
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

/// Sets `setting` from a variable, if that is set.
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

macro_rules! spelled {
    ($name:ident, $parse:expr, $expected:literal) => {
        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                parse(text).ok_or_else(|| Error::invalid(format!(concat!("{:?} is not ", $expected), text)))
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

spelled!(
    Durability,
    |text| match text {
        "os" => Some(Self::Os),
        "every-entry" => Some(Self::EveryEntry),
        text => parse_duration(text).ok().map(Self::Interval),
    },
    "`os`, `every-entry` or a duration like 100ms"
);

spelled!(
    OnFull,
    |text| match text {
        "reject" => Some(Self::Reject),
        "drop" => Some(Self::Drop),
        text => parse_duration(text).ok().map(|max| Self::Wait { max }),
    },
    "`reject`, `drop` or a duration like 10s"
);

spelled!(
    JournalKind,
    |text| match text {
        "auto" => Some(Self::Auto),
        "ring" => Some(Self::Ring),
        "direct" => Some(Self::Direct),
        _ => None,
    },
    "`auto`, `ring` or `direct`"
);

spelled!(
    Retention,
    |text| match text.split_once('=') {
        None if text == "keep-everything" => Some(Self::KeepEverything),
        Some(("backup-count", count)) => count.parse().ok().map(Self::BackupCount),
        Some(("retain-for", age)) => parse_duration(age).ok().map(Self::RetainFor),
        _ => None,
    },
    "`keep-everything`, `backup-count=N` or `retain-for=400d`"
);

spelled!(
    Compression,
    |text| match text {
        "zstd" => Some(Self::Zstd),
        "none" => Some(Self::None),
        _ => None,
    },
    "`zstd` or `none`"
);

spelled!(
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
