//! `auditx values`: the values of a field, the most frequent first.

use auditx_reader::Moment;

use crate::failure::{Failure, Status};
use crate::fields::FieldPath;
use crate::selection::Selection;
use crate::stats;
use crate::terminal::Colours;

/// List the values of a field, the most frequent first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The field: user, action, metadata.party; `auditx fields` lists all of them
    #[arg(value_name = "FIELD")]
    field: FieldPath,
    #[command(flatten)]
    selection: Selection,
    /// Show at most N values [default: 20; all with --json]
    #[arg(short = 'n', long = "limit", value_name = "N")]
    limit: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    colours: Colours,
}

const EXAMPLES: &str = "\
Examples:
  auditx values user                            all users and their number of entries
  auditx values action --module sales -n 5      the most frequent actions of a module
  auditx values metadata.party --json | jq -r '.values[].value'

Exit status: 0 found, 1 nothing found, 2 an error; with --strict also 2 if a line cannot be read";

/// The default limit of a table.
const DEFAULT_LIMIT: usize = 20;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let usual = if arguments.json { usize::MAX } else { DEFAULT_LIMIT };
    let values = stats::Values {
        selection: &arguments.selection,
        field: arguments.field.clone(),
        limit: arguments.limit.unwrap_or(usual),
        is_json: arguments.json,
        has_colours: arguments.colours.are_wanted(),
    };
    values.show(Moment::now())
}
