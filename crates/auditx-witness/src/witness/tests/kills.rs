//! A witness that is killed between any two steps never cosigns less than it did.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::*;
use crate::step::Step;
use crate::step::tests::FATAL;

const DIRECTORY: &str = "AUDITX_TEST_WITNESS";
const STEP: &str = "AUDITX_TEST_WITNESS_STEP";

const STEPS: [(&str, Step); 5] = [
    ("checked", Step::Checked),
    ("written", Step::Written),
    ("durable", Step::Durable),
    ("cosigned", Step::Cosigned),
    ("answered", Step::Answered),
];

/// The same key in each process.
fn key() -> SigningKey {
    let der = [&b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &[7; 32]].concat();
    SigningKey::from_pem(&BASE64_STANDARD.encode(der)).unwrap()
}

/// The child: submits ever larger checkpoints and prints what was cosigned, until it is killed.
#[test]
fn cosign_until_killed() {
    let (Ok(directory), Ok(fatal)) = (std::env::var(DIRECTORY), std::env::var(STEP)) else { return };
    let (name, count) = fatal.split_once(' ').unwrap();
    let step = STEPS.iter().find(|(known, _)| *known == name).unwrap().1;
    let log = Log::new(key(), 4_096);
    let witness = Witness::open(Path::new(&directory), "w", Arc::new(key()), [log.verifier()]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let Answer::Conflict(known) = answer(&witness, &log.submission(0, 1)).await else {
            panic!("the parent submitted the first")
        };
        println!("knows {known}");
        *FATAL.lock().unwrap() = Some((step, count.parse().unwrap()));
        let mut size = usize::try_from(known).unwrap();
        loop {
            // The next size, and the same once more.
            for new in [size + 1, size + 1] {
                cosigned(&witness, &log, new, &answer(&witness, &log.submission(size, new)).await);
                println!("cosigned {new}");
                size = new;
            }
        }
    });
}

fn killed(times: u32) {
    let (directory, log) = (TempDir::new().unwrap(), Log::new(key(), 4_096));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut most = 1;
    for round in 0..times {
        if round % 500 == 0 {
            // Another state, so that the log need not be longer.
            std::fs::remove_dir_all(directory.path()).unwrap();
            Witness::create(directory.path(), "w", &key()).unwrap();
            let witness = Witness::open(directory.path(), "w", Arc::new(key()), [log.verifier()]).unwrap();
            runtime.block_on(answer(&witness, &log.submission(0, 1)));
            most = 1;
        }
        let (name, _) = STEPS[round as usize % STEPS.len()];
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["witness::tests::kills::cosign_until_killed", "--exact", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .env(STEP, format!("{name} {}", 1 + round / 5 % 3))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert_eq!(output.status.signal(), Some(9), "{output:?}");
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let number = |word| line.split(word).nth(1).and_then(|rest| rest.parse::<u64>().ok());
            if let Some(known) = number("knows ") {
                assert!(known >= most, "round {round}: it cosigned {most} and knows {known}");
            }
            if let Some(size) = number("cosigned ") {
                assert!(size >= most, "round {round}: it cosigned {most} and then {size}");
                most = size;
            }
        }
    }
    // Of the last state.
    assert!(most > u64::from(times.min(500)) / 10, "{most}");
}

#[test]
fn a_witness_that_is_killed_never_cosigns_less_than_it_did() {
    killed(200);
}

#[test]
#[ignore = "takes minutes: ten thousand kills"]
fn a_witness_that_is_killed_ten_thousand_times_never_cosigns_less_than_it_did() {
    killed(10_000);
}
