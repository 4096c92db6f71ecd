//! Which trails are read, and that those that are not are named.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;

use auditx_core::{AuditLogger, Config};
use auditx_tests::deadline::TIMEOUT;

use super::{instance, order, rows, sales, workers};
use crate::program::{auditx, command, ended};
use crate::readings::{NOBODY, reachable_program};
use crate::trail::directory;

#[test]
fn a_flag_picks_one_trail() {
    let log_dir = workers();
    let picked = sales(&["query", "--trail", "two"], log_dir.path());
    assert_eq!(picked.out, sales(&["query"], &log_dir.path().join("two")).out);
    assert_eq!((order(&picked.out).as_str(), picked.err.as_str()), ("2 3 5", ""));
    for arguments in [&["tail"][..], &["stats"], &["fields"], &["verify"], &["doctor"]] {
        let picked = auditx(&[arguments, &["--trail", "two"]].concat(), log_dir.path());
        assert_eq!(picked.out, auditx(arguments, &log_dir.path().join("two")).out, "{arguments:?}");
    }
}

#[test]
fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
    let log_dir = workers();
    let absolute = log_dir.path().join("one");
    for name in ["three", "one/../two", "../one", absolute.to_str().unwrap(), "."] {
        let query = sales(&["query", "--trail", name], log_dir.path());
        assert_eq!((query.status, query.out.as_str()), (Some(2), ""), "{name}");
        assert!(query.err.ends_with(", which has one, two\n"), "{name}: {}", query.err);
    }
    let empty = directory();
    let query = auditx(&["query", "--trail", "one"], empty.path());
    assert_eq!(query.status, Some(2));
    assert!(query.err.ends_with(", which has no trail\n"), "{}", query.err);
}

#[test]
fn instances_of_tenants_are_found() {
    let log_dir = directory();
    for (tenant, second) in [("acme", 1), ("bravo", 2), ("region/cargo", 3)] {
        let place = log_dir.path().join(tenant);
        fs::create_dir_all(&place).unwrap();
        instance(&place, "worker-1", &[second]);
    }
    let query = sales(&["query"], log_dir.path());
    let trails: Vec<String> = rows(&query.out).into_iter().map(|(trail, _)| trail).collect();
    assert_eq!(trails, ["acme/worker-1", "bravo/worker-1", "region/cargo/worker-1"]);
    let picked = sales(&["query", "--trail", "region/cargo/worker-1"], log_dir.path());
    assert_eq!(order(&picked.out), "3");
    let tenant = sales(&["query"], &log_dir.path().join("acme"));
    assert_eq!(rows(&tenant.out), [("worker-1".to_owned(), "1".to_owned())]);
}

#[test]
fn trails_below_a_trail_are_named_and_not_read() {
    let log_dir = workers();
    let logger = AuditLogger::open(Config::new(log_dir.path())).unwrap();
    logger.close(TIMEOUT).unwrap();
    for arguments in [
        &["query"][..],
        &["query", "--count"],
        &["history", "order/1"],
        &["stats"],
        &["fields"],
        &["values", "user"],
        &["tail"],
        &["export", "--format", "ecs"],
        &["verify"],
        &["doctor"],
    ] {
        let ended = auditx(arguments, log_dir.path());
        assert!(!ended.out.contains("Sales"), "{arguments:?}: {}", ended.out);
        let note = format!(
            "auditx: not read, below {}: one, two; to read one, give --trail NAME\n",
            log_dir.path().display()
        );
        assert!(ended.err.starts_with(&note), "{arguments:?}: {}", ended.err);
    }
    assert_eq!(order(&sales(&["query", "--trail", "one"], log_dir.path()).out), "1 4 5");
}

#[test]
fn an_empty_answer_says_how_many_trails_were_read() {
    let log_dir = workers();
    for arguments in [&["query"][..], &["stats"], &["fields"], &["tail"], &["export", "--format", "ecs"]] {
        let none = auditx(&[arguments, &["--user", "nobody"]].concat(), log_dir.path());
        assert_eq!(none.status, Some(1), "{arguments:?}");
        let message = format!("auditx: nothing found in the 2 trails below {}\n", log_dir.path().display());
        assert_eq!(none.err, message, "{arguments:?}");
    }
    let history = auditx(&["history", "order/99"], log_dir.path());
    assert_eq!(history.status, Some(1));
    assert!(history.err.contains(" in the 2 trails below "), "{}", history.err);
}

