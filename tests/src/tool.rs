//! Runs external programs, which `cargo xtask setup` installs.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a program with `input` on standard input, and returns its standard output.
///
/// # Panics
/// If it cannot be started or fails; the message contains its standard error.
#[must_use]
pub fn output_of(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {program} ({error}): run `cargo xtask setup`"));
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    let output = std::thread::scope(|scope| {
        // A failed write is ignored: a program that ends early reports the reason itself.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output()
    })
    .unwrap_or_else(|error| panic!("cannot wait for {program}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} ended with {}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("output of {program}: {error}"))
}

/// Returns a program that `cargo xtask setup` has downloaded, or the one in the search path.
#[must_use]
pub fn fetched(program: &str) -> PathBuf {
    find(&Path::new("bin").join(program)).unwrap_or_else(|| program.into())
}

/// Returns the text of a file that `cargo xtask setup` has downloaded, by its path in its package.
///
/// # Panics
/// If it is missing.
#[must_use]
pub fn fetched_text(path: &str) -> String {
    let found = find(Path::new(path));
    let found = found.unwrap_or_else(|| panic!("{path} is not installed: run `cargo xtask setup`"));
    std::fs::read_to_string(&found).unwrap_or_else(|error| panic!("cannot read {}: {error}", found.display()))
}

/// Returns the folder in which `cargo xtask setup` has installed a Python module, for `PYTHONPATH`.
///
/// # Panics
/// If it is missing.
#[must_use]
pub fn python_module(name: &str) -> PathBuf {
    let found = find(Path::new(name)).and_then(|path| path.parent().map(Path::to_path_buf));
    found.unwrap_or_else(|| panic!("{name} is not installed: run `cargo xtask setup`"))
}

/// Returns the file with this path in a downloaded package; the last package by name if several have it.
fn find(path: &Path) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    let packages = std::fs::read_dir(folder).into_iter().flatten().flatten();
    packages.map(|package| package.path().join(path)).filter(|path| path.exists()).max()
}

/// Returns ports that are currently free.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listener = |()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let listeners = [(); N].map(listener);
    listeners.map(|listener| listener.local_addr().expect("a listener has an address").port())
}
