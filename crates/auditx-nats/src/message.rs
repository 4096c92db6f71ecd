//! What a line is as a message, and the other way round.

use async_nats::{HeaderMap, Subject};
use auditx_core::{Field, Leaf, Row, SignedCheckpoint, hash_from_hex, leaf_of, parse_seq, to_hex};
use auditx_ship::{Note, Position, Shipped, TrailId};
use bytes::Bytes;

/// There where a note is one of a boundary.
const BOUNDARY: &str = "Auditx-Boundary";

/// The hash of the last line that a note speaks of.
const LEAF: &str = "Auditx-Leaf";

/// Stands where a company does. No company's token has the sign.
const NOTE: &str = "$note";

/// A message to be stored.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: Subject,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Outgoing {
    /// Behind the line at `last`, the last that it speaks of.
    pub(crate) fn note(trail: TrailId, last: &Position, note: &Note) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(LEAF, to_hex(&last.leaf_hash));
        if note.is_boundary {
            headers.insert(BOUNDARY, "true");
        }
        Self {
            subject: notes_of(trail).into(),
            headers,
            payload: Bytes::copy_from_slice(note.checkpoint.as_str().as_bytes()),
        }
    }
}

/// Makes the messages of one trail's lines, which are many.
#[derive(Debug)]
pub(crate) struct Writer {
    trail: String,
    company: String,
    /// Of this company.
    subject: Subject,
}

impl Writer {
    pub(crate) fn new(trail: TrailId) -> Self {
        let trail = trail.to_string();
        Self { subject: subject_of("", &trail), company: String::new(), trail }
    }

    pub(crate) fn line(&mut self, line: &Shipped) -> Outgoing {
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

/// Of every message of a trail.
pub(crate) fn all_of(trail: TrailId) -> String {
    format!("audit.*.{trail}")
}

/// Of every note.
pub(crate) const NOTES: &str = "audit.$note.*";

/// Of its notes.
pub(crate) fn notes_of(trail: TrailId) -> String {
    format!("audit.{NOTE}.{trail}")
}

/// A company as a token of a subject: whatever is no letter, digit or `-` becomes `_`.
fn token_of(company: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let token: String = company.chars().take(64).map(plain).collect();
    if token.is_empty() { "_".to_owned() } else { token }
}

/// What a stored message is.
#[derive(Debug)]
pub(crate) enum Stored {
    Line(Shipped),
    Note(Note),
}

/// The number of the line that a message is, or the last that it speaks of; none where it is no message of ours.
pub(crate) fn seq_of(subject: &str, payload: &[u8]) -> Option<u64> {
    if is_note(subject) {
        return SignedCheckpoint::parse(payload).ok()?.size().checked_sub(1);
    }
    parse_seq(payload)
}

/// Where its trail is with it.
pub(crate) fn position_of(subject: &str, headers: &HeaderMap, payload: &[u8]) -> Option<Position> {
    let seq = seq_of(subject, payload)?;
    let leaf_hash =
        if is_note(subject) { hash_from_hex(headers.get(LEAF)?.as_str())? } else { leaf_of(payload)?.hash };
    Some(Position { seq, leaf_hash })
}

fn is_note(subject: &str) -> bool {
    subject.split('.').nth(1) == Some(NOTE)
}

impl Stored {
    pub(crate) fn of(subject: &str, headers: &HeaderMap, payload: &[u8]) -> Option<Self> {
        if is_note(subject) {
            let checkpoint = SignedCheckpoint::parse(payload).ok()?;
            return Some(Self::Note(Note { checkpoint, is_boundary: headers.get(BOUNDARY).is_some() }));
        }
        let Leaf { seq, hash: leaf_hash, .. } = leaf_of(payload)?;
        // A verifier finds what is no text.
        Some(Self::Line(Shipped { seq, leaf_hash, line: String::from_utf8_lossy(payload).into_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_is_one_token_of_a_subject() {
        for (company, token) in
            [("CO-001", "CO-001"), ("a.b >*", "a_b___"), ("", "_"), ("$note", "_note"), ("ရန်ကုန်", "_______")]
        {
            assert_eq!(token_of(company), token);
        }
    }

    #[test]
    fn each_line_is_under_the_company_it_names() {
        let trail = TrailId([0xab; 16]);
        let mut writer = Writer::new(trail);
        for (text, company) in [
            (r#"{"seq":7,"company_id":"CO-1"}"#, "CO-1"),
            (r#"{"seq":7,"company_id":"CO-2"}"#, "CO-2"),
            (r#"{"seq":7,"description":"of none"}"#, "_"),
            ("no line", "_"),
        ] {
            let message = writer.line(&Shipped { seq: 7, leaf_hash: [1; 32], line: text.to_owned() });
            assert_eq!(message.subject.as_str(), format!("audit.{company}.{trail}"));
            assert_eq!(message.payload, text);
        }
    }
}
