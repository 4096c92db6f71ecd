//! What lines parse to, and which are rejected.

use std::ops::ControlFlow;

use auditx_format::row::{Field, FieldKind};

use super::*;
use crate::sample::{Sample, text};
use crate::{Search, inspect};

fn line(bytes: &[u8]) -> Line {
    Line::new(Path::new("logs/audit.jsonl").into(), 40, bytes.to_vec(), None)
}

#[test]
fn a_line_that_is_not_an_entry_is_reported_with_its_position() {
    for (bytes, reason) in [
        (&b""[..], "an empty line"),
        (b"\0\0\0", "NUL bytes"),
        (b"{\"seq\":7,\"user\":\"\xff\"}", "not UTF-8, 17 bytes into the line"),
        (b"{\"seq\":7,\"user\":\"half", "not an entry: unterminated string"),
        (b"{\"seq\":7,\"user\":5}", "not an entry: wrong type of a field"),
        (b"{\"seq\":07,\"user\":\"x\"}", "not an entry: "),
        (b"{\"other\": \"json\"}", "neither timestamp nor description"),
        (b"[1,2]", "not an entry: expected an object"),
        (b"Traceback (most recent call last):", "not an entry: expected an object"),
    ] {
        let error = line(bytes).parse().unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.to_string().ends_with("(logs/audit.jsonl, byte 40)"), "{error}");
        assert!(error.is_unreadable() && error.offset() == Some(40));
        assert!(line(bytes).row().unwrap_err().is_unreadable());
    }
    let long = Line::new(Path::new("a").into(), 0, b"{\"seq\":1,".to_vec(), Some(Flaw::TooLong(9_999_999)));
    assert!(long.parse().unwrap_err().to_string().contains("9999999 bytes"));
    assert!(long.row().unwrap_err().to_string().contains("9999999 bytes"));
}

#[test]
fn a_legacy_line_parses_with_nulls_spaces_and_exact_digits() {
    let legacy = br#"{"timestamp": "2026-11-24T09:00:00+00:00", "level": "AUDIT", "user": "admin",
        "amount": 1250000.10, "ip": null, "metadata": {"party": "Golden Trading Co."},
        "description": "Sales \u1000 invoice"}"#;
    let legacy = line(legacy);
    let entry = legacy.parse().unwrap();
    assert_eq!(legacy.seq(), None);
    assert_eq!((entry.user.as_str(), entry.ip.as_str(), entry.success), ("admin", "", true));
    assert_eq!(entry.amount.unwrap().to_string(), "1250000.10");
    assert_eq!(entry.description, "Sales \u{1000} invoice");
    assert!(!line(br#"{"description": "d", "success": false}"#).parse().unwrap().success);
}

/// Random lines that are almost entries: most parts of each are valid.
struct Lines(u64);

impl Lines {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    fn value(&mut self, depth: usize) -> String {
        match self.below(if depth > 3 { 4 } else { 7 }) {
            0 => self
                .one_of(&["0", "-1.50", "1e400", "5e-324", "-1E+999", "70000", "1e", "01", "-"])
                .to_owned(),
            1 => "9".repeat(1 + self.below(70)),
            2 => self.one_of(&["true", "false", "null", "nul", "1 2", ""]).to_owned(),
            4 => {
                let items: Vec<_> = (0..self.below(4)).map(|_| self.value(depth + 1)).collect();
                format!("[{}]", items.join(self.one_of(&[",", ", ", ",", " "])))
            }
            5 => {
                let members: Vec<_> = (0..self.below(4))
                    .map(|_| format!("\"{}\":{}", self.one_of(&["a", "b", "\\u0061"]), self.value(depth + 1)))
                    .collect();
                format!("{{{}}}", members.join(","))
            }
            6 if self.below(20) == 0 => {
                let depth = 120 + self.below(12);
                format!("{}{}", "[".repeat(depth), "]".repeat(depth))
            }
            _ => {
                let inner = ["", "x", "\\u00e9", "\\ud83d\\ude00", "\\ud800", "\\x", "\u{1}", "ကုမ္ပဏီ"];
                format!("\"{}\"", self.one_of(&inner))
            }
        }
    }

    fn line(&mut self) -> String {
        let seq = self.one_of(&[
            "{\"seq\":7,",
            "{\"seq\":7,",
            "{",
            "{ \"seq\": 7,",
            "{\"seq\":1.5,",
            "[",
            "{\"seq\":07,",
        ]);
        let mut fields: Vec<String> = Vec::new();
        for _ in 0..1 + self.below(4) {
            let field = Field::ALL[1 + self.below(Field::ALL.len() - 1)];
            let name = field.name();
            let name = self.one_of(&[name, name, name, "other", "us\\u0065r", "amount", "description"]);
            let right = match field.kind() {
                FieldKind::Text => "\"x\"",
                FieldKind::Number => "1e400",
                FieldKind::Bool => "true",
                FieldKind::Object | FieldKind::Any => "{}",
            };
            let value = if self.below(4) == 0 { self.value(0) } else { right.to_owned() };
            fields.push(format!("\"{name}\":{value}"));
        }
        let end = self.one_of(&["}", "}", "}", "}", "}", "} ", "", "}}"]);
        format!("{seq}{}{end}", fields.join(","))
    }
}

#[test]
fn every_way_to_read_a_line_agrees_on_what_is_an_entry() {
    let mut lines = Lines(0x9e37_79b9_7f4a_7c15);
    let lines: Vec<String> = (0..20_000).map(|_| lines.line()).collect();
    let mut entries = 0;
    for text in &lines {
        let line = line(text.as_bytes());
        let (row, parsed) = (line.row(), line.parse());
        assert_eq!(row.is_ok(), parsed.is_ok(), "{text}: {row:?} {parsed:?}");
        entries += u64::from(row.is_ok());
        // An entry is valid JSON, except for numbers that serde_json has no type for.
        if let (Ok(_), Err(error)) = (row, serde_json::from_str::<serde_json::Value>(text)) {
            assert!(error.to_string().contains("number out of range"), "{text}: {error}");
        }
    }
    assert!(entries > 1_000, "{entries}");

    let sample = Sample::new();
    sample.write_active(&text(&lines));
    let unreadable = lines.len() as u64 - entries;
    let inspection = inspect(sample.directory(), &mut |_, _| ()).unwrap();
    assert_eq!((inspection.entries, inspection.unreadable_lines), (entries, unreadable));
    let summary = Search::new(sample.directory()).strict().each(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!((summary.found, summary.errors.lines()), (entries, unreadable));
}

#[test]
fn an_amount_may_have_any_size() {
    for amount in ["1e400", "5e-324", &"9".repeat(65)] {
        let text = format!(r#"{{"seq":7,"id":"i","amount":{amount},"metadata":{{"x":1e400}}}}"#);
        let line = line(text.as_bytes());
        assert_eq!(line.row().unwrap().raw(Field::Amount), Some(amount));
        let expected = Some(amount.to_owned()).filter(|amount| amount.len() <= 64);
        assert_eq!(line.parse().unwrap().amount.map(|amount| amount.to_string()), expected);
    }
}
