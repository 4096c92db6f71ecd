//! RFC 5424 messages: facility 13 (log audit), what a rule needs as structured data, and the exact line as the message.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::exporter::Settings;
use crate::scale;
use crate::text::Style;
use crate::view::View;

/// How one message is told from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Framing {
    /// A newline after each (RFC 6587, section 3.4.2): for files, and receivers that read lines.
    #[default]
    Newline,
    /// Its length in bytes and a space before each (RFC 5425, section 4.3; RFC 6587, section 3.4.1): for TCP and TLS.
    OctetCounting,
}

impl Framing {
    /// All framings.
    pub const ALL: [Self; 2] = [Self::Newline, Self::OctetCounting];

    /// How it is called on a command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Newline => "newline",
            Self::OctetCounting => "octet-counting",
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Framing {
    type Err = Error;

    /// In any case; another word is `is_invalid`.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|framing| framing.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::unknown("framing", text, Self::ALL.map(Self::as_str)))
    }
}

/// Facility "log audit".
const FACILITY: u64 = 13;
const MAX_HOSTNAME: usize = 255;
const MAX_MSGID: usize = 32;

static PARAMETER: Style = Style::new(
    b"\"\\]",
    |c| match c {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        ']' => Some("\\]"),
        '\n' => Some("\\\\n"),
        '\r' => Some("\\\\r"),
        '\t' => Some("\\\\t"),
        _ => None,
    },
    "\\\\u",
);

/// One framed message.
pub(crate) fn write(out: &mut Vec<u8>, view: &View<'_>, line: &[u8], settings: &Settings) {
    let start = out.len();
    message(out, view, line, settings);
    match settings.framing {
        Framing::Newline => {
            // A stored line has no newline in it; what else a caller hands in must not become two messages.
            for byte in &mut out[start..] {
                if *byte == b'\n' {
                    *byte = b' ';
                }
            }
            out.push(b'\n');
        }
        Framing::OctetCounting => {
            let mut digits = itoa::Buffer::new();
            let length = digits.format(out.len() - start);
            out.splice(start..start, length.bytes().chain([b' ']));
        }
    }
}

fn message(out: &mut Vec<u8>, view: &View<'_>, line: &[u8], settings: &Settings) {
    out.push(b'<');
    out.extend_from_slice(itoa::Buffer::new().format(FACILITY * 8 + scale::syslog(view.level)).as_bytes());
    out.extend_from_slice(b">1 ");
    match view.time {
        Some(time) => time.write(out),
        None => out.push(b'-'),
    }
    out.push(b' ');
    word(out, view.hostname, MAX_HOSTNAME);
    out.extend_from_slice(b" auditx - ");
    word(out, &view.code().join("."), MAX_MSGID);
    out.push(b' ');
    structured(out, view, settings);
    out.push(b' ');
    out.extend_from_slice(line);
}

/// Printable ASCII without spaces, of at most so many bytes; `-` for none.
fn word(out: &mut Vec<u8>, text: &str, longest: usize) {
    if text.is_empty() {
        out.push(b'-');
    }
    out.extend(text.chars().take(longest).map(|c| match u8::try_from(c) {
        Ok(byte @ b'!'..=b'~') => byte,
        _ => b'_',
    }));
}

fn structured(out: &mut Vec<u8>, view: &View<'_>, settings: &Settings) {
    let entry = view.entry;
    out.extend_from_slice(b"[auditx@");
    out.extend_from_slice(itoa::Buffer::new().format(settings.enterprise_number).as_bytes());
    let mut parameter = |name: &str, text: &str| {
        if !text.is_empty() {
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            PARAMETER.write(out, text);
            out.push(b'"');
        }
    };
    if let Some(seq) = view.seq() {
        parameter("seq", itoa::Buffer::new().format(seq));
    }
    parameter("id", &entry.id);
    parameter("leafHash", &view.leaf_hash().unwrap_or_default());
    parameter("level", &entry.level);
    parameter("outcome", view.outcome());
    parameter("user", &entry.user);
    parameter("onBehalfOf", &entry.on_behalf_of);
    parameter("company", &entry.company_id);
    parameter("branch", &entry.branch_id);
    parameter("entityType", &entry.entity_type);
    parameter("entityId", &entry.entity_id);
    parameter("reference", &entry.reference_no);
    parameter("request", &entry.request_id);
    parameter("ip", &entry.ip);
    out.push(b']');
}
