//! Tests of `auditx help`.

use crate::program::{Ended, ended, without_trail};

fn help(arguments: &[&str]) -> Ended {
    ended(&mut without_trail(arguments))
}

#[test]
fn the_help_command_equals_the_help_flag() {
    let of_itself = help(&["help", "--help"]);
    assert_eq!((of_itself.status, of_itself.err.as_str()), (Some(0), ""));
    assert!(of_itself.out.contains("Usage: auditx help [COMMAND]..."), "{}", of_itself.out);
    for words in [&["query"][..], &["key"], &["key", "rotate"], &["ship", "status"], &["help"]] {
        let by_word = help(&[&["help"], words].concat());
        let by_flag = help(&[words, &["--help"]].concat());
        assert_eq!((by_word.status, by_word.err.as_str()), (Some(0), ""), "{words:?}");
        assert_eq!(by_word.out, by_flag.out, "{words:?}");
    }
    assert_eq!(help(&["key", "help", "rotate"]).out, help(&["key", "rotate", "--help"]).out);
    assert_eq!(help(&["key", "help"]).out, help(&["key", "--help"]).out);
    assert_eq!(help(&["help"]).out, help(&["--help"]).out);
    assert_eq!(help(&["query", "help", "-h"]).out, help(&["query", "-h"]).out);
}

#[test]
fn an_unknown_command_is_an_error() {
    let nonsense = help(&["help", "nonsense"]);
    assert_eq!((nonsense.status, nonsense.out.as_str()), (Some(2), ""));
    assert!(nonsense.err.starts_with("auditx: unrecognized subcommand 'nonsense'"), "{}", nonsense.err);
    let near = help(&["help", "qurey"]);
    assert!(near.err.contains("'query'"), "{}", near.err);
    let below = help(&["help", "query", "nonsense"]);
    assert_eq!(
        (below.status, below.err.as_str()),
        (Some(2), "auditx: query has no subcommand \"nonsense\"\n")
    );
    assert_eq!(help(&["help", "key", "nonsense"]).status, Some(2));
}
