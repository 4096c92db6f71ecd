//! `auditx verify`: compares a trail, or a copy of it in another system, with its signed checkpoints.

mod copy;
mod report;
mod family;

use std::io::Write;
use std::path::{Path, PathBuf};

use auditx_reader::{Answer, ParentTrail, Verification, VerifyOptions, verify};

use crate::destination::Engine;
use crate::evidence;
use crate::failure::{Failure, Status};
use crate::family::Family;
use crate::progress::Progress;
use crate::selection::span;
use crate::terminal;
use crate::tsa;

/// Check that every line of a trail is as it was signed
///
/// The command reads every line once and changes nothing. For a complete answer it
/// needs the key that the owner of the trail gave you, and a checkpoint that was
/// kept elsewhere, or a policy with the keys of witnesses that cosigned the trail;
/// otherwise it lists what it could not check. With --from it first
/// fetches a copy of the trail into a temporary directory.
///
/// Where DIR holds several trails, each is verified, and the answer is the worst
/// one. Pass the keys of all of them: a trail that no key belongs to is broken.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    family: Family,
    /// A public key of the trail, or a file that contains it; repeatable
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<String>,
    /// A checkpoint of the trail that was kept elsewhere (`auditx checkpoint --save`) or cosigned; repeatable
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// Require the cosignatures of this policy (C2SP tlog-policy): keys of logs and witnesses, and a quorum
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Require that the parent trail in DIR, a trail in which a witness records the checkpoints that it
    /// cosigns (`auditx witness --trail`), recorded a checkpoint that covers all signed lines. --policy is
    /// then the policy of the parent trail
    #[arg(long, value_name = "DIR", requires = "policy")]
    parent: Option<PathBuf>,
    /// Require that the quorum last cosigned the trail, or the parent trail last recorded it, within this
    /// time: 10m, 1h
    #[arg(long, value_name = "SPAN", requires = "policy")]
    fresh: Option<String>,
    /// Require valid time stamps (RFC 3161), and compare the times of lines with them. FILE has the root
    /// certificates of the time-stamping authorities, in PEM
    #[arg(long, value_name = "FILE")]
    tsa_roots: Option<PathBuf>,
    /// Verify a copy that was shipped, such as postgres://auditor@db/audit, instead of --dir
    #[arg(long, value_name = "URL", conflicts_with_all = ["member", "viewer"])]
    from: Option<Engine>,
    /// The trail, if the destination contains several; a prefix of its id is enough
    #[arg(long, value_name = "ID", requires = "from")]
    trail_id: Option<String>,
    /// Keep the fetched trail in DIR, where it can be searched
    #[arg(long, value_name = "DIR", requires = "from")]
    keep: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx verify --dir /var/log/erp --key erp.vkey --known /mnt/elsewhere/erp.checkpoint
  auditx verify --dir /var/log/erp --policy erp.policy --fresh 10m
  auditx verify --dir /var/log/branch --key branch.vkey --parent /var/log/parent --policy parent.policy \\
    --fresh 1h                                           with a parent trail
  auditx verify --dir /var/log/erp --key erp.vkey --tsa-roots tsa.pem
  auditx verify --dir /var/log/erp                       with the key that the trail itself names
  auditx verify --dir /var/log/erp --trail worker-1      one of the trails below a directory
  auditx verify --json | jq .answer
  auditx verify --from postgres://auditor@db/audit --trail-id 4db6 --key erp.vkey
  auditx verify --from postgres://auditor@db/audit --known erp.checkpoint --policy erp.policy --fresh 10m

Exit status: 0 intact, 1 broken, 2 an error, 3 no fault found, but not everything could be checked";

/// What is compared with every trail of a family.
struct Given {
    options: VerifyOptions,
    /// The root certificates of time-stamping authorities.
    roots: Option<tsa::Roots>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let mut options = VerifyOptions::default();
    for key in evidence::keys(&arguments.keys)? {
        options = options.key(key);
    }
    for path in &arguments.known {
        options = options.known(evidence::checkpoint(path)?);
    }
    let policy = arguments.policy.as_deref().map(evidence::policy).transpose()?;
    options = match (policy, &arguments.parent) {
        (Some(policy), Some(parent)) => {
            let verification = compared(parent, &VerifyOptions::default().policy(policy))?;
            options.parent(ParentTrail::of(&verification))
        }
        (Some(policy), None) => options.policy(policy),
        (None, _) => options,
    };
    if let Some(fresh) = &arguments.fresh {
        options = options.fresh(span(fresh)?);
    }
    let roots = arguments.tsa_roots.as_deref().map(tsa::roots).transpose()?;
    let given = Given { options, roots };
    let Some(engine) = &arguments.from else {
        let trails = arguments.family.trails()?;
        let Some(trail) = trails.single() else { return family::run(arguments, &trails, &given) };
        return print(arguments, &verified(trail.directory(), &given)?);
    };
    let mut fetched = copy::fetch(engine, arguments.trail_id.as_deref(), arguments.keep.as_deref())?;
    let mut verification = verified(fetched.directory(), &given)?;
    fetched.name(&mut verification);
    print(arguments, &verification)
}

fn print(arguments: &Arguments, verification: &Verification) -> Result<Status, Failure> {
    let mut out = terminal::output();
    if arguments.json {
        terminal::write_json(&mut out, verification)?;
    } else {
        report::write(&mut out, verification)?;
    }
    out.flush()?;
    Ok(status_of(verification))
}

fn status_of(verification: &Verification) -> Status {
    match verification.answer {
        Answer::Intact => Status::Success,
        Answer::Broken => Status::Negative,
        Answer::Unconfirmed => Status::Unconfirmed,
        // An answer that this program does not know must not count as success.
        _ => Status::Error,
    }
}

fn verified(directory: &Path, Given { options, roots }: &Given) -> Result<Verification, Failure> {
    let with_stamps = roots.as_ref().map(|roots| tsa::required(options, directory, roots)).transpose()?;
    compared(directory, with_stamps.as_ref().unwrap_or(options))
}

fn compared(directory: &Path, options: &VerifyOptions) -> Result<Verification, Failure> {
    let mut progress = Progress::of("verifying");
    Ok(verify(directory, options, &mut |done, total| progress.update(done, total))?)
}
