//! The fixed part of a line. Most lines are recognised as ordinary entries without parsing, because every
//! line has its time and level at a fixed offset.

use auditx_format::control_record::CONTROL_RECORD;

use super::projection::is_sensitive;

/// `2026-11-24T15:24:54.123456Z`
pub(super) const TIMESTAMP: usize = 27;

/// The text between a line's number and its time, around an id of [`ID`] bytes.
const BEFORE_ID: &[u8] = b"\"id\":\"";
const ID: usize = 36;
const BEFORE_TIME: &[u8] = b"\",\"timestamp\":\"";

const BEFORE_LEVEL: &[u8] = b"\",\"level\":\"";
const LONGEST_LEVEL: usize = 8;

/// The module of every control record.
const CONTROL_MODULE: &[u8] = b",\"module\":\"system\"";

/// The fixed fields of a line after its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineHead<'l> {
    pub(super) timestamp: &'l [u8; TIMESTAMP],
    /// The rest of the line, from the closing quote of the time.
    rest: &'l [u8],
}

impl<'l> LineHead<'l> {
    /// `body` is the line after its number and the comma. `None` if it is not laid out like a line of auditx.
    #[inline]
    pub(super) fn of(body: &'l [u8]) -> Option<Self> {
        let (id, rest) = body.split_at_checked(BEFORE_ID.len() + ID)?;
        let rest = rest.strip_prefix(BEFORE_TIME)?;
        let (timestamp, rest) = rest.split_first_chunk()?;
        id.starts_with(BEFORE_ID).then_some(Self { timestamp, rest })
    }

    /// Whether `security.jsonl` repeats lines of this level.
    #[inline]
    pub(super) fn is_sensitive(self) -> bool {
        self.rest.strip_prefix(BEFORE_LEVEL).is_some_and(is_sensitive)
    }

    /// Whether the line may be a control record. `false` is certain.
    #[inline]
    pub(super) fn may_be_control_record(self) -> bool {
        let Some(level) = self.rest.strip_prefix(BEFORE_LEVEL) else { return false };
        let end = level.iter().take(LONGEST_LEVEL + 1).position(|&byte| byte == b'"');
        end.is_some_and(|end| level[end + 1..].starts_with(CONTROL_MODULE))
            && memchr::memmem::find(self.rest, CONTROL_RECORD).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = concat!(
        r#""id":"01990000-0000-7000-8000-000000000000","timestamp":"2026-11-24T15:24:54.123456Z","#,
        r#""level":"INFO","module":"system","action":"UPDATE","success":true,"auditx":{"kind":"open","heartbeat_s":60}}"#,
    );

    #[test]
    fn only_lines_laid_out_like_control_records_are_parsed() {
        let head = |body: &str| LineHead::of(body.as_bytes()).is_some_and(LineHead::may_be_control_record);
        assert!(head(BODY) && head(&BODY.replace("INFO", "CRITICAL")));
        for other in [
            BODY.replace("\"system\"", "\"sales\""),
            BODY.replace("\"auditx\":{", "\\\"auditx\\\":{"),
            BODY.replace("timestamp", "timestump"),
            BODY.replace("\"INFO\"", "\"INFORMATION\""),
            BODY[..40].to_owned(),
            String::new(),
        ] {
            assert!(!head(&other), "{other}");
        }
    }
}
