//! Compares the shipper to NATS JetStream, with one server and file storage, with publishing the same
//! payloads individually with thousands of outstanding acknowledgements. The server has its defaults and
//! syncs periodically, for both subjects.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use async_nats::jetstream::{self, Context};
use auditx_store::TrailReader;
use auditx_tests::nats::Servers;

use super::{Row, compared, shipped};
use crate::Outcome;

/// The number of outstanding acknowledgements of a fast publisher.
const OPEN: usize = 4_000;

pub(super) fn rows(trail: &Path, until: Option<u64>, runs: u32) -> Outcome<Vec<Row>> {
    let until = until.unwrap_or(u64::MAX);
    let (mut ours, mut theirs, mut bytes) = (Vec::new(), Vec::new(), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for round in 1..=runs {
        eprintln!("run {round} of {runs}: JetStream");
        let servers = Servers::relaxed();
        runtime.block_on(auditx_nats::init(&servers.url()))?;
        ours.push(shipped(trail, &servers.url(), until)?);
        bytes = runtime.block_on(async { stored(&connect(&servers).await?).await })?.1;
        let servers = Servers::relaxed();
        runtime.block_on(auditx_nats::init(&servers.url()))?;
        let begin = Instant::now();
        let count = runtime.block_on(publish(&servers, trail, ours.last().map_or(0, |run| run.lines)))?;
        theirs.push(begin.elapsed().as_secs_f64());
        let stored_messages = runtime.block_on(async { stored(&connect(&servers).await?).await })?.0;
        if stored_messages != count {
            return Err(format!("{stored_messages} messages instead of {count}").into());
        }
    }
    Ok(compared(["pipelined-publish", "auditx-nats"], &theirs, &ours, bytes))
}

async fn connect(servers: &Servers) -> Outcome<Context> {
    Ok(jetstream::new(async_nats::connect(format!("127.0.0.1:{}", servers.port(0))).await?))
}

/// Returns the number of messages and their size in bytes.
async fn stored(context: &Context) -> Outcome<(u64, u64)> {
    let mut stream = context.get_stream("AUDIT").await?;
    let state = &stream.info().await?.state;
    Ok((state.messages, state.bytes))
}

async fn publish(servers: &Servers, trail: &Path, lines: u64) -> Outcome<u64> {
    let (context, mut reader) = (connect(servers).await?, TrailReader::new(trail, 0));
    let (mut open, mut count) = (VecDeque::new(), 0);
    while count < lines
        && let Some((_, line)) = reader.next_line()?
    {
        count += 1;
        open.push_back(context.publish("audit.bench.lines", line.to_vec().into()).await?);
        if open.len() >= OPEN
            && let Some(oldest) = open.pop_front()
        {
            oldest.await?;
        }
    }
    for rest in open {
        rest.await?;
    }
    Ok(count)
}
