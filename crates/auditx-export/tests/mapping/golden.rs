//! The bytes of every format for one trail with every kind of entry. `AUDITX_BLESS=1` writes the golden files
//! again.

use std::fs;

use auditx_export::{Exporter, Format, Framing};

use crate::trail::{entries, golden};

fn whole(exporter: &Exporter) -> Vec<u8> {
    let mut out = Vec::new();
    exporter.header(&mut out);
    for (line, entry) in entries() {
        exporter.entry(&line, &entry, &mut out);
    }
    exporter.footer(&mut out);
    out
}

fn assert_golden(name: &str, exporter: &Exporter) {
    let path = golden(name);
    let made = whole(&exporter.clone().product_version("1.2.3"));
    if std::env::var_os("AUDITX_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &made).unwrap();
    }
    let found = fs::read(&path).unwrap();
    for (number, (found, made)) in found.split(|&b| b == b'\n').zip(made.split(|&b| b == b'\n')).enumerate() {
        let [found, made] = [found, made].map(String::from_utf8_lossy);
        assert_eq!(made, found, "{name}, line {}: set AUDITX_BLESS=1 if the change is intended", number + 1);
    }
    assert_eq!(made.len(), found.len(), "{name}: set AUDITX_BLESS=1 if the change is intended");
}

#[test]
fn every_format_writes_its_golden_file() {
    assert_golden("ocsf.jsonl", &Exporter::new(Format::Ocsf));
    assert_golden("ecs.jsonl", &Exporter::new(Format::Ecs));
    assert_golden("otlp.jsonl", &Exporter::new(Format::OtlpJson).service_name("erp"));
    assert_golden("cef.txt", &Exporter::new(Format::Cef));
    assert_golden("syslog.txt", &Exporter::new(Format::Syslog));
    assert_golden("syslog-octets.txt", &Exporter::new(Format::Syslog).framing(Framing::OctetCounting));
    assert_golden("csv.csv", &Exporter::new(Format::Csv));
}

#[test]
fn golden_files_cover_every_control_record_and_format() {
    let kinds: Vec<String> = entries()
        .iter()
        .filter_map(|(_, entry)| Some(entry.control_record.as_ref()?.get("kind")?.as_str()?.to_owned()))
        .collect();
    for kind in [
        "genesis",
        "open",
        "close",
        "recovered",
        "checkpoint",
        "heartbeat",
        "gap",
        "rotated",
        "key",
        "erased",
        "retired",
    ] {
        assert!(kinds.iter().any(|found| found == kind), "no {kind}");
    }
    let files: Vec<_> = fs::read_dir(golden("")).unwrap().map(|file| file.unwrap().file_name()).collect();
    for format in Format::ALL {
        let name = format.as_str().split('-').next().unwrap();
        assert!(
            files.iter().any(|file| file.to_string_lossy().starts_with(name)),
            "{format} has no golden file"
        );
    }
}

#[test]
fn threads_that_share_an_exporter_write_the_same() {
    for format in Format::ALL {
        let exporter = Exporter::new(format);
        let alone = whole(&exporter);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| whole(&exporter))).collect();
            for thread in threads {
                assert!(thread.join().unwrap() == alone, "{format}");
            }
        });
    }
}
