//! What a line is as a message, and the other way round.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use auditx_core::{Field, Hash, Row, SignedCheckpoint, hash_from_hex, leaf_of, to_hex};
use auditx_ship::{Note, Position, Shipped, TrailId};
use bytes::Bytes;

/// There where a note is one of a boundary.
const BOUNDARY: &str = "Auditx-Boundary";

/// Stands where a company does. No company's token has the sign.
const NOTE: &str = "$note";

/// A message to be stored.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    /// Whose line it is and which, as a `Nats-Msg-Id`; of a note, the last line it speaks of.
    pub(crate) id: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Outgoing {
    pub(crate) fn line(trail: TrailId, line: &Shipped) -> Self {
        Self {
            subject: format!("audit.{}.{trail}", company_of(&line.line)),
            id: id_of(trail, &line.position()),
            headers: HeaderMap::new(),
            payload: Bytes::copy_from_slice(line.line.as_bytes()),
        }
    }

    /// Behind the line at `last`, the last that it speaks of.
    pub(crate) fn note(trail: TrailId, last: &Position, note: &Note) -> Self {
        let mut headers = HeaderMap::new();
        if note.is_boundary {
            headers.insert(BOUNDARY, "true");
        }
        Self {
            subject: notes_of(trail),
            id: id_of(trail, last) + ":note",
            headers,
            payload: Bytes::copy_from_slice(note.checkpoint.as_str().as_bytes()),
        }
    }
}

fn id_of(trail: TrailId, position: &Position) -> String {
    format!("{trail}:{}:{}", position.seq, to_hex(&position.leaf_hash))
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

/// The company of a line as a token of a subject: whatever is no letter, digit or `-` becomes `_`.
fn company_of(line: &str) -> String {
    let company = Row::read_text(line).ok().map(|row| row.text(Field::CompanyId).into_owned());
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let token: String = company.unwrap_or_default().chars().take(64).map(plain).collect();
    if token.is_empty() { "_".to_owned() } else { token }
}

/// What a stored message is.
#[derive(Debug)]
pub(crate) enum Stored {
    Line(Shipped),
    Note(Note),
}

/// Where its trail is with it, as its id says; none where it is no message of ours.
pub(crate) fn position_of(headers: &HeaderMap) -> Option<Position> {
    let mut parts = headers.get(NATS_MESSAGE_ID)?.as_str().split(':').skip(1);
    let (seq, leaf) = (parts.next()?, parts.next()?);
    Some(Position { seq: seq.parse().ok()?, leaf_hash: hash_from_hex(leaf)? })
}

impl Stored {
    pub(crate) fn of(subject: &str, headers: &HeaderMap, payload: &[u8]) -> Option<Self> {
        let Position { seq, leaf_hash } = position_of(headers)?;
        if subject.split('.').nth(1) == Some(NOTE) {
            let checkpoint = SignedCheckpoint::parse(payload).ok()?;
            return Some(Self::Note(Note { checkpoint, is_boundary: headers.get(BOUNDARY).is_some() }));
        }
        // A verifier finds what is no text.
        let line = String::from_utf8_lossy(payload).into_owned();
        Some(Self::Line(Shipped { seq, leaf_hash, line }))
    }
}

/// The leaf of a line by its text, whatever its header says.
pub(crate) fn own_leaf(line: &str) -> Option<Hash> {
    leaf_of(line.as_bytes()).map(|leaf| leaf.hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_is_one_token_of_a_subject() {
        for (company, token) in
            [("CO-001", "CO-001"), ("a.b >*", "a_b___"), ("", "_"), ("$note", "_note"), ("ရန်ကုန်", "_______")]
        {
            assert_eq!(company_of(&format!(r#"{{"description":"x","company_id":"{company}"}}"#)), token);
        }
        assert_eq!(company_of("no line"), "_");
    }
}
