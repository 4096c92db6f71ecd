//! `auditx cosign`: submits the latest checkpoint of a trail to witnesses.

use std::path::PathBuf;

use crate::failure::{Failure, Status};
use crate::trail::Trail;

/// Submit the latest checkpoint of a trail to the witnesses of a policy
///
/// For a trail whose application does not submit its checkpoints itself
/// (auditx-witness), for example from cron. The cosigned checkpoint is kept with the
/// trail, where verify, prove and bundle find it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The policy (C2SP tlog-policy): `witness NAME VKEY URL` for each witness to ask
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    #[command(flatten)]
    trail: Trail,
}

const EXAMPLES: &str = "\
Examples:
  auditx cosign --dir /var/log/erp --policy erp.policy
  auditx verify --dir /var/log/erp --policy erp.policy --fresh 10m

Exit status: 0 cosigned as the policy requires, 1 cosignatures are missing, 2 an error";

#[cfg(not(feature = "ship"))]
pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let _ = (&arguments.trail, &arguments.policy);
    Err(Failure::new(
        "this auditx was built without a client for witnesses: install it with \
         `cargo install auditx-cli --features ship`",
    ))
}

#[cfg(feature = "ship")]
pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    use std::io::Write as _;

    use auditx_witness::Witnesses;

    use crate::evidence;
    use crate::number::counted;
    use crate::terminal::{self, print_message, sanitized};

    arguments.trail.must_be_there()?;
    let policy = evidence::policy(&arguments.policy)?;
    let (checkpoint, progress) = Witnesses::of(&policy)
        .and_then(|witnesses| witnesses.submit_once(arguments.trail.directory()))
        .map_err(|error| Failure::new(error.to_string()))?;
    let mut failures: Vec<_> = progress.failures.iter().collect();
    failures.sort();
    for (witness, why) in failures {
        print_message(&sanitized(&format!("{witness} does not cosign: {why}")));
    }
    if !policy.logs().is_empty() {
        checkpoint.verify(policy.logs()).map_err(|fault| {
            Failure::new(format!("the checkpoint of the trail is not one of the policy's logs: {fault}"))
        })?;
    }
    let mut out = terminal::output();
    let status = match policy.witnessed_at(&checkpoint, evidence::now()) {
        Ok(at) => {
            write!(
                out,
                "The first {} are cosigned as the policy requires",
                counted(checkpoint.size(), "line")
            )?;
            match at {
                Some(at) => writeln!(out, ", at {} or later.", evidence::time(at))?,
                None => writeln!(out, ": it requires no cosignature.")?,
            }
            Status::Success
        }
        Err(missing) => {
            print_message(&sanitized(&format!("cosignatures are missing: {missing}")));
            Status::Negative
        }
    };
    out.flush()?;
    Ok(status)
}
