//! The JSON output of `auditx stats` and `auditx values`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;

use serde::Serialize;

use super::ranking::Ranking;
use super::tally::{Group, GroupBy, Plan, Tally};
use crate::failure::Failure;
use crate::terminal;

/// Writes the groups one by one, because all of them together may not fit in memory.
pub(super) fn write_json(plan: &Plan, ranking: Ranking, found: u64) -> Result<(), Failure> {
    let head = format!("{{\n  \"found\": {found},\n  \"groups\": [");
    write_each(&head, plan, ranking, |group, tally| pretty(&Counted::of(plan, group, tally)))
}

/// Writes the values of one field in the same way.
pub(super) fn write_values(plan: &Plan, ranking: Ranking, found: u64) -> Result<(), Failure> {
    let name = plan.by.first().map_or("", GroupBy::name);
    let (field, distinct) = (pretty(&name)?, ranking.groups);
    let head = format!(
        "{{\n  \"found\": {found},\n  \"field\": {field},\n  \"distinct\": {distinct},\n  \"values\": ["
    );
    write_each(&head, plan, ranking, |group, tally| {
        let value = group.values.first().and_then(Option::as_deref);
        pretty(&Value { value, count: tally.count, failed: tally.failed })
    })
}

fn pretty(found: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(found)
        .map_err(|error| Failure::new(format!("cannot write the result as JSON: {error}")))
}

fn write_each(
    head: &str,
    plan: &Plan,
    ranking: Ranking,
    json: impl Fn(&Group, &Tally) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let mut out = BufWriter::new(terminal::output());
    out.write_all(head.as_bytes())?;
    let (mut count, mut outcome) = (0_u64, Ok(()));
    ranking.each(plan, |group, tally| {
        let between = if count == 0 { "\n    " } else { ",\n    " };
        count += 1;
        outcome = json(&group, &tally)
            .and_then(|json| Ok(write!(out, "{between}{}", json.replace('\n', "\n    "))?));
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome?;
    writeln!(out, "{}]\n}}", if count == 0 { "" } else { "\n  " })?;
    Ok(out.flush()?)
}

/// One value; null counts entries without the field.
#[derive(Serialize)]
struct Value<'g> {
    value: Option<&'g str>,
    count: u64,
    failed: u64,
}

/// One group.
#[derive(Serialize)]
struct Counted<'g> {
    /// The start of the time span.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    by: BTreeMap<&'g str, Option<&'g str>>,
    count: u64,
    failed: u64,
    /// Decimal digits by currency, as strings: many programs read a JSON number as binary floating point.
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<BTreeMap<&'g str, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_summed: Option<u64>,
}

impl<'g> Counted<'g> {
    fn of(plan: &'g Plan, group: &'g Group, tally: &'g Tally) -> Self {
        let has_sum = plan.sum.is_some();
        Self {
            since: group.bucket.map(|at| at.to_string()),
            by: plan.by.iter().map(GroupBy::name).zip(group.values.iter().map(Option::as_deref)).collect(),
            count: tally.count,
            failed: tally.failed,
            sum: has_sum.then(|| {
                tally.sums.iter().map(|(currency, sum)| (currency.as_str(), sum.to_string())).collect()
            }),
            not_summed: has_sum.then_some(tally.not_summed),
        }
    }
}
