//! Output formats of entries: a table, JSON, CSV, the changed fields, or the bytes as stored.
//!
//! A [`Renderer`] formats entries on the threads of a search; [`Document`] writes their text on one thread,
//! with header, separators and footer.

use std::io::{self, Write};

use auditx_export::{CsvCell, Exporter, Format, csv_record};
use auditx_reader::{Found, Zone};
use clap::ValueEnum;

use crate::columns::{Columns, Days};
use crate::diff::{self, Heading};
use crate::failure::Failure;
use crate::fields::{self, FieldPath};
use crate::mapper::Mapper;
use crate::sanitized_json;
use crate::terminal::{self, Colours};

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// One line per entry: time, level, user, action, description
    Table,
    /// One JSON array
    Json,
    /// One JSON object per line
    Ndjson,
    /// For spreadsheets; text that looks like a formula is prefixed with an apostrophe
    Csv,
    /// The changed fields with their old and new values
    Diff,
    /// The bytes as stored
    Raw,
}

/// The flags for the output of entries.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputOptions {
    /// The output format [default: table on a terminal, ndjson in a pipe]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Form>,
    /// Show only these fields, in this order, named as in a query: user,ref,metadata.party,old.status
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    fields: Vec<FieldPath>,
    #[command(flatten)]
    colours: Colours,
}

impl OutputOptions {
    /// Returns the renderer for standard output, with this line marked and times in this zone. `trail` is the
    /// width of the longest name of a trail, if there are several.
    pub(crate) fn renderer(
        &self,
        marked: Option<u64>,
        zone: Zone,
        trail: Option<usize>,
    ) -> Result<Renderer, Failure> {
        let is_terminal = terminal::is_output_a_terminal();
        let form = self.output.unwrap_or(if is_terminal { Form::Table } else { Form::Ndjson });
        if !self.fields.is_empty() && matches!(form, Form::Diff | Form::Raw) {
            return Err(Failure::new("--fields requires the output format table, json, ndjson or csv"));
        }
        let has_colours = self.colours.are_wanted();
        let (fields, width) = (self.fields.clone(), terminal::table_width());
        let kind = match form {
            Form::Table if fields.is_empty() => {
                let columns = Columns::for_width(width, trail, has_colours, zone.clone());
                Kind::Table(columns.marked(marked))
            }
            Form::Table => Kind::Table(Columns::of_fields(&fields, width, trail, has_colours, zone.clone())),
            Form::Json => Kind::Objects { fields, is_array: true },
            Form::Ndjson => Kind::Objects { fields, is_array: false },
            Form::Csv if fields.is_empty() => {
                let exporter = Exporter::new(Format::Csv);
                let exporter = if trail.is_some() { exporter.trail_column() } else { exporter };
                Kind::Csv(Mapper::new(exporter).in_zone(zone.clone()))
            }
            Form::Csv => Kind::Cells(fields),
            Form::Diff => Kind::Diff(Heading { has_record: true, has_colours, zone: zone.clone() }),
            Form::Raw => Kind::Raw { is_escaped: is_terminal },
        };
        Ok(Renderer { kind, has_colours, zone, has_trail: trail.is_some() })
    }
}

/// Formats entries. Shared by threads; the state of one output is in its [`Document`].
#[derive(Debug)]
pub(crate) struct Renderer {
    kind: Kind,
    has_colours: bool,
    zone: Zone,
    /// Whether there are several trails, so that each entry has the name of its own.
    has_trail: bool,
}

#[derive(Debug)]
enum Kind {
    Table(Columns),
    Objects {
        fields: Vec<FieldPath>,
        is_array: bool,
    },
    Csv(Mapper),
    /// CSV of these fields.
    Cells(Vec<FieldPath>),
    Diff(Heading),
    /// An entry and its changes as one JSON object.
    Changes,
    /// The stored bytes; `is_escaped` on a terminal.
    Raw {
        is_escaped: bool,
    },
}

impl Renderer {
    /// Returns the renderer of `auditx history`.
    pub(crate) fn for_history(is_json: bool, has_colours: bool, zone: Zone, has_trail: bool) -> Self {
        let heading = Heading { has_record: false, has_colours, zone: zone.clone() };
        let kind = if is_json { Kind::Changes } else { Kind::Diff(heading) };
        Self { kind, has_colours, zone, has_trail }
    }

