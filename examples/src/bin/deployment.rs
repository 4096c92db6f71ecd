//! Runs two branches, three NATS servers and a PostgreSQL database on this machine: posts invoices, queries
//! and verifies the database copy, and removes everything.
//!
//! ```console
//! $ cargo xtask setup
//! $ cargo run -p auditx-examples --bin deployment
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use auditx_examples::deployment::Deployment;
use auditx_reader::Answer;

/// The branches and their users' tokens.
const BRANCHES: [(&str, &str); 2] = [("BR-MDY", "demo-51b0d8a3-kyaw"), ("BR-YGN", "demo-9f27c1e4-thida")];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("Starting two branches, three NATS servers and PostgreSQL …");
    let mut deployment = Deployment::start(&service()?, &BRANCHES.map(|(name, _)| name)).await?;
    for (branch, (name, token)) in deployment.branches().iter().zip(BRANCHES) {
        println!("  {name} listens on {}", branch.address());
        for number in 1..=20 {
            post_invoice(branch.address(), token, &format!("SI-{name}-{number}"))?;
        }
    }
    println!("40 invoices posted. Killing one of the three NATS servers and posting 20 more …");
    deployment.streams().kill(0);
    for number in 21..=40 {
        post_invoice(
            deployment.branches()[0].address(),
            BRANCHES[0].1,
            &format!("SI-{}-{number}", BRANCHES[0].0),
        )?;
    }
    deployment.stop_branches().await?;

    println!("\nQuery over both branches: module:sales ref:*-20");
    for [branch, user, description] in deployment.query("module:sales ref:*-20").await? {
        println!("  {branch}  {user:<6} {description}");
    }
    let all = deployment.query("module:sales action:POST ref:SI-*").await?.len();
    println!("{all} invoices are in the database.");
    let verified = deployment.verify().await?;
    println!("\nDatabase copy verified with each branch's key and checkpoint:");
    for trail in &verified {
        println!("  {}  {} lines: {:?}", trail.branch, trail.lines, trail.answer);
    }
    if all != 60 || verified.len() != 2 || verified.iter().any(|trail| trail.answer != Answer::Intact) {
        return Err("the database differs from what was recorded".into());
    }
    println!("Stopping and removing everything.");
    Ok(())
}

/// Returns the path of `axum_erp`, which is beside this program; builds it if it does not exist.
fn service() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?.with_file_name("axum_erp");
    if !program.exists() {
        let status =
            Command::new("cargo").args(["build", "-p", "auditx-examples", "--bin", "axum_erp"]).status()?;
        if !status.success() {
            return Err("cannot build axum_erp".into());
        }
    }
    Ok(program)
}

fn post_invoice(address: &str, token: &str, reference: &str) -> Result<(), Box<dyn Error>> {
    let body = format!(r#"{{"reference_no":"{reference}","customer":"CUST-220","amount":"1250000.50"}}"#);
    let answer = Command::new("curl")
        .args(["-s", "--fail-with-body", "-H", "content-type: application/json", "-d", &body])
        .args(["-H", &format!("authorization: Bearer {token}"), &format!("{address}/sales/invoice")])
        .output()?;
    if answer.status.success() {
        return Ok(());
    }
    Err(format!("invoice {reference} was refused: {}", String::from_utf8_lossy(&answer.stdout)).into())
}
