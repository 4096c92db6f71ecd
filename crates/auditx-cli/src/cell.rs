//! Table cells: text within a fixed number of columns, written directly into the output buffer.
//!
//! A longer text is cut with `…`, and control characters are escaped. The common case, plain ASCII that fits,
//! costs one scan and one copy.

use std::borrow::Cow;

use auditx_format::encode::is_hazard;
use auditx_reader::Json;
use serde::de::IgnoredAny;
use unicode_width::UnicodeWidthChar;

use crate::sanitized_json;

/// Replaces the part of a text that does not fit.
const ELLIPSIS: char = '…';

/// The limit of bytes per column: combining marks take no column, and their number must be bounded.
const BYTES_PER_COLUMN: usize = 16;

/// Writes a value within `width` columns and returns how many it took.
pub(crate) fn value(value: Json<'_>, width: usize, out: &mut Vec<u8>) -> usize {
    match value {
        Json::Text(raw) => escaped(raw, width, out),
        Json::Object(raw) | Json::Array(raw) | Json::Number(raw) => plain(raw, width, out),
        Json::Bool(true) => plain("true", width, out),
        Json::Bool(false) => plain("false", width, out),
        Json::Null => plain("null", width, out),
    }
}

/// Like [`value`], for fields of any type: text that looks like a value of another type is quoted.
pub(crate) fn typed(json: Json<'_>, width: usize, out: &mut Vec<u8>) -> usize {
    let is_text = matches!(json, Json::Text(_));
    let is_ambiguous =
        is_text && json.text().is_some_and(|text| serde_json::from_str::<IgnoredAny>(&text).is_ok());
    if is_ambiguous { quoted(json, width, out) } else { value(json, width, out) }
}

/// Like [`value`], as JSON: text is quoted.
pub(crate) fn quoted(value: Json<'_>, width: usize, out: &mut Vec<u8>) -> usize {
    let mut json = Vec::new();
    sanitized_json::value(value, &mut json);
    plain(&String::from_utf8_lossy(&json), width, out)
}

/// Like [`value`], for text that still has its JSON escapes.
pub(crate) fn escaped(raw: &str, width: usize, out: &mut Vec<u8>) -> usize {
    if !raw.bytes().any(|byte| byte == b'\\') {
        return plain(raw, width, out);
    }
    // A column needs at most two escapes of six bytes, or one of a character that takes no column.
    let text = Json::Text(beginning(raw, width)).text().unwrap_or(Cow::Borrowed(""));
    let is_complete = raw.len() <= beginning(raw, width).len();
    if is_complete { plain(&text, width, out) } else { slow(&text, width, false, out) }
}

