use super::*;

fn at(text: &str) -> Moment {
    Moment::parse(text).unwrap()
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

#[test]
fn a_zone_is_a_name_an_offset_utc_or_local() {
    for (text, shown) in [
        ("utc", "UTC"),
        ("Z", "UTC"),
        ("", "UTC"),
        ("+00:00", "UTC"),
        ("+06:30", "+06:30"),
        ("-0500", "-05:00"),
        ("+6", "+06:00"),
        ("Asia/Yangon", "Asia/Yangon"),
        ("asia/yangon", "Asia/Yangon"),
    ] {
        assert_eq!(zone(text).to_string(), shown, "{text:?}");
        assert_eq!(zone(shown), zone(text));
    }
    for text in ["Asia/Yango", "+6:5", "+24:00", "+06:60", "-", "+", "06:30", "../passwd", "é"] {
        assert!(text.parse::<Zone>().is_err(), "{text:?}");
    }
}

#[test]
fn a_moment_is_displayed_in_the_zone() {
    let winter = at("2026-01-15T12:00:00.5Z");
    assert_eq!(zone("Asia/Yangon").rfc3339(winter), "2026-01-15T18:30:00.500000+06:30");
    assert_eq!(zone("America/New_York").rfc3339(winter), "2026-01-15T07:00:00.500000-05:00");
    assert_eq!(
        zone("America/New_York").rfc3339(at("2026-07-15T12:00:00Z")),
        "2026-07-15T08:00:00.000000-04:00"
    );
    assert_eq!(Zone::UTC.rfc3339(winter), "2026-01-15T12:00:00.500000Z");
    // Local mean time has an offset with seconds, which RFC 3339 cannot express.
    assert_eq!(zone("Asia/Yangon").rfc3339(at("1870-01-01T00:00:00Z")), "1870-01-01T00:00:00.000000Z");
    for end in [Moment::FIRST, Moment::LAST] {
        assert_eq!(Moment::parse(&zone("Asia/Yangon").rfc3339(end)).unwrap_or(end), end);
    }
}

#[test]
fn a_skipped_hour_maps_to_the_moment_of_the_jump() {
    let berlin = zone("Europe/Berlin");
    for wall in ["2026-03-29T02:00:00Z", "2026-03-29T02:30:00Z", "2026-03-29T02:59:59.999999Z"] {
        assert_eq!(berlin.shown(at(wall)), Shown::Skipped(at("2026-03-29T01:00:00Z")), "{wall}");
    }
    assert_eq!(berlin.shown(at("2026-03-29T01:59:59Z")), Shown::Once(at("2026-03-29T00:59:59Z")));
    assert_eq!(berlin.shown(at("2026-03-29T03:00:00Z")), Shown::Once(at("2026-03-29T01:00:00Z")));
}

#[test]
fn an_hour_that_occurs_twice_maps_to_two_moments() {
    let berlin = zone("Europe/Berlin");
    let twice = Shown::Twice(at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"));
    assert_eq!(berlin.shown(at("2026-10-25T02:30:00Z")), twice);
    assert_eq!(berlin.shown(at("2026-10-25T01:59:59Z")), Shown::Once(at("2026-10-24T23:59:59Z")));
    assert_eq!(berlin.shown(at("2026-10-25T03:00:00Z")), Shown::Once(at("2026-10-25T02:00:00Z")));
}

#[test]
fn a_wall_time_maps_back_to_its_moment() {
    for name in
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Yangon", "Pacific/Apia", "-11:45"]
    {
        let zone = zone(name);
        let (mut moment, end) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        while moment < end {
            let shown = zone.shown(zone.wall(moment));
            let is_among = match shown {
                Shown::Once(one) => one == moment,
                Shown::Twice(one, other) => one < other && (one == moment || other == moment),
                Shown::Skipped(_) => false,
            };
            assert!(is_among, "{name}: {moment} is {shown:?}");
            moment = moment.after(Duration::from_secs(1_799));
        }
    }
}

#[test]
fn days_begin_at_midnight_or_at_a_jump_over_it() {
    let day = |name: &str, wall: &str| zone(name).day(at(wall)).to_string();
    assert_eq!(day("Asia/Yangon", "2026-11-24T18:00:00Z"), "2026-11-23T17:30:00.000000Z");
    // Clocks are set forward from midnight to one o'clock.
    assert_eq!(day("Africa/Cairo", "2026-04-24T12:00:00Z"), "2026-04-23T22:00:00.000000Z");
    // Midnight occurs twice: clocks are set back from one o'clock.
    assert_eq!(day("America/Havana", "2026-11-01T12:00:00Z"), "2026-11-01T04:00:00.000000Z");
}

#[test]
fn buckets_follow_the_zone() {
    let bucket = |name: &str, moment: &str, hours: u64| {
        zone(name)
            .bucket(at(moment), Duration::from_secs(hours * 3_600))
            .to_string()
            .replace(":00.000000Z", "")
    };
    assert_eq!(bucket("utc", "2026-11-24T15:24:54Z", 24), "2026-11-24T00:00");
    assert_eq!(bucket("Asia/Yangon", "2026-11-24T18:00:00Z", 24), "2026-11-24T17:30");
    assert_eq!(bucket("Asia/Yangon", "2026-11-24T18:00:00Z", 1), "2026-11-24T17:30");
    assert_eq!(bucket("utc", "2026-11-29T15:24:54Z", 7 * 24), "2026-11-23T00:00", "a Monday");
    assert_eq!(bucket("Europe/Berlin", "2026-10-25T00:30:00Z", 1), "2026-10-25T00:00");
    assert_eq!(
        bucket("Europe/Berlin", "2026-10-25T01:30:00Z", 1),
        "2026-10-25T01:00",
        "the second of two hours"
    );
    assert_eq!(bucket("Europe/Berlin", "2026-10-25T20:30:00Z", 24), "2026-10-24T22:00", "a day of 25 hours");
    assert_eq!(bucket("Europe/Berlin", "2026-03-29T08:00:00Z", 6), "2026-03-29T04:00");
}

#[test]
fn buckets_are_contiguous() {
    for name in ["utc", "Asia/Yangon", "Europe/Berlin", "Africa/Cairo", "America/Havana"] {
        for minutes in [15, 60, 120, 360, 1_440, 2_880, 10_080] {
            let (zone, length) = (zone(name), Duration::from_secs(minutes * 60));
            let mut begin = zone.bucket(at("2026-01-01T00:00:00Z"), length);
            for _ in 0..400 {
                let next = zone.next_bucket(begin, length);
                assert!(next > begin);
                assert_eq!(zone.bucket(begin, length), begin, "{name} {minutes}");
                assert_eq!(zone.bucket(next, length), next, "{name} {minutes}");
                let last = Moment::from_micros(next.micros() - 1);
                assert_eq!(zone.bucket(last, length), begin, "{name} {minutes} {last}");
                begin = next;
            }
        }
    }
}
