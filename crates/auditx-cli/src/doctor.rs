//! `auditx doctor`: describes a trail, and reports problems with advice.

mod report;

use std::io::Write;
use std::path::Path;

use auditx_reader::{Inspection, inspect};
use serde::Serialize;

use crate::failure::{Failure, Status};
use crate::family::{Family, Member};
use crate::progress::Progress;
use crate::terminal::{self, print_message};

/// Examine a trail: describe it and report problems with advice
///
/// The command reads every line once and changes nothing. It cannot prove that
/// nothing was altered, because anyone who can write the files can also write
/// consistent ones: use `auditx verify` for that.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    family: Family,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx doctor                          examine ./logs
  auditx doctor --dir /var/log/erp       examine another trail, or all trails below that directory
  auditx doctor --json | jq '.findings'  only the findings

Exit status: 0 no problems, 1 findings that need attention, 2 an error";

#[derive(Serialize)]
struct Json<'a> {
    healthy: bool,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

/// The inspections of several trails.
#[derive(Serialize)]
struct JsonOfFamily<'a> {
    healthy: bool,
    trails: Vec<JsonOfTrail<'a>>,
}

#[derive(Serialize)]
struct JsonOfTrail<'a> {
    trail: &'a str,
    #[serde(flatten)]
    inspection: Json<'a>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let trails = arguments.family.trails()?;
    let mut inspections = Vec::new();
    let mut has_failed = false;
    for member in trails.members() {
        match inspected(member.directory()) {
            Ok(inspection) => inspections.push((member, inspection)),
            Err(failure) if member.name.is_none() => return Err(failure),
            Err(failure) => {
                has_failed = true;
                print_message(&member.labelled(&failure.to_string()));
            }
        }
    }
    let healthy = !has_failed && inspections.iter().all(|(_, inspection)| !inspection.needs_attention());
    let mut out = terminal::output();
    if arguments.json {
        write_json(&mut out, healthy, &inspections)?;
    } else {
        for (index, (_, inspection)) in inspections.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            report::write(&mut out, inspection, terminal::width(), terminal::has_colours())?;
        }
    }
    out.flush()?;
    Ok(match (has_failed, healthy) {
        (true, _) => Status::Error,
        (false, true) => Status::Success,
        (false, false) => Status::Negative,
    })
}

fn inspected(directory: &Path) -> Result<Inspection, Failure> {
    let mut progress = Progress::of("examining");
    Ok(inspect(directory, &mut |done, total| progress.update(done, total))?)
}

fn write_json(
    out: &mut impl Write,
    healthy: bool,
    inspections: &[(&Member, Inspection)],
) -> Result<(), Failure> {
    let json = |inspection| Json { healthy: !Inspection::needs_attention(inspection), inspection };
    if let [(Member { name: None, .. }, inspection)] = inspections {
        return Ok(terminal::write_json(out, &json(inspection))?);
    }
    let trails = inspections.iter().map(|(member, inspection)| JsonOfTrail {
        trail: member.name.as_deref().unwrap_or_default(),
        inspection: json(inspection),
    });
    Ok(terminal::write_json(out, &JsonOfFamily { healthy, trails: trails.collect() })?)
}
