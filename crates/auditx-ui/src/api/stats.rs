//! What a search finds, counted.

use std::sync::Arc;

use auditx_reader::Zone;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::blocking;
use crate::counts::{Bar, Counts, FACETS, LEVELS};
use crate::dashboard::{Dashboard, Read};
use crate::guard::Visit;
use crate::problem::Problem;

use super::answer::json_text;
use super::parameters::Searched;

pub(super) async fn stats(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(asked): Query<Searched>,
) -> Result<Response, Problem> {
    let parameters = asked.parameters();
    let zone = parameters.zone()?;
    let (source, ask, counted_in) = (ui.shown().clone(), parameters.ask(&visit.viewer)?, zone.clone());
    let counts = blocking::run(&ui.reads, move || Counts::of(&source, &ask, &counted_in)).await??;
    ui.record(&visit.viewer, &Read::search("Audit trail counted", &parameters, counts.total)).await?;
    let answer = json!({
        "total": counts.total,
        "failed": counts.failed,
        "facets": facets(&counts),
        "timeline": counts.bars.iter().map(|bar| of_bar(bar, &zone)).collect::<Vec<_>>(),
        "is_out_of_time": counts.status.is_out_of_time,
        "reached": counts.status.reached.map(|moment| zone.rfc3339(moment)),
        "warnings": counts.status.warnings,
    });
    Ok(json_text(answer.to_string()))
}

/// The most frequent values of each field, by its name in the query language.
fn facets(counts: &Counts) -> Map<String, Value> {
    let fields = FACETS.iter().zip(&counts.values);
    let values = |values: &[(String, u64)]| -> Value {
        values.iter().map(|(value, count)| json!({ "value": value, "count": count })).collect()
    };
    fields.map(|((_, _, name), found)| ((*name).to_owned(), values(found))).collect()
}

fn of_bar(bar: &Bar, zone: &Zone) -> Value {
    let levels = LEVELS.iter().zip(bar.counts);
    let levels: Map<String, Value> =
        levels.map(|(level, count)| (level.to_ascii_lowercase(), count.into())).collect();
    json!({
        "begin": zone.rfc3339(bar.begin),
        "end": zone.rfc3339(bar.end),
        "total": bar.total(),
        "levels": levels,
    })
}