    /// Formats one entry, for [`Document::write`]. `trail` is the name of its trail, if there are several;
    /// the stored bytes do not have it.
    pub(crate) fn render(&self, found: &Found<'_>, trail: Option<&str>, out: &mut Vec<u8>) {
        let row = found.row;
        match &self.kind {
            Kind::Table(columns) => columns.row(row, trail, found.is_unsigned, out),
            Kind::Objects { fields, is_array } => {
                out.extend_from_slice(if *is_array { b",\n" } else { b"" });
                let start = out.len();
                if fields.is_empty() {
                    sanitized_json::text(row.line(), out);
                } else {
                    fields::object(row, fields, out);
                }
                name_trail(trail, start, out);
                out.extend_from_slice(if *is_array { b"" } else { b"\n" });
            }
            Kind::Csv(mapper) => mapper.render(found, trail, out),
            Kind::Cells(fields) => {
                first_cell(trail, out);
                fields::record(row, fields, &self.zone, out);
            }
            Kind::Diff(heading) => diff::entry(row, trail, heading, out),
            Kind::Changes => {
                out.extend_from_slice(b",\n");
                let start = out.len();
                diff::object(row, out);
                name_trail(trail, start, out);
            }
            Kind::Raw { is_escaped } => {
                if *is_escaped {
                    sanitized_json::text(row.line(), out);
                } else {
                    out.extend_from_slice(row.line().as_bytes());
                }
                out.push(b'\n');
            }
        }
    }

    /// Writes the names of the columns of CSV.
    fn csv_heading(&self, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Csv(mapper) => mapper.header(out),
            Kind::Cells(fields) => {
                first_cell(self.has_trail.then_some(TRAIL), out);
                fields::heading(fields, out);
            }
            _ => {}
        }
    }

    /// Returns `true` if the format has text after the last entry.
    pub(crate) fn has_footer(&self) -> bool {
        matches!(self.kind, Kind::Objects { is_array: true, .. } | Kind::Changes)
    }

    /// Returns a writer for the formatted entries.
    pub(crate) fn document<W: Write>(&self, out: W) -> Document<'_, W> {
        Document { renderer: self, out, has_begun: false, days: Days::default(), text: Vec::new() }
    }
}

/// Writes formatted entries to one output.
#[derive(Debug)]
pub(crate) struct Document<'s, W> {
    renderer: &'s Renderer,
    out: W,
    has_begun: bool,
    days: Days,
    text: Vec<u8>,
}

impl<W: Write> Document<'_, W> {
    /// Writes the text of complete entries.
    pub(crate) fn write(&mut self, mut text: &[u8]) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.text.clear();
        let is_first = !self.has_begun;
        self.has_begun = true;
        match &self.renderer.kind {
            Kind::Table(columns) => {
                if is_first {
                    columns.heading(&mut self.text);
                }
                if columns.has_days() {
                    self.days.pass(text, self.renderer.has_colours, &mut self.text);
                    text = b"";
                }
            }
            Kind::Objects { is_array: true, .. } | Kind::Changes if is_first => {
                self.text.push(b'[');
                // The text of every entry begins with a comma, also the first one.
                text = &text[1..];
            }
            _ if is_first => self.renderer.csv_heading(&mut self.text),
            _ => {}
        }
        self.out.write_all(&self.text)?;
        self.out.write_all(text)
    }

    /// Writes the footer and flushes. Reports values that were left out and returns `false` if there were
    /// any.
    pub(crate) fn end(mut self) -> io::Result<bool> {
        match &self.renderer.kind {
            Kind::Objects { is_array: true, .. } | Kind::Changes => {
                self.out.write_all(if self.has_begun { b"\n]\n" } else { b"[]\n" })?;
            }
            // Without entries, CSV still has its header.
            _ if !self.has_begun => {
                self.text.clear();
                self.renderer.csv_heading(&mut self.text);
                self.out.write_all(&self.text)?;
            }
            _ => {}
        }
        self.out.flush()?;
        Ok(match &self.renderer.kind {
            Kind::Csv(mapper) => mapper.report_left_out(),
            _ => true,
        })
    }

    /// Flushes the output.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The name of the member and of the column that say which trail an entry is of.
const TRAIL: &str = "trail";

/// Inserts the name of the trail, if there are several, as the first member of the object at `start`.
fn name_trail(trail: Option<&str>, start: usize, out: &mut Vec<u8>) {
    let Some(trail) = trail else { return };
    let Some(brace) = out[start..].iter().position(|byte| *byte == b'{') else { return };
    let rest = out.split_off(start + brace + 1);
    sanitized_json::quoted(TRAIL, out);
    out.push(b':');
    sanitized_json::quoted(trail, out);
    if !rest.trim_ascii_start().starts_with(b"}") {
        out.push(b',');
    }
    out.extend_from_slice(&rest);
}

/// Writes the first cell of a CSV record, if there are several trails.
fn first_cell(name: Option<&str>, out: &mut Vec<u8>) {
    let Some(name) = name else { return };
    csv_record([Some(CsvCell::Text(name.into()))], out);
    out.truncate(out.len() - "\r\n".len());
    out.push(b',');
}
