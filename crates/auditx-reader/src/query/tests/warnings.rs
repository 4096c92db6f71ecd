//! What is said of questions that probably do not mean what they say.

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
    let said = |word: &str, instead: &str| {
        one(word, &format!("{word} is looked for as a word: the field is asked for with {instead}"));
    };
    said("user=admin", "user:admin");
    said("user==Admin", "user:Admin");
    said("user!=admin", "-user:admin");
    said("amount>=1000", "amount:>=1000");
    said("meta.party=Golden", "meta.party:Golden");
    said("path=~^/api", "path:~^/api");
    assert_eq!(warnings("(a OR -user=admin) ref=x").len(), 2);
    for text in ["x=5", "user=", "\"user=admin\"", "path:/a?user=5", "=", "a=b=c", "user!", "e=mc2"] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}

#[test]
fn a_comma_between_thousands_means_or() {
    one("amount:1,000", "amount:1,000 asks for 1 or 000: a comma means OR, and one number is amount:1000");
    one(
        "amount:>1,250,000.10",
        "amount:>1,250,000.10 asks for 1 or 250 or 000.10: a comma means OR, \
         and one number is amount:>1250000.10",
    );
    one("seq:12,050", "seq:12,050 asks for 12 or 050: a comma means OR, and one number is seq:12050");
    one(
        "meta.qty:1,000",
        "meta.qty:1,000 asks for 1 or 000: a comma means OR, and one number is meta.qty:1000",
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
fn a_period_that_ends_before_it_begins_has_nothing() {
    one(
        "since:2026-11-25 until:2026-11-24",
        "nothing can be found: since 2026-11-25T00:00:00.000000Z is not before \
         until 2026-11-24T00:00:00.000000Z",
    );
    assert_eq!(warnings("time:2026-11-23 since:2026-11-24").len(), 1);
    let since = super::now();
    assert_eq!(Query::since(since).and(Query::until(since)).warnings().len(), 1, "as flags say it");
    assert_eq!(warnings("since:2026-11-24 until:2026-11-25"), [""; 0]);
    assert_eq!(warnings("since:2026-11-25 OR until:2026-11-24"), [""; 0]);
}

#[test]
fn what_no_entry_can_be_has_nothing() {
    one(
        "user:admin user:clerk",
        "nothing can be found: no entry is user:admin and user:clerk at once; for either, write OR",
    );
    one(
        "success:true success:false",
        "nothing can be found: no entry is success:true and success:false at once; for either, write OR",
    );
    one("-*", "nothing can be found: every entry is left out with -*");
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
fn what_every_entry_is_finds_all_of_them() {
    one("invoice OR *", "every entry is asked for: one side of OR is *");
    one("user:*,admin", "user:*,admin asks for any value: * is one of them");
    one("path:~.*", "path:~\".*\" asks for every entry: the expression matches any text, the empty one too");
    for text in ["*", "", "user:*", "path:~^$", "path:~.+", "a* *"] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}

#[test]
fn remarks_are_kept_where_questions_are_joined() {
    let joined = query("user=admin").and(query("amount:1,000")).or(query("x")).not();
    assert_eq!(joined.warnings().len(), 2);
    assert_eq!(query("user=admin"), query("\"user=admin\""), "the same question, however it is written");
}
