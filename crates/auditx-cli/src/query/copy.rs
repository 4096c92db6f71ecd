//! `auditx query --from`: searches a database copy.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use auditx_postgres::Search;
use auditx_reader::{Found, Moment};

use super::Arguments;
use crate::destination::{Copy, Engine};
use crate::failure::{Failure, Status};
use crate::number::counted;
use crate::runtime::wait_for;
use crate::sort::Sorter;
use crate::terminal::{self, print_message, sanitized};

/// Bytes of text that are collected before they are written.
const CHUNK: usize = 64 * 1024;

pub(super) fn run(arguments: &Arguments, engine: &Engine, now: Moment) -> Result<Status, Failure> {
    let mut search = Search::new(arguments.selection.full_query(now)?).order(arguments.order.into());
    if let Some(trail) = arguments.trail_id {
        search = search.trail(trail);
    }
    let limit = arguments.limit.unwrap_or(u64::MAX);
    let renderer = arguments.output.renderer(None, arguments.selection.zone(), None)?;
    let mut document = renderer.document(io::stdout().lock());
    let source = PathBuf::from(engine.id()?.as_str());
    let (mut found, mut text, mut write_error) = (0, Vec::new(), None);
    let mut sorter = arguments.sort.as_ref().map(|by| (by, Sorter::new(arguments.limit, 1)));
    let unreadable = wait_for(async {
        let Copy::Postgres(mut copy) = engine.copy().await? else {
            return Err(Failure::new(
                "only a database copy can be searched: copy the stream to one with `auditx ship --from`",
            ));
        };
        let visited = copy.search(&search, |_, row| {
            let entry = Found { row, path: &source, offset: row.seq().unwrap_or(0), is_unsigned: false };
            if let Some((by, sorter)) = &mut sorter {
                found += 1;
                sorter.add(by, &entry, |entry, text| renderer.render(entry, None, text));
                return ControlFlow::Continue(());
            }
            if found == limit {
                return ControlFlow::Break(());
            }
            found += 1;
            if !arguments.count {
                renderer.render(&entry, None, &mut text);
            }
            if text.len() < CHUNK {
                return ControlFlow::Continue(());
            }
            write_error = document.write(&text).err();
            text.clear();
            if write_error.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        visited.await.map_err(|error| Failure::new(sanitized(&error.to_string())))
    })??;
    if let Some(error) = write_error {
        return Err(error.into());
    }
    if let Some((_, sorter)) = sorter {
        Sorter::write(vec![sorter], |text| document.write(text))?;
    }
    if arguments.count {
        terminal::print_text(&format!("{found}\n"))?;
    } else {
        document.write(&text)?;
        document.end()?;
    }
    Ok(conclude(arguments, found, unreadable, &source))
}

fn conclude(arguments: &Arguments, found: u64, unreadable: u64, source: &Path) -> Status {
    if unreadable > 0 {
        print_message(&format!("{} could not be read", counted(unreadable, "line")));
    }
    if found == 0 && !arguments.count {
        print_message(&format!("nothing found in {}", source.display()));
    }
    match found {
        _ if unreadable > 0 && arguments.selection.is_strict() => Status::Error,
        0 => Status::Negative,
        _ => Status::Success,
    }
}
