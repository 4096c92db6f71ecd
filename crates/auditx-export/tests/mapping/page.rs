//! Compares docs/SIEM.md with the mappers: its examples are golden lines, and its names and numbers are those
//! written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use auditx_export::{ECS_VERSION, Exporter, Format, OCSF_VERSION};
use auditx_format::line::RecordedEntry;
use serde_json::Value;

use crate::trail::{entries, golden, mapped, objects};
use crate::{cef, syslog};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/SIEM.md")).unwrap()
}

/// The cells of the table below a heading, without its header row.
fn table(heading: &str) -> Vec<Vec<String>> {
    let page = page();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.skip(1).map(|row| row.split(" | ").map(str::to_owned).collect()).collect()
}

/// The texts between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    found.insert(path.to_owned());
    match value {
        Value::Object(map) => {
            for (name, member) in map {
                paths(member, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, path, found)),
        _ => {}
    }
}

/// Every name that a format writes for the golden trail.
fn written(format: Format) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match format {
        Format::Ocsf | Format::Ecs => objects(format).iter().for_each(|object| paths(object, "", &mut found)),
        Format::OtlpJson => {
            for request in objects(format) {
                let logs = &request["resourceLogs"][0];
                let record = &logs["scopeLogs"][0]["logRecords"][0];
                found.extend(record.as_object().unwrap().keys().cloned());
                for list in [&logs["resource"]["attributes"], &record["attributes"]] {
                    let keys = list.as_array().unwrap().iter().map(|pair| pair["key"].as_str().unwrap());
                    found.extend(keys.map(str::to_owned));
                }
            }
        }
        _ => {
            for (line, entry) in entries() {
                let text = mapped(&Exporter::new(format), &line, &entry);
                if format == Format::Cef {
                    found.extend(cef::parse(text.trim_end()).extension.into_keys());
                } else {
                    found.extend(syslog::parse(text.trim_end()).parameters.into_keys());
                }
            }
        }
    }
    found
}

#[test]
fn the_names_written_are_those_of_the_mapping() {
    let rows = table("Mapping");
    let formats = [Format::Ocsf, Format::Ecs, Format::Cef, Format::Syslog, Format::OtlpJson];
    for (column, format) in formats.into_iter().enumerate() {
        let written = written(format);
        let named: BTreeSet<_> = rows.iter().flat_map(|row| quoted(&row[column + 1])).collect();
        assert!(named.len() >= 10, "{format}: {named:?}");
        for name in &named {
            assert!(written.contains(*name), "{format} writes no {name}");
        }
        // For the flat formats also the reverse; labels and constants of the schemas are exempt.
        if matches!(format, Format::Cef | Format::Syslog | Format::OtlpJson) {
            let is_named = |name: &String| named.contains(name.as_str()) || name.ends_with("Label");
            let constants = ["attributes", "service.name"];
            let missing: Vec<_> = written
                .iter()
                .filter(|name| !is_named(name) && !constants.contains(&name.as_str()))
                .collect();
            assert!(missing.is_empty(), "{format} writes {missing:?} too");
        }
    }
}

#[test]
fn kinds_of_entry_have_the_documented_classes() {
    let (ocsf, ecs) = (objects(Format::Ocsf), objects(Format::Ecs));
    for row in table("Kinds of entry") {
        let code = quoted(&row[3]).next().unwrap();
        let (class, activity) = row[1].split_once(", ").unwrap();
        let class: u64 = class.parse().unwrap();
        let is_meant =
            |event: &&Value| event["metadata"]["event_code"] == code && event["class_uid"] == class;
        let event = ocsf.iter().find(is_meant).unwrap_or_else(|| panic!("no {row:?}"));
        assert!(
            activity.parse::<u64>().is_ok_and(|activity| event["activity_id"] == activity)
                || activity == "by action"
        );
        let document =
            ecs.iter().find(|document| document["event"]["sequence"] == event["metadata"]["sequence"]);
        let event = &document.unwrap()["event"];
        for found in [&event["category"][0], &event["type"][0]] {
            let is_said =
                found.as_str().is_none_or(|word| row[2].contains(word) || row[2].contains("by action"));
            assert!(is_said, "{found} in {row:?}");
        }
        assert_eq!(event["kind"] == "alert", row[2].contains("kind alert"), "{row:?}");
    }
}

#[test]
fn severities_are_those_of_the_table() {
    for row in table("Severity") {
        let line = format!("{{\"seq\":1,\"level\":\"{}\",\"success\":true}}", row[0]);
        let entry = RecordedEntry::from_line(line.as_bytes()).unwrap().parse().unwrap();
        let text = |format| mapped(&Exporter::new(format), line.as_bytes(), &entry);
        let json = |format| serde_json::from_str::<Value>(&text(format)).unwrap();
        let cef = cef::parse(text(Format::Cef).trim_end()).header.remove(6);
        let syslog = syslog::parse(text(Format::Syslog).trim_end()).priority;
        assert_eq!(json(Format::Ocsf)["severity_id"].to_string(), row[1], "{row:?}");
        assert_eq!(json(Format::Ecs)["event"]["severity"].to_string(), row[2], "{row:?}");
        assert_eq!(cef, row[2], "{row:?}");
        assert_eq!((syslog - 13 * 8).to_string(), row[3], "{row:?}");
        let record = &json(Format::OtlpJson)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(record["severityNumber"].to_string(), row[4], "{row:?}");
    }
}

#[test]
fn examples_are_golden_lines_and_versions_match() {
    let page = page();
    let (_, examples) = page.split_once("\n## Examples\n").unwrap();
    let blocks: Vec<_> = examples.split("```").skip(1).step_by(2).collect();
    let files = ["ocsf.jsonl", "ecs.jsonl", "cef.txt", "syslog.txt", "otlp.jsonl", "csv.csv"];
    assert_eq!(blocks.len(), files.len());
    for (block, file) in blocks.iter().zip(files) {
        let golden = fs::read_to_string(golden(file)).unwrap();
        let (_, lines) = block.split_once('\n').unwrap();
        assert!(!lines.is_empty());
        for line in lines.lines() {
            assert!(golden.lines().any(|found| found == line), "not in {file}: {line}");
        }
    }
    for said in [format!("OCSF {OCSF_VERSION},"), format!("ECS {ECS_VERSION},")] {
        assert!(page.contains(&said), "{said}");
    }
    for format in Format::ALL {
        assert!(page.contains(&format!("| `{format}` |")), "{format}");
    }
}
