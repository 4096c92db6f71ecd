//! The time from the death of the process that writes until an entry of another one is durable.

use std::path::Path;
use std::time::Instant;

use auditx_core::{AuditLogger, Config};

use super::Run;
use super::recorder::Recorder;
use crate::record::SubjectName;
use crate::{Outcome, facts};

/// What the writer records before it is killed.
const ENTRIES: u64 = 100_000;

pub(super) fn measure(directory: &Path) -> Outcome<Run> {
    let mut writer = Recorder::start(SubjectName::Auditx, ENTRIES, directory)?;
    let other = AuditLogger::open(Config::new(directory).hostname(facts::HOSTNAME))?;
    writer.go()?;
    writer.kill_after(ENTRIES / 2)?;
    let killed = Instant::now();
    other.log("after the kill").record()?.wait_durable()?;
    let takeover_ms = killed.elapsed().as_secs_f64() * 1_000.0;
    let returned = writer.end()? + 1;
    other.close(std::time::Duration::from_secs(60))?;
    let lines = SubjectName::Auditx.lines().count(directory)?;
    Ok(Run { takeover_ms, lost: returned.saturating_sub(lines), ..Run::default() })
}
