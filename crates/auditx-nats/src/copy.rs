//! What a stream holds, read back for whoever doubts it.

use std::collections::HashMap;
use std::fmt;

use async_nats::jetstream::stream::Stream;
use auditx_ship::{Shipped, StoredCopy, StoredTrail, TrailId};
use futures_util::TryStreamExt;
use tokio::time::sleep;

use crate::address::Address;
use crate::connection::{AGAIN, Connection, TRIES};
use crate::error::{Error, Result};
use crate::message::{NOTES, Stored, notes_of, seq_of};
use crate::reader::Reader;
use crate::stream;

/// Reads copies.
pub struct NatsCopy {
    connection: Connection,
    stream: Stream,
    /// Which trail is read, which line comes next, and whoever reads it.
    reading: Option<(TrailId, u64, Reader)>,
    /// The line behind the last one of each trail, as the leader knew it.
    ends: HashMap<TrailId, u64>,
}

impl fmt::Debug for NatsCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsCopy").finish_non_exhaustive()
    }
}

impl NatsCopy {
    /// Connects. Takes what [`Nats::new`](crate::Nats::new) takes.
    ///
    /// # Errors
    /// Where the text is no address, the servers cannot be reached, or there is no such stream.
    pub async fn open(url: &str) -> Result<Self> {
        let address = Address::parse(url)?;
        let connection = Connection::open(&address).await?;
        let stream = connection.answer(stream::open(&connection, &address.stream)).await?;
        Ok(Self { connection, stream, reading: None, ends: HashMap::new() })
    }

    /// The ids of the trails over which something is signed.
    ///
    /// # Errors
    /// Where the servers cannot be asked.
    pub async fn ids(&self) -> Result<Vec<TrailId>> {
        let subjects = async {
            let subjects = self.stream.info_with_subjects(NOTES).await.map_err(Error::unreachable)?;
            subjects
                .map_ok(|(subject, _)| subject)
                .try_collect::<Vec<String>>()
                .await
                .map_err(Error::unreachable)
        };
        let subjects = self.connection.answer(subjects).await?;
        let mut ids: Vec<TrailId> =
            subjects.iter().filter_map(|subject| subject.rsplit('.').next()?.parse().ok()).collect();
        ids.sort();
        Ok(ids)
    }

    async fn trail_of(&mut self, trail: TrailId) -> Result<Option<StoredTrail>> {
        let mut notes = Vec::new();
        let mut reader = Reader::begin(&self.stream, notes_of(trail), 1).await?;
        loop {
            let page = reader.page().await?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                if let Stored::Note(note) = stored {
                    // Boundaries are kept, and of the others the newest.
                    if notes.last().is_some_and(|last: &auditx_ship::Note| !last.is_boundary) {
                        notes.pop();
                    }
                    notes.push(note);
                }
            }
        }
        let Some(newest) = notes.last().map(|note| note.checkpoint.clone()) else { return Ok(None) };
        let filter = crate::message::all_of(trail);
        let end = |error| Error::unreachable(error);
        let first = self.stream.get_first_raw_message_by_subject(&filter, 1).await.map_err(end)?;
        let last = self.stream.get_last_raw_message_by_subject(&filter).await.map_err(Error::unreachable)?;
        let next = seq_of(&last.subject, &last.payload).map_or(0, |seq| seq + 1);
        self.ends.insert(trail, next);
        Ok(Some(StoredTrail {
            trail,
            origin: newest.origin().to_owned(),
            first: seq_of(&first.subject, &first.payload).unwrap_or(0),
            next,
            boundaries: notes
                .into_iter()
                .filter(|note| note.is_boundary)
                .map(|note| note.checkpoint)
                .collect(),
            checkpoint: Some(newest),
        }))
    }

    async fn page(&mut self, trail: TrailId, from: u64) -> Result<Vec<Shipped>> {
        let mut reader = match self.reading.take() {
            Some((known, next, reader)) if known == trail && next == from => reader,
            _ => Reader::at(&mut self.stream, trail, from).await?,
        };
        let mut tries = 0;
        loop {
            let page = reader.page().await?;
            if page.is_empty() {
                if self.ends.get(&trail).is_none_or(|end| from >= *end) {
                    return Ok(Vec::new());
                }
                // Whoever was asked is behind: a server that was cut off or has just started.
                tries += 1;
                if tries > TRIES {
                    let why =
                        format!("line {from} is there, and the server that was asked does not have it yet");
                    return Err(Error::unreachable(why));
                }
                sleep(AGAIN).await;
                reader = Reader::at(&mut self.stream, trail, from).await?;
                continue;
            }
            let lines: Vec<Shipped> = page
                .into_iter()
                .filter_map(|stored| match stored {
                    Stored::Line(line) => Some(line),
                    Stored::Note(_) => None,
                })
                .collect();
            if let Some(last) = lines.last() {
                self.reading = Some((trail, last.seq + 1, reader));
                return Ok(lines);
            }
        }
    }
}

impl StoredCopy for NatsCopy {
    async fn trails(&mut self) -> auditx_ship::Result<Vec<StoredTrail>> {
        let mut trails = Vec::new();
        for id in self.ids().await? {
            trails.extend(self.trail_of(id).await?);
        }
        Ok(trails)
    }

    async fn lines(&mut self, trail: TrailId, from: u64) -> auditx_ship::Result<Vec<Shipped>> {
        Ok(self.page(trail, from).await?)
    }
}
