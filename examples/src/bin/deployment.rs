//! Two branches, three stream servers, one database: started, used, queried together, verified and torn down by one command.
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

/// Who works in which branch, by their token.
const BRANCHES: [(&str, &str); 2] = [("BR-MDY", "demo-51b0d8a3-kyaw"), ("BR-YGN", "demo-9f27c1e4-thida")];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("Starting two branches, three NATS servers and a PostgreSQL …");
    let mut deployment = Deployment::start(&service()?, &BRANCHES.map(|(name, _)| name)).await?;
    for (branch, (name, token)) in deployment.branches().iter().zip(BRANCHES) {
        println!("  {name} listens on {}", branch.address());
        for number in 1..=20 {
            post_invoice(branch.address(), token, &format!("SI-{name}-{number}"))?;
        }
    }
    println!("40 invoices posted. One of the three NATS servers is killed, and 20 more are posted.");
    deployment.streams().kill(0);
    for number in 21..=40 {
        post_invoice(
            deployment.branches()[0].address(),
            BRANCHES[0].1,
            &format!("SI-{}-{number}", BRANCHES[0].0),
        )?;
    }
    deployment.settle().await?;

    println!("\nBoth branches, asked together: module:sales ref:*-20");
    for [branch, user, description] in deployment.ask("module:sales ref:*-20").await? {
        println!("  {branch}  {user:<6} {description}");
    }
    let all = deployment.ask("module:sales action:POST ref:SI-*").await?.len();
    println!("{all} invoices are in the database.");
    let proven = deployment.prove().await?;
    println!("\nVerified in the database, with the key and the note of each branch:");
    for trail in &proven {
        println!("  {}  {} lines: {:?}", trail.branch, trail.lines, trail.answer);
    }
    if all != 60 || proven.len() != 2 || proven.iter().any(|trail| trail.answer != Answer::Intact) {
        return Err("that is not what was recorded".into());
    }
    println!("Everything is stopped and removed.");
    Ok(())
}

/// The program of a branch, beside this one; made where it is not there yet.
fn service() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?.with_file_name("axum_erp");
    if !program.exists() {
        let status =
            Command::new("cargo").args(["build", "-p", "auditx-examples", "--bin", "axum_erp"]).status()?;
        if !status.success() {
            return Err("axum_erp cannot be built".into());
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
    Err(format!("{reference} is refused: {}", String::from_utf8_lossy(&answer.stdout)).into())
}
