//! `auditx export`: writes entries in the format of a SIEM.

use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use auditx_export::{Exporter, Format, Framing};
use auditx_reader::{Found, Moment, Order, Search};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::failure::{Failure, Status};
use crate::family::{Member, Read};
use crate::mapper::Mapper;
use crate::merge::Merge;
use crate::save::{self, NewFile};
use crate::selection::Selection;
use crate::terminal;

/// Write entries in the format of a SIEM
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// The output format
    #[arg(long, value_name = "FORMAT", value_parser = one_of::<Format, 6>(Format::ALL.map(Format::as_str)))]
    format: Format,
    /// Write to FILE, which appears when it is complete; - is standard output, the default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How syslog messages are separated; use octet-counting for TCP and TLS
    #[arg(
        long,
        value_name = "FRAMING",
        default_value = "newline",
        value_parser = one_of::<Framing, 2>(Framing::ALL.map(Framing::as_str))
    )]
    framing: Framing,
    /// The name of the application, for ecs and otlp-json
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The host name of entries without one
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  auditx export --format ocsf --since yesterday --until today -o yesterday.jsonl
  auditx export --format syslog --framing octet-counting --level SECURITY | nc siem 6514
  auditx export --format csv module:sales -o sales.csv

Exit status: 0 written, 1 nothing found, 2 an error, or a value was left out";

/// Parses one of these words, which clap lists in the help.
fn one_of<T, const N: usize>(words: [&'static str; N]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = auditx_export::Error> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let (selection, now) = (&arguments.selection, Moment::now());
    let trails = selection.family.trails()?;
    selection.warn(now)?;
    let searches = trails.searches(|trail| selection.search(trail, now))?;
    let output = arguments.output.as_deref().filter(|path| !save::is_standard_output(path));
    let is_shown = output.is_none() && terminal::is_output_a_terminal();
    let merge = Merge {
        order: Order::OldestFirst,
        limit: None,
        threads: selection.threads(),
        doing: (!is_shown).then_some("exporting"),
    };
    let exporter = arguments.exporter();
    let mapper = Mapper::new(if trails.single().is_some() { exporter } else { exporter.trail_column() });
    let read = match output {
        None => write(searches, &merge, &mapper, &mut io::stdout().lock())?,
        Some(path) => {
            let mut file = NewFile::create(path)?;
            let read = write(searches, &merge, &mapper, &mut file)?;
            file.finish()?;
            read
        }
    };
    let status = selection.report(&read);
    if status == Status::Negative {
        trails.report_nothing_found("");
    }
    Ok(if mapper.report_left_out() { status } else { Status::Error })
}

fn write<'t>(
    searches: Vec<(&'t Member, Search)>,
    merge: &Merge,
    mapper: &Mapper,
    out: &mut impl Write,
) -> Result<Vec<Read<'t>>, Failure> {
    let mut edge = Vec::new();
    mapper.header(&mut edge);
    out.write_all(&edge)?;
    let render = |member: &Member, found: &Found<'_>, text: &mut Vec<u8>| {
        mapper.render(found, member.name.as_deref(), text);
    };
    let read = merge.write(searches, render, |text| out.write_all(text))?;
    edge.clear();
    mapper.footer(&mut edge);
    out.write_all(&edge)?;
    out.flush()?;
    Ok(read)
}

impl Arguments {
    fn exporter(&self) -> Exporter {
        let mut exporter = Exporter::new(self.format).framing(self.framing);
        if let Some(service) = &self.service {
            exporter = exporter.service_name(service.as_str());
        }
        if let Some(hostname) = &self.hostname {
            exporter = exporter.default_hostname(hostname.as_str());
        }
        exporter
    }
}
