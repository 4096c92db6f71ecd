use super::*;

fn at(text: &str) -> Moment {
    Moment::parse(text).unwrap()
}

fn now() -> Moment {
    at("2026-11-24T15:24:54Z")
}

fn span(begin: &str, end: &str) -> Option<Time> {
    Some(Time::Span(Span { begin: at(begin), end: at(end) }))
}

fn in_zone(text: &str, zone: &str) -> Option<Time> {
    Time::parse(text, &TimeBase::new(now(), zone.parse().unwrap()))
}

#[test]
fn times_are_relative_to_the_base() {
    let ago = |begin| Some(Time::Ago(at(begin)));
    for (text, time) in [
        ("now", span("2026-11-24T15:24:54Z", "2026-11-24T15:24:54.000001Z")),
        ("today", span("2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z")),
        ("Yesterday", span("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")),
        ("30s", ago("2026-11-24T15:24:24Z")),
        ("15m", ago("2026-11-24T15:09:54Z")),
        ("2h", ago("2026-11-24T13:24:54Z")),
        ("7d", ago("2026-11-17T15:24:54Z")),
        ("1w", ago("2026-11-17T15:24:54Z")),
        ("1h30m", ago("2026-11-24T13:54:54Z")),
        ("2d12h", ago("2026-11-22T03:24:54Z")),
    ] {
        assert_eq!(Time::parse(text, &now().into()), time, "{text}");
    }
    let long_ago = Time::parse("99999999999999999999999w", &now().into()).unwrap().begin();
    assert_eq!(clamped(long_ago).to_string(), "0000-01-01T00:00:00.000000Z");
    assert_eq!(clamped(Moment::from_micros(i64::MAX)).to_string(), "9999-12-31T23:59:59.999999Z");
}

#[test]
fn the_last_digit_of_a_time_determines_its_precision() {
    for (text, begin, end) in [
        ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2026-11", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2026-02-28", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("2026-11-29 07:00", "2026-11-29T07:00:00Z", "2026-11-29T07:01:00Z"),
        ("2026-11-29T07:00", "2026-11-29T07:00:00Z", "2026-11-29T07:01:00Z"),
        ("2026-11-29 07:00:05", "2026-11-29T07:00:05Z", "2026-11-29T07:00:06Z"),
        ("2026-11-29 07:00:05.12", "2026-11-29T07:00:05.12Z", "2026-11-29T07:00:05.13Z"),
        ("2026-11-29T07:00:05.123456789Z", "2026-11-29T07:00:05.123456Z", "2026-11-29T07:00:05.123457Z"),
        ("2026-02-28T06:30:00+06:30", "2026-02-28T00:00:00Z", "2026-02-28T00:00:01Z"),
        ("2026-02-28 06:30 +06:30", "2026-02-28T00:00:00Z", "2026-02-28T00:01:00Z"),
        ("07:00", "2026-11-24T07:00:00Z", "2026-11-24T07:01:00Z"),
        ("07:00:05", "2026-11-24T07:00:05Z", "2026-11-24T07:00:06Z"),
        ("1795533894", "2026-11-24T15:24:54Z", "2026-11-24T15:24:55Z"),
        ("1795533894.25", "2026-11-24T15:24:54.25Z", "2026-11-24T15:24:54.26Z"),
        ("1795533894123", "2026-11-24T15:24:54.123Z", "2026-11-24T15:24:54.124Z"),
        ("1795533894123.4567", "2026-11-24T15:24:54.123456Z", "2026-11-24T15:24:54.123457Z"),
        ("@0", "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"),
    ] {
        assert_eq!(Time::parse(text, &now().into()), span(begin, end), "{text}");
    }
}

#[test]
fn invalid_times_are_rejected() {
    for text in [
        "",
        "h",
        "2",
        "2y",
        "-2h",
        "2 h",
        "2.5h",
        "1h30",
        "h2",
        "tomorrow",
        "2026-02-30",
        "2026-13",
        "2026-1",
        "202",
        "20261",
        "၂h",
        "2é",
        "25:00",
        "07:60",
        "7:00",
        "07:",
        "2026-11-29 07",
        "2026-11-29  07:00",
        "179553389",
        "1795533894.",
        "1795533894.x",
        "@",
        "@-5",
        "99999999999999",
        "2026-11-29 07:00 UTC",
        "၀၇:00",
    ] {
        assert_eq!(Time::parse(text, &now().into()), None, "{text}");
    }
}

#[test]
fn times_without_an_offset_are_in_the_zone() {
    for (text, begin, end) in [
        ("today", "2026-11-23T17:30:00Z", "2026-11-24T17:30:00Z"),
        ("yesterday", "2026-11-22T17:30:00Z", "2026-11-23T17:30:00Z"),
        ("2026-11-24", "2026-11-23T17:30:00Z", "2026-11-24T17:30:00Z"),
        ("2026-11", "2026-10-31T17:30:00Z", "2026-11-30T17:30:00Z"),
        ("2026", "2025-12-31T17:30:00Z", "2026-12-31T17:30:00Z"),
        ("2026-11-24 06:30", "2026-11-24T00:00:00Z", "2026-11-24T00:01:00Z"),
        ("06:30", "2026-11-24T00:00:00Z", "2026-11-24T00:01:00Z"),
        ("2026-11-24T06:30:00Z", "2026-11-24T06:30:00Z", "2026-11-24T06:30:01Z"),
    ] {
        assert_eq!(in_zone(text, "Asia/Yangon"), span(begin, end), "{text}");
    }
    // Late in the evening in Greenwich it is already the next day in Yangon.
    let late = TimeBase::new(at("2026-11-24T20:00:00Z"), "+06:30".parse().unwrap());
    assert_eq!(Time::parse("today", &late), span("2026-11-24T17:30:00Z", "2026-11-25T17:30:00Z"));
}

#[test]
fn a_time_that_occurs_twice_includes_both() {
    let time = in_zone("2026-10-25 02:30", "Europe/Berlin").unwrap();
    let minute = |begin| Span::of(at(begin), MINUTE);
    assert_eq!(time, Time::Twice(minute("2026-10-25T00:30:00Z"), minute("2026-10-25T01:30:00Z")));
    assert_eq!(time.begin(), at("2026-10-25T00:30:00Z"));
    assert_eq!(time.last_begin(), at("2026-10-25T01:30:00Z"));
    assert_eq!(time.end(), at("2026-10-25T01:31:00Z"));
    assert_eq!(
        in_zone("2026-10-25", "Europe/Berlin"),
        span("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        "a day of 25 hours"
    );
}

#[test]
fn a_skipped_time_is_empty_and_lies_at_the_jump() {
    let jump = span("2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z");
    assert_eq!(in_zone("2026-03-29 02:30", "Europe/Berlin"), jump);
    assert_eq!(
        in_zone("2026-03-29", "Europe/Berlin"),
        span("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        "a day of 23 hours"
    );
}
