//! What a search looks for.

use auditx_format::moment::Moment;

use super::query;
use crate::query::plan::Needle;

/// The literals, those that ignore case with a prefix `i`; `None` if any line is a candidate.
fn needle(text: &str) -> Option<Vec<String>> {
    let Needle::OneOf(literals) = query(text).plan().needle else { return None };
    let show = |literal: crate::query::Literal| {
        let mark = if literal.ignores_case { "i " } else { "" };
        format!("{mark}{}", String::from_utf8(literal.bytes).unwrap())
    };
    Some(literals.into_iter().map(show).collect())
}

#[test]
fn a_search_looks_for_the_most_selective_part() {
    for (text, literals) in [
        ("entity:sales_invoice/inv-42", &["\"inv-42\""][..]),
        ("user:administrator ref:SI-1 module:inventory", &["\"SI-1\""]),
        ("user:admin module:inventory", &["\"admin\""]),
        ("module:inventory level:AUDIT", &["i \"inventory\""]),
        ("user:b,a", &["\"a\"", "\"b\""]),
        ("user:a OR ref:x", &["\"a\"", "\"x\""]),
        ("invoice", &["i invoice"]),
        ("2026-0042", &["2026-0042"]),
        ("\"Sales invoice\"", &["i sales invoice"]),
        ("éclair", &["i clair"]),
        ("ဒေါ်ခင်", &["ဒေါ်ခင်"]),
        ("user:éclair", &["\"éclair\""]),
        ("ref:SI-2026-*", &["\"SI-2026-"]),
        ("ref:*-0042", &["-0042\""]),
        ("ref:SI-*-0042", &["-0042\""]),
        ("meta.code:SI-*", &["SI-"]),
        ("inv*42-7", &["42-7"]),
        ("meta.party:\"Golden Trading Co.\"", &["\"Golden Trading Co.\""]),
        ("meta.quantity:>5", &["\"quantity\""]),
        ("meta.flag:true", &["\"flag\""]),
        ("changed:credit_limit", &["\"credit_limit\""]),
        ("kind:checkpoint", &["\"checkpoint\""]),
        ("success:false", &["false"]),
        ("status:500..599 -user:admin", &["\"status\""]),
        ("ip:192.168.1.0/24", &["\"192.168.1.", "i :ffff:"]),
        ("ip:192.168.1.0/23", &["\"192.168.", "i :ffff:"]),
        ("ip:192.168.1.1/32", &["\"192.168.1.1", "i :ffff:"]),
        ("ip:2001:db8::/32", &["\"ip\""]),
        ("ip:0.0.0.0/0", &["\"ip\""]),
        ("erased:*", &["\"erased\""]),
        // Such text is never verbatim: only lines with a backslash can contain it.
        ("user:\"a\\\"b\" ref:x", &[]),
        ("\"back\\\\slash\"", &[]),
    ] {
        assert_eq!(
            needle(text).as_deref(),
            Some(literals.iter().map(|&text| text.to_owned()).collect::<Vec<_>>().as_slice()),
            "{text}"
        );
    }
}

#[test]
fn any_line_is_a_candidate_without_a_certain_literal() {
    for text in [
        "",
        "-user:admin",
        "user:admin OR amount:>5 OR seq:5",
        "seq:5",
        "user:\"\"",
        "meta.x:\"\"",
        "path:~^$",
        "success:true",
        "é",
        "since:2h",
        "user",
        "e",
        "user:*",
        "?",
        "changed:*",
        "old:5",
        "user:a OR -user:b",
    ] {
        assert_eq!(needle(text), None, "{text}");
    }
}

#[test]
fn times_that_every_match_obeys_bound_the_search() {
    let times = |text: &str| {
        let plan = query(text).plan();
        (plan.since, plan.until)
    };
    let at = |text: &str| Moment::parse_date(text);
    assert_eq!(
        times("since:2026-11-01 until:2026-11-10 since:2026-11-03 a"),
        (at("2026-11-03"), at("2026-11-10"))
    );
    assert_eq!(times("time:2026-11-01,2026-11-05"), (at("2026-11-01"), at("2026-11-06")));
    assert_eq!(times("since:2026-11-01 OR until:2026-11-05"), (None, None));
    assert_eq!(times("since:2026-11-01 OR a"), (None, None));
    assert_eq!(times("(since:2026-11-01 OR since:2026-10-01) -until:2026-11-05"), (at("2026-10-01"), None));
}
