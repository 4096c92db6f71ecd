//! Warnings about queries that probably do not mean what was intended.

use super::query;
use crate::query::Query;

fn warnings(text: &str) -> Vec<String> {
    query(text).warnings().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn one(text: &str, warning: &str) {
    assert_eq!(warnings(text), [warning], "{text}");
}

#[test]
fn a_condition_of_another_language_is_a_word() {
    let check = |word: &str, instead: &str| {
        one(word, &format!("{word} is searched for as a word: to match the field, write {instead}"));
    };
    check("user=admin", "user:admin");
    check("user==Admin", "user:Admin");
    check("user!=admin", "-user:admin");
    check("amount>=1000", "amount:>=1000");
    check("meta.party=Golden", "meta.party:Golden");
    check("path=~^/api", "path:~^/api");
    assert_eq!(warnings("(a OR -user=admin) ref=x").len(), 2);
    for text in ["x=5", "user=", "\"user=admin\"", "path:/a?user=5", "=", "a=b=c", "user!", "e=mc2"] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}

#[test]
fn a_comma_between_thousands_means_or() {
    one("amount:1,000", "amount:1,000 matches 1 or 000: a comma means OR; for one number, write amount:1000");
    one(
        "amount:>1,250,000.10",
        "amount:>1,250,000.10 matches 1 or 250 or 000.10: a comma means OR; \
         for one number, write amount:>1250000.10",
    );
    one("seq:12,050", "seq:12,050 matches 12 or 050: a comma means OR; for one number, write seq:12050");
    one(
        "meta.qty:1,000",
        "meta.qty:1,000 matches 1 or 000: a comma means OR; for one number, write meta.qty:1000",
    );
    for text in [
        "status:404,500",
        "amount:1000,2000",
        "amount:5,>100",
        "amount:1,2",
        "seq:1,200",
        "meta.qty:1,200",
        "meta.x:a,000",
        "user:1,000",
        "amount:0,100.5..700",
    ] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}

#[test]
fn a_period_that_ends_before_it_begins_matches_nothing() {
    one(
        "since:2026-11-25 until:2026-11-24",
        "no entry can match: since 2026-11-25T00:00:00.000000Z is not before \
         until 2026-11-24T00:00:00.000000Z",
    );
    assert_eq!(warnings("time:2026-11-23 since:2026-11-24").len(), 1);
    let since = super::now();
    assert_eq!(Query::since(since).and(Query::until(since)).warnings().len(), 1, "as from flags");
    assert_eq!(warnings("since:2026-11-24 until:2026-11-25"), [""; 0]);
    assert_eq!(warnings("since:2026-11-25 OR until:2026-11-24"), [""; 0]);
}

#[test]
fn contradictory_conditions_match_nothing() {
    one(
        "user:admin user:clerk",
        "no entry can match both user:admin and user:clerk: to match either, write OR",
    );
    one(
        "success:true success:false",
        "no entry can match both success:true and success:false: to match either, write OR",
    );
    one("-*", "no entry can match: -* excludes every entry");
    for text in [
        "user:admin user:a*",
        "level:audit level:AUDIT",
        "user:a,b user:b,c",
        "user:a -user:b",
        "user:a OR user:b",
    ] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}

#[test]
fn conditions_that_exclude_nothing_match_everything() {
    one("invoice OR *", "every entry matches: one side of OR is *");
    one("user:*,admin", "user:*,admin matches any value: one of the values is *");
    one(
        "path:~.*",
        "path:~\".*\" matches every entry: the expression matches any text, including empty text",
    );
    for text in ["*", "", "user:*", "path:~^$", "path:~.+", "a* *"] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}

#[test]
fn warnings_are_kept_when_queries_are_joined() {
    let joined = query("user=admin").and(query("amount:1,000")).or(query("x")).not();
    assert_eq!(joined.warnings().len(), 2);
    assert_eq!(query("user=admin"), query("\"user=admin\""), "equal, however they are written");
}
