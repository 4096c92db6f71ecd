//! Reads the trails in a stream, to restore and verify them.

use std::collections::HashMap;
use std::fmt;

use async_nats::jetstream::stream::Stream;
use auditx_ship::{CoveringCheckpoint, ShippedLine, StoredCopy, StoredTrail, TrailId};
use futures_util::TryStreamExt;
use tokio::time::sleep;

use crate::address::Address;
use crate::connection::{Connection, MAX_TRIES, RETRY_INTERVAL};
use crate::error::{Error, Result};
use crate::message::{CHECKPOINTS, Stored, checkpoints_of, seq_of};
use crate::reader::Reader;
use crate::stream;

/// Reads copies of trails from a stream.
pub struct NatsCopy {
    connection: Connection,
    stream: Stream,
    /// The trail being read, its next line, and its reader.
    reading: Option<(TrailId, u64, Reader)>,
    /// The end of each trail (its last line + 1), as the leader reported it.
    ends: HashMap<TrailId, u64>,
}

impl fmt::Debug for NatsCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsCopy").finish_non_exhaustive()
    }
}

impl NatsCopy {
    /// Connects to the servers. The URL is that of [`Nats::new`](crate::Nats::new).
    ///
    /// # Errors
    /// If the URL is invalid, the servers cannot be reached, or the stream does not exist.
    pub async fn open(url: &str) -> Result<Self> {
        let address = Address::parse(url)?;
        let connection = Connection::open(&address).await?;
        let stream = connection.answer(stream::open(&connection, &address.stream)).await?;
        Ok(Self { connection, stream, reading: None, ends: HashMap::new() })
    }

    /// Returns the ids of all trails that have a checkpoint in the stream.
    ///
    /// # Errors
    /// If the servers cannot be reached or refuse.
    pub async fn ids(&self) -> Result<Vec<TrailId>> {
        let subjects = async {
            let subjects = self.stream.info_with_subjects(CHECKPOINTS).await.map_err(Error::unreachable)?;
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
        let mut checkpoints = Vec::new();
        let mut reader = Reader::from_sequence(&self.stream, checkpoints_of(trail), 1).await?;
        loop {
            let page = reader.page().await?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                if let Stored::Checkpoint(checkpoint) = stored {
                    // Keep all boundaries, and only the newest of the others.
                    if checkpoints.last().is_some_and(|last: &CoveringCheckpoint| !last.is_boundary) {
                        checkpoints.pop();
                    }
                    checkpoints.push(checkpoint);
                }
            }
        }
        let Some(newest) = checkpoints.last().map(|last| last.signed.clone()) else { return Ok(None) };
        let filter = crate::message::all_of(trail);
        let unreachable = |error| Error::unreachable(error);
        let first = self.stream.get_first_raw_message_by_subject(&filter, 1).await.map_err(unreachable)?;
        let last = self.stream.get_last_raw_message_by_subject(&filter).await.map_err(Error::unreachable)?;
        let next = seq_of(&last.subject, &last.payload).map_or(0, |seq| seq + 1);
        self.ends.insert(trail, next);
        Ok(Some(StoredTrail {
            trail,
            origin: newest.origin().to_owned(),
            first: seq_of(&first.subject, &first.payload).unwrap_or(0),
            next,
            boundaries: checkpoints
                .into_iter()
                .filter(|checkpoint| checkpoint.is_boundary)
                .map(|checkpoint| checkpoint.signed)
                .collect(),
            checkpoint: Some(newest),
        }))
    }

    async fn page(&mut self, trail: TrailId, from: u64) -> Result<Vec<ShippedLine>> {
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
                // The server that responded is behind: it was cut off or has just started.
                tries += 1;
                if tries > MAX_TRIES {
                    let why = format!(
                        "line {from} is in the stream, but the server that responded does not have it yet"
                    );
                    return Err(Error::unreachable(why));
                }
                sleep(RETRY_INTERVAL).await;
                reader = Reader::at(&mut self.stream, trail, from).await?;
                continue;
            }
            let lines: Vec<ShippedLine> = page
                .into_iter()
                .filter_map(|stored| match stored {
                    Stored::Line(line) => Some(line),
                    Stored::Checkpoint(_) => None,
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

    async fn lines(&mut self, trail: TrailId, from: u64) -> auditx_ship::Result<Vec<ShippedLine>> {
        Ok(self.page(trail, from).await?)
    }
}
