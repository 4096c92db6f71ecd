//! Tests of the checks with small documents, most of which contain one error.

use super::document::{Document, Piece};
use super::project::{Package, Project, Target};
use super::{Finding, check};

const HELP: &str = "Reads trails

Usage: auditx [OPTIONS] <COMMAND>

Commands:
  query   Print entries
  key     Manage keys

Options:
      --dir <DIR>  The trail
  -q, --quiet      Less
";
const KEY_HELP: &str = "Usage: auditx key <COMMAND>\n\nCommands:\n  show  Print the public key\n";

fn project() -> Project {
    let target = |name: &str, kind: &str| Target { name: name.to_owned(), kind: kind.to_owned() };
    let package = |name: &str, targets| Package { name: name.to_owned(), targets };
    Project {
        packages: vec![
            package("auditx-core", vec![target("auditx_core", "lib")]),
            package("auditx-cli", vec![target("auditx", "bin")]),
            package("auditx-examples", vec![target("axum-sales", "bin")]),
        ],
        exists: Box::new(|path| {
            ["README.md", "docs/", "docs/FORMAT.md", "crates/auditx-core/", ".ci/run", "tests/data/"]
                .contains(&path)
        }),
        help: Box::new(|words| match words {
            [] => Some(HELP.to_owned()),
            ["query"] => Some("Usage: auditx query [FILTER]".to_owned()),
            ["key"] => Some(KEY_HELP.to_owned()),
            _ => None,
        }),
    }
}

fn findings(path: &str, text: &str) -> Vec<Finding> {
    check(&project(), &[Document::parse(path, text)])
}

#[track_caller]
fn assert_clean(text: &str) {
    assert_eq!(findings("README.md", text), []);
}

/// Asserts that there is one finding, on this line and with this text.
#[track_caller]
fn assert_found(text: &str, line: usize, named: &str) {
    let findings = findings("README.md", text);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].line, line, "{findings:?}");
    assert!(findings[0].what.contains(named), "{findings:?}");
}

#[test]
fn a_link_to_a_missing_file_is_found() {
    assert_clean("See [format](docs/FORMAT.md), [x](https://example.org/none), [me](mailto:a@example.org).");
    assert_found("# A\n\nSee\n[format](docs/FROMAT.md).", 4, "docs/FROMAT.md");
    assert_found("![picture](picture.png)", 1, "picture.png");
    assert_found("[by name][it]\n\n[it]: docs/NONE.md", 1, "docs/NONE.md");
    assert_found("[out](../../elsewhere.md)", 1, "outside the project");
    assert_found("[root](/docs/FORMAT.md)", 1, "outside the project");
}

#[test]
fn a_link_is_resolved_from_the_folder_of_its_document() {
    assert_eq!(findings("docs/FORMAT.md", "[up](../README.md) and [here](FORMAT.md)"), []);
    assert_eq!(findings("docs/FORMAT.md", "[here](README.md)").len(), 1);
}

#[test]
fn an_anchor_without_its_heading_is_found() {
    let text = "# The `auditx` command\n\n## Why?\n\n## Why?\n\n";
    assert_clean(&format!("{text}[a](#the-auditx-command) [b](#why) [c](#why-1)"));
    assert_found(&format!("{text}[d](#how)"), 7, "#how");
}

#[test]
fn a_missing_path_is_found_in_prose_and_in_code() {
    assert_clean(
        "Start at docs/FORMAT.md. Run `./.ci/run`, keep `docs/*.md` and crates/auditx-core/{a,b}.rs.",
    );
    assert_clean("Tests are in tests/data/<name>, see docs/FORMAT.md:12 or https://example.org/docs/none.");
    assert_found("Read docs/none_at_all.md, please.", 1, "docs/none_at_all.md");
    assert_found("Read `crates/auditx-core/src/none.rs`.", 1, "crates/auditx-core/src/none.rs");
    assert_found("```sh\nls\ncat .github/none\n```", 3, ".github/none");
}

#[test]
fn a_crate_that_does_not_exist_is_found() {
    assert_clean("`auditx-core` and auditx-core::Entry; auditx-*; auditx-key.pem; docs/FORMAT.md#auditx-x");
    assert_found("Add `auditx-cores`.", 1, "auditx-cores");
    assert_found("```toml\nauditx-axum = \"1\"\n```", 2, "auditx-axum");
}

#[test]
fn a_task_that_does_not_exist_is_found() {
    assert_clean(
        "`cargo xtask ci`, `cargo xtask test -p auditx-core`, `cargo xtask bench http --json`, `cargo xtask`",
    );
    assert_found("Run `cargo xtask tset`.", 1, "tset");
    assert_found("Run `cargo xtask bench disk`.", 1, "bench disk");
    assert_found("```rust\n// cargo xtask none\n```", 2, "none");
    assert_found("```yaml\n- run: cargo xtask none\n```", 2, "none");
}

#[test]
fn a_cargo_call_with_an_unknown_package_or_target_is_found() {
    assert_clean("`cargo run -p auditx-examples --bin axum-sales`");
    assert_clean("`cargo +stable test --package=auditx-core -- --nocapture`");
    assert_found("`cargo run -p example-server`", 1, "example-server");
    assert_found("`cargo run -p auditx-examples --bin none`", 1, "the bin none");
    assert_found("`cargo run --bin none`", 1, "the bin none");
    assert_found("`cargo test -p auditx-core --test axum-sales`", 1, "the test axum-sales");
}

#[test]
fn a_subcommand_that_the_binary_does_not_know_is_found() {
    assert_clean("`auditx query --user admin`, `auditx key show`, `auditx`");
    assert_clean("`auditx --dir logs query`, `auditx --dir=logs query`, `auditx --quiet`");
    assert_clean("```console\n$ auditx query | jq .\nauditx says something\n```");
    assert_clean("```rust\n// auditx keeps this\n```");
    assert_clean("```sh\nAUDITX_LOG_DIR=logs auditx query # auditx none\n```");
    assert_found("`auditx qeury`", 1, "auditx qeury");
    assert_found("`auditx --dir logs verfy`", 1, "auditx verfy");
    assert_found("`auditx --loud query`", 1, "--loud");
    assert_found("`auditx key shwo`", 1, "auditx key shwo");
    assert_found("```sh\nls && sudo auditx none\n```", 2, "auditx none");
    assert_found("```\njournalctl | auditx none\n```", 2, "auditx none");
    assert_found("`cargo run -p auditx-cli -- none`", 1, "auditx none");
}

#[test]
fn an_unfinished_text_is_found() {
    assert_clean("A method, mastodons, TODOs.");
    assert_found("# A\n\nMore here (TODO).", 3, "TODO");
    assert_found("<!-- TODO: write -->", 1, "TODO");
}

#[test]
fn a_finding_contains_file_line_problem_and_remedy() {
    let finding = &findings("docs/FORMAT.md", "a\n\n[b](none.md)")[0];
    let expected = "docs/FORMAT.md:3: links to docs/none.md, which does not exist, correct the link";
    assert_eq!(finding.to_string(), expected);
}

#[test]
fn output_in_a_console_block_is_not_a_command() {
    let document = Document::parse("README.md", "```console\n$ auditx query\nauditx none\n```\n");
    let shell: Vec<bool> = document.pieces.iter().map(|located| located.piece.is_shell()).collect();
    assert_eq!(shell, [true, false]);
    assert!(matches!(&document.pieces[1].piece, Piece::Block { line, .. } if line == "auditx none"));
}
