//! `auditx fields`: the fields of a trail, with counts and example values.
//!
//! Each thread collects a [`Survey`] of its own. The examples of a field are its first distinct values in the
//! order of the trail, so the result does not depend on the number of threads: a value that is among the
//! first overall is also among the first of the thread that finds it.

use std::collections::HashMap;
use std::io::Write;

use auditx_reader::{Field, Found, Json, Moment};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::cell;
use crate::failure::{Failure, Status};
use crate::family::Member;
use crate::merge::folded;
use crate::number::grouped;
use crate::paint::{BOLD, DIM, paint};
use crate::selection::Selection;
use crate::summary;
use crate::terminal::{self, Colours, print_message, sanitized};

/// List the fields of a trail with counts and example values
///
/// Members of metadata and of old and new values are fields too. A query accepts
/// each field as it is listed: auditx query 'metadata.party:*'
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    colours: Colours,
}

const EXAMPLES: &str = "\
Examples:
  auditx fields                           all fields
  auditx fields --module sales --since 7d fields of a module in the last week
  auditx fields --json | jq -r '.fields[].field'

Exit status: 0 found, 1 nothing found, 2 an error; with --strict also 2 if a line cannot be read";

/// Further fields are counted but not listed: names generated from data could grow without bound.
const MAX_FIELDS: usize = 10_000;

/// The number of example values of a field, and the maximum length of one.
const EXAMPLES_EACH: usize = 3;
const EXAMPLE: usize = 80;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let selection = &arguments.selection;
    let (trails, now) = (selection.family.trails()?, Moment::now());
    selection.warn(now)?;
    let searches = trails.searches(|trail| selection.search(trail, now))?;
    let add = |survey: &mut Survey, _: &Member, found: &Found<'_>| survey.add(found);
    let init = |member: &Member| Survey { trail: member.order, ..Survey::default() };
    let (parts, read) = folded(searches, "reading", init, add)?;
    let found = summary::found(&read);
    let survey = parts.into_iter().reduce(Survey::merged).unwrap_or_default();
    let left_out = survey.left_out;
    let fields = survey.sorted();
    let mut out = terminal::output();
    if arguments.json {
        let fields = fields.iter().map(|(name, seen)| Listed {
            field: name,
            count: seen.count,
            examples: seen.examples.iter().map(|example| example.text.as_str()).collect(),
        });
        let fields = fields.collect();
        terminal::write_json(&mut out, &Listing { found, fields, left_out })?;
    } else if found > 0 {
        let width = usize::from(terminal::table_width());
        out.write_all(&table(&fields, width, arguments.colours.are_wanted()))?;
    }
    out.flush()?;
    drop(out);
    if left_out > 0 {
        print_message(&format!("more than {} fields: the others are not listed", grouped(MAX_FIELDS as u64)));
    }
    let status = selection.report(&read);
    if status == Status::Negative && summary::unreadable(&read) == 0 {
        trails.report_nothing_found("");
    }
    Ok(status)
}

#[derive(Serialize)]
struct Listing<'s> {
    found: u64,
    fields: Vec<Listed<'s>>,
    /// The number of values of fields beyond [`MAX_FIELDS`].
    left_out: u64,
}

#[derive(Serialize)]
struct Listed<'s> {
    field: &'s str,
    count: u64,
    examples: Vec<&'s str>,
}

/// The position of an entry: the trail, seq + 1 (0 for legacy lines), and the byte offset.
type Position = (usize, u64, u64);

/// The fields that one thread found.
#[derive(Debug, Default)]
struct Survey {
    /// The position of the trail among all trails.
    trail: usize,
    fields: HashMap<String, Seen>,
    left_out: u64,
    /// The name of the current field, reused.
    name: String,
}

#[derive(Debug, Default)]
struct Seen {
    order: usize,
    count: u64,
    /// The last entry that was counted, because an array may have several values for one name.
    last: Option<Position>,
    /// The first distinct values, in the order of the trail.
    examples: Vec<Example>,
}

#[derive(Debug)]
struct Example {
    at: Position,
    text: String,
}

