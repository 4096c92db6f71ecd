//! Which of the waiting entries the trail has already.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;

use auditx_reader::{Field, Moment, Search};
use uuid::Uuid;

use crate::error::{Error, Result};

/// Returns which of these ids are in the trail. Entries keep their times, so earlier ones are not searched.
pub(crate) fn recorded(trail: &Path, ids: &[Uuid], earliest: Moment) -> Result<HashSet<Uuid>> {
    let wanted: HashSet<Uuid> = ids.iter().copied().collect();
    let mut found = HashSet::new();
    let summary = Search::new(trail)
        .since(earliest)
        .each(|entry| {
            let id = Uuid::try_parse(&entry.row.text(Field::Id)).ok().filter(|id| wanted.contains(id));
            found.extend(id);
            ControlFlow::Continue(())
        })
        .map_err(Error::trail)?;
    // A line that cannot be read may be one of them, and would be recorded twice.
    if let Some(error) = summary.errors.iter().next() {
        return Err(Error::trail(format!("cannot search what is recorded already: {error}")));
    }
    Ok(found)
}
