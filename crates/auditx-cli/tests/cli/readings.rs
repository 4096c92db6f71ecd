//! Tests of the reading commands on damaged trails, on a read-only mount, and as another user.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use auditx_store::ACTIVE;
use auditx_tests::random::Random;
use auditx_tests::readings::{Readings, record_and_wait_to_be_killed};
use auditx_tests::snapshot::Snapshot;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{auditx, ended};

/// The number of damaged trails, unless the environment sets another.
const ROUNDS: u64 = 300;

/// The environment variable for that number.
const ROUNDS_VARIABLE: &str = "AUDITX_TEST_ROUNDS";

/// The environment variable of the recording process: the directory.
const RECORDER: &str = "AUDITX_TEST_KILLED_RECORDER";

fn recorder(directory: &Path) -> Command {
    let mut command = Command::new("sh");
    // Ignoring SIGXFSZ without unsafe code needs a shell.
    command.args(["-c", "trap '' XFSZ && exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    command.args(["readings::the_process_that_is_killed", "--exact", "--nocapture"]);
    command.env(RECORDER, directory);
    command
}

/// Does nothing unless another test starts it as a separate process.
#[test]
fn the_process_that_is_killed() {
    if let Some(directory) = std::env::var_os(RECORDER) {
        record_and_wait_to_be_killed(Path::new(&directory));
    }
}

fn readings(random: Random) -> Readings {
    Readings::new(Path::new(env!("CARGO_BIN_EXE_auditx")), recorder, random)
}

#[test]
fn damage_to_a_trail_is_reported_or_has_no_effect() {
    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |text| text.parse().unwrap());
    let mut readings = readings(Random::seeded());
    let faults: Vec<String> = (0..rounds).flat_map(|_| readings.round()).collect();
    let tally = readings.tally();
    eprintln!("{tally:?}");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(tally.right > rounds && tally.refused > rounds / 2, "{tally:?}");
}

#[test]
fn reading_commands_change_no_file() {
    let faults =
        readings(Random::of(11)).each_command(|_| (), &|_| Command::new(env!("CARGO_BIN_EXE_auditx")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn reading_commands_work_on_a_read_only_mount() {
    let mut readings = readings(Random::of(12));
    let faults = if can_mount() {
        let mount =
            "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && ! touch \"$0\" && exec \"$@\"";
        readings.each_command(|_| (), &|directory| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &format!("exec 3>&2 2>/dev/null; {mount} 2>&3")]);
            command.arg(directory).arg(env!("CARGO_BIN_EXE_auditx"));
            command
        })
    } else {
        eprintln!("this process may not mount: the files are only made read-only by their modes");
        readings
            .each_command(|directory| run(Command::new("chmod").args(["-R", "a-w"]).arg(directory)), &|_| {
                Command::new(env!("CARGO_BIN_EXE_auditx"))
            })
    };
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn reading_commands_work_for_another_user_of_the_group() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("this process may not become another user: only files that it may not write are tried");
        let faults = readings(Random::of(13))
            .each_command(|directory| run(Command::new("chmod").args(["-R", "u-w"]).arg(directory)), &|_| {
                Command::new(env!("CARGO_BIN_EXE_auditx"))
            });
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        return;
    }
    let program = reachable_program();
    let faults = readings(Random::of(13)).each_command(
        |directory| run(Command::new("chgrp").args(["-R", &NOBODY.to_string()]).arg(directory)),
        &|_| {
            let mut command = Command::new(program.path().join("auditx"));
            command.uid(NOBODY).gid(NOBODY);
            command
        },
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_file_without_permission_is_reported() {
    let readings = readings(Random::of(14));
    let directory = readings.copy_of("erased");
    let sealed = auditx_store::sealed_segments(&*directory).unwrap();
    fs::set_permissions(&sealed[2].path, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = crate::program::command(&["query", "--count"], &directory);
    let _program = rustix::process::geteuid().is_root().then(|| {
        run(Command::new("chgrp").args(["-R", &NOBODY.to_string()]).arg(&directory));
        let program = reachable_program();
        command = Command::new(program.path().join("auditx"));
        command.args(["query", "--count", "--dir"]).arg(&directory).uid(NOBODY).gid(NOBODY);
        program
    });
    let query = ended(&mut command);
    assert_eq!(query.status, Some(2), "{query:?}");
    assert!(query.err.contains("Permission denied"), "{query:?}");
}

#[test]
fn an_unsigned_line_is_shown_and_stays_unsigned() {
    let readings = readings(Random::of(15));
    let directory = readings.copy_of("killed");
    let unsigned = || {
        let verify: Value = serde_json::from_str(&auditx(&["verify", "--json"], &directory).out).unwrap();
        assert_eq!(verify["answer"], "unconfirmed", "{verify}");
        verify["unsigned_lines"].as_u64().unwrap()
    };
    let before = unsigned();
    let seq = auditx_tests::trail::lines(&directory).last().unwrap().seq + 1;
    let entry = "\"timestamp\":\"2026-11-24T16:00:00.000000Z\",\"description\":\"forged\",\"success\":true";
    let forged = format!("{{\"seq\":{seq},{entry}}}\n");
    let mut active = fs::OpenOptions::new().append(true).open(directory.join(ACTIVE)).unwrap();
    active.write_all(forged.as_bytes()).unwrap();
    drop(active);
    let snapshot = Snapshot::of(&directory);

    let query = auditx(&["query", "forged", "-o", "raw"], &directory);
    assert_eq!((query.status, &query.out), (Some(0), &forged));
    assert!(query.err.contains("1 entry is not signed: it is newer than the latest checkpoint"), "{query:?}");
    let prove = auditx(&["prove", &seq.to_string()], &directory);
    assert_eq!((prove.status, prove.out.as_str()), (Some(2), ""));
    assert!(prove.err.contains("is not signed yet"), "{prove:?}");
    let out = crate::trail::directory();
    let archive = out.path().join("forged.zip");
    let bundle = auditx(&["bundle", "forged", "-o", archive.to_str().unwrap()], &directory);
    assert_eq!(bundle.status, Some(2), "{bundle:?}");
    assert!(bundle.err.contains("without a proof"), "{bundle:?}");
    assert_eq!(unsigned(), before + 1);
    assert_eq!(snapshot.difference(&Snapshot::of(&directory)), None);
}

#[test]
fn around_reports_a_line_with_an_altered_time() {
    let readings = readings(Random::of(16));
    let directory = readings.copy_of("erased");
    let lines = auditx_tests::trail::lines(&directory);
    let (line, later) = (&lines[200], &lines[lines.len() - 40]);
    let sealed = auditx_store::sealed_segments(&*directory).unwrap();
    let segment = &sealed.iter().rfind(|segment| segment.first_seq <= line.seq).unwrap().path;
    let (time, other) = (line.json["timestamp"].as_str().unwrap(), later.json["timestamp"].as_str().unwrap());
    let text = fs::read_to_string(segment).unwrap();
    fs::write(segment, text.replace(&line.text, &line.text.replace(time, other))).unwrap();
    let query = auditx(&["query", "--around", &line.seq.to_string(), "--window", "1s"], &directory);
    assert_eq!(query.status, Some(2), "{query:?}");
    assert!(query.err.contains("line 200 differs from what was signed"), "{query:?}");
}

/// The id of a user who owns no files.
pub(crate) const NOBODY: u32 = 65_534;

fn can_mount() -> bool {
    let tried = Command::new("unshare").args(["--mount", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Copies the binary to a directory where any user can start it.
pub(crate) fn reachable_program() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_auditx"), directory.path().join("auditx")).unwrap();
    directory
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