/// Returns the part of the text that can be visible, without splitting an escape.
fn beginning(raw: &str, width: usize) -> &str {
    let most = (width + 1) * BYTES_PER_COLUMN;
    if raw.len() <= most {
        return raw;
    }
    let mut end = 0;
    let bytes = raw.as_bytes();
    while end < most {
        end += match (bytes[end], bytes.get(end + 1)) {
            // A surrogate pair is one character.
            (b'\\', Some(b'u')) if is_high_surrogate(&bytes[end + 2..]) => 12,
            (b'\\', Some(b'u')) => 6,
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    while !raw.is_char_boundary(end) {
        end += 1;
    }
    &raw[..end.min(raw.len())]
}

fn is_high_surrogate(digits: &[u8]) -> bool {
    matches!(digits, [b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..])
}

/// Like [`value`], for text without escapes.
pub(crate) fn plain(text: &str, width: usize, out: &mut Vec<u8>) -> usize {
    let is_simple = |byte: u8| (b' '..0x7f).contains(&byte);
    if text.len() <= width && text.bytes().all(is_simple) {
        out.extend_from_slice(text.as_bytes());
        return text.len();
    }
    let seen = &text.as_bytes()[..text.len().min(width)];
    if seen.iter().copied().all(is_simple) && width > 0 && text.is_char_boundary(width - 1) {
        // Longer than the cell, and the visible part is plain ASCII.
        if text[width - 1..].chars().nth(1).is_some() {
            out.extend_from_slice(&seen[..width - 1]);
            push(ELLIPSIS, out);
            return width;
        }
    }
    slow(text, width, true, out)
}

/// Writes text character by character. `is_complete` is `false` if the text was already cut.
fn slow(text: &str, width: usize, is_complete: bool, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let max_bytes = width * BYTES_PER_COLUMN;
    let (mut used, mut kept) = (0, (start, 0));
    for c in text.chars() {
        let (before, mut columns) = (out.len(), 0);
        if is_hazard(c) {
            for escape in c.escape_default() {
                push(escape, out);
                columns += 1;
            }
        } else {
            push(c, out);
            columns = c.width().unwrap_or(0);
        }
        // The last position that leaves a column for the ellipsis.
        if used < width && columns > 0 {
            kept = (before, used);
        }
        if used + columns > width || out.len() - start > max_bytes {
            return cut(kept, out);
        }
        used += columns;
    }
    if is_complete || width == 0 {
        return used;
    }
    if used < width {
        kept = (out.len(), used);
    }
    cut(kept, out)
}

/// Returns the part of a value's text that can be visible in `width` columns.
pub(crate) fn seen(value: Json<'_>, width: usize) -> Cow<'_, str> {
    match value {
        Json::Text(raw) => Json::Text(beginning(raw, width)).text().unwrap_or_default(),
        Json::Object(raw) | Json::Array(raw) => Cow::Borrowed(raw),
        value => value.text().unwrap_or_default(),
    }
}

/// Splits text into lines of at most `width` columns, at spaces if possible. After `max_lines` lines the rest
/// is in the last line, which may be too long. Combining marks and joined characters are not separated.
pub(crate) fn wrapped(text: &str, width: usize, max_lines: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() && lines.len() + 1 < max_lines {
        let end = line_end(rest, width);
        lines.push(rest[..end].trim_end());
        rest = rest[end..].trim_start();
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Returns the end of the first line, which has at least one character.
fn line_end(text: &str, width: usize) -> usize {
    const JOINERS: [char; 2] = ['\u{200d}', '\u{1039}'];
    let (mut used, mut space, mut between, mut before) = (0, 0, 0, ' ');
    for (at, c) in text.char_indices() {
        let columns = c.width().unwrap_or(0);
        if columns > 0 && !JOINERS.contains(&before) {
            between = at;
        }
        if c == ' ' {
            space = at;
        }
        if used + columns > width {
            return match (space, between) {
                (0, 0) => at.max(c.len_utf8()),
                (0, between) => between,
                (space, _) => space,
            };
        }
        used += columns;
        before = c;
    }
    text.len()
}

fn cut((len, used): (usize, usize), out: &mut Vec<u8>) -> usize {
    out.truncate(len);
    push(ELLIPSIS, out);
    used + 1
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Writes spaces.
pub(crate) fn pad(columns: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + columns, b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(raw: &str, width: usize) -> String {
        let mut out = Vec::new();
        let used = escaped(raw, width, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(used, text.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>(), "{text:?}");
        assert!(used <= width, "{text:?} in {width}");
        text
    }

    #[test]
    fn a_text_longer_than_its_cell_is_cut() {
        assert_eq!(cell("Invoice posted", 14), "Invoice posted");
        assert_eq!(cell("Invoice posted", 13), "Invoice post…");
        assert_eq!(cell("ကုန်သွယ်", 20), "ကုန်သွယ်");
        assert_eq!(cell("日本語", 6), "日本語");
        assert_eq!(cell("日本語", 5), "日本…");
        assert_eq!(cell("日本語", 4), "日…");
        assert_eq!(cell("abcé", 4), "abcé");
        assert_eq!(cell("abcdé", 4), "abc…");
        assert_eq!(cell("", 3), "");
        assert_eq!(cell("abc", 1), "…");
    }

    #[test]
    fn control_characters_are_shown_escaped() {
        assert_eq!(cell(r"a\u001b[31m", 20), r"a\u{1b}[31m");
        assert_eq!(cell("a\u{202e}b\u{9b}", 30), r"a\u{202e}b\u{9b}");
        assert_eq!(cell(r"one\ntwo\t\u20aE", 20), "one\\ntwo\\t₮");
        assert_eq!(cell(r"\u001b\u001b", 8), r"\u{1b}…");
        assert_eq!(cell(r#"say \"yes\""#, 20), "say \"yes\"");
    }

    #[test]
    fn text_is_wrapped_without_splitting_characters() {
        assert_eq!(wrapped("Sales invoice posted", 12, 4), ["Sales", "invoice", "posted"]);
        assert_eq!(wrapped("Sales invoice posted", 13, 4), ["Sales invoice", "posted"]);
        assert_eq!(wrapped("Sales invoice posted", 8, 2), ["Sales", "invoice posted"], "the rest");
        assert_eq!(wrapped("abcdefgh", 3, 9), ["abc", "def", "gh"]);
        assert_eq!(wrapped("日本語日本語", 5, 9), ["日本", "語日", "本語"]);
        assert_eq!(wrapped("", 5, 9), [""; 0]);
        assert_eq!(wrapped("日", 1, 9), ["日"]);
        assert_eq!(wrapped("👨\u{200d}👩x", 3, 9).concat(), "👨\u{200d}👩x");
        let burmese = "ရောင်းချမှုပယ်ဖျက်သည်";
        let lines = wrapped(burmese, 6, 99);
        assert_eq!(lines.concat(), burmese);
        for line in &lines {
            assert!(line.chars().next().unwrap().width().unwrap_or(0) > 0, "{line:?} begins with a mark");
        }
    }

    #[test]
    fn a_long_text_costs_no_more_than_its_cell() {
        let marks = "a".to_owned() + &"\u{301}".repeat(60_000);
        assert!(cell(&marks, 10).len() < 200);
        for unit in [r"\ud83d\ude00", r"\u0041", "\\\\", "é", "x"] {
            let shown = cell(&unit.repeat(10_000), 10);
            assert!(shown.ends_with('…') && shown.len() < 50, "{shown}");
        }
    }
}
