//! Tests of `auditx man` and `auditx completions`.

use std::fs;
use std::path::Path;

use crate::program::{ended, without_trail};
use crate::trail::directory;

#[test]
fn docs_cli_md_is_up_to_date() {
    let made = ended(&mut without_trail(&["man", "--markdown"]));
    assert_eq!((made.status, made.err.as_str()), (Some(0), ""));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CLI.md");
    if std::env::var_os("AUDITX_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &made.out).unwrap();
    }
    let document = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(made.out, document, "docs/CLI.md is stale: run this test with AUDITX_BLESS=1");
}

#[test]
fn every_visible_command_has_a_manual_page() {
    let out = directory();
    let place = out.path().join("man1");
    let made = ended(&mut without_trail(&["man", "--out", place.to_str().unwrap()]));
    assert_eq!(made.status, Some(0), "{}", made.err);
    for name in ["auditx", "auditx-query", "auditx-key-show", "auditx-bundle"] {
        let page = fs::read_to_string(place.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
}

#[test]
fn every_shell_has_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = ended(&mut without_trail(&["completions", shell]));
        assert_eq!(script.status, Some(0), "{shell}");
        assert!(script.out.contains("history") && script.out.contains("around"), "{shell}");
    }
}
