//! What queries match.

use auditx_format::moment::Moment;
use auditx_format::row::{Field, Row};

use super::{check, is_found, now, query};
use crate::query::{Query, text};

pub(super) const INVOICE: &str = concat!(
    r#"{"seq":42,"id":"0193-a","timestamp":"2026-11-24T13:30:00.000000Z","level":"AUDIT","#,
    r#""module":"sales","action":"POST","description":"Sales invoice posted","user":"admin","#,
    r#""company_id":"CO-001","entity_type":"sales_invoice","entity_id":"inv-42","#,
    r#""reference_no":"SI-2026-0042","amount":1250000.10,"currency":"MMK","#,
    r#""old_values":{"status":"draft","address":{"city":"Yangon","zip":"1"},"n":1.0},"#,
    r#""new_values":{"status":"posted","address":{"zip":"1","city":"Mandalay"},"n":1,"extra":null},"#,
    r#""metadata":{"party":"Golden Trading Co.","items":[{"sku":"A-1","qty":5},{"sku":"B-2","#,
    r#""qty":50}],"a.b":"dotted","flag":true,"none":null,"empty":"","big":12345678901234567890.1,"#,
    r#""list":[]},"ip":"192.168.1.10","method":"POST","endpoint":"/sales/invoice?x=1","status":201,"#,
    r#""success":true}"#,
);

#[test]
fn words_are_found_in_values_but_not_in_keys() {
    check(
        INVOICE,
        &[
            ("invoice", true),
            ("INVOICE posted", true),
            ("\"sales invoice\"", true),
            ("\"invoice sales\"", false),
            ("golden b-2", true),
            ("1250000.1", true),
            ("201", true),
            ("sku", false),
            ("metadata", false),
            ("true", false),
            ("invo*post", true),
            ("mandal?y", true),
            ("mandal?ay", false),
            ("*", true),
            ("-*", false),
            ("", true),
            ("  ", true),
        ],
    );
    check(
        concat!(
            r#"{"seq":1,"description":"Caf\u00e9 \"Ba\u0062el\"","user":"ဒေါ်ခင်","#,
            r#""metadata":{"k":"STRASSE ÉTÉ \u212A"}}"#,
        ),
        &[
            ("CAFÉ", true),
            ("babel", true),
            ("\"\\\"babel\\\"\"", true),
            ("ဒေါ်", true),
            ("user:ဒေါ်ခင်", true),
            ("été", true),
            ("straße", false),
            ("\"strasse été k\"", false),
            ("\"été \u{212a}\"", true),
        ],
    );
}

#[test]
fn terms_are_joined_by_and_or_and_not() {
    check(
        INVOICE,
        &[
            ("user:admin action:POST", true),
            ("user:admin AND action:VOID", false),
            ("user:nobody OR action:POST", true),
            ("user:nobody action:POST OR module:sales", true),
            ("user:nobody (action:POST OR module:sales)", false),
            ("-user:nobody", true),
            ("NOT user:admin", false),
            ("NOT (user:admin action:VOID)", true),
            ("--user:admin", true),
            ("-(user:admin)", false),
            ("(invoice)(posted)", true),
            ("or", false),
            ("\"OR\"", false),
        ],
    );
}

#[test]
fn identifiers_are_case_sensitive_and_categories_are_not() {
    check(
        INVOICE,
        &[
            ("user:admin", true),
            ("USER:admin", true),
            ("user:Admin", false),
            ("user:adm", false),
            ("user:guest,admin", true),
            ("user:\"admin\"", true),
            ("ref:SI-2026-0042", true),
            ("ref:SI-2026-*", true),
            ("reference:si-2026-*", false),
            ("ref:SI-????-0042", true),
            ("ref:\"SI-2026-*\"", false),
            ("action:post,void", true),
            ("level:audit module:SALES method:post currency:mmk", true),
            ("level:a*", true),
            ("branch:*", false),
            ("company:*", true),
            ("branch:\"\"", true),
            ("user:\"\"", false),
            ("path:~^/sales/(invoice|order)", true),
            ("path:~INVOICE", false),
            ("path:~(?i)INVOICE", true),
            ("(path:~[(]x)", false),
            ("(path:~/sales)", true),
            ("text:INVOICE", true),
            ("text:\"invoice posted\"", true),
            ("text:inv*ed", true),
            ("description:order", false),
            ("id:0193-a host:\"\"", true),
        ],
    );
}