impl Survey {
    fn add(&mut self, found: &Found<'_>) {
        let at = (self.trail, found.row.seq().map_or(0, |seq| seq + 1), found.offset);
        for (order, field) in Field::ALL.into_iter().enumerate() {
            if let Some(value) = found.row.get(field) {
                self.name.clear();
                self.name.push_str(field.name());
                self.value(order, value, at);
            }
        }
    }

    fn value(&mut self, order: usize, value: Json<'_>, at: Position) {
        match value {
            Json::Null | Json::Text("") => {}
            Json::Array(_) => value.items().for_each(|item| self.value(order, item, at)),
            Json::Object(_) => {
                let mut is_empty = true;
                for (key, member) in value.members() {
                    is_empty = false;
                    let len = self.name.len();
                    push_name(&key, &mut self.name);
                    self.value(order, member, at);
                    self.name.truncate(len);
                }
                if !is_empty {
                    self.count(order, None, at);
                }
            }
            value => self.count(order, Some(value), at),
        }
    }

    fn count(&mut self, order: usize, value: Option<Json<'_>>, at: Position) {
        if !self.fields.contains_key(&self.name) {
            if self.fields.len() >= MAX_FIELDS {
                self.left_out += 1;
                return;
            }
            self.fields.insert(self.name.clone(), Seen { order, ..Seen::default() });
        }
        let Some(seen) = self.fields.get_mut(&self.name) else { return };
        seen.count += u64::from(seen.last != Some(at));
        seen.last = Some(at);
        if let Some(value) = value
            && (seen.examples.len() < EXAMPLES_EACH || seen.examples.last().is_some_and(|last| at < last.at))
        {
            let text = cell::seen(value, EXAMPLE / 16).chars().take(EXAMPLE).collect();
            seen.add(Example { at, text });
        }
    }

    fn merged(mut self, other: Self) -> Self {
        self.left_out += other.left_out;
        for (name, seen) in other.fields {
            if self.fields.len() >= MAX_FIELDS && !self.fields.contains_key(&name) {
                self.left_out += seen.count;
                continue;
            }
            let own =
                self.fields.entry(name).or_insert_with(|| Seen { order: seen.order, ..Seen::default() });
            own.count += seen.count;
            seen.examples.into_iter().for_each(|example| own.add(example));
        }
        self
    }

    /// Returns the fields in the order of a line, members sorted by name.
    fn sorted(self) -> Vec<(String, Seen)> {
        let mut fields: Vec<_> = self.fields.into_iter().collect();
        fields.sort_unstable_by(|(one, a), (other, b)| a.order.cmp(&b.order).then_with(|| one.cmp(other)));
        fields
    }
}

impl Seen {
    fn add(&mut self, example: Example) {
        match self.examples.iter_mut().find(|known| known.text == example.text) {
            Some(known) => known.at = known.at.min(example.at),
            None => self.examples.push(example),
        }
        self.examples.sort_by_key(|example| example.at);
        self.examples.truncate(EXAMPLES_EACH);
    }
}

/// Appends the name of a member as a query has it: quoted if it contains other characters than these.
fn push_name(key: &str, name: &mut String) {
    name.push('.');
    let is_plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-/@#%+".contains(c));
    if is_plain {
        name.push_str(key);
    } else {
        name.push('"');
        name.push_str(&key.replace('\\', r"\\").replace('"', "\\\""));
        name.push('"');
    }
}

/// The maximum width of a name.
const MAX_WIDTH: usize = 40;

/// Below this width the values of a field are in a second line.
const MIN_WIDTH_WITH_VALUES: usize = 60;

const GAP: usize = 2;

