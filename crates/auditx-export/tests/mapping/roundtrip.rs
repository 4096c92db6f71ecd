//! Whatever a field holds, each format is one line, and an independent parser reads the field back.

use std::collections::BTreeMap;

use auditx_export::{Exporter, Format};
use auditx_format::line::{RecordedEntry, StoredEntry};
use serde_json::{Map, Value, json};

use crate::random::Random;
use crate::trail::{at, mapped};
use crate::{cef, csv, syslog};

const TEXTS: [&str; 17] = [
    "description",
    "user",
    "user_role",
    "on_behalf_of",
    "company_id",
    "branch_id",
    "entity_type",
    "entity_id",
    "reference_no",
    "currency",
    "request_id",
    "session_id",
    "ip",
    "hostname",
    "method",
    "endpoint",
    "id",
];

/// A line with random text in every field, and those texts.
fn hostile(random: &mut Random, seq: usize) -> (Vec<u8>, BTreeMap<&'static str, String>) {
    let said: BTreeMap<_, _> = TEXTS.iter().map(|name| (*name, random.text())).collect();
    let mut fields: Map<String, Value> =
        said.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    fields.insert("action".to_owned(), json!("SHIP"));
    fields.insert("module".to_owned(), json!("sales"));
    fields.insert("metadata".to_owned(), json!({random.text(): random.text()}));
    fields.insert("old_values".to_owned(), json!({"k": random.text()}));
    fields.insert("success".to_owned(), json!(random.below(2) == 0));
    let rest = Value::from(fields).to_string();
    (format!("{{\"seq\":{seq},{}", &rest[1..]).into_bytes(), said)
}

fn each(check: impl Fn(&[u8], &StoredEntry, &BTreeMap<&'static str, String>)) {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    for seq in 0..2_000 {
        let (line, said) = hostile(&mut random, seq);
        let entry = RecordedEntry::from_line(&line).unwrap().parse().unwrap();
        check(&line, &entry, &said);
    }
}

/// The text as written by formats that have no escape for some characters.
fn spelled(text: &str, keeps: &[char]) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if keeps.contains(&c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{feff}".contains(c) => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            c => out.push(c),
        }
    }
    out
}

fn one_line<'t>(text: &'t str, end: &str) -> &'t str {
    let line = text.strip_suffix(end).unwrap();
    let breaks = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}', '\u{1b}', '\u{202e}'];
    assert!(!line.contains(breaks), "{line:?}");
    line
}

