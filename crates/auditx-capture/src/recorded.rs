//! Which of the waiting entries the trail has already.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;

use auditx_reader::{Field, Moment, Search};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::series::Series;

/// Returns which of these ids are in the trail. Entries keep their times, so earlier ones are not searched.
pub(crate) fn recorded(trail: &Path, ids: &[Uuid], earliest: Moment) -> Result<HashSet<Uuid>> {
    let wanted: HashSet<Uuid> = ids.iter().copied().collect();
    let mut found = HashSet::new();
    each_id(trail, earliest, |id| {
        if wanted.contains(&id) {
            found.insert(id);
        }
    })?;
    Ok(found)
}

/// Returns the last id of this series in the trail. All before it are there too: they are recorded in order.
pub(crate) fn last_of(trail: &Path, series: Series, earliest: Moment) -> Result<Option<Uuid>> {
    let mut last = None;
    each_id(trail, earliest, |id| {
        if series.place(id).is_some() {
            last = last.max(Some(id));
        }
    })?;
    Ok(last)
}

fn each_id(trail: &Path, earliest: Moment, mut take: impl FnMut(Uuid)) -> Result<()> {
    let summary = Search::new(trail)
        .since(earliest)
        .each(|entry| {
            if let Ok(id) = Uuid::try_parse(&entry.row.text(Field::Id)) {
                take(id);
            }
            ControlFlow::Continue(())
        })
        .map_err(Error::trail)?;
    // A line that cannot be read may be one of them, and would be recorded twice.
    if let Some(error) = summary.errors.iter().next() {
        return Err(Error::trail(format!("cannot search what is recorded already: {error}")));
    }
    Ok(())
}
