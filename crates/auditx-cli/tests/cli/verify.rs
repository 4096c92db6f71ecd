//! Tests of `auditx verify` on intact, altered and rolled back trails, and after maintenance.

use std::fs;
use std::path::{Path, PathBuf};

use auditx_core::{AuditLogger, Cadence, Config};
use auditx_store::ACTIVE;
use auditx_tests::deadline::{TIMEOUT, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Ended, auditx, command, on_terminal};
use crate::trail::{closed, copied, directory, logger, record, tamper};

#[test]
fn remarks_are_counted_by_kind() {
    let trail = closed(3);
    let history = auditx_store::checkpoint_history(trail.path());
    fs::create_dir_all(&history).unwrap();
    for number in 0..150 {
        fs::write(history.join(format!("{}", 900_000 + number)), "nonsense").unwrap();
    }
    fs::rename(trail.path().join(".auditx/trail.json"), trail.path().join("elsewhere")).unwrap();
    let verified = auditx(&["verify"], trail.path());
    let expected = "\n  1 unreadable identity:\n    .auditx/trail.json cannot be read";
    assert!(verified.out.contains(expected), "{}", verified.out);
    assert!(verified.out.contains("\n  150 unusable old checkpoints:\n"), "{}", verified.out);
    assert!(verified.out.contains("\n    … and 147 more\n"), "{}", verified.out);
    let json: Value = serde_json::from_str(&auditx(&["verify", "--json"], trail.path()).out).unwrap();
    let remarks: Vec<_> = json["remarks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|remark| (&remark["kind"], &remark["count"], remark["examples"].as_array().unwrap().len()))
        .collect();
    assert_eq!(
        remarks,
        [(&json!("unreadable-identity"), &json!(1), 1), (&json!("unusable-history"), &json!(150), 3)]
    );
}

/// An auditor with the key from the owner and a saved checkpoint.
struct Auditor {
    desk: TempDir,
    key: String,
}

impl Auditor {
    /// Saves the key and the latest checkpoint of this trail.
    fn of(trail: &Path) -> Self {
        let auditor = Self { desk: directory(), key: auditx(&["key", "show"], trail).out.trim().to_owned() };
        auditor.keep_note(trail);
        auditor
    }

    fn note(&self) -> PathBuf {
        self.desk.path().join("note")
    }

    fn keep_note(&self, trail: &Path) {
        let saved = auditx(&["checkpoint", "--save", self.note().to_str().unwrap()], trail);
        assert_eq!(saved.status, Some(0), "{}", saved.err);
    }

    fn verify(&self, trail: &Path, more: &[&str]) -> Ended {
        let note = self.note();
        let known = ["verify", "--key", &self.key, "--known", note.to_str().unwrap()];
        auditx(&[&known, more].concat(), trail)
    }

    #[track_caller]
    fn finds_intact(&self, trail: &Path) -> String {
        let found = self.verify(trail, &[]);
        assert_eq!((found.status, found.err.as_str()), (Some(0), ""), "{}", found.out);
        assert!(found.out.contains(" is intact: every line is as it was signed."), "{}", found.out);
        found.out
    }

    /// Returns the first fault, in JSON.
    #[track_caller]
    fn finds_broken(&self, trail: &Path) -> Value {
        let found = self.verify(trail, &["--json"]);
        assert_eq!((found.status, found.err.as_str()), (Some(1), ""), "{}", found.out);
        let json: Value = serde_json::from_str(&found.out).unwrap();
        assert_eq!(json["answer"], "broken");
        json["fault"].clone()
    }
}

fn reasons(found: &Ended) -> Value {
    let json: Value = serde_json::from_str(&found.out).unwrap();
    json["reasons"].clone()
}

#[test]
fn an_intact_trail_is_described() {
    let trail = closed(100);
    let auditor = Auditor::of(trail.path());
    let said = auditor.finds_intact(trail.path());
    for fact in [
        &*format!("Signed with  {}\n", auditor.key),
        "Lines        1",
        "recorded at 20",
        "Checkpoints  agree with the known ones: 1",
    ] {
        assert!(said.contains(fact), "{fact}: {said}");
    }
    assert!(!said.contains("Not proven") && !said.contains('\u{1b}'), "{said}");
    let json: Value = serde_json::from_str(&auditor.verify(trail.path(), &["--json"]).out).unwrap();
    assert_eq!((&json["answer"], &json["reasons"]), (&json!("intact"), &json!([])));
    assert_eq!((&json["fault"], &json["signed"]), (&json!(null), &json["lines"]));

    // Entries after the saved checkpoint.
    let logger = logger(trail.path());
    record(&logger, 10);
    logger.close(TIMEOUT).unwrap();
    auditor.finds_intact(trail.path());
}

#[test]
fn unchecked_properties_are_listed_with_advice() {
    let trail = closed(3);
    let auditor = Auditor::of(trail.path());
    let alone = auditx(&["verify"], trail.path());
    assert_eq!((alone.status, alone.err.as_str()), (Some(3), ""));
    for word in [
        "not confirmed",
        "--key VKEY",
        "--known FILE",
        "auditx checkpoint --dir ",
        "according to the trail itself",
    ] {
        assert!(alone.out.contains(word), "{word}: {}", alone.out);
    }
    // With the space, because the letters may be part of a key.
    assert!(!alone.out.contains(" intact") && !alone.out.contains(" OK"), "{}", alone.out);
    let note = auditor.note();
    for (arguments, why) in [
        (&["verify", "--json"][..], json!(["key-not-pinned", "freshness-unknown"])),
        (&["verify", "--json", "--key", &auditor.key], json!(["freshness-unknown"])),
        (&["verify", "--json", "--known", note.to_str().unwrap()], json!(["key-not-pinned"])),
    ] {
        let found = auditx(arguments, trail.path());
        assert_eq!((found.status, reasons(&found)), (Some(3), why), "{arguments:?}");
    }
}

#[test]
fn unsigned_lines_are_counted() {
    let trail = closed(1);
    let auditor = Auditor::of(trail.path());
    let config = Config::new(trail.path()).checkpoints(Cadence::new(TIMEOUT, 1_000_000));
    let logger = AuditLogger::open(config).unwrap();
    // The first entry is signed at once, later ones only after the interval.
    let first = logger.log("the first").record().unwrap().wait_durable().unwrap();
    wait_until("its checkpoint", || logger.checkpoint().is_some_and(|latest| latest.size() > first.seq));
    logger.log("one more").record().unwrap().wait_durable().unwrap();
    let found = auditor.verify(trail.path(), &[]);
    assert_eq!((found.status, found.err.as_str()), (Some(3), ""));
    assert!(
        found.out.contains("The end: 1 line not signed yet.") && found.out.contains("auditx recover"),
        "{}",
        found.out
    );
    assert_eq!(reasons(&auditor.verify(trail.path(), &["--json"])), json!(["tail-unsigned"]));
    logger.close(TIMEOUT).unwrap();
    auditor.finds_intact(trail.path());
}

#[test]
fn an_altered_line_is_named_with_file_and_byte() {
    let trail = closed(5);
    let auditor = Auditor::of(trail.path());
    let active = trail.path().join(ACTIVE);
    tamper(&active, 4);
    let text = fs::read_to_string(&active).unwrap();
    let offset: usize = text.lines().take(4).map(|line| line.len() + 1).sum();
    let fault = auditor.finds_broken(trail.path());
    let fields = ["kind", "seq", "segment", "offset"].map(|name| fault[name].clone());
    assert_eq!(fields, [json!("altered"), json!(4), json!(ACTIVE), json!(offset)]);

    let found = auditor.verify(trail.path(), &[]);
    assert!(found.out.contains("is BROKEN: it does not match what was signed."), "{}", found.out);
    let place = format!("The first fault (altered):\n\n  line 4, {ACTIVE}, byte {offset}\n");
    assert!(found.out.contains(&place), "{}", found.out);
    assert!(found.out.contains("it is evidence"), "{}", found.out);
    let (status, shown) = on_terminal(&mut command(&["verify"], trail.path()), 80);
    assert_eq!(status, Some(1));
    assert!(shown.contains("\u{1b}[") && shown.contains("BROKEN"), "{shown}");
}

#[test]
fn a_rollback_is_detected_with_a_later_checkpoint() {
    let trail = closed(3);
    let earlier = copied(trail.path());
    let logger = logger(trail.path());
    record(&logger, 3);
    logger.close(TIMEOUT).unwrap();
    let auditor = Auditor::of(trail.path());
    auditor.finds_intact(trail.path());
    assert_eq!(auditor.finds_broken(earlier.path())["kind"], "truncated");
    let unknowing = auditx(&["verify", "--json", "--key", &auditor.key], earlier.path());
    assert_eq!((unknowing.status, reasons(&unknowing)), (Some(3), json!(["freshness-unknown"])));
}

#[test]
fn keys_and_checkpoints_of_other_trails_are_refused() {
    let [trail, other] = [closed(1), closed(1)];
    let [auditor, stranger] = [&trail, &other].map(|trail| Auditor::of(trail.path()));
    let wrong = auditx(&["verify", "--key", &stranger.key, "--json"], trail.path());
    let json: Value = serde_json::from_str(&wrong.out).unwrap();
    assert_eq!((wrong.status, &json["answer"]), (Some(1), &json!("broken")), "{json}");

    let note = stranger.note();
    let foreign = auditx(&["verify", "--known", note.to_str().unwrap()], trail.path());
    assert_eq!((foreign.status, foreign.out.as_str()), (Some(2), ""), "{}", foreign.err);
    let key = trail.path().join(ACTIVE);
    let key = key.to_str().unwrap();
    for (arguments, why) in [
        (&["verify", "--key", "nonsense"][..], "invalid verifier key \"nonsense\""),
        (&["verify", "--key", key], "invalid verifier key"),
        (&["verify", "--known", key], "not a signed checkpoint"),
        (&["verify", "--known", "/nonexistent"], "cannot read /nonexistent"),
    ] {
        let refused = auditx(arguments, trail.path());
        assert_eq!((refused.status, refused.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(refused.err.contains(why), "{arguments:?}: {}", refused.err);
    }
    let nothing = auditor.verify(directory().path(), &[]);
    assert_eq!((nothing.status, nothing.out.as_str()), (Some(2), ""), "{}", nothing.err);
    let missing = auditor.verify(&trail.path().join("none"), &[]);
    assert_eq!(missing.status, Some(2));
    assert!(missing.err.starts_with("auditx: there is no such directory "), "{}", missing.err);
}

#[test]
fn a_trail_with_a_rotated_key_is_verified_with_either_key() {
    let trail = closed(3);
    let before = Auditor::of(trail.path());
    assert_eq!(auditx(&["key", "rotate"], trail.path()).status, Some(0));
    let logger = logger(trail.path());
    record(&logger, 3);
    logger.close(TIMEOUT).unwrap();
    let after = Auditor::of(trail.path());
    assert_ne!(before.key, after.key);
    for auditor in [&before, &after] {
        let said = auditor.finds_intact(trail.path());
        assert!(said.contains(&format!("Signed with  {}\n", after.key)), "{said}");
    }
}

#[test]
fn erasure_and_retention_leave_a_trail_intact() {
    let trail = closed(200);
    let auditor = Auditor::of(trail.path());
    for arguments in [
        &["erase", "150", "--reason", "asked for", "--yes"][..],
        &["retire", "--keep", "2"],
        &["erase", "199", "--reason", "asked for", "--yes"],
    ] {
        let done = auditx(arguments, trail.path());
        assert_eq!(done.status, Some(0), "{arguments:?}: {}", done.err);
        auditor.finds_intact(trail.path());
    }
    auditor.keep_note(trail.path());
    let said = auditor.finds_intact(trail.path());
    assert!(said.contains("were retired") && said.contains("erased"), "{said}");
    fs::remove_dir_all(trail.path().join(".auditx/tiles")).unwrap();
    auditor.finds_intact(trail.path());
}

#[test]
fn a_replaced_trail_is_intact_and_the_old_one_stays_broken() {
    let trail = closed(5);
    let auditor = Auditor::of(trail.path());
    tamper(&trail.path().join(ACTIVE), 4);
    assert_eq!(auditx(&["recover", "--accept-loss"], trail.path()).status, Some(0));
    let new = Auditor::of(trail.path()).verify(trail.path(), &[]);
    assert_eq!(new.status, Some(0), "{}", new.out);
    assert!(new.err.starts_with("auditx: not read, below ") && new.err.contains("set-aside"), "{}", new.err);
    let set_aside = fs::read_dir(trail.path()).unwrap().map(|entry| entry.unwrap().path());
    let set_aside = set_aside.into_iter().find(|path| path.to_string_lossy().contains("set-aside")).unwrap();
    assert_eq!(auditor.finds_broken(&set_aside)["seq"], 4);
}
