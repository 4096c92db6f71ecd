//! What a search finds, counted.

use std::sync::Arc;

use auditx_reader::Zone;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::blocking;
use crate::counts::{Bar, Counts, FACETS, LEVELS};
use crate::counts_page::exact;
use crate::dashboard::{Dashboard, Read};
use crate::guard::Visit;
use crate::problem::Problem;
use crate::selection::{Parameters, time_reached, warnings};

use super::answer::json_text;
use super::parameters::Searched;

pub(super) async fn stats(
    State(ui): State<Arc<Dashboard>>,
    Extension(visit): Extension<Visit>,
    Query(asked): Query<Searched>,
) -> Result<Response, Problem> {
    let parameters = Parameters::from(asked);
    let zone = parameters.zone()?;
    let search = parameters.search(ui.directory(), &visit.viewer)?;
    let (owned, viewer) = (ui.clone(), visit.viewer.clone());
    let (counts, reached) = blocking::run(&ui.reads, move || {
        let counts = Counts::of(&search)?;
        let reached = time_reached(owned.directory(), &counts.summary, &viewer);
        Ok::<_, auditx_reader::Error>((counts, reached))
    })
    .await??;
    ui.record(&visit.viewer, &Read::search("Audit trail counted", &parameters, counts.total)).await?;
    let answer = json!({
        "total": counts.total,
        "failed": counts.failed,
        "facets": facets(&counts),
        "timeline": {
            "seconds": counts.length,
            "bars": counts.bars.iter().map(|bar| of_bar(bar, &zone)).collect::<Vec<_>>(),
        },
        "is_out_of_time": counts.summary.is_out_of_time,
        "reached": reached.map(|moment| zone.rfc3339(moment)),
        "warnings": warnings(&counts.summary, &visit.viewer),
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
    json!({ "begin": exact(zone, bar.begin), "total": bar.total(), "levels": levels })
}