fn assert_json(format: Format, paths: &[(&str, &'static str)]) {
    let exporter = Exporter::new(format);
    each(|line, entry, said| {
        let text = mapped(&exporter, line, entry);
        let value: Value = serde_json::from_str(one_line(&text, "\n")).unwrap();
        for (path, name) in paths {
            assert_eq!(at(&value, path), said[name].as_str(), "{path} of {text}");
        }
    });
}

#[test]
fn ocsf_reads_back() {
    assert_json(
        Format::Ocsf,
        &[
            ("message", "description"),
            ("actor.user.uid", "user"),
            ("actor.user.groups.0.name", "user_role"),
            ("actor.user.org.ou_uid", "branch_id"),
            ("actor.session.uid", "session_id"),
            ("metadata.tenant_uid", "company_id"),
            ("metadata.uid", "id"),
            ("src_endpoint.name", "ip"),
            ("device.hostname", "hostname"),
            ("http_request.uid", "request_id"),
            ("unmapped.on_behalf_of", "on_behalf_of"),
            ("unmapped.entity_type", "entity_type"),
            ("unmapped.entity_id", "entity_id"),
            ("unmapped.reference_no", "reference_no"),
            ("unmapped.currency", "currency"),
            ("unmapped.method", "method"),
        ],
    );
}

#[test]
fn ecs_reads_back() {
    assert_json(
        Format::Ecs,
        &[
            ("message", "description"),
            ("event.id", "id"),
            ("user.name", "user"),
            ("user.roles.0", "user_role"),
            ("user.effective.name", "on_behalf_of"),
            ("organization.id", "company_id"),
            ("auditx.branch.id", "branch_id"),
            ("auditx.entity.type", "entity_type"),
            ("auditx.entity.id", "entity_id"),
            ("auditx.reference_no", "reference_no"),
            ("auditx.currency", "currency"),
            ("auditx.session.hash", "session_id"),
            ("source.address", "ip"),
            ("host.name", "hostname"),
            ("http.request.id", "request_id"),
            ("http.request.method", "method"),
            ("url.original", "endpoint"),
        ],
    );
}

#[test]
fn otlp_reads_back() {
    let names = [
        ("user.id", "user"),
        ("auditx.on_behalf_of", "on_behalf_of"),
        ("auditx.company.id", "company_id"),
        ("auditx.entity.id", "entity_id"),
        ("auditx.reference_no", "reference_no"),
        ("auditx.request.id", "request_id"),
        ("session.id", "session_id"),
        ("client.address", "ip"),
        ("http.request.method", "method"),
    ];
    let exporter = Exporter::new(Format::OtlpJson);
    each(|line, entry, said| {
        let text = mapped(&exporter, line, entry);
        let value: Value = serde_json::from_str(one_line(&text, "\n")).unwrap();
        let record = at(&value, "resourceLogs.0.scopeLogs.0.logRecords.0");
        assert_eq!(at(record, "body.stringValue"), said["description"].as_str());
        for (key, name) in names {
            let pair = record["attributes"].as_array().unwrap().iter().find(|pair| pair["key"] == key);
            assert_eq!(at(pair.unwrap(), "value.stringValue"), said[name].as_str(), "{key} of {text}");
        }
        let metadata =
            record["attributes"].as_array().unwrap().iter().find(|pair| pair["key"] == "auditx.metadata");
        let metadata: Value =
            serde_json::from_str(at(metadata.unwrap(), "value.stringValue").as_str().unwrap()).unwrap();
        assert_eq!(metadata.as_object(), Some(&entry.metadata));
    });
}

#[test]
fn cef_reads_back() {
    let names = [
        ("externalId", "id"),
        ("msg", "description"),
        ("suser", "user"),
        ("spriv", "user_role"),
        ("duser", "on_behalf_of"),
        ("cs1", "company_id"),
        ("cs2", "branch_id"),
        ("cs3", "entity_type"),
        ("cs4", "entity_id"),
        ("cs5", "reference_no"),
        ("cs6", "request_id"),
        ("flexString2", "session_id"),
        ("shost", "ip"),
        ("dvchost", "hostname"),
        ("requestMethod", "method"),
        ("request", "endpoint"),
    ];
    let exporter = Exporter::new(Format::Cef);
    each(|line, entry, said| {
        let text = mapped(&exporter, line, entry);
        let record = cef::parse(one_line(&text, "\n"));
        assert_eq!(record.header[5], spelled(&said["description"], &[]), "{text}");
        for (key, name) in names {
            assert_eq!(record.extension[key], spelled(&said[name], &['\n', '\r']), "{key} of {text}");
        }
    });
}

#[test]
fn syslog_reads_back() {
    let names = [
        ("id", "id"),
        ("user", "user"),
        ("onBehalfOf", "on_behalf_of"),
        ("company", "company_id"),
        ("branch", "branch_id"),
        ("entityType", "entity_type"),
        ("entityId", "entity_id"),
        ("reference", "reference_no"),
        ("request", "request_id"),
        ("ip", "ip"),
    ];
    let exporter = Exporter::new(Format::Syslog);
    each(|line, entry, said| {
        let text = mapped(&exporter, line, entry);
        // The message is the unchanged line, so only its own line breaks could break it.
        let message = syslog::parse(text.strip_suffix('\n').unwrap());
        assert!(!message.message.contains('\n') && message.message.as_bytes() == line);
        for (key, name) in names {
            assert_eq!(message.parameters[key], spelled(&said[name], &[]), "{key} of {text}");
        }
    });
}

#[test]
fn csv_reads_back() {
    let exporter = Exporter::new(Format::Csv);
    let mut head = Vec::new();
    exporter.header(&mut head);
    let head = csv::parse(&String::from_utf8(head).unwrap()).remove(0);
    each(|line, entry, said| {
        let text = mapped(&exporter, line, entry);
        one_line(&text, "\r\n");
        let cells = csv::parse(&text).remove(0);
        for name in TEXTS {
            let cell = &cells[head.iter().position(|column| column == name).unwrap()];
            assert!(!cell.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']), "{name} of {text}");
            assert_eq!(csv::unguarded(cell), spelled(&said[name], &[]), "{name} of {text}");
        }
    });
}

#[test]
fn a_value_of_sixty_thousand_bytes_is_kept_whole() {
    let value = "a long value with a \"quote\", a \u{1000} and other words in it; ".repeat(1_050);
    assert!(value.len() > 60_000);
    let line = format!(
        "{{\"seq\":1,\"description\":\"d\",\"metadata\":{{\"v\":{}}},\"success\":true}}",
        json!(value)
    );
    assert!(line.len() < auditx_tlog::MAX_LINE);
    let entry = RecordedEntry::from_line(line.as_bytes()).unwrap().parse().unwrap();
    for (format, path) in [(Format::Ocsf, "unmapped.metadata.v"), (Format::Ecs, "auditx.metadata.v")] {
        let text = mapped(&Exporter::new(format), line.as_bytes(), &entry);
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(at(&object, path), value.as_str(), "{format}");
    }
    let syslog = mapped(&Exporter::new(Format::Syslog), line.as_bytes(), &entry);
    assert_eq!(syslog::parse(syslog.trim_end()).message, line);
}

#[test]
fn a_line_that_disagrees_with_its_entry_is_still_one_line() {
    let mut random = Random::new(7);
    let lines = [
        &b""[..],
        b"{",
        b"\xff\xfe",
        b"{\"seq\":1,\"old_values\":",
        b"{\"seq\":1,}\n{\"seq\":2}",
        b"[]",
        b"null",
        b"{\"seq\":\"x\"}",
    ];
    for line in lines {
        for _ in 0..50 {
            let (other, _) = hostile(&mut random, 3);
            let entry = RecordedEntry::from_line(&other).unwrap().parse().unwrap();
            for format in Format::ALL {
                let mut out = Vec::new();
                Exporter::new(format).entry(line, &entry, &mut out);
                Exporter::new(format).entry(line, &StoredEntry::default(), &mut out);
                assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 2, "{format}");
            }
        }
    }
}
