//! `auditx fields`: which fields occur in a trail, in how many entries, and some of their values.
//!
//! Each thread has a [`Survey`] of its own. The examples of a field are the first values that differ, in the
//! order of the trail, so that threads change nothing: whatever is among the first for all of them is so for
//! the one that meets it.

use std::collections::HashMap;
use std::io::Write;

use auditx_reader::{Field, Found, Json, Moment};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::cell;
use crate::failure::{Failure, Status};
use crate::number::grouped;
use crate::paint::{BOLD, DIM, paint};
use crate::progress::watched;
use crate::question::Asked;
use crate::terminal::{self, Colours, complain, harmless};

/// Lists the fields that occur, in how many entries, and some of their values
///
/// Members of metadata, and of old and new values, are fields too. Each can be
/// asked for as it is listed: auditx query 'metadata.party:*'
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// Says it in JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    colours: Colours,
}

const EXAMPLES: &str = "\
Examples:
  auditx fields                           which fields there are
  auditx fields --module sales --since 7d of a module, in a week
  auditx fields --json | jq -r '.fields[].field'

Exit status: 0 listed, 1 nothing found, 2 an error, or with --strict a line that cannot be read";

/// More fields than this are counted and not listed: names that are made of data have no end.
const MOST_FIELDS: usize = 10_000;

/// Values that are shown of a field, and how much of one, in bytes.
const EXAMPLES_EACH: usize = 3;
const EXAMPLE: usize = 80;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let asked = &arguments.asked;
    let search = watched(asked.search(Moment::now())?, "looking");
    let (parts, summary) = search.fold(Survey::default, Survey::add)?;
    // Its progress is taken from the terminal before the list comes.
    drop(search);
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
        terminal::write_json(&mut out, &Listing { found: summary.found, fields, left_out })?;
    } else if summary.found > 0 {
        let width = usize::from(terminal::table_width());
        out.write_all(&table(&fields, width, arguments.colours.are_wanted()))?;
    }
    out.flush()?;
    drop(out);
    if left_out > 0 {
        complain(&format!("more than {} fields: others are not listed", grouped(MOST_FIELDS as u64)));
    }
    let status = asked.tell(&summary);
    if status == Status::Nothing && summary.complaints.lines() == 0 {
        asked.tell_nothing("");
    }
    Ok(status)
}

#[derive(Serialize)]
struct Listing<'s> {
    found: u64,
    fields: Vec<Listed<'s>>,
    /// Values of fields that are too many to list.
    left_out: u64,
}

#[derive(Serialize)]
struct Listed<'s> {
    field: &'s str,
    count: u64,
    examples: Vec<&'s str>,
}

/// Where an entry is in the trail.
type Position = (u64, u64);

/// What one thread met.
#[derive(Debug, Default)]
struct Survey {
    fields: HashMap<String, Seen>,
    left_out: u64,
    /// The name at hand.
    name: String,
}

#[derive(Debug, Default)]
struct Seen {
    place: usize,
    count: u64,
    /// The entry that was counted last: a list may have many values of one name.
    last: Option<Position>,
    /// The first values, in order.
    examples: Vec<Example>,
}

#[derive(Debug)]
struct Example {
    at: Position,
    text: String,
}

impl Survey {
    fn add(&mut self, found: &Found<'_>) {
        let at = (found.row.seq().map_or(0, |seq| seq + 1), found.offset);
        for (place, field) in Field::ALL.into_iter().enumerate() {
            if let Some(value) = found.row.get(field) {
                self.name.clear();
                self.name.push_str(field.name());
                self.value(place, value, at);
            }
        }
    }

    fn value(&mut self, place: usize, value: Json<'_>, at: Position) {
        match value {
            Json::Null | Json::Text("") => {}
            Json::Array(_) => value.items().for_each(|item| self.value(place, item, at)),
            Json::Object(_) => {
                let mut is_empty = true;
                for (key, member) in value.members() {
                    is_empty = false;
                    let len = self.name.len();
                    push_name(&key, &mut self.name);
                    self.value(place, member, at);
                    self.name.truncate(len);
                }
                if !is_empty {
                    self.note(place, None, at);
                }
            }
            value => self.note(place, Some(value), at),
        }
    }

    fn note(&mut self, place: usize, value: Option<Json<'_>>, at: Position) {
        if !self.fields.contains_key(&self.name) {
            if self.fields.len() >= MOST_FIELDS {
                self.left_out += 1;
                return;
            }
            self.fields.insert(self.name.clone(), Seen { place, ..Seen::default() });
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
            if self.fields.len() >= MOST_FIELDS && !self.fields.contains_key(&name) {
                self.left_out += seen.count;
                continue;
            }
            let own =
                self.fields.entry(name).or_insert_with(|| Seen { place: seen.place, ..Seen::default() });
            own.count += seen.count;
            seen.examples.into_iter().for_each(|example| own.add(example));
        }
        self
    }

    /// In the order of a line, members by name.
    fn sorted(self) -> Vec<(String, Seen)> {
        let mut fields: Vec<_> = self.fields.into_iter().collect();
        fields.sort_unstable_by(|(one, a), (other, b)| a.place.cmp(&b.place).then_with(|| one.cmp(other)));
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

/// Appends a member's name as a question has it: with other characters than these it needs quotation marks.
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

/// Names go no further than this.
const WIDEST: usize = 40;

/// Narrower than this a field has a second line for its values.
const WITH_VALUES: usize = 60;

const GAP: usize = 2;

fn table(fields: &[(String, Seen)], width: usize, has_colours: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let is_wide = width >= WITH_VALUES;
    let most = fields.iter().map(|(_, seen)| seen.count).max().unwrap_or(0);
    let count = grouped(most).len().max("Entries".len());
    let room = if is_wide { WIDEST } else { width.saturating_sub(count + GAP).max(1) };
    let name =
        fields.iter().map(|(name, _)| harmless(name).width()).max().unwrap_or(0).clamp(5.min(room), room);
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
    fn members_are_fields_and_lists_count_once() {
        let line = r#"{"seq":1,"user":"a","metadata":{"items":[{"sku":"A"},{"sku":"B"}],"none":null,"":1,"a.b":{"c":2}},"ip":""}"#;
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
    fn threads_do_not_change_which_values_are_shown() {
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
    fn names_without_an_end_are_counted_and_not_kept() {
        let lines: Vec<(u64, String)> = (0..1_200)
            .map(|seq| {
                let members: Vec<String> = (0..10).map(|key| format!("\"k{seq}-{key}\":1")).collect();
                (seq, format!("{{\"seq\":{seq},\"metadata\":{{{}}}}}", members.join(",")))
            })
            .collect();
        let survey = survey(&lines);
        assert_eq!(survey.fields.len(), MOST_FIELDS);
        assert!(survey.left_out >= 2_000, "{}", survey.left_out);
    }
}
