//! Converts lines and checkpoints to messages of the stream, and back.

use async_nats::{HeaderMap, Subject};
use auditx_format::row::{Field, Row};
use auditx_ship::{CoveringCheckpoint, Position, ShippedLine, TrailId};
use auditx_tlog::{Leaf, SignedCheckpoint, hash_from_hex, leaf_of, parse_seq, to_hex};
use bytes::Bytes;

/// The header of a boundary's checkpoint.
const BOUNDARY: &str = "Auditx-Boundary";

/// The header with the leaf hash of the last line that a checkpoint covers.
const LEAF: &str = "Auditx-Leaf";

/// Replaces the company in the subject of a checkpoint. The token of a company never contains `$`.
const CHECKPOINT_TOKEN: &str = "$note";

/// A message to be published.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: Subject,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Outgoing {
    /// Creates the message of a checkpoint whose last covered line is `last`.
    pub(crate) fn checkpoint(trail: TrailId, last: &Position, checkpoint: &CoveringCheckpoint) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(LEAF, to_hex(&last.leaf_hash));
        if checkpoint.is_boundary {
            headers.insert(BOUNDARY, "true");
        }
        Self {
            subject: checkpoints_of(trail).into(),
            headers,
            payload: Bytes::copy_from_slice(checkpoint.signed.as_str().as_bytes()),
        }
    }
}

/// Creates the messages of one trail's lines. It caches the subject of the last company.
#[derive(Debug)]
pub(crate) struct Writer {
    trail: String,
    company: String,
    /// The subject of lines of `company`.
    subject: Subject,
}

impl Writer {
    pub(crate) fn new(trail: TrailId) -> Self {
        let trail = trail.to_string();
        Self { subject: subject_of("", &trail), company: String::new(), trail }
    }

    pub(crate) fn line(&mut self, line: &ShippedLine) -> Outgoing {
        let row = Row::read_text(&line.line).ok();
        let company = row.as_ref().map(|row| row.text(Field::CompanyId)).unwrap_or_default();
        if company != self.company {
            self.subject = subject_of(&company, &self.trail);
            self.company = company.into_owned();
        }
        Outgoing {
            subject: self.subject.clone(),
            headers: HeaderMap::new(),
            payload: Bytes::copy_from_slice(line.line.as_bytes()),
        }
    }
}

fn subject_of(company: &str, trail: &str) -> Subject {
    format!("audit.{}.{trail}", token_of(company)).into()
}

/// Returns the subject filter of all messages of a trail.
pub(crate) fn all_of(trail: TrailId) -> String {
    format!("audit.*.{trail}")
}

/// The subject filter of all checkpoints.
pub(crate) const CHECKPOINTS: &str = "audit.$note.*";

/// Returns the subject of a trail's checkpoints.
pub(crate) fn checkpoints_of(trail: TrailId) -> String {
    format!("audit.{CHECKPOINT_TOKEN}.{trail}")
}

/// Converts a company to a token of a subject: all characters other than letters, digits and `-` become `_`.
fn token_of(company: &str) -> String {
    let sanitize = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let token: String = company.chars().take(64).map(sanitize).collect();
    if token.is_empty() { "_".to_owned() } else { token }
}

/// The content of a stored message.
#[derive(Debug)]
pub(crate) enum Stored {
    Line(ShippedLine),
    Checkpoint(CoveringCheckpoint),
}

/// Returns the sequence number of a message's line, or of the last line that a checkpoint covers. `None` if
/// the message is neither.
pub(crate) fn seq_of(subject: &str, payload: &[u8]) -> Option<u64> {
    if is_checkpoint(subject) {
        return SignedCheckpoint::parse(payload).ok()?.size().checked_sub(1);
    }
    parse_seq(payload)
}

/// Returns the sequence number and leaf hash of a message's line, or of the last line that a checkpoint
/// covers.
pub(crate) fn position_of(subject: &str, headers: &HeaderMap, payload: &[u8]) -> Option<Position> {
    let seq = seq_of(subject, payload)?;
    let leaf_hash = if is_checkpoint(subject) {
        hash_from_hex(headers.get(LEAF)?.as_str())?
    } else {
        leaf_of(payload)?.hash
    };
    Some(Position { seq, leaf_hash })
}

fn is_checkpoint(subject: &str) -> bool {
    subject.split('.').nth(1) == Some(CHECKPOINT_TOKEN)
}

impl Stored {
    pub(crate) fn of(subject: &str, headers: &HeaderMap, payload: &[u8]) -> Option<Self> {
        if is_checkpoint(subject) {
            let signed = SignedCheckpoint::parse(payload).ok()?;
            let is_boundary = headers.get(BOUNDARY).is_some();
            return Some(Self::Checkpoint(CoveringCheckpoint { signed, is_boundary }));
        }
        let Leaf { seq, hash: leaf_hash, .. } = leaf_of(payload)?;
        // A line that is not UTF-8 is converted anyway; verification reports it.
        Some(Self::Line(ShippedLine { seq, leaf_hash, line: String::from_utf8_lossy(payload).into_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_becomes_one_token_of_a_subject() {
        let sanitized = [("a.b >*", "a_b___"), ("", "_"), ("$note", "_note"), ("ရန်ကုန်", "_______")];
        for (company, token) in [("CO-001", "CO-001")].into_iter().chain(sanitized) {
            assert_eq!(token_of(company), token);
        }
    }

    #[test]
    fn each_line_has_the_subject_of_its_company() {
        let trail = TrailId([0xab; 16]);
        let mut writer = Writer::new(trail);
        for (text, company) in [
            (r#"{"seq":7,"company_id":"CO-1"}"#, "CO-1"),
            (r#"{"seq":7,"company_id":"CO-2"}"#, "CO-2"),
            (r#"{"seq":7,"description":"no company"}"#, "_"),
            ("no line", "_"),
        ] {
            let message = writer.line(&ShippedLine { seq: 7, leaf_hash: [1; 32], line: text.to_owned() });
            assert_eq!(message.subject.as_str(), format!("audit.{company}.{trail}"));
            assert_eq!(message.payload, text);
        }
    }
}
