use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_symlink_or_fifo_instead_of_a_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let dir = Dir::hold(directory.path(), Modes::default()).unwrap();
    let target = directory.path().join("target");
    fs::write(&target, b"").unwrap();
    symlink(&target, directory.path().join("link")).unwrap();
    assert!(dir.open("link", Access::APPEND).is_err());

    let made = std::process::Command::new("mkfifo").arg(directory.path().join("fifo")).status().unwrap();
    assert!(made.success());
    assert!(dir.open("fifo", Access::APPEND).is_err());
}

#[test]
fn files_and_directories_are_created_with_their_modes() {
    let root = tempfile::tempdir().unwrap();
    let dir = Dir::hold(&root.path().join("a/b"), Modes::default()).unwrap();
    dir.open("file", Access::APPEND.create_new()).unwrap();
    assert_eq!(mode_of(dir.path()) & !0o750, 0);
    assert_eq!(mode_of(&dir.join("file")) & !0o640, 0);
    dir.replace("file", b"new", false).unwrap();
    assert_eq!(dir.read("file").unwrap(), b"new");
}

#[test]
fn configured_modes_ignore_the_umask() {
    let root = tempfile::tempdir().unwrap();
    let modes = Modes { file: Some(0o666), directory: Some(0o2775), group: None };
    let dir = Dir::hold(&root.path().join("a/b"), modes).unwrap();
    dir.create_directory("c").unwrap();
    dir.create_private_directory("keys").unwrap();
    drop(dir.open("appended", Access::APPEND.or_create()).unwrap());
    dir.replace("replaced", b"", false).unwrap();
    dir.replace("key", b"", true).unwrap();
    assert_eq!([mode_of(&root.path().join("a")), mode_of(dir.path()), mode_of(&dir.join("c"))], [0o2775; 3]);
    assert_eq!([mode_of(&dir.join("appended")), mode_of(&dir.join("replaced"))], [0o666; 2]);
    assert_eq!([mode_of(&dir.join("key")), mode_of(&dir.join("keys")) & 0o777], [0o600, 0o700]);
    fs::set_permissions(dir.join("appended"), fs::Permissions::from_mode(0o640)).unwrap();
    drop(dir.open("appended", Access::APPEND.or_create()).unwrap());
    assert_eq!(mode_of(&dir.join("appended")), 0o640, "a later chmod is kept");
}

#[test]
fn names_are_resolved_in_the_opened_directory() {
    let root = tempfile::tempdir().unwrap();
    let dir = Dir::hold(&root.path().join("parent/logs"), Modes::default()).unwrap();
    dir.create_directory("sub").unwrap();
    assert!(dir.is_reachable());
    fs::rename(root.path().join("parent"), root.path().join("moved")).unwrap();
    fs::create_dir_all(dir.path()).unwrap();
    assert!(!dir.is_reachable(), "another directory has its path");
    dir.replace("sub/file", b"bytes", false).unwrap();
    dir.put("other", b"").unwrap();
    dir.rename("other", "sub/other").unwrap();
    assert_eq!(fs::read(root.path().join("moved/logs/sub/file")).unwrap(), b"bytes");
    let mut names = dir.list("sub").unwrap();
    names.sort();
    assert_eq!(names, ["file", "other"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    dir.remove_directory("sub").unwrap();
    assert!(dir.stat("sub").unwrap().is_none());
}

#[test]
fn a_directory_instead_of_a_file_is_moved_aside() {
    let root = tempfile::tempdir().unwrap();
    let dir = Dir::hold(root.path(), Modes::default()).unwrap();
    fs::create_dir_all(dir.join("checkpoint/inside")).unwrap();
    dir.replace("checkpoint", b"signed", false).unwrap();
    assert_eq!(dir.read("checkpoint").unwrap(), b"signed");
    assert!(dir.join("checkpoint.aside/inside").is_dir());
}