fn table(fields: &[(String, Seen)], width: usize, has_colours: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let is_wide = width >= MIN_WIDTH_WITH_VALUES;
    let most = fields.iter().map(|(_, seen)| seen.count).max().unwrap_or(0);
    let count = grouped(most).len().max("Entries".len());
    let available = if is_wide { MAX_WIDTH } else { width.saturating_sub(count + GAP).max(1) };
    let name = fields
        .iter()
        .map(|(name, _)| sanitized(name).width())
        .max()
        .unwrap_or(0)
        .clamp(5.min(available), available);
    let mut line = |first: &str, number: &str, values: &str, is_heading: bool| {
        let style = if is_heading { BOLD } else { anstyle::Style::new() };
        let used = paint(has_colours, style, &mut out, |out| cell::plain(first, name, out));
        cell::pad(name - used + GAP + count.saturating_sub(number.len()), &mut out);
        paint(has_colours, style, &mut out, |out| cell::plain(number, count, out));
        let indent = if is_wide { name + count + 2 * GAP } else { GAP };
        if !values.is_empty() && width > indent {
            if is_wide {
                cell::pad(GAP, &mut out);
            } else {
                out.push(b'\n');
                cell::pad(indent, &mut out);
            }
            let style = if is_heading { BOLD } else { DIM };
            paint(has_colours, style, &mut out, |out| cell::plain(values, width - indent, out));
        }
        out.push(b'\n');
    };
    line("Field", "Entries", if is_wide { "Values" } else { "" }, true);
    for (name, seen) in fields {
        let examples: Vec<&str> = seen.examples.iter().map(|example| example.text.as_str()).collect();
        line(name, &grouped(seen.count), &examples.join(", "), false);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use auditx_reader::Row;

    use super::*;

    fn survey(lines: &[(u64, String)]) -> Survey {
        let mut survey = Survey::default();
        for (offset, line) in lines {
            let row = Row::read_text(line).unwrap();
            survey.add(&Found { row: &row, path: Path::new("a"), offset: *offset, is_unsigned: false });
        }
        survey
    }

    #[test]
    fn members_are_fields_and_arrays_count_once() {
        let line = concat!(
            r#"{"seq":1,"user":"a","metadata":{"items":[{"sku":"A"},{"sku":"B"}],"none":null,"":1,"#,
            r#""a.b":{"c":2}},"ip":""}"#
        );
        let fields = survey(&[(0, line.to_owned())]).sorted();
        let shown: Vec<(&str, u64)> = fields.iter().map(|(name, seen)| (name.as_str(), seen.count)).collect();
        assert_eq!(
            shown,
            [
                ("seq", 1),
                ("user", 1),
                ("metadata", 1),
                ("metadata.\"\"", 1),
                ("metadata.\"a.b\"", 1),
                ("metadata.\"a.b\".c", 1),
                ("metadata.items", 1),
                ("metadata.items.sku", 1),
            ]
        );
        assert_eq!(fields[7].1.examples.iter().map(|example| &*example.text).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn examples_do_not_depend_on_threads() {
        let lines: Vec<(u64, String)> = (0..60)
            .map(|seq: u64| {
                (seq, format!("{{\"seq\":{seq},\"user\":\"u{}\",\"success\":true}}", (seq / 4) % 7))
            })
            .collect();
        let shown = |survey: Survey| {
            let fields = survey.sorted();
            let (_, user) = fields.iter().find(|(name, _)| name == "user").unwrap();
            (user.count, user.examples.iter().map(|example| example.text.clone()).collect::<Vec<_>>())
        };
        let expected = (60, ["u0", "u1", "u2"].map(str::to_owned).to_vec());
        assert_eq!(shown(survey(&lines)), expected);
        for at in [1, 7, 30, 59] {
            let (one, other) = lines.split_at(at);
            assert_eq!(shown(survey(other).merged(survey(one))), expected, "{at}");
            assert_eq!(shown(survey(&[other, one].concat())), expected, "{at}");
        }
    }

    #[test]
    fn the_number_of_listed_fields_is_bounded() {
        let lines: Vec<(u64, String)> = (0..1_200)
            .map(|seq| {
                let members: Vec<String> = (0..10).map(|key| format!("\"k{seq}-{key}\":1")).collect();
                (seq, format!("{{\"seq\":{seq},\"metadata\":{{{}}}}}", members.join(",")))
            })
            .collect();
        let survey = survey(&lines);
        assert_eq!(survey.fields.len(), MAX_FIELDS);
        assert!(survey.left_out >= 2_000, "{}", survey.left_out);
    }
}
