//! The library's own records: ordinary lines with a reserved top-level object that no caller can set.

use serde_json::{Value, json};

use crate::clock::{Clock, Timestamp};
use crate::context::ContextFields;
use crate::encode::Envelope;
use crate::entry::Entry;
use crate::error::Result;
use crate::id::new_id;
use crate::vocabulary::{AuditAction, BusinessModule, LogLevel};

/// The version of the format of lines and files.
pub const FORMAT_VERSION: u32 = 1;

/// What the library has to say about the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OwnRecord {
    Genesis { trail_id: String, origin: String },
    Open { instance: String },
    Close,
    Recovered { torn_bytes: u64, torn_file: String },
    Gap { count: u64, first: Timestamp, last: Timestamp, why: String },
    Rotated { segment: String, first_seq: u64, last_seq: u64, bytes: u64 },
    Retired { segment: String, first_seq: u64, last_seq: u64, why: String },
}

impl OwnRecord {
    fn kind(&self) -> &'static str {
        match self {
            Self::Genesis { .. } => "genesis",
            Self::Open { .. } => "open",
            Self::Close => "close",
            Self::Recovered { .. } => "recovered",
            Self::Gap { .. } => "gap",
            Self::Rotated { .. } => "rotated",
            Self::Retired { .. } => "retired",
        }
    }

    fn level(&self) -> LogLevel {
        match self {
            Self::Gap { .. } => LogLevel::Critical,
            Self::Recovered { .. } => LogLevel::Warning,
            Self::Retired { .. } => LogLevel::Audit,
            _ => LogLevel::Info,
        }
    }

    fn action(&self) -> AuditAction {
        match self {
            Self::Genesis { .. } | Self::Open { .. } => AuditAction::Create,
            Self::Retired { .. } => AuditAction::Delete,
            _ => AuditAction::Update,
        }
    }

    fn description(&self) -> String {
        match self {
            Self::Genesis { origin, .. } => format!("Audit trail of {origin} begun"),
            Self::Open { .. } => "Audit trail opened".to_owned(),
            Self::Close => "Audit trail closed".to_owned(),
            Self::Recovered { torn_bytes, torn_file } => {
                format!(
                    "Audit trail recovered: {torn_bytes} bytes of an unfinished line moved to {torn_file}"
                )
            }
            Self::Gap { count, why, .. } => format!("{count} entries could not be recorded: {why}"),
            Self::Rotated { segment, .. } => format!("Segment sealed as {segment}"),
            Self::Retired { segment, why, .. } => format!("Segment {segment} retired: {why}"),
        }
    }

    fn fields(&self) -> Value {
        let kind = self.kind();
        match self {
            Self::Genesis { trail_id, origin } => {
                json!({"kind": kind, "format": FORMAT_VERSION, "trail_id": trail_id, "origin": origin})
            }
            Self::Open { instance } => json!({
                "kind": kind, "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id(), "instance": instance,
            }),
            Self::Close => json!({"kind": kind, "pid": std::process::id()}),
            Self::Recovered { torn_bytes, torn_file } => {
                json!({"kind": kind, "torn_bytes": torn_bytes, "torn_file": torn_file})
            }
            Self::Gap { count, first, last, why } => json!({
                "kind": kind, "count": count, "first": first.to_string(), "last": last.to_string(), "why": why,
            }),
            Self::Rotated { segment, first_seq, last_seq, bytes } => json!({
                "kind": kind, "segment": segment, "first_seq": first_seq, "last_seq": last_seq, "bytes": bytes,
            }),
            Self::Retired { segment, first_seq, last_seq, why } => json!({
                "kind": kind, "segment": segment, "first_seq": first_seq, "last_seq": last_seq, "why": why,
            }),
        }
    }

    /// The body of its line.
    pub(crate) fn encode(&self, envelope: &Envelope, clock: &dyn Clock) -> Result<Vec<u8>> {
        let mut entry = Entry::new(self.description(), BusinessModule::System, self.action());
        entry.level = self.level();
        entry.success = !matches!(self, Self::Gap { .. });
        entry.own_record = Some(self.fields());
        let now = Timestamp::of(clock.now());
        let mut body = Vec::new();
        envelope.encode(&mut body, &entry, &ContextFields::default(), new_id(now), now)?;
        Ok(body)
    }
}
