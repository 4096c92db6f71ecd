//! A bar chart of groups.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::tally::{Group, Plan, Tally};
use crate::cell;
use crate::number::grouped;
use crate::paint::{BOLD, DIM, paint};

const GAP: usize = 2;
const BAR: Style = AnsiColor::Cyan.on_default();

/// The minimum width of bars; bars are left out below it.
const MIN_BAR: usize = 10;

/// The maximum width of bars.
const MAX_BAR: usize = 60;

/// The maximum width of a value.
const MAX_WIDTH: usize = 28;

/// The width of `2026-11-24 15:00`.
const WHEN: usize = 16;

/// Writes one line per group, at most `width` wide, with bars in proportion to the largest count.
pub(super) fn write(
    out: &mut impl Write,
    plan: &Plan,
    groups: &[(Group, Tally)],
    width: usize,
    has_colours: bool,
) -> io::Result<()> {
    let table = Table::of(plan, groups, width, has_colours);
    let mut text = Vec::new();
    table.heading(plan, &mut text);
    for (group, tally) in groups {
        table.line(plan, group, tally, &mut text);
    }
    out.write_all(&text)
}

/// The minimum width of a value column; below it each group takes several lines.
const MIN_WIDTH: usize = 6;

struct Table {
    /// The width, if a group takes several lines.
    stacked: Option<usize>,
    /// The widths of the value columns.
    values: Vec<usize>,
    count: usize,
    sums: usize,
    bar: usize,
    most: u64,
    has_colours: bool,
}

impl Table {
    fn of(plan: &Plan, groups: &[(Group, Tally)], width: usize, has_colours: bool) -> Self {
        let widest = |names: &mut dyn Iterator<Item = usize>| names.max().unwrap_or(0).min(MAX_WIDTH);
        let mut values: Vec<usize> = plan
            .by
            .iter()
            .enumerate()
            .map(|(index, path)| {
                let mut widths =
                    groups.iter().map(|(group, _)| shown(group.values[index].as_deref()).width());
                widest(&mut widths).max(path.name().len())
            })
            .collect();
        let most = groups.iter().map(|(_, tally)| tally.count).max().unwrap_or(0);
        let count = grouped(most).len().max("Entries".len());
        let sums = groups.iter().map(|(_, tally)| sums(tally).width()).max().unwrap_or(0);
        let bucket = if plan.bucket.is_some() { WHEN + GAP } else { 0 };
        let beside = bucket + count + if sums > 0 { sums + GAP } else { 0 };
        let mut taken = beside + values.iter().map(|width| width + GAP).sum::<usize>();
        while taken > width
            && let Some(widest) = values.iter_mut().max().filter(|widest| **widest > MIN_WIDTH)
        {
            *widest -= 1;
            taken -= 1;
        }
        let stacked = (taken > width).then_some(width);
        let taken = taken + GAP;
        let bar = width.saturating_sub(taken).min(MAX_BAR);
        Self { stacked, values, count, sums, bar: if bar < MIN_BAR { 0 } else { bar }, most, has_colours }
    }

    fn heading(&self, plan: &Plan, out: &mut Vec<u8>) {
        if let Some(width) = self.stacked {
            let mut names: Vec<String> = plan.bucket.iter().map(|_| plan.zone.to_string()).collect();
            names.extend(plan.by.iter().map(|path| path.name().to_owned()));
            paint(self.has_colours, BOLD, out, |out| cell::plain(&names.join(", "), width, out));
            return out.push(b'\n');
        }
        let mut heading = String::new();
        if plan.bucket.is_some() {
            let zone = plan.zone.to_string();
            let zone = zone.rsplit_once('/').filter(|_| zone.width() > WHEN).map_or(&*zone, |(_, city)| city);
            heading.push_str(&format!("{zone:<0$.1$}", WHEN + GAP, WHEN));
        }
        for (path, width) in plan.by.iter().zip(&self.values) {
            heading.push_str(&format!("{:<1$}", path.name(), width + GAP));
        }
        heading.push_str(&format!("{:>1$}", "Entries", self.count));
        if let Some(path) = plan.sum.as_ref().filter(|_| self.sums > 0) {
            heading.push_str(&format!("  {:>1$}", path.name(), self.sums));
        }
        paint(self.has_colours, BOLD, out, |out| out.extend_from_slice(heading.as_bytes()));
        out.push(b'\n');
    }

