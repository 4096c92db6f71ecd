//! The head of a line: in every line of this library, id, time and level are at fixed offsets after the seq.
//! Readers that need no other field find them without parsing the line.

use auditx_tlog::SEQ_PREFIX;

use crate::clock::RFC3339_LEN;
use crate::control_record::CONTROL_RECORD;
use crate::vocabulary::LogLevel;

/// The text between a line's seq and its id.
const BEFORE_ID: &[u8] = b"\"id\":\"";
/// The length of an id.
const ID: usize = 36;
const BEFORE_TIME: &[u8] = b"\",\"timestamp\":\"";

const BEFORE_LEVEL: &[u8] = b"\",\"level\":\"";
const LONGEST_LEVEL: usize = 8;
const SEQ_DIGITS: usize = 20;

/// The module of every control record.
const CONTROL_MODULE: &[u8] = b",\"module\":\"system\"";

/// The head of a line.
#[derive(Debug, Clone, Copy)]
pub struct LineHead<'l> {
    /// The time as text, like `2026-11-24T15:24:54.123456Z`. That it is a time is not checked.
    pub timestamp: &'l [u8; RFC3339_LEN],
    /// The rest of the line, from the closing quote of the time.
    rest: &'l [u8],
}

impl<'l> LineHead<'l> {
    /// Finds the head of a line; `None` if the line is not laid out like one of this library.
    #[inline]
    #[must_use]
    pub fn of(line: &'l [u8]) -> Option<Self> {
        let number = line.strip_prefix(SEQ_PREFIX)?;
        let comma = number.iter().take(SEQ_DIGITS + 1).position(|byte| *byte == b',')?;
        Self::of_body(&number[comma + 1..])
    }

    /// Like [`LineHead::of`], for a line without its seq and the comma after it.
    #[inline]
    #[must_use]
    pub fn of_body(body: &'l [u8]) -> Option<Self> {
        let (id, rest) = body.split_at_checked(BEFORE_ID.len() + ID)?;
        let rest = rest.strip_prefix(BEFORE_TIME)?;
        let (timestamp, rest) = rest.split_first_chunk()?;
        let is_whole = id.starts_with(BEFORE_ID) && rest.first() == Some(&b'"');
        is_whole.then_some(Self { timestamp, rest })
    }

    /// Returns the rest of the line from the text of the level on: cheaper than [`LineHead::level`] for a
    /// caller that compares bytes.
    #[inline]
    #[must_use]
    pub fn from_level(self) -> Option<&'l [u8]> {
        self.rest.strip_prefix(BEFORE_LEVEL)
    }

    /// Returns the level.
    #[must_use]
    pub fn level(self) -> Option<LogLevel> {
        let level = self.from_level()?;
        std::str::from_utf8(&level[..level_len(level)?]).ok()?.parse().ok()
    }

    /// Returns whether the line may be a control record. Never `false` for one.
    #[inline]
    #[must_use]
    pub fn may_be_control_record(self) -> bool {
        let Some(level) = self.from_level() else { return false };
        level_len(level).is_some_and(|end| level[end + 1..].starts_with(CONTROL_MODULE))
            && memchr::memmem::find(self.rest, CONTROL_RECORD).is_some()
    }
}

/// The levels SECURITY and CRITICAL as in a line.
const SENSITIVE: [&[u8]; 2] = [b"SECURITY\"", b"CRITICAL\""];

/// Returns whether the text of [`LineHead::from_level`] begins with a sensitive level, without parsing it.
#[inline]
#[must_use]
pub fn is_sensitive(from_level: &[u8]) -> bool {
    SENSITIVE.iter().any(|level| from_level.starts_with(level))
}

/// Returns the length of the level's text.
#[inline]
fn level_len(level: &[u8]) -> Option<usize> {
    level.iter().take(LONGEST_LEVEL + 1).position(|&byte| byte == b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = concat!(
        r#""id":"01990000-0000-7000-8000-000000000000","timestamp":"2026-11-24T15:24:54.123456Z","#,
        r#""level":"INFO","module":"system","action":"UPDATE","success":true,"auditx":{"kind":"open","heartbeat_s":60}}"#,
    );

    #[test]
    fn only_lines_laid_out_like_control_records_may_be_one() {
        let head =
            |body: &str| LineHead::of_body(body.as_bytes()).is_some_and(LineHead::may_be_control_record);
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

    #[test]
    fn the_sensitive_levels_are_those_of_the_vocabulary() {
        for level in LogLevel::ALL {
            let body = BODY.replace("INFO", level.as_str());
            let from_level = LineHead::of_body(body.as_bytes()).unwrap().from_level().unwrap();
            assert_eq!(is_sensitive(from_level), level.is_sensitive(), "{level:?}");
        }
    }

    #[test]
    fn time_and_level_are_read_at_their_offsets() {
        let line = format!("{{\"seq\":18446744073709551615,{BODY}");
        let head = LineHead::of(line.as_bytes()).unwrap();
        assert_eq!((head.timestamp, head.level()), (b"2026-11-24T15:24:54.123456Z", Some(LogLevel::Info)));
        for other in [line.replace("INFO", "MUCH TOO LONG"), line.replace("INFO", "NONE")] {
            assert_eq!(LineHead::of(other.as_bytes()).unwrap().level(), None, "{other}");
        }
        assert!(LineHead::of(line.replace("{\"seq\"", "{ \"seq\"").as_bytes()).is_none());
    }
}
