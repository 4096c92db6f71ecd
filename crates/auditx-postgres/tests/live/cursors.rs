//! Cursors that are damaged, stale, lost or cannot be saved, and trails that are copied: no line is
//! duplicated or missing.

use std::process::Command;

use auditx_tests::tmpfs::Tmpfs;

use super::*;

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(status.success());
}

fn cursor(directory: &Path) -> std::path::PathBuf {
    let [(name, _)] = &shipper_positions(directory).unwrap()[..] else { panic!() };
    directory.join(format!(".auditx/cursors/ship-{name}"))
}

/// Ships the whole trail and returns the number of lines sent.
fn shipped(server: &Server, directory: &Path) -> u64 {
    let shipper = ship(directory, server, server.port());
    wait_for_all(&shipper, lines(directory).len());
    let sent = shipper.progress().sent;
    stop(shipper);
    assert_same(server, directory);
    sent
}

#[test]
fn a_damaged_stale_or_lost_cursor_sends_nothing_again() {
    let (server, directory) = (server(), trail(500));
    assert_eq!(shipped(&server, directory.path()), 503);
    let old = fs::read(cursor(directory.path())).unwrap();
    let logger = open(directory.path());
    logger.log("one more").record().unwrap();
    logger.close(TIMEOUT).unwrap();
    let more = shipped(&server, directory.path());
    assert!(more > 0 && more < 10, "{more}");
    let saved = cursor(directory.path());

    fs::write(&saved, &old).unwrap();
    assert_eq!(shipped(&server, directory.path()), 0, "stale");
    let damaged: Vec<u8> = fs::read(&saved).unwrap().iter().map(|byte| byte ^ 0xff).collect();
    fs::write(&saved, damaged).unwrap();
    assert_eq!(shipped(&server, directory.path()), 0, "damaged");
    fs::write(&saved, &old[..old.len() / 2]).unwrap();
    assert_eq!(shipped(&server, directory.path()), 0, "truncated");
    fs::remove_dir_all(saved.parent().unwrap()).unwrap();
    fs::create_dir(saved.parent().unwrap()).unwrap();
    assert_eq!(shipped(&server, directory.path()), 0, "lost");
}

#[test]
fn a_cursor_that_cannot_be_saved_only_delays_retention() {
    let (server, made) = (server(), trail(300));
    let disk = Tmpfs::mount(1024 * 1024).expect("this test mounts a small file system: run it as root");
    fs::remove_file(made.path().join(".auditx/ring")).unwrap();
    copy(made.path(), disk.path());
    let filler = disk.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    let shipper = ship(disk.path(), &server, server.port());
    let is_reported = |progress: &Progress| progress.last_error.contains("the cursor cannot be saved");
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, is_reported), "{:?}", shipper.progress());
    wait_for_all(&shipper, lines(made.path()).len());
    assert_eq!(shipper_positions(disk.path()).unwrap()[0].1, 0, "retention waits");
    drop(file);
    fs::remove_file(filler).unwrap();
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.unsaved() == 0));
    stop(shipper);
    assert_same(&server, disk.path());
}

#[test]
fn a_moved_trail_continues_and_a_second_copy_is_refused() {
    let (server, directory) = (server(), trail(200));
    shipped(&server, directory.path());
    // Other files, inodes and directories, but the same lines.
    let [moved, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    copy(directory.path(), moved.path());
    copy(directory.path(), other.path());
    assert_eq!(shipped(&server, moved.path()), 0);
    for (copy, text) in [(&moved, "here"), (&other, "there")] {
        let logger = open(copy.path());
        logger.log(format!("Recorded {text}")).record().unwrap();
        logger.close(TIMEOUT).unwrap();
    }
    assert!(shipped(&server, moved.path()) > 0);
    let shipper = ship(other.path(), &server, server.port());
    let ended = |progress: &Progress| progress.state == State::Ended;
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, ended), "{:?}", shipper.progress());
    assert!(shipper.stop(Instant::now() + TIMEOUT).unwrap_err().is_diverged());
    assert_same(&server, moved.path());
}
