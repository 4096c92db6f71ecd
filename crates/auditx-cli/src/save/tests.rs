//! Tests of atomic writes. A child process of this test is killed while it writes.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// Environment variables of a child: the path that it writes, and how.
const PATH_VARIABLE: &str = "AUDITX_TEST_SAVE_PATH";
const METHOD_VARIABLE: &str = "AUDITX_TEST_SAVE_METHOD";

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn with_name(path: &Path) -> NewFile {
    let (file, staging) = named(path, MODE, true).unwrap();
    NewFile { file: BufWriter::new(file), staging, path: path.to_owned() }
}

fn assert_named_when_finished(mut file: NewFile, path: &Path) {
    file.write_all(b"all").unwrap();
    file.finish().unwrap();
    assert_eq!(names(path.parent().unwrap()), ["out"]);
    assert_eq!(fs::read(path).unwrap(), b"all");
}

#[test]
fn a_file_has_no_name_before_it_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let mut file = NewFile::create(&path).unwrap();
    file.write_all(b"some").unwrap();
    file.flush().unwrap();
    assert!(matches!(file.staging, Staging::Nameless));
    assert_eq!(names(directory.path()), [""; 0]);
    drop(file);
    assert_named_when_finished(NewFile::create(&path).unwrap(), &path);
}

#[test]
fn a_new_file_is_private_and_a_replaced_one_keeps_its_mode() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    replace(&path, b"one").unwrap();
    assert_eq!(mode(&path) & !0o640, 0, "{:o}", mode(&path));
    for kept in [0o600, 0o664] {
        fs::set_permissions(&path, fs::Permissions::from_mode(kept)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (kept, b"two".to_vec()));
    }
    assert_eq!(names(directory.path()), ["out"]);
    let public = directory.path().join("metrics");
    publish(&public, b"x").unwrap();
    assert_eq!(mode(&public) & !0o644, 0);
}

#[test]
fn without_nameless_files_a_temporary_name_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let mut file = with_name(&path);
    file.write_all(b"some").unwrap();
    let temporary = temporary_for(&path);
    assert_eq!(mode(&temporary) & !0o640, 0);
    drop(file);
    assert_eq!(names(directory.path()), [""; 0]);
    assert_named_when_finished(with_name(&path), &path);
}

/// Not a test: the code of the child processes below.
#[test]
fn child() {
    let Some(path) = std::env::var_os(PATH_VARIABLE).map(PathBuf::from) else { return };
    let mut file = match std::env::var(METHOD_VARIABLE).as_deref() {
        Ok("named") => with_name(&path),
        _ => NewFile::create(&path).unwrap(),
    };
    file.write_all(&[b'x'; 100_000]).unwrap();
    println!("\nwriting");
    loop {
        std::thread::park();
    }
}

/// Starts a process that writes this file and does not finish.
fn writing(path: &Path, method: &str) -> Child {
    // A process started in the background may ignore some of these signals, and its children inherit that.
    let mut child = Command::new("env")
        .arg("--default-signal=HUP,INT,TERM")
        .arg(std::env::current_exe().unwrap())
        .args(["save::tests::child", "--exact", "--nocapture"])
        .env(PATH_VARIABLE, path)
        .env(METHOD_VARIABLE, method)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "writing"));
    child
}

fn end(mut child: Child, signal: Signal) {
    kill_process(Pid::from_child(&child), signal).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
}

#[test]
fn a_killed_process_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
        end(writing(&path, "nameless"), signal);
        assert_eq!(names(directory.path()), [""; 0], "{signal:?}");
    }
}

#[test]
fn a_signal_removes_the_temporary_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let child = writing(&path, "named");
        assert_eq!(names(directory.path()).len(), 1);
        end(child, signal);
        assert_eq!(names(directory.path()), [""; 0], "{signal:?}");
    }
}