#[test]
fn what_continues_in_one_trail_asks_for_it() {
    let log_dir = workers();
    for (arguments, why) in [
        (["query", "--after", "seq:2"], "--after continues in one trail"),
        (["query", "--around", "2"], "a line number is that of one trail"),
    ] {
        let query = auditx(&arguments, log_dir.path());
        assert_eq!((query.status, query.out.as_str()), (Some(2), ""), "{why}");
        let message = format!(
            "auditx: {why}: give --trail NAME, one of those below {}: one, two\n",
            log_dir.path().display()
        );
        assert_eq!(query.err, message);
        let picked = sales(&[&arguments[..], &["--trail", "one"]].concat(), log_dir.path());
        assert_eq!(picked.status, Some(0), "{why}: {}", picked.err);
    }
}

#[cfg(feature = "ship")]
#[test]
fn the_flag_is_not_for_copies() {
    let log_dir = workers();
    let verify = auditx(&["verify", "--from", "postgres://h/d", "--trail", "one"], log_dir.path());
    assert_eq!(verify.status, Some(2));
    assert!(verify.err.contains("cannot be used with '--trail <NAME>'"), "{}", verify.err);
}

#[test]
fn a_trail_that_was_set_aside_is_named_and_not_read() {
    let log_dir = workers();
    let one = log_dir.path().join("one");
    let segment = one.join(auditx_store::ACTIVE);
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replacen("\"description\":\"1\"", "\"description\":\"8\"", 1)).unwrap();
    assert_eq!(auditx(&["recover", "--accept-loss"], &one).status, Some(0));
    let query = sales(&["query"], log_dir.path());
    assert_eq!((query.status, order(&query.out).as_str()), (Some(0), "2 3 5"), "{}", query.err);
    assert!(
        query.err.starts_with("auditx: not read, below ") && query.err.contains(": one/audit.set-aside-"),
        "{}",
        query.err
    );
}

#[test]
fn symbolic_links_are_not_followed() {
    let log_dir = workers();
    symlink(log_dir.path().join("one"), log_dir.path().join("again")).unwrap();
    symlink(log_dir.path(), log_dir.path().join("loop")).unwrap();
    assert_eq!(sales(&["query", "--count"], log_dir.path()).out, "6\n");
}

#[test]
fn a_copy_of_segments_is_a_trail() {
    let (log_dir, copy) = (workers(), directory());
    fs::create_dir(copy.path().join("one")).unwrap();
    let segment = fs::read(log_dir.path().join("one").join(auditx_store::ACTIVE)).unwrap();
    fs::write(copy.path().join("one/audit-00000000000000000000.jsonl"), segment).unwrap();
    let query = sales(&["query"], copy.path());
    assert_eq!((query.status, order(&query.out).as_str()), (Some(0), "1 4 5"), "{}", query.err);
}

#[test]
fn a_directory_that_cannot_be_listed_is_an_error() {
    let log_dir = workers();
    let hidden = log_dir.path().join("two");
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may list everything, so root runs the command as another user.
    let program = rustix::process::geteuid().is_root().then(|| {
        fs::set_permissions(log_dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let one = log_dir.path().join("one");
        assert!(Command::new("chmod").args(["-R", "a+rX"]).arg(one).status().unwrap().success());
        reachable_program()
    });
    let query = |arguments: &[&str]| {
        let mut query = match &program {
            None => command(arguments, log_dir.path()),
            Some(program) => {
                let mut query = Command::new(program.path().join("auditx"));
                query.args(arguments).arg("--dir").arg(log_dir.path()).uid(NOBODY).gid(NOBODY);
                query
            }
        };
        ended(query.args(["--module", "sales"]))
    };
    let (all, picked) = (query(&["query"]), query(&["query", "--trail", "one"]));
    let hidden_one = query(&["query", "--trail", "two"]);
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o750)).unwrap();
    assert_eq!((all.status, all.out.as_str()), (Some(2), ""));
    assert!(all.err.starts_with(&format!("auditx: cannot list {}", hidden.display())), "{}", all.err);
    assert_eq!((picked.status, order(&picked.out).as_str()), (Some(0), "1 4 5"), "{}", picked.err);
    assert_eq!(hidden_one.status, Some(2));
    assert!(hidden_one.err.contains("Permission denied"), "{}", hidden_one.err);
}
