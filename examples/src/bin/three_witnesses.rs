//! Three witnesses cosign a trail; one of them is stopped, and then the trail is rolled back.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin three_witnesses
//! ```

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config};
use auditx_reader::{VerifyOptions, verify};
use auditx_tlog::{Policy, SigningKey, VerifierKey, WitnessKey};
use auditx_witness::{Progress, Witness, Witnesses, router};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// How long closing the trail may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The age of the state that the witnesses saw, at most.
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn main() -> Result {
    let directory = tempfile::tempdir()?;
    let (trail, backup) = (directory.path().join("logs"), directory.path().join("backup"));
    let logger = AuditLogger::open(Config::new(&trail))?;
    let log = logger.verifier_key()?;
    logger.close(TIMEOUT)?;

    let mut text = format!("log {log}\n");
    let mut servers = Vec::new();
    for name in ["finance", "mandalay", "auditor"] {
        let (server, key, address) = served(&directory.path().join(name), name, &log)?;
        text += &format!("witness {name} {key} http://{address}/\n");
        servers.push(server);
    }
    text += "group most 2 finance mandalay auditor\nquorum most\n";
    println!("The policy, which auditors have too:\n\n{text}");
    let policy = Policy::parse(text.as_bytes())?;

    println!("1. Ten invoices are posted.");
    report(&trail, &policy, &record(&trail, &policy, 10)?, TEN_MINUTES)?;
    copy(&trail, &backup)?;

    println!("2. The witness of the auditor is stopped, and ten more are posted.");
    drop(servers.pop());
    report(&trail, &policy, &record(&trail, &policy, 10)?, TEN_MINUTES)?;

    println!("3. The backup is restored in place of the trail, and two more are posted.");
    // Cosignatures have their times in whole seconds.
    std::thread::sleep(Duration::from_secs(1));
    let restored = Instant::now();
    std::fs::remove_dir_all(&trail)?;
    copy(&backup, &trail)?;
    let progress = record(&trail, &policy, 2)?;
    // The auditor wants to know what the witnesses have seen since.
    report(&trail, &policy, &progress, restored.elapsed())
}

/// Starts a witness for a log on a free port.
fn served(state: &Path, name: &str, log: &VerifierKey) -> Result<(Runtime, WitnessKey, SocketAddr)> {
    let (key, name) = (Arc::new(SigningKey::generate()), format!("{name}.example.com/witness"));
    Witness::create(state, &name, &*key)?;
    let witness = Witness::open(state, &name, key, [log.clone()])?;
    let (key, runtime) = (witness.key().clone(), Runtime::new()?);
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    runtime.spawn(async move { axum::serve(listener, router(Arc::new(witness))).await });
    Ok((runtime, key, address))
}

/// Records invoices in a session of the application, whose checkpoints are submitted.
fn record(trail: &Path, policy: &Policy, count: usize) -> Result<Progress> {
    let logger = AuditLogger::open(Config::new(trail))?;
    let submitter = Witnesses::of(policy)?.spawn(&logger)?;
    for number in 0..count {
        logger.log(format!("Invoice {number} posted")).user("thida").record()?;
    }
    logger.close(TIMEOUT)?;
    Ok(submitter.close())
}

/// Prints what the witnesses said, and what an auditor finds who has nothing but the policy.
fn report(trail: &Path, policy: &Policy, progress: &Progress, max_age: Duration) -> Result {
    let mut failures: Vec<_> = progress.failures.iter().collect();
    failures.sort();
    for (witness, why) in failures {
        println!("   {witness}: {why}");
    }
    let options = VerifyOptions::new().policy(policy.clone()).fresh(max_age);
    let found = verify(trail, &options, &mut |_, _| ())?;
    let witnessed = found.witnessed.map_or(0, |witnessed| witnessed.size);
    let (answer, reasons, lines) = (found.answer, found.reasons, found.lines);
    println!("   The auditor: {answer:?} {reasons:?}; {lines} lines, of which a quorum saw {witnessed}.\n");
    Ok(())
}

/// Copies a directory as an administrator would.
fn copy(from: &Path, to: &Path) -> Result {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    if status.success() { Ok(()) } else { Err(format!("cp ended with {status}").into()) }
}
