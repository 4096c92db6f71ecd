//! Reads CSV with an independent parser, which knows only RFC 4180.

use std::collections::BTreeMap;

use auditx_export::{Column, Exporter, Format};
use auditx_format::line::RecordedEntry;

use crate::trail::{entries, mapped};

/// Records of cells; every record ends with CR LF.
pub(crate) fn parse(text: &str) -> Vec<Vec<String>> {
    let mut chars = text.chars().peekable();
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    while let Some(c) = chars.next() {
        match c {
            '"' if cell.is_empty() => loop {
                match chars.next().unwrap() {
                    '"' if chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
                    '"' => {
                        assert!(matches!(chars.peek(), Some(',' | '\r')), "text after a closing quote");
                        break;
                    }
                    c => cell.push(c),
                }
            },
            '"' => panic!("a quote in a cell without quotes: {text}"),
            ',' => record.push(std::mem::take(&mut cell)),
            '\r' => {
                assert_eq!(chars.next(), Some('\n'));
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            c => cell.push(c),
        }
    }
    assert!(cell.is_empty() && record.is_empty(), "{text} does not end with CR LF");
    records
}

/// Removes the apostrophe before a cell that looks like a formula.
pub(crate) fn unguarded(cell: &str) -> &str {
    let quotes = cell.len() - cell.trim_start_matches('\'').len();
    let rest = &cell[quotes..];
    let is_guarded = quotes > 0
        && (rest.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
            || rest.starts_with("\\t")
            || rest.starts_with("\\r"));
    if is_guarded { &cell[1..] } else { cell }
}

fn named(
    exporter: &Exporter,
    line: &[u8],
    entry: &auditx_format::line::StoredEntry,
) -> BTreeMap<String, String> {
    let mut head = Vec::new();
    exporter.header(&mut head);
    let mut head = parse(&String::from_utf8(head).unwrap());
    let mut records = parse(&mapped(exporter, line, entry));
    assert_eq!((head.len(), records.len()), (1, 1));
    assert_eq!(head[0].len(), records[0].len());
    head.remove(0).into_iter().zip(records.remove(0)).collect()
}

#[test]
fn records_have_every_column_and_no_control_characters() {
    for (line, entry) in entries() {
        let text = mapped(&Exporter::new(Format::Csv), &line, &entry);
        assert!(
            text.strip_suffix("\r\n").unwrap().chars().all(|c| !c.is_control() && c != '\u{202e}'),
            "{text:?}"
        );
        let cells = named(&Exporter::new(Format::Csv), &line, &entry);
        assert_eq!(cells.len(), Column::ALL.len());
    }
}

#[test]
fn text_like_a_formula_is_guarded_and_numbers_are_not() {
    let (line, entry) = &entries()[12];
    let cells = named(&Exporter::new(Format::Csv), line, entry);
    for (column, cell) in [
        ("user", "''=1+1"),
        ("user_role", "'+admin|root=1"),
        ("on_behalf_of", "'-2+3"),
        ("company_id", "'@SUM(1)"),
        ("entity_type", "'\\t=1"),
        ("entity_id", "x,y;z"),
        ("reference_no", " padded "),
        ("amount", "-0.00"),
        ("status", "500"),
        ("hostname", "host name\\nü"),
        ("old_values", "[1,2]"),
    ] {
        assert_eq!(cells[column], cell, "{column}");
    }
    assert!(cells["description"].starts_with("'=HYPERLINK(\"http"), "{}", cells["description"]);
    let stored =
        br#"{"seq":0,"description":"-1","amount":-5,"user":"'Khin","user_role":"\uff1d1","success":true}"#;
    let entry = RecordedEntry::from_line(stored).unwrap().parse().unwrap();
    let cells = named(&Exporter::new(Format::Csv), stored, &entry);
    let found = ["description", "amount", "user", "user_role"].map(|column| cells[column].as_str());
    assert_eq!(found, ["'-1", "-5", "'Khin", "'＝1"]);
}

#[test]
fn the_column_of_the_trail_is_the_first() {
    let exporter = Exporter::new(Format::Csv).columns([Column::Seq]).trail_column();
    let (mut out, entries) = (Vec::new(), entries());
    exporter.header(&mut out);
    let (line, entry) = &entries[3];
    exporter.entry_of("=tenant/worker-1", line, entry, &mut out);
    exporter.entry(line, entry, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "trail,seq\r\n'=tenant/worker-1,3\r\n,3\r\n");
}

#[test]
fn columns_can_be_selected_and_none_means_all() {
    let exporter = Exporter::new(Format::Csv).columns([Column::User, Column::Seq, Column::Success]);
    let mut out = Vec::new();
    exporter.header(&mut out);
    let entries = entries();
    for line in [3, 20, 24] {
        let (line, entry) = &entries[line];
        exporter.entry(line, entry, &mut out);
    }
    exporter.footer(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "user,seq,success\r\nadmin,3,true\r\n,20,\r\n,,\r\n");
    let mut head = Vec::new();
    Exporter::new(Format::Csv).columns([]).header(&mut head);
    assert_eq!(parse(&String::from_utf8(head).unwrap())[0].len(), Column::ALL.len());
}
