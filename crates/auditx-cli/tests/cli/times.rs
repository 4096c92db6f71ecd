//! Tests of times in flags and output, and of `--tz`.

use crate::program::{auditx, command, ended};
use crate::shop::{SHOP, trail_of};
use crate::trail::parsed;

/// Returns the seqs of the entries found; the legacy line counts as 99.
fn seqs(arguments: &[&str]) -> Vec<u64> {
    let shop = trail_of(SHOP);
    let query = auditx(&[&["query"], arguments].concat(), shop.path());
    assert_eq!((query.status, query.err.as_str()), (Some(0), ""), "{arguments:?}");
    parsed(&query.out).iter().map(|line| line["seq"].as_u64().unwrap_or(99)).collect()
}

#[test]
fn times_are_accepted_as_tables_print_them() {
    assert_eq!(seqs(&["--since", "2026-11-25 09:05"]), [6, 99, 8]);
    assert_eq!(seqs(&["--since", "2026-11-25 09:05:00.000", "--until", "2026-11-25 10:30:00"]), [6, 99]);
    assert_eq!(seqs(&["timestamp:\"2026-11-24 15:24:54\""]), [0], "an entry of that second");
    assert_eq!(seqs(&["--since", "2026-11", "--until", "2026-11-25"]), [0, 1, 2, 3]);
    assert_eq!(seqs(&["--until", "2027", "user:clerk"]), [5, 6, 8]);
    assert_eq!(seqs(&["timestamp:2026-11", "user:admin"]), [0, 1, 2]);
    assert_eq!(seqs(&["--since", "1795564800", "--until", "1795597200000"]), [4]);
    assert_eq!(seqs(&["--around", "1795534200", "--window", "1m30s"]), [1, 2]);
    assert_eq!(seqs(&["--around", "2026-11-24 15:30", "--window", "1m30s"]), [1, 2]);
}

#[test]
fn an_invalid_time_is_an_error_with_examples() {
    let shop = trail_of(SHOP);
    let wrong = auditx(&["query", "--since", "29.11.2026"], shop.path());
    assert_eq!(wrong.status, Some(2));
    assert!(
        wrong.err.starts_with("auditx: invalid time \"29.11.2026\": expected '2026-11-29 07:00'"),
        "{}",
        wrong.err
    );
    let zone = auditx(&["query", "--tz", "Asia/Rangun"], shop.path());
    assert_eq!(zone.status, Some(2));
    assert!(zone.err.contains("unknown time zone \"Asia/Rangun\""), "{}", zone.err);
}

#[test]
fn times_without_an_offset_are_in_the_given_zone() {
    let zone = ["--tz", "Asia/Yangon"];
    let of = |arguments: &[&str]| seqs(&[&zone, arguments].concat());
    assert_eq!(of(&["--since", "2026-11-25 06:29:59", "--until", "2026-11-25 06:30:00"]), [3]);
    assert_eq!(of(&["timestamp:2026-11-24"]), [0, 1, 2]);
    assert_eq!(of(&["--since", "2026-11-25"]), [3, 4, 5, 6, 99, 8]);
    assert_eq!(of(&["--since", "2026-11-24T23:59:59Z", "--until", "2026-11-25 06:30"]), [3]);
}

#[test]
fn repeated_and_skipped_hours_are_handled() {
    let line = |seq: u64, time: &str| {
        format!("{{\"seq\":{seq},\"timestamp\":\"{time}\",\"description\":\"d\",\"success\":true}}\n")
    };
    let lines = [
        line(0, "2026-03-29T00:59:59Z"),
        line(1, "2026-03-29T01:00:00Z"),
        line(2, "2026-10-25T00:30:00Z"),
        line(3, "2026-10-25T01:30:00Z"),
        line(4, "2026-10-25T02:30:00Z"),
    ];
    let trail = trail_of(lines.concat());
    let seqs = |arguments: &[&str]| -> Vec<u64> {
        let query = auditx(&[&["query", "--tz", "Europe/Berlin"], arguments].concat(), trail.path());
        parsed(&query.out).iter().map(|line| line["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs(&["time:\"2026-10-25 02:30:00\""]), [2, 3]);
    assert_eq!(seqs(&["--since", "2026-10-25 02:30"]), [2, 3, 4]);
    assert_eq!(seqs(&["--since", "2026-10-25", "--until", "2026-10-25 02:30"]), [2]);
    assert_eq!(seqs(&["--since", "2026-10-25", "--until", "2026-10-25 02:31"]), [2, 3]);
    assert_eq!(seqs(&["time:\"2026-03-29 02:30\""]), [0; 0]);
    assert_eq!(seqs(&["--until", "2026-03-29 02:30"]), [0]);
    assert_eq!(seqs(&["--since", "2026-03-29 02:30", "--until", "2026-04"]), [1]);
    let hours =
        auditx(&["stats", "--tz", "Europe/Berlin", "--bucket", "1h", "--since", "2026-10"], trail.path());
    assert_eq!(hours.out.matches("2026-10-25 02:00        1").count(), 2, "{}", hours.out);
}

