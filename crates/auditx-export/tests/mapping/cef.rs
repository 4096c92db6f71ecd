//! Reads CEF with an independent parser, which knows only the format: `CEF:0`, revision 25.

use std::collections::BTreeMap;

use auditx_export::{Exporter, Format};

use crate::trail::{entries, mapped};

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) header: Vec<String>,
    pub(crate) extension: BTreeMap<String, String>,
}

/// Seven header fields separated by bars, then pairs: a key is the word before an equals sign that is not
/// escaped.
pub(crate) fn parse(line: &str) -> Record {
    let chars: Vec<char> = line.chars().collect();
    let (mut header, mut field, mut at) = (Vec::new(), String::new(), 0);
    while header.len() < 7 {
        match chars[at] {
            '\\' => {
                at += 1;
                assert!(matches!(chars[at], '|' | '\\'), "a header escapes bars and backslashes: {line}");
                field.push(chars[at]);
            }
            '|' => header.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
        at += 1;
    }
    assert_eq!(header[0], "CEF:0");
    let rest = &chars[at..];
    let mut signs = Vec::new();
    let mut is_escaped = false;
    for (index, &c) in rest.iter().enumerate() {
        if c == '=' && !is_escaped {
            signs.push(index);
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    let key_start = |sign: usize| rest[..sign].iter().rposition(|&c| c == ' ').map_or(0, |space| space + 1);
    let mut extension = BTreeMap::new();
    for (index, &sign) in signs.iter().enumerate() {
        let key: String = rest[key_start(sign)..sign].iter().collect();
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric()), "{key:?} is a key in {line}");
        let end = signs.get(index + 1).map_or(rest.len(), |&next| key_start(next) - 1);
        let twice = extension.insert(key, unescape(&rest[sign + 1..end]));
        assert_eq!(twice, None, "{line}");
    }
    Record { header, extension }
}

fn unescape(text: &[char]) -> String {
    let (mut out, mut chars) = (String::new(), text.iter());
    while let Some(&c) = chars.next() {
        match c {
            '\\' => out.push(match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(&c @ ('=' | '\\')) => c,
                other => panic!("an extension has no escape {other:?}"),
            }),
            c => out.push(c),
        }
    }
    out
}

#[test]
fn every_record_has_a_header_and_labels_for_its_custom_fields() {
    let exporter = Exporter::new(Format::Cef).product_version("1|2\\3");
    for (line, entry) in entries() {
        let text = mapped(&exporter, &line, &entry);
        assert!(text.bytes().all(|byte| byte == b'\n' || !byte.is_ascii_control()), "{text:?}");
        let record = parse(text.strip_suffix('\n').unwrap());
        assert_eq!(record.header[..4], ["CEF:0", "auditx", "auditx", "1|2\\3"]);
        assert!(record.header[4].contains('.') && record.header[5].len() <= 512, "{record:?}");
        assert!(record.header[6].parse::<u8>().unwrap() <= 10, "{record:?}");
        for name in record.extension.keys() {
            let is_custom = ["cs", "cn", "flexString", "c6a"]
                .iter()
                .any(|kind| name.strip_prefix(kind).is_some_and(|digit| digit.parse::<u8>().is_ok()));
            assert!(
                !is_custom || record.extension.contains_key(&format!("{name}Label")),
                "{name} in {record:?}"
            );
        }
        if let Some(src) = record.extension.get("src") {
            assert!(src.parse::<std::net::Ipv4Addr>().is_ok(), "{src}");
        }
    }
}

#[test]
fn cef_fields_are_those_of_the_mapping() {
    let records: Vec<_> = entries()
        .iter()
        .map(|(line, entry)| parse(mapped(&Exporter::new(Format::Cef), line, entry).trim_end()))
        .collect();
    let posted = &records[3];
    assert_eq!(posted.header[4..], ["sales.POST", "Sales invoice posted", "3"]);
    for (key, value) in [
        ("externalId", "019ab6e0-4d2b-7c4f-9a3e-000000005f03"),
        ("rt", "1795533894123"),
        ("cat", "sales"),
        ("act", "POST"),
        ("outcome", "success"),
        ("suser", "admin"),
        ("spriv", "manager"),
        ("cs1", "CO-001"),
        ("cs2", "BR-YGN"),
        ("cs3", "sales_invoice"),
        ("cs4", "inv-42"),
        ("cs5", "SI-2026-0042"),
        ("cs6", "req-7f3a"),
        ("flexString1", "1250000.10 MMK"),
        ("cn2", "3"),
        ("dvchost", "erp-1"),
    ] {
        assert_eq!(posted.extension[key], value, "{key}");
    }
    assert_eq!(records[6].extension["duser"], "ဒေါ်ခင်");
    assert_eq!(records[6].extension["c6a2"], "2001:db8::10");
    assert_eq!(records[7].extension["request"], "/sales/invoice?draft=1&token=[REDACTED]");
    assert_eq!(records[20].header[4], "auditx.erased_line");
    let bare = &records[24].extension;
    assert_eq!((bare.get("rt"), bare.get("cn2"), bare.get("externalId")), (None, None, None));
}
