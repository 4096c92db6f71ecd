//! `auditx values`: the values of a field, the most frequent first.

use auditx_reader::Moment;

use crate::failure::{Failure, Status};
use crate::fields::FieldPath;
use crate::question::Asked;
use crate::stats;
use crate::terminal::Colours;

/// Lists the values of a field, the most frequent first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The field: user, action, metadata.party; auditx fields lists them
    #[arg(value_name = "FIELD")]
    field: FieldPath,
    #[command(flatten)]
    asked: Asked,
    /// At most so many values [default: 20; all with --json]
    #[arg(short = 'n', long = "limit", value_name = "N")]
    limit: Option<usize>,
    /// Says it in JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    colours: Colours,
}

const EXAMPLES: &str = "\
Examples:
  auditx values user                            who is in the trail, and how often
  auditx values action --module sales -n 5      what is done most in a module
  auditx values metadata.party --json | jq -r '.values[].value'

Exit status: 0 listed, 1 nothing found, 2 an error, or with --strict a line that cannot be read";

/// Values of a table where nobody says how many.
const USUAL: usize = 20;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let usual = if arguments.json { usize::MAX } else { USUAL };
    let values = stats::Values {
        asked: &arguments.asked,
        field: arguments.field.clone(),
        limit: arguments.limit.unwrap_or(usual),
        is_json: arguments.json,
        has_colours: arguments.colours.are_wanted(),
    };
    values.show(Moment::now())
}
