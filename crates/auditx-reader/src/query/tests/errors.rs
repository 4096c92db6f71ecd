//! What mistakes are told, and under which character.

use super::now;
use crate::query::{Query, QueryError};

fn error(text: &str) -> QueryError {
    Query::parse(text, now()).expect_err(text)
}

/// A question, the mark under its mistake, and the message.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("usr:admin", "^^^      ", "no field is called \"usr\": did you mean \"user\"?"),
    ("a colour:red", "  ^^^^^^    ", "no field is called \"colour\""),
    ("12:30", "^^", "no field is called \"12\""),
    (":x", "^", "a field's name is due before the colon"),
    ("user.name:x", "     ^^^^", "\"user\" has no members"),
    ("meta.:x", "     ^", "a member's name is due after the dot"),
    ("meta.\"a\"", "        ^", "a colon is due after a name"),
    ("user:", "     ^", "a value is due after the colon"),
    ("user: admin", "     ^", "a value is due after the colon"),
    ("user:a,", "       ^", "a value is due after the comma"),
    ("amount:>", "        ^", "a value is due after >"),
    ("user:>5", "      ^", "> compares numbers and times, and \"user\" is text"),
    ("amount:much", "       ^^^^", "\"much\" is no number"),
    ("amount:1..many", "          ^^^^", "\"many\" is no number"),
    ("amount:500..100", "       ^^^^^^^^", "a range that ends before it begins"),
    ("amount:~5", "        ^", "\"amount\" is a number, and regular expressions are for text"),
    ("ip:192.168.1.0/33", "               ^^", "invalid prefix length \"33\": expected 0 to 32"),
    ("ip:::1,10.0/8", "       ^^^^", "\"10.0\" is no IP address"),
    ("ip:10.0.0.0/", "            ^", "invalid prefix length \"\": expected 0 to 32"),
    ("status:5??", "       ^^^", "\"5??\" is no number"),
    ("meta.n:>x", "        ^", "\"x\" is no number"),
    ("meta:gold", "     ^^^^", "\"meta\" holds members: which one is meant?"),
    ("success:maybe", "        ^^^^^", "\"success\" is true or false"),
    ("entity:>x", "        ^", "> does not go with \"entity\""),
    ("entity:a/>5", "       ^^^^", "> does not go with \"entity\""),
    ("changed:a*", "        ^^", "a member's name is due after changed:"),
    ("changed:a..b", "        ^^^^", "a member's name is due beside each dot"),
    ("since:tomorrow", "      ^^^^^^^^", "\"tomorrow\" is no time"),
    ("since:today,now", "            ^^^", "\"since\" takes one time"),
    ("time:today..yesterday", "     ^^^^^^^^^^^^^^^^", "a range that ends before it begins"),
    ("time:~2026", "      ^^^^", "regular expressions are for text, and this is a time"),
    ("path:~a(b", "      ^^^", "bad regular expression: unclosed group"),
    ("path:~\\w{500}{500}", "      ^^^^^^^^^^^^", "bad regular expression: it grows too large"),
    ("a OR", "  ^^", "a term is due after OR"),
    ("OR a", "^^", "a term is due before OR"),
    ("a AND OR b", "  ^^^", "a term is due after AND"),
    ("a (b OR) c", "     ^^", "a term is due after OR"),
    ("NOT", "^^^", "a term is due after NOT"),
    ("a - b", "  ^", "a term is due right after -"),
    ("a ()", "  ^^", "brackets with nothing in them"),
    ("a (b", "  ^", "a bracket that is not closed"),
    ("(", "^", "a bracket that is not closed"),
    ("a) b", " ^", "a bracket that closes nothing"),
    (")", "^", "a bracket that closes nothing"),
    ("a \"b c", "  ^", "a quotation mark without the one that ends it"),
    ("user:\"a", "     ^", "a quotation mark without the one that ends it"),
    ("\"\"", "^^", "a text is due between the quotation marks"),
    ("a\"b\"", " ^", "a blank is due before this"),
    ("f(x)", " ^", "a blank is due before this"),
    ("user:a(b)", "      ^", "a blank is due before this"),
];

#[test]
fn a_mistake_is_marked_where_it_is() {
    for (text, mark, message) in MISTAKES.iter().copied() {
        let error = error(text);
        assert_eq!(error.message(), message, "{text}");
        let shown = error.to_string();
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[0], message);
        assert_eq!(lines[1].trim_end(), format!("  {text}").trim_end());
        assert_eq!(lines[2], format!("  {mark}").trim_end(), "{shown}");
        assert_eq!(lines.get(3).is_some(), error.help().is_some());
        assert!(
            text.is_char_boundary(error.at()) && text.is_char_boundary(error.at() + error.len()),
            "{text}"
        );
    }
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    let deep = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Query::parse(&deep(64), now()).is_ok());
    assert_eq!((error(&deep(65)).message(), error(&deep(65)).at()), ("nested deeper than 64 times", 64));
    assert_eq!(error(&format!("{}a", "-".repeat(65))).message(), "nested deeper than 64 times");
    assert!(Query::parse(&"a".repeat(16 * 1024), now()).is_ok());
    let long = error(&"é".repeat(9_000));
    assert_eq!(
        (long.message(), long.at(), long.len()),
        ("a query longer than 16384 bytes", 16_384, 18_000 - 16_384)
    );
    assert!(long.to_string().lines().all(|line| line.chars().count() < 200), "{long}");
    let expressions = |count: usize| vec!["path:~a"; count].join(" ");
    assert!(Query::parse(&expressions(16), now()).is_ok());
    assert_eq!(error(&expressions(17)).message(), "more than 16 regular expressions");
}

#[test]
fn the_mark_stands_under_wide_and_combining_characters() {
    let text = "\"会社 e\u{301}\" usr:x";
    let shown = error(text).to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[1], format!("  {text}"));
    // Two columns for each of the two, none for the accent.
    assert_eq!(lines[2], format!("  {}^^^", " ".repeat(9)));
    let wide = error("会社:x").to_string();
    assert_eq!(wide.lines().nth(2), Some("  ^^^^"));
}

#[test]
fn a_mistake_is_shown_in_its_line_and_nothing_a_terminal_obeys() {
    let shown = error("user:admin\n\t\u{1b}[2J usr:\u{202e}x\nmore").to_string();
    assert_eq!(shown.lines().nth(1), Some("   \u{fffd}[2J usr:\u{fffd}x"));
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
}