    /// Writes a group in several lines: `admin, sales`, and below it the count and the sums.
    fn lines(&self, plan: &Plan, group: &Group, tally: &Tally, width: usize, out: &mut Vec<u8>) {
        let mut values: Vec<String> = plan.bucket.iter().map(|_| when(plan, group)).collect();
        values.extend(group.values.iter().map(|value| shown(value.as_deref()).to_owned()));
        cell::plain(&values.join(", "), width, out);
        let sums = tally.sums.iter().map(|(currency, sum)| format!("{sum} {currency}"));
        for number in [counted(tally.count)].into_iter().chain(sums) {
            out.push(b'\n');
            cell::pad(GAP, out);
            cell::plain(number.trim_end(), width - GAP, out);
        }
        out.push(b'\n');
    }

    fn line(&self, plan: &Plan, group: &Group, tally: &Tally, out: &mut Vec<u8>) {
        if let Some(width) = self.stacked {
            return self.lines(plan, group, tally, width, out);
        }
        if plan.bucket.is_some() {
            let when = when(plan, group);
            let used = cell::plain(&when, WHEN, out);
            cell::pad(WHEN + GAP - used, out);
        }
        for (value, width) in group.values.iter().zip(&self.values) {
            let style = if value.is_none() { DIM } else { Style::new() };
            let used =
                paint(self.has_colours, style, out, |out| cell::plain(shown(value.as_deref()), *width, out));
            cell::pad(width + GAP - used, out);
        }
        out.extend_from_slice(format!("{:>1$}", grouped(tally.count), self.count).as_bytes());
        if self.sums > 0 {
            let sums = sums(tally);
            cell::pad(GAP + self.sums - sums.width(), out);
            out.extend_from_slice(sums.as_bytes());
        }
        let bar = bar(tally.count, self.most, self.bar);
        if !bar.is_empty() {
            cell::pad(GAP, out);
            paint(self.has_colours, BAR, out, |out| out.extend_from_slice(bar.as_bytes()));
        }
        out.push(b'\n');
    }
}

/// Returns the start of the time span of a group, in the zone.
fn when(plan: &Plan, group: &Group) -> String {
    let Some(at) = group.bucket else { return "no time".to_owned() };
    let mut text = plan.zone.wall(at).to_string().replace('T', " ");
    text.truncate(WHEN);
    text
}

fn counted(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{} entries", grouped(count)) }
}

fn shown(value: Option<&str>) -> &str {
    match value {
        None => "(none)",
        Some("") => "\"\"",
        Some(value) => value,
    }
}

/// Returns the sums: `1250000.10 MMK, 20 USD`.
fn sums(tally: &Tally) -> String {
    let sums: Vec<String> = tally
        .sums
        .iter()
        .map(|(currency, sum)| {
            format!("{sum} {}", crate::terminal::sanitized(currency)).trim_end().to_owned()
        })
        .collect();
    sums.join(", ")
}

/// Returns a bar of blocks, the last one in eighths. A count of zero has no bar; any other has at least the
/// thinnest.
fn bar(count: u64, most: u64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if count == 0 || most == 0 || width == 0 {
        return String::new();
    }
    let eighths = u128::from(count) * (width as u128) * 8 / u128::from(most);
    let eighths = usize::try_from(eighths).unwrap_or(width * 8).max(1);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_proportional_and_nonzero_counts_are_visible() {
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(5, 10, 4), "██");
        assert_eq!(bar(1, 16, 4), "▎");
        assert_eq!(bar(1, 1_000_000, 4), "▏");
        assert_eq!((bar(0, 10, 4), bar(1, 10, 0)), (String::new(), String::new()));
    }
}
