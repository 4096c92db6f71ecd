//! The same question to an engine that trails were shipped to.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use auditx_postgres::Search;
use auditx_reader::{Found, Moment};

use super::Arguments;
use crate::destination::{Copy, Engine, wait_for};
use crate::failure::{Failure, Status};
use crate::number::counted;
use crate::sort::Sorter;
use crate::terminal::{self, complain, harmless};

/// So much text is made before it is written.
const CHUNK: usize = 64 * 1024;

pub(super) fn run(arguments: &Arguments, engine: &Engine, now: Moment) -> Result<Status, Failure> {
    let mut search = Search::new(arguments.asked.whole_query(now)?).order(arguments.order.into());
    if let Some(trail) = arguments.trail_id {
        search = search.trail(trail);
    }
    let limit = arguments.limit.unwrap_or(u64::MAX);
    let sheet = arguments.looks.sheet(None, arguments.asked.zone())?;
    let mut pages = sheet.pages(io::stdout().lock());
    let place = PathBuf::from(engine.id()?.as_str());
    let (mut found, mut text, mut refusal) = (0, Vec::new(), None);
    let mut sorter = arguments.sort.as_ref().map(|by| (by, Sorter::new(arguments.limit, 1)));
    let unreadable = wait_for(async {
        let Copy::Postgres(mut copy) = engine.copy().await? else {
            return Err(Failure::said(
                "only a database answers questions: ship to one, or drain a stream into it with `auditx ship --from`",
            ));
        };
        let visited = copy.search(&search, |_, row| {
            let entry = Found { row, path: &place, offset: row.seq().unwrap_or(0), is_unsigned: false };
            if let Some((by, sorter)) = &mut sorter {
                found += 1;
                sorter.add(by, &entry, |entry, text| sheet.render(entry, text));
                return ControlFlow::Continue(());
            }
            if found == limit {
                return ControlFlow::Break(());
            }
            found += 1;
            if !arguments.count {
                sheet.render(&entry, &mut text);
            }
            if text.len() < CHUNK {
                return ControlFlow::Continue(());
            }
            refusal = pages.write(&text).err();
            text.clear();
            if refusal.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        visited.await.map_err(|error| Failure::said(harmless(&error.to_string())))
    })??;
    if let Some(error) = refusal {
        return Err(error.into());
    }
    if let Some((_, sorter)) = sorter {
        Sorter::write(vec![sorter], |text| pages.write(text))?;
    }
    if arguments.count {
        terminal::give(&format!("{found}\n"))?;
    } else {
        pages.write(&text)?;
        pages.end()?;
    }
    Ok(conclude(arguments, found, unreadable, &place))
}

fn conclude(arguments: &Arguments, found: u64, unreadable: u64, place: &Path) -> Status {
    if unreadable > 0 {
        complain(&format!("{} could not be read", counted(unreadable, "line")));
    }
    if found == 0 && !arguments.count {
        complain(&format!("nothing found in {}", place.display()));
    }
    match found {
        _ if unreadable > 0 && arguments.asked.is_strict() => Status::Error,
        0 => Status::Nothing,
        _ => Status::Found,
    }
}
