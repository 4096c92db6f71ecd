//! Error messages of the parser, and the positions that they mark.

use super::now;
use crate::query::{Query, QueryError};

fn error(text: &str) -> QueryError {
    Query::parse(text, now()).expect_err(text)
}

/// An invalid query, the mark under its error, and the message.
const INVALID: &[(&str, &str, &str)] = &[
    ("usr:admin", "^^^      ", "unknown field \"usr\": did you mean \"user\"?"),
    ("a colour:red", "  ^^^^^^    ", "unknown field \"colour\""),
    ("12:30", "^^", "unknown field \"12\""),
    (":x", "^", "expected a field name before the colon"),
    ("user.name:x", "     ^^^^", "\"user\" has no members"),
    ("meta.:x", "     ^", "expected a member name after the dot"),
    ("meta.\"a\"", "        ^", "expected a colon after the name"),
    ("user:", "     ^", "expected a value after the colon"),
    ("user: admin", "     ^", "expected a value after the colon"),
    ("user:a,", "       ^", "expected a value after the comma"),
    ("amount:>", "        ^", "expected a value after >"),
    ("user:>5", "      ^", "> compares numbers and times, but \"user\" is text"),
    ("amount:much", "       ^^^^", "\"much\" is not a number"),
    ("amount:1..many", "          ^^^^", "\"many\" is not a number"),
    ("amount:500..100", "       ^^^^^^^^", "the range ends before it begins"),
    ("amount:~5", "        ^", "regular expressions match only text, but \"amount\" is a number"),
    ("ip:192.168.1.0/33", "               ^^", "invalid prefix length \"33\": expected 0 to 32"),
    ("ip:::1,10.0/8", "       ^^^^", "\"10.0\" is not an IP address"),
    ("ip:10.0.0.0/", "            ^", "invalid prefix length \"\": expected 0 to 32"),
    ("status:5??", "       ^^^", "\"5??\" is not a number"),
    ("meta.n:>x", "        ^", "\"x\" is not a number"),
    ("meta:gold", "     ^^^^", "\"meta\" is an object: name one of its members"),
    ("success:maybe", "        ^^^^^", "\"success\" takes true or false"),
    ("entity:>x", "        ^", "\"entity\" does not support >"),
    ("entity:a/>5", "       ^^^^", "\"entity\" does not support >"),
    ("changed:a*", "        ^^", "expected a member name after changed:"),
    ("changed:a..b", "        ^^^^", "expected a member name on both sides of each dot"),
    ("since:tomorrow", "      ^^^^^^^^", "invalid time \"tomorrow\""),
    ("since:today,now", "            ^^^", "\"since\" takes one time"),
    ("time:today..yesterday", "     ^^^^^^^^^^^^^^^^", "the range ends before it begins"),
    ("time:~2026", "      ^^^^", "regular expressions match only text, not times"),
    ("path:~a(b", "      ^^^", "invalid regular expression: unclosed group"),
    (
        "path:~\\w{500}{500}",
        "      ^^^^^^^^^^^^",
        "invalid regular expression: it compiles to more than 1 MiB",
    ),
    ("a OR", "  ^^", "expected a term after OR"),
    ("OR a", "^^", "expected a term before OR"),
    ("a AND OR b", "  ^^^", "expected a term after AND"),
    ("a (b OR) c", "     ^^", "expected a term after OR"),
    ("NOT", "^^^", "expected a term after NOT"),
    ("a - b", "  ^", "expected a term directly after -"),
    ("a ()", "  ^^", "empty parentheses"),
    ("a (b", "  ^", "unclosed parenthesis"),
    ("(", "^", "unclosed parenthesis"),
    ("a) b", " ^", "unmatched closing parenthesis"),
    (")", "^", "unmatched closing parenthesis"),
    ("a \"b c", "  ^", "unclosed quotation mark"),
    ("user:\"a", "     ^", "unclosed quotation mark"),
    ("\"\"", "^^", "expected text between the quotation marks"),
    ("a\"b\"", " ^", "expected a space before this"),
    ("f(x)", " ^", "expected a space before this"),
    ("user:a(b)", "      ^", "expected a space before this"),
];

#[test]
fn errors_are_marked_at_their_position() {
    for (text, mark, message) in INVALID.iter().copied() {
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
fn a_query_that_is_too_long_or_deep_is_rejected() {
    let deep = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Query::parse(&deep(64), now()).is_ok());
    assert_eq!((error(&deep(65)).message(), error(&deep(65)).at()), ("nested more than 64 levels deep", 64));
    assert_eq!(error(&format!("{}a", "-".repeat(65))).message(), "nested more than 64 levels deep");
    assert!(Query::parse(&"a".repeat(16 * 1024), now()).is_ok());
    let long = error(&"é".repeat(9_000));
    assert_eq!(
        (long.message(), long.at(), long.len()),
        ("the query is longer than 16384 bytes", 16_384, 18_000 - 16_384)
    );
    assert!(long.to_string().lines().all(|line| line.chars().count() < 200), "{long}");
    let expressions = |count: usize| vec!["path:~a"; count].join(" ");
    assert!(Query::parse(&expressions(16), now()).is_ok());
    assert_eq!(error(&expressions(17)).message(), "more than 16 regular expressions");
}

#[test]
fn the_mark_aligns_with_wide_and_combining_characters() {
    let text = "\"会社 e\u{301}\" usr:x";
    let shown = error(text).to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[1], format!("  {text}"));
    // The ideographs are two columns wide each, the accent none.
    assert_eq!(lines[2], format!("  {}^^^", " ".repeat(9)));
    let wide = error("会社:x").to_string();
    assert_eq!(wide.lines().nth(2), Some("  ^^^^"));
}

#[test]
fn an_error_shows_one_line_without_control_characters() {
    let shown = error("user:admin\n\t\u{1b}[2J usr:\u{202e}x\nmore").to_string();
    assert_eq!(shown.lines().nth(1), Some("   \u{fffd}[2J usr:\u{fffd}x"));
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
}
