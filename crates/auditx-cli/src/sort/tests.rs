use std::path::Path;

use auditx_reader::Row;

use super::*;

fn sorted(by: &str, lines: &[String], sorter: impl Fn() -> Sorter) -> Vec<String> {
    let by: SortBy = by.parse().unwrap();
    let mut sorters = [sorter(), sorter()];
    for (index, line) in lines.iter().enumerate() {
        let row = Row::read_text(line).unwrap();
        let found = Found { row: &row, path: Path::new("a"), offset: index as u64, is_unsigned: false };
        sorters[index % 2].add(&by, &found, |_, out| out.extend_from_slice(format!("{line}\n").as_bytes()));
    }
    let mut out = Vec::new();
    Sorter::write(sorters.into(), |text| {
        out.extend_from_slice(text);
        Ok(())
    })
    .unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

fn plain(by: &str, lines: &[String]) -> Vec<String> {
    sorted(by, lines, || Sorter::new(None, 2))
}

/// Sorts lines with these values and returns the values in sorted order.
fn values(by: &str, values: &[&str]) -> Vec<String> {
    let name = by.split(':').next().unwrap();
    let lines: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(seq, value)| match *value {
            "" => format!("{{\"seq\":{seq},\"success\":true}}"),
            value => format!("{{\"seq\":{seq},\"{name}\":{value}}}"),
        })
        .collect();
    let out = plain(by, &lines);
    out.iter()
        .map(|line| {
            line.split_once(&format!("\"{name}\":"))
                .map_or("", |(_, value)| value)
                .trim_end_matches('}')
                .to_owned()
        })
        .collect()
}

#[test]
fn numbers_sort_by_value_and_absent_values_are_last() {
    let ascending = [
        "-1e3",
        "-20",
        "-3.5",
        "-3.25",
        "0",
        "0.001",
        "5",
        "12345678901234567890.1",
        "12345678901234567890.2",
        "1e30",
        "",
    ];
    let mut mixed = ascending;
    mixed.reverse();
    mixed.swap(2, 6);
    assert_eq!(values("amount", &mixed), ascending);
    let mut descending: Vec<&str> = ascending[..10].to_vec();
    descending.reverse();
    descending.push("");
    assert_eq!(values("amount:desc", &mixed), descending);
}

#[test]
fn text_sorts_by_code_points_and_times_by_instants() {
    let texts = ["\"B\"", "\"a\"", "\"a\\u0000\"", "\"ab\"", "\"é\"", "\"ဒ\"", "\"👍\""];
    let mut mixed = texts;
    mixed.reverse();
    assert_eq!(values("user", &mixed), texts);
    let times = [
        "\"2026-11-25T06:00:00+06:30\"",
        "\"2026-11-25T00:00:00Z\"",
        "\"2026-11-24T20:00:00-05:00\"",
        "\"never\"",
    ];
    let mut mixed = times;
    mixed.reverse();
    assert_eq!(values("timestamp", &mixed), times);
}

#[test]
fn equal_values_keep_the_order_of_the_trail() {
    let lines: Vec<String> =
        (0..2_000).map(|seq| format!("{{\"seq\":{seq},\"amount\":{}}}", seq % 3)).collect();
    for by in ["amount", "amount:desc"] {
        let out = plain(by, &lines);
        let of_one: Vec<&String> = out.iter().filter(|line| line.ends_with(":1}")).collect();
        let expected: Vec<&String> = lines.iter().filter(|line| line.ends_with(":1}")).collect();
        assert_eq!(of_one, expected, "{by}");
    }
}

#[test]
fn a_limit_and_a_temporary_file_do_not_change_the_order() {
    let lines: Vec<String> =
        (0..5_000_u64).map(|seq| format!("{{\"seq\":{seq},\"amount\":{}}}", seq * 7_919 % 1_009)).collect();
    let all = plain("amount:desc", &lines);
    let spilled = sorted("amount:desc", &lines, || Sorter::within(usize::MAX, 20_000));
    assert_eq!(spilled, all);
    for limit in [0, 1, 20, 700, 4_999, 6_000] {
        let expected = &all[..limit.min(all.len())];
        assert_eq!(sorted("amount:desc", &lines, || Sorter::within(limit, MEMORY)), expected, "{limit}");
        assert_eq!(
            sorted("amount:desc", &lines, || Sorter::within(limit, 20_000)),
            expected,
            "{limit} in a file"
        );
    }
}

#[test]
fn a_failed_temporary_file_is_an_error() {
    let by: SortBy = "seq".parse().unwrap();
    let row = Row::read_text(r#"{"seq":1,"success":true}"#).unwrap();
    let found = Found { row: &row, path: Path::new("a"), offset: 0, is_unsigned: false };
    let mut sorters = vec![Sorter::new(None, 2), Sorter::new(None, 2)];
    sorters[1].sorted.fail(io::ErrorKind::StorageFull.into());
    sorters.iter_mut().for_each(|sorter| sorter.add(&by, &found, |_, text| text.push(b'x')));
    let failure = Sorter::write(sorters, |_| panic!("nothing must be written")).unwrap_err();
    assert!(failure.to_string().contains("TMPDIR"), "{failure}");
}

#[test]
fn a_sort_key_is_a_field_with_a_direction() {
    assert!("amount:down".parse::<SortBy>().unwrap_err().contains("expected asc or desc"));
    assert!("amont".parse::<SortBy>().is_err());
    assert!("metadata.party:asc".parse::<SortBy>().is_ok_and(|by| !by.is_descending));
}