#[test]
fn text_with_backslashes_is_compared_decoded() {
    check(
        r#"{"seq":1,"user":"a\\\\b","on_behalf_of":"a\\b","metadata":{"k":"\u0061\/\t"}}"#,
        &[
            (r#"user:"a\\\\b""#, true),
            (r#"user:"a\\b""#, false),
            (r#"behalf:"a\\b""#, true),
            (r#"behalf:"a\\\\b""#, false),
            (r"behalf:a\b", true),
            ("meta.k:a/?", true),
            ("meta.k:\"a/\t\"", true),
            ("meta.k:\"a/\"", false),
        ],
    );
}

#[test]
fn an_entity_is_named_by_type_and_id() {
    check(
        INVOICE,
        &[
            ("entity:sales_invoice/inv-42", true),
            ("entity:sales_invoice/inv-4", false),
            ("entity:sales_invoice", true),
            ("entity:sales_invoice/*", true),
            ("entity:sales_*/inv-*", true),
            ("entity:*/inv-42", true),
            ("entity:customer/c-1,sales_invoice/inv-42", true),
            ("entity:customer", false),
            ("type:sales_invoice entity_id:inv-42", true),
            ("entity:\"sales_invoice/inv-42\"", true),
            ("entity:\"sales_invoice/inv-*\"", false),
        ],
    );
}

#[test]
fn numbers_are_compared_as_decimals() {
    check(
        INVOICE,
        &[
            ("amount:1250000.1", true),
            ("amount:1250000.10", true),
            ("amount:125000010e-2", true),
            ("amount:>1250000.09999999999999999999", true),
            ("amount:>1250000.1", false),
            ("amount:>=1250000.1", true),
            ("amount:<1250000.10000000000000000001", true),
            ("amount:<=1250000.1", true),
            ("amount:100..1250000.1", true),
            ("amount:1250000.1..", true),
            ("amount:..1250000", false),
            ("amount:-5..5", false),
            ("amount:5,>10", true),
            ("amount:*", true),
            ("seq:>41 seq:42 seq:..42", true),
            ("status:500..599", false),
            ("status:404,200..299", true),
            ("meta.big:12345678901234567890.10", true),
            ("meta.big:12345678901234567890.11", false),
            ("meta.items.qty:>10", true),
            ("meta.items.qty:6..49", false),
            ("meta.party:>5", false),
        ],
    );
}

#[test]
fn members_are_addressed_by_path() {
    check(
        INVOICE,
        &[
            ("meta.party:\"Golden Trading Co.\"", true),
            ("metadata.party:Golden*", true),
            ("meta.party:golden*", false),
            ("meta.party:~Trading", true),
            ("meta.items.sku:B-2", true),
            ("meta.items:B-2", false),
            ("meta.\"a.b\":dotted", true),
            ("meta.a.b:dotted", false),
            ("meta.flag:true", true),
            ("meta.flag:false", false),
            ("meta.none:null", true),
            ("meta.none:*", false),
            ("meta.none:\"\"", true),
            ("meta.empty:\"\" meta.absent:\"\"", true),
            ("meta.empty:*", false),
            ("meta.list:*", false),
            ("meta.items:*", true),
            ("meta:*", true),
            ("meta.items.qty:5.0", true),
            ("old.status:draft new.status:posted", true),
            ("old.address.city:Yangon", true),
            ("new.address.city:Yangon", false),
            ("old:*", true),
            ("auditx.kind:*", false),
            ("kind:\"\"", true),
        ],
    );
    check(
        r#"{"seq":3,"auditx":{"kind":"checkpoint","size":3},"success":true}"#,
        &[
            ("kind:checkpoint", true),
            ("kind:genesis,checkpoint", true),
            ("auditx.size:3", true),
            ("kind:gap", false),
        ],
    );
}

#[test]
fn changed_compares_old_and_new_values() {
    check(
        INVOICE,
        &[
            ("changed:status", true),
            ("changed:address", true),
            ("changed:address.city", true),
            ("changed:address.zip", false),
            ("changed:n", false),
            ("changed:extra", true),
            ("changed:absent", false),
            ("changed:absent,status", true),
            ("changed:*", true),
            ("changed:\"status\"", true),
        ],
    );
    check(
        concat!(
            r#"{"seq":3,"old_values":{"a":{"x":1,"y":[1,{"k":"A"}]},"d":1,"d":2},"#,
            r#""new_values":{"a":{"y":[1.0,{"k":"\u0041"}],"x":1e0},"d":2}}"#,
        ),
        &[("changed:a", false), ("changed:d", false), ("changed:*", false)],
    );
    check(
        r#"{"seq":3,"new_values":{"a":1}}"#,
        &[("changed:a", true), ("changed:b", false), ("changed:*", true)],
    );
    let legacy = r#"{"timestamp":"2026-11-24T13:30:00Z","old_values":null,"new_values":null}"#;
    check(legacy, &[("changed:*", false), ("old:*", false), ("old:null", false), ("old:\"\"", true)]);
}

#[test]
fn times_restrict_what_matches() {
    check(
        INVOICE,
        &[
            ("since:2h", true),
            ("since:1h", false),
            ("until:1h", true),
            ("until:2026-11-24T13:30:00Z", false),
            ("since:2026-11-24T13:30:00Z", true),
            ("since:2026-11-24T20:00:00+06:30", true),
            ("since:today until:now", true),
            ("since:yesterday until:today", false),
            ("time:today", true),
            ("time:2026-11-24", true),
            ("time:yesterday", false),
            ("time:2026-11-01..2026-11-24", true),
            ("time:2026-11-01..2026-11-23", false),
            ("time:>2026-11-24", false),
            ("time:>=2026-11-24", true),
            ("time:<2026-11-24", false),
            ("time:<=2026-11-24", true),
            ("time:2h", true),
            ("time:30m", false),
            ("time:yesterday,today", true),
            ("time:\"2026-11-24 13:30:00\"", true),
            ("-time:today", false),
            ("timestamp:*", true),
        ],
    );
}

#[test]
fn success_is_true_if_a_legacy_line_omits_it() {
    check(
        INVOICE,
        &[("success:true", true), ("success:false", false), ("-success:false", true), ("success:TRUE", true)],
    );
    let legacy = r#"{"timestamp":"2026-11-24T13:30:00Z","user":null}"#;
    check(
        legacy,
        &[("success:true", true), ("success:false", false), ("user:\"\"", true), ("user:*", false)],
    );
    let erased = r#"{"seq":7,"erased":"00"}"#;
    check(erased, &[("success:true", false), ("success:false", false), ("erased:*", true)]);
}

#[test]
fn builder_values_are_taken_literally() {
    let row = Row::read_text(INVOICE).unwrap();
    let is = |query: &Query| query.matches(&row);
    assert!(is(&Query::is(Field::User, ["guest", "admin"])));
    assert!(!is(&Query::is(Field::User, ["*"])) && !is(&Query::is(Field::ReferenceNo, ["SI-*"])));
    assert!(is(&Query::is(Field::User, Vec::<String>::new())));
    assert!(is(&Query::is(Field::Action, ["post"]).and(Query::is(Field::Level, ["Audit"]))));
    assert!(is(&Query::is(Field::Status, ["201"])) && !is(&Query::is(Field::Status, ["2..300"])));
    assert!(!is(&Query::is(Field::Status, ["many"])) && is(&Query::is(Field::Status, ["many", "201"])));
    assert!(is(&Query::entity("sales_invoice", Some("inv-42"))) && is(&Query::entity("sales_invoice", None)));
    assert!(!is(&Query::entity("sales_invoice", Some("*"))));
    assert!(is(&Query::words("POSTED invoice")) && !is(&Query::phrase("posted invoice")));
    assert!(is(&Query::words(" ")) && is(&Query::phrase("")));
    assert!(is(&Query::success(true)) && !is(&Query::success(true).not()));
    assert!(is(&Query::words("absent").or(Query::success(true))));
    assert!(is(&Query::named("meta.party", ["Golden Trading Co."]).unwrap()));
    assert!(Query::named("meta.", ["x"]).is_err() && Query::named("user x", ["x"]).is_err());
    let user = Query::is(Field::User, ["a OR b", "c\"d\\"]);
    assert_eq!(user.to_string(), r#"user:"a OR b","c\"d\\""#);
    assert_eq!(query(&user.to_string()), user);
}

#[test]
fn queries_are_displayed_in_a_canonical_form() {
    for (text, shown) in [
        ("  a   AND b ", "a b"),
        ("(a (b c)) OR ((d))", "a b c OR d"),
        ("a (b OR c)", "a (b OR c)"),
        ("NOT NOT a", "a"),
        ("NOT (a b)", "-(a b)"),
        ("Invoice \"A B\"", "invoice \"a b\""),
        ("reference_no:SI-*", "ref:SI-*"),
        ("entity:customer/c-1", "type:customer entity_id:c-1"),
        ("since:2h", "since:2026-11-24T13:24:54.000000Z"),
        ("amount:5 status:400..499 seq:>=7", "amount:5 status:400..499 seq:>=7"),
        ("path:~^/a", "path:~\"^/a\""),
        ("metadata.\"a.b\".c:x", "meta.\"a.b\".c:x"),
        ("kind:gap", "auditx.kind:gap"),
        ("* a", "a"),
        ("* OR a", ""),
        ("-*", "-*"),
    ] {
        assert_eq!(query(text).to_string(), shown, "{text}");
        assert_eq!(query(shown), query(text), "{text}");
    }
    let beyond = Query::since(Moment::from_micros(i64::MIN)).and(Query::until(Moment::from_micros(i64::MAX)));
    assert_eq!(query(&beyond.to_string()), beyond);
}

#[test]
fn folding_keeps_ascii_words_findable_by_bytes() {
    use std::collections::HashMap;
    let mut folding: HashMap<char, Vec<char>> = HashMap::new();
    for c in (0..=0x10_ffff).filter_map(char::from_u32) {
        let folded = text::fold(c);
        assert_eq!(text::fold(folded), folded, "{c:?}");
        assert_eq!(c.is_ascii(), folded.is_ascii(), "{c:?}");
        folding.entry(folded).or_default().push(c);
    }
    for (folded, from) in folding {
        if text::folds_uniquely(folded) && !folded.is_ascii() {
            assert_eq!(from, [folded], "the bytes of {folded:?} do not cover all that match it");
        }
    }
}

#[test]
fn a_query_can_be_shared() {
    fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<Query>();
    assert_eq!(Query::default(), Query::everything());
    assert!(is_found("", r#"{"seq":1,"success":true}"#));
    assert_eq!(Query::parse("a", now()).unwrap(), "a".parse().unwrap());
}
