//! The id of an entry, read from the bytes of its body or its line.

use auditx_tlog::SEQ_PREFIX;

/// The beginning of the body of every line.
const ID_PREFIX: &[u8] = b"\"id\":\"";
const ID_LEN: usize = 36;

/// The id of an entry as text.
pub(crate) type Id = [u8; ID_LEN];

/// Returns the body of a line, which follows its sequence number.
pub(crate) fn body_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(SEQ_PREFIX)?;
    Some(&rest[memchr::memchr(b',', rest)? + 1..])
}

/// Returns the id of a body; `None` if it does not begin with one.
pub(crate) fn id_of(body: &[u8]) -> Option<Id> {
    body.strip_prefix(ID_PREFIX)?.first_chunk().copied()
}
