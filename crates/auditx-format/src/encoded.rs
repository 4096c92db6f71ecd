//! Entries that were encoded and are not part of a trail yet, such as those that wait in a database until the
//! transaction that stored them has committed.

use std::fmt;

use auditx_tlog::MAX_LINE;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::line_head::LineHead;
use crate::moment::Moment;
use crate::row::{Field, Json};
use crate::vocabulary::LogLevel;

/// The longest sequence number and what is around it in a line, in bytes.
const SEQ_LEN: usize = "{\"seq\":18446744073709551615,".len();

/// Where the id of an entry is in its text.
const ID: std::ops::Range<usize> = 7..43;

/// Fields that only the trail itself gives a line.
const OF_THE_TRAIL: [Field; 2] = [Field::Seq, Field::Erased];

/// The member of a control record.
const CONTROL: &str = "auditx";

/// An entry that was encoded: its text has everything but the number that the trail gives it. It keeps its
/// id, its time, and the context in which it was encoded.
///
/// The text can be stored anywhere. `AuditLogger::record_encoded` records it.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedEntry {
    /// One JSON object, as it will be in the line.
    text: String,
    id: Uuid,
    at: Moment,
    level: LogLevel,
}

impl fmt::Debug for EncodedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedEntry").field("id", &self.id).finish_non_exhaustive()
    }
}

impl EncodedEntry {
    /// Takes the body of a line, as the encoder makes it.
    ///
    /// # Errors
    /// As [`EncodedEntry::parse`].
    pub fn of_body(body: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(body).map_err(|_| Error::invalid("an entry is not UTF-8"))?;
        Self::parse(format!("{{{text}"))
    }

    /// Parses the text of an encoded entry, which may come from a database that others can write.
    ///
    /// # Errors
    /// `is_invalid` if it is not one JSON object that begins with id, time and level as an encoded entry
    /// does, has a member that entries do not have or one of them twice, or is one of the trail's own
    /// records; `is_too_large` if its line would exceed 65,535 bytes.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let invalid = |why: &str| Error::invalid(format!("invalid encoded entry: {why}"));
        if text.len() + SEQ_LEN > MAX_LINE {
            let (len, max) = (text.len(), MAX_LINE - SEQ_LEN);
            return Err(Error::too_large(format!(
                "an encoded entry has {len} bytes: at most {max} are possible"
            )));
        }
        if text.contains(|character: char| character.is_ascii_control()) {
            return Err(invalid("it has control characters"));
        }
        let head = text.strip_prefix('{').and_then(|body| LineHead::of_body(body.as_bytes()));
        let head = head.ok_or_else(|| invalid("it does not begin with an id, a time and a level"))?;
        let id = text.get(ID).and_then(|id| Uuid::try_parse(id).ok());
        let id = id.ok_or_else(|| invalid("its id is not a UUID"))?;
        let at = std::str::from_utf8(head.timestamp).ok().and_then(Moment::parse);
        let at = at.ok_or_else(|| invalid("its time is not valid"))?;
        let level = head.level().ok_or_else(|| invalid("its level is not valid"))?;
        check_members(&text).map_err(|why| invalid(&why))?;
        Ok(Self { id, at, level, text })
    }

    /// Returns the id of the entry.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the time of the entry.
    #[must_use]
    pub fn at(&self) -> Moment {
        self.at
    }

    /// Returns the level of the entry.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        self.level
    }

    /// Returns the text: one JSON object without line breaks.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the body of the line: the text without its first brace.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.text.as_bytes().get(1..).unwrap_or_default()
    }
}

impl fmt::Display for EncodedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Fails with the reason if the members are not those of an entry, each at most once.
fn check_members(text: &str) -> std::result::Result<(), String> {
    let object = Json::parse(text).map_err(|error| error.to_string())?;
    let mut seen = Vec::new();
    for (name, _) in object.members() {
        if name == CONTROL {
            return Err("it is a record of the trail itself".to_owned());
        }
        let field = Field::named(name.as_bytes()).filter(|field| !OF_THE_TRAIL.contains(field));
        let Some(field) = field else { return Err(format!("an entry has no member {name:?}")) };
        if seen.contains(&field) {
            return Err(format!("it has the member {name:?} twice"));
        }
        seen.push(field);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = concat!(
        r#"{"id":"01a22bc5-e963-721d-b4bc-4216a728182d","timestamp":"2026-11-30T09:25:20.355306Z","#,
        r#""level":"AUDIT","module":"sales","action":"POST","description":"Invoice posted","user":"thida","#,
        r#""success":true}"#
    );

    #[test]
    fn an_encoded_entry_keeps_its_text_id_time_and_level() {
        let entry = EncodedEntry::parse(TEXT).unwrap();
        assert_eq!(entry.as_str(), TEXT);
        assert_eq!(entry.body(), &TEXT.as_bytes()[1..]);
        assert_eq!(entry.id().to_string(), "01a22bc5-e963-721d-b4bc-4216a728182d");
        assert_eq!(entry.at().to_string(), "2026-11-30T09:25:20.355306Z");
        assert_eq!(entry.level(), LogLevel::Audit);
        assert_eq!(EncodedEntry::of_body(entry.body()).unwrap(), entry);
    }

    #[test]
    fn what_is_not_an_encoded_entry_is_refused_with_the_reason() {
        for (from, to, why) in [
            ("{\"id\"", "{\"seq\":7,\"id\"", "does not begin with"),
            ("\"success\"", "\"auditx\":{\"kind\":\"genesis\"},\"success\"", "record of the trail itself"),
            ("\"success\"", "\"erased\":\"x\",\"success\"", "no member \"erased\""),
            ("\"success\"", "\"seq\":7,\"success\"", "no member \"seq\""),
            ("\"success\"", "\"usr\":\"x\",\"success\"", "no member \"usr\""),
            ("\"success\"", "\"user\":\"x\",\"success\"", "the member \"user\" twice"),
            ("\"success\"", "\"us\\u0065r\":\"x\",\"success\"", "the member \"user\" twice"),
            ("thida", "thi\nda", "control characters"),
            ("AUDIT", "LOUD", "its level"),
            ("2026-11-30T", "2026-13-30T", "its time"),
            ("01a22bc5-e963", "01a22bc5xe963", "its id"),
            ("true}", "true", "invalid encoded entry"),
            ("true}", "true}{}", "invalid encoded entry"),
            ("{", "", "does not begin with"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            let error = EncodedEntry::parse(text).unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains(why), "{from} {to}: {error}");
        }
        let long = TEXT.replace("Invoice", &"x".repeat(MAX_LINE));
        assert!(EncodedEntry::parse(long).unwrap_err().is_too_large());
    }
}
