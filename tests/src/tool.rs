//! Programs of other people that read a trail; `cargo xtask setup` installs them.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Starts a program, gives it `input`, and takes what it prints.
///
/// # Panics
/// Where it is not there, or fails: what it says is then in the message.
#[must_use]
pub fn output_of(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {program} ({error}): run `cargo xtask setup`"));
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    let output = std::thread::scope(|scope| {
        // A program that ends early says why on its own; that it did not read everything is no news then.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output()
    })
    .unwrap_or_else(|error| panic!("cannot wait for {program}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} ended with {}: {complaint}", output.status);
    String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("{program} printed no UTF-8: {error}"))
}

/// A program that `cargo xtask setup` fetched for this workspace, or the one of the search path.
#[must_use]
pub fn fetched(program: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    let packages = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = packages.map(|package| package.path().join("bin").join(program)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| program.into())
}

/// Ports of this machine that are free for now.
///
/// # Panics
/// Where there are none.
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listener = |()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let listeners = [(); N].map(listener);
    listeners.map(|listener| listener.local_addr().expect("it listens").port())
}
