//! Writes RFC 5424 messages: facility 13 (log audit), structured data for rules, and the exact line as the
//! message.

use crate::framing::Framing;
use crate::scale;
use crate::settings::Settings;
use crate::text::Style;
use crate::view::View;

/// The facility "log audit".
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

/// Appends one framed message.
pub(crate) fn write(out: &mut Vec<u8>, view: &View<'_>, line: &[u8], settings: &Settings) {
    let start = out.len();
    message(out, view, line, settings);
    match settings.framing {
        Framing::Newline => {
            // A stored line contains no newline; other input must not become two messages.
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
        Some(time) => out.extend_from_slice(time.to_string().as_bytes()),
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

/// Appends printable ASCII without spaces, at most `longest` characters; `-` for an empty text.
fn word(out: &mut Vec<u8>, text: &str, longest: usize) {
    if text.is_empty() {
        out.push(b'-');
    }
    let graphic = |c: char| u8::try_from(c).ok().filter(u8::is_ascii_graphic);
    out.extend(text.chars().take(longest).map(|c| graphic(c).unwrap_or(b'_')));
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
    parameter("trail", view.trail);
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