#[test]
fn printed_times_are_accepted_in_the_same_zone() {
    let shop = trail_of(SHOP);
    for zone in ["utc", "Asia/Yangon", "America/New_York", "-05:45"] {
        let table = auditx(&["query", "-o", "table", "--tz", zone, "user:*"], shop.path());
        assert_eq!(table.status, Some(0), "{}", table.err);
        for (line, seq) in table.out.lines().skip(1).zip([0, 1, 2, 3, 4, 5, 6, 99, 8]) {
            let time = line.get(10..29).unwrap();
            let question = format!("time:\"{time}\"");
            assert_eq!(seqs(&["--tz", zone, &question]), [seq], "{zone}: {line}");
            assert!(
                seqs(&["--tz", zone, "--around", time, "--window", "1s"]).contains(&seq),
                "{zone}: {line}"
            );
        }
    }
}

#[test]
fn tables_use_the_zone_and_json_stays_in_utc() {
    let shop = trail_of(SHOP);
    let shown =
        |form: &str, zone: &str| auditx(&["query", "-o", form, "--tz", zone, "seq:3"], shop.path()).out;
    let table = shown("table", "Asia/Yangon");
    assert!(table.contains("Asia/Yangon"), "{table}");
    assert!(table.contains("2026-11-25 06:29:59"), "{table}");
    assert!(shown("diff", "Asia/Yangon").contains("2026-11-25 06:29:59"));
    assert!(shown("csv", "Asia/Yangon").contains("2026-11-25T06:29:59.999999+06:30"));
    assert!(shown("csv", "utc").contains("2026-11-24T23:59:59.999999Z"));
    for form in ["json", "ndjson", "raw"] {
        assert_eq!(shown(form, "Asia/Yangon"), shown(form, "utc"), "{form}");
    }
    let narrow =
        ended(command(&["query", "-o", "table", "--tz", "Asia/Yangon"], shop.path()).env("COLUMNS", "80"));
    assert!(
        narrow.out.contains("Yangon  ") && narrow.out.contains("\n2026-11-25\n     3  06:29:59"),
        "{}",
        narrow.out
    );
    let fields = auditx(
        &["query", "-o", "table", "--tz", "+06:30", "--fields", "seq,timestamp,user", "seq:3"],
        shop.path(),
    );
    assert!(fields.out.contains("2026-11-25 06:29:59.999999"), "{}", fields.out);
    let history = auditx(&["history", "customer/CUST-220", "--tz", "+06:30"], shop.path());
    assert!(history.out.contains("2026-11-24 22:01:00"), "{}", history.out);
}

#[test]
fn the_default_zone_comes_from_the_environment() {
    let shop = trail_of(SHOP);
    let table = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = command(&[&["query", "-o", "table", "seq:3"], arguments].concat(), shop.path());
        ended(command.envs(variables.iter().copied())).out
    };
    assert!(table(&[], &[("AUDITX_TZ", "Asia/Yangon")]).contains("06:29:59"));
    assert!(table(&["--tz", "utc"], &[("AUDITX_TZ", "Asia/Yangon")]).contains("23:59:59"));
    assert!(table(&[], &[("TZ", "Asia/Yangon")]).contains("23:59:59"), "TZ is ignored unless --tz is local");
    assert!(table(&["--tz", "local"], &[("TZ", "Asia/Yangon")]).contains("06:29:59"));
}

#[test]
fn days_begin_at_midnight_of_the_zone() {
    let shop = trail_of(SHOP);
    let stats = |zone: &str| auditx(&["stats", "--bucket", "1d", "--tz", zone, "user:*"], shop.path()).out;
    let utc = stats("utc");
    assert!(utc.contains("2026-11-24 00:00        4") && utc.contains("2026-11-25 00:00        5"), "{utc}");
    let yangon = stats("Asia/Yangon");
    assert!(yangon.starts_with("Asia/Yangon "), "{yangon}");
    assert!(
        yangon.contains("2026-11-24 00:00        3") && yangon.contains("2026-11-25 00:00        6"),
        "{yangon}"
    );
}
