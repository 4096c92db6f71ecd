//! Queries for values: IP networks, missing and empty values.

use auditx_format::row::Row;

use super::check;
use super::language::INVOICE;
use crate::query::Query;

#[test]
fn a_network_matches_addresses_and_quoted_text_is_literal() {
    check(
        INVOICE,
        &[
            ("ip:192.168.1.0/24", true),
            ("ip:192.168.1.0/25,10.0.0.0/8", true),
            ("ip:192.168.1.128/25", false),
            ("-ip:192.168.1.0/24", false),
            ("ip:\"192.168.1.0/24\"", false),
            ("ip:::ffff:192.168.0.0/112", true),
            ("ip:2001:db8::/32", false),
            ("ip:::/0", false),
        ],
    );
    check(
        r#"{"seq":1,"ip":"2001:0DB8::17"}"#,
        &[
            ("ip:2001:db8::/32", true),
            ("ip:2001:db9::/32", false),
            ("ip:0.0.0.0/0", false),
            ("ip:::/0", true),
        ],
    );
    check(
        r#"{"seq":1,"ip":"::FFFF:c0a8:0107"}"#,
        &[("ip:192.168.1.0/24", true), ("ip:192.168.1.7/32", true), ("ip:192.168.2.0/24", false)],
    );
    check(
        r#"{"seq":1,"ip":"unknown"}"#,
        &[("ip:0.0.0.0/0", false), ("-ip:0.0.0.0/0", true), ("ip:unknown", true)],
    );
    check(r#"{"seq":1,"success":true}"#, &[("ip:0.0.0.0/0", false), ("ip:::/0", false)]);
    assert!(Query::network("192.168.1.0/24").unwrap().matches(&Row::read_text(INVOICE).unwrap()));
    assert_eq!(Query::network("192.168.1.0/33").unwrap_err().at(), 12);
}

#[test]
fn the_empty_text_matches_missing_and_empty_values() {
    check(
        INVOICE,
        &[
            ("amount:\"\"", false),
            ("-amount:\"\"", true),
            ("status:\"\" OR seq:\"\"", false),
            ("amount:\"\",1250000.1", true),
            ("success:\"\"", false),
            ("time:\"\"", false),
            ("meta:\"\" OR old:\"\"", false),
            ("meta.list:\"\" meta.none:\"\" meta.empty:\"\" meta.absent:\"\"", true),
            ("meta.items:\"\"", false),
            ("entity:\"\"", false),
            ("auditx:\"\"", true),
        ],
    );
    check(
        concat!(
            r#"{"timestamp":"2026-11-24T13:30:00Z","amount":null,"metadata":{},"#,
            r#""old_values":null,"new_values":[]}"#,
        ),
        &[
            ("amount:\"\"", true),
            ("-amount:\"\"", false),
            ("amount:\"\",5", true),
            ("amount:5,>7", false),
            ("meta:\"\"", true),
            ("old:\"\" new:\"\"", true),
            ("success:\"\" entity:\"\" ip:\"\"", true),
            ("time:\"\"", false),
        ],
    );
}

#[test]
fn a_value_is_either_present_or_absent() {
    for field in ["amount", "user", "success", "time", "meta", "meta.none", "old.status", "seq", "ip", "kind"]
    {
        for line in
            [INVOICE, r#"{"seq":1,"success":true}"#, r#"{"seq":3,"auditx":{"kind":"gap"},"metadata":{}}"#]
        {
            let row = Row::read_text(line).unwrap();
            let is = |text: &str| super::query(text).matches(&row);
            assert_ne!(is(&format!("{field}:\"\"")), is(&format!("{field}:*")), "{field}: {line}");
        }
    }
}
