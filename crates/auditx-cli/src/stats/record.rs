//! Encodes groups and tallies as bytes for the temporary file.
//!
//! The key of a group contains the group completely: the start of its time span with `--bucket`, then each
//! value.

use auditx_reader::{Json, Moment, Row};

use super::sum::Sum;
use super::tally::{Group, GroupBy, Plan, Tally};
use crate::spill::{push_number, push_text};

/// Writes the key of the group of a row.
pub(super) fn key(plan: &Plan, trail: Option<&str>, row: &Row<'_>, key: &mut Vec<u8>) {
    key.clear();
    if let Some(length) = plan.bucket {
        let time = Moment::parse(&row.text(auditx_reader::Field::Timestamp));
        push_number(time.map_or(NO_TIME, |at| plan.zone.bucket(at, length).micros()), key);
    }
    for by in &plan.by {
        match (by, trail) {
            (GroupBy::Field(path), _) => push_value(key, path.of(row)),
            (GroupBy::Trail, Some(trail)) => {
                key.push(1);
                push_text(trail.as_bytes(), key);
            }
            (GroupBy::Trail, None) => key.push(0),
        }
    }
}

const NO_TIME: i64 = i64::MIN;

/// Appends a value in an encoding in which different sequences of values have different bytes.
fn push_value(key: &mut Vec<u8>, value: Option<Json<'_>>) {
    match (value.and_then(Json::text), value) {
        (_, None) => key.push(0),
        (Some(text), _) => {
            key.push(1);
            push_text(text.as_bytes(), key);
        }
        (None, Some(Json::Object(raw) | Json::Array(raw))) => {
            key.push(1);
            push_text(raw.as_bytes(), key);
        }
        (None, Some(_)) => {
            key.push(1);
            push_text(b"", key);
        }
    }
}

/// Decodes the group of a key.
pub(super) fn group(plan: &Plan, key: &[u8]) -> Group {
    let mut bytes = Bytes(key);
    let bucket = plan.bucket.map(|_| i64::from_be_bytes(bytes.array()) ^ i64::MIN);
    let bucket = bucket.filter(|micros| *micros != NO_TIME).map(Moment::from_micros);
    let values = plan.by.iter().map(|_| (bytes.array() == [1]).then(|| bytes.text())).collect();
    Group { bucket, values }
}

/// Writes the sort key of a group for the output: by time, then by descending count, then by value.
pub(super) fn rank(plan: &Plan, key: &[u8], tally: &Tally, rank: &mut Vec<u8>) {
    let (bucket, values) = key.split_at(if plan.bucket.is_some() { 8 } else { 0 });
    rank.clear();
    rank.extend_from_slice(bucket);
    rank.extend_from_slice(&(!tally.count).to_be_bytes());
    rank.extend_from_slice(values);
}

/// Appends a group and its tally.
pub(super) fn push(key: &[u8], tally: &Tally, out: &mut Vec<u8>) {
    out.extend_from_slice(&(key.len() as u64).to_be_bytes());
    out.extend_from_slice(key);
    push_tally(tally, out);
}

/// Decodes what [`push`] wrote.
pub(super) fn read(plan: &Plan, bytes: &[u8]) -> (Group, Tally) {
    let mut rest = Bytes(bytes);
    let len = usize::try_from(u64::from_be_bytes(rest.array())).unwrap_or(usize::MAX);
    let (key, bytes) = rest.0.split_at(len.min(rest.0.len()));
    (group(plan, key), tally(bytes))
}

pub(super) fn push_tally(tally: &Tally, out: &mut Vec<u8>) {
    for number in [tally.count, tally.failed, tally.not_summed] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    for (currency, sum) in &tally.sums {
        push_text(currency.as_bytes(), out);
        sum.write(out);
    }
}

/// Decodes what [`push_tally`] wrote.
pub(super) fn tally(bytes: &[u8]) -> Tally {
    let mut bytes = Bytes(bytes);
    let mut number = || u64::from_be_bytes(bytes.array());
    let mut tally = Tally {
        count: number(),
        failed: number(),
        not_summed: number(),
        sums: std::collections::BTreeMap::new(),
    };
    while !bytes.0.is_empty() {
        let currency = bytes.text();
        let sum = Sum::read(|| i128::from_be_bytes(bytes.array()));
        tally.sums.insert(currency, sum);
    }
    tally
}

/// Bytes that this process wrote, so they are trusted: missing bytes are read as zeros.
struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) =
            self.0.split_first_chunk::<N>().map_or(([0; N], &[][..]), |(taken, rest)| (*taken, rest));
        self.0 = rest;
        taken
    }

    fn text(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            match self.array::<1>() {
                [0] if self.array() == [u8::MAX] => text.push(0),
                [0] => break,
                [byte] => text.push(byte),
            }
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use auditx_reader::Zone;

    use super::*;

    #[test]
    fn groups_and_tallies_are_encoded_and_decoded() {
        let plan = Plan {
            by: ["user", "module", "metadata"].map(|name| name.parse().unwrap()).into(),
            bucket: Some(std::time::Duration::from_secs(60)),
            sum: None,
            zone: Zone::UTC,
        };
        let line = concat!(
            r#"{"seq":1,"timestamp":"1969-11-24T15:24:54Z","user":"a\u0000b","#,
            r#""metadata":{"k": [1]},"success":true}"#
        );
        let mut bytes = Vec::new();
        key(&plan, None, &Row::read_text(line).unwrap(), &mut bytes);
        let read = group(&plan, &bytes);
        assert_eq!(read.values, [Some("a\0b".to_owned()), None, Some("{\"k\": [1]}".to_owned())]);
        assert_eq!(read.bucket, Moment::parse("1969-11-24T15:24:00Z"));

        let mut one = Tally { count: 7, failed: 3, not_summed: 1, ..Tally::default() };
        for (currency, number) in
            [("MMK", "-1250000.10"), ("", "5e-3"), ("USD", "123456789012345678901234567890")]
        {
            assert!(one.sums.entry(currency.to_owned()).or_default().add(number));
        }
        let mut bytes = Vec::new();
        push_tally(&one, &mut bytes);
        assert_eq!(tally(&bytes), one);
        assert!(bytes.len() < 250, "{}", bytes.len());
    }
}
