//! Searches the trails of a family: merges what is found by time, or folds it.
//!
//! To merge, each search runs on a thread of its own and puts blocks of formatted entries into a short queue;
//! the calling thread takes the entry with the earliest time from the heads of all queues. So nothing but a
//! few blocks of each trail is in memory, and the searches stop soon after the limit is reached.
//!
//! Entries of one trail stay in its order, even if its clock went back. Entries with equal times are in the
//! order of the trails; newest first, in the reverse order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use auditx_reader::{Found, Moment, Order, Search, Summary};

use crate::failure::Failure;
use crate::family::{Member, Read};
use crate::progress::{Together, watched};

/// Bytes of text that a search collects before it puts them into its queue.
const BLOCK: usize = 64 << 10;

/// A smaller block is passed on after this time, so that entries that are seldom found are shown soon.
const PATIENCE: Duration = Duration::from_millis(100);

/// Blocks that wait in a queue.
const QUEUE_LEN: usize = 1;

/// Formatted entries of one trail, in its order.
#[derive(Default)]
struct Block {
    text: Vec<u8>,
    marks: Vec<Mark>,
}

struct Mark {
    /// The time in microseconds, negated bit by bit if the newest entry is first.
    time: i64,
    end: usize,
    is_unsigned: bool,
}

/// The entries that wait for their turn.
struct Head {
    queue: Receiver<Block>,
    block: Block,
    /// The number of entries that were taken from the block, and the end of their text.
    taken: usize,
    begin: usize,
}

impl Head {
    /// Waits for the next entry and returns its time; `None` at the search's end.
    fn time(&mut self) -> Option<i64> {
        while self.is_spent() {
            self.block = self.queue.recv().ok()?;
            (self.taken, self.begin) = (0, 0);
        }
        Some(self.block.marks[self.taken].time)
    }

    /// Returns `true` if every entry of the block was taken, so that the next one must be waited for.
    fn is_spent(&self) -> bool {
        self.taken == self.block.marks.len()
    }

    /// Takes the next entry, which must be there: its text, and whether it is unsigned.
    fn take(&mut self) -> (&[u8], bool) {
        let mark = &self.block.marks[self.taken];
        let begin = std::mem::replace(&mut self.begin, mark.end);
        self.taken += 1;
        (&self.block.text[begin..mark.end], mark.is_unsigned)
    }
}

/// How the entries that searches find are put into one order.
#[derive(Debug)]
pub(crate) struct Merge {
    pub(crate) order: Order,
    pub(crate) limit: Option<u64>,
    /// The number of threads that read, of all searches together.
    pub(crate) threads: usize,
    /// What a progress bar says, if there is one.
    pub(crate) doing: Option<&'static str>,
}

impl Merge {
    /// Calls `out` with the text that `render` makes of entry after entry. One trail keeps its order and
    /// speed; several are searched at the same time, and their entries merged by time. The summaries count
    /// only what was passed to `out`.
    pub(crate) fn write<'t>(
        &self,
        searches: Vec<(&'t Member, Search)>,
        render: impl Fn(&Member, &Found<'_>, &mut Vec<u8>) + Sync,
        out: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Vec<Read<'t>>, Failure> {
        let searches = self.prepared(searches);
        if let [(member @ Member { name: None, .. }, search)] = &searches[..] {
            let summary = search.write(|found, text| render(member, found, text), out)?;
            return Ok(vec![(*member, summary)]);
        }
        thread::scope(|scope| {
            let (mut heads, mut threads) = (Vec::new(), Vec::new());
            for (member, search) in &searches {
                let (blocks, queue) = sync_channel(QUEUE_LEN);
                heads.push(Head { queue, block: Block::default(), taken: 0, begin: 0 });
                let render = &render;
                let find =
                    move || find(search, self.order, |found, text| render(member, found, text), &blocks);
                let thread = thread::Builder::new().name("auditx-merge".to_owned());
                threads.push(thread.spawn_scoped(scope, find).map_err(|error| {
                    Failure::new(format!("cannot start a thread for each trail: {error}; give --trail NAME"))
                })?);
            }
            let shown = self.take_all(heads, out);
            let mut read = Vec::new();
            for ((member, _), thread) in searches.iter().zip(threads) {
                let summary = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                read.push((*member, summary?));
            }
            for ((_, summary), (found, unsigned)) in read.iter_mut().zip(shown?) {
                (summary.found, summary.unsigned) = (found, unsigned);
            }
            Ok(read)
        })
    }

    /// Returns the searches with order, limit, threads and progress bar.
    fn prepared<'t>(&self, searches: Vec<(&'t Member, Search)>) -> Vec<(&'t Member, Search)> {
        let count = searches.len();
        let progress = self.doing.map(|doing| Together::of(doing, count));
        let prepare = |(index, (member, mut search)): (usize, (&'t Member, Search))| {
            search = search.order(self.order).threads((self.threads / count).max(1));
            if let Some(limit) = self.limit {
                search = search.limit(limit);
            }
            if let Some(progress) = &progress {
                search = progress.watched(index, search);
            }
            (member, search)
        };
        searches.into_iter().enumerate().map(prepare).collect()
    }

    /// Takes the entries from all queues in order. Returns for each the number of entries, and how many of
    /// them are unsigned. Dropping the queues stops the searches.
    fn take_all(
        &self,
        mut heads: Vec<Head>,
        mut out: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Vec<(u64, u64)>, Failure> {
        let (mut shown, mut text) = (vec![(0, 0); heads.len()], Vec::new());
        let turn = |index: usize| match self.order {
            Order::OldestFirst => index,
            Order::NewestFirst => !index,
        };
        let mut next: BinaryHeap<_> = heads
            .iter_mut()
            .enumerate()
            .filter_map(|(index, head)| Some(Reverse((head.time()?, turn(index), index))))
            .collect();
        let mut left = self.limit.unwrap_or(u64::MAX);
        while left > 0
            && let Some(Reverse((_, turn, index))) = next.pop()
        {
            left -= 1;
            let (entry, is_unsigned) = heads[index].take();
            text.extend_from_slice(entry);
            shown[index].0 += 1;
            shown[index].1 += u64::from(is_unsigned);
            if heads[index].is_spent() {
                out(&text)?;
                text.clear();
            }
            if left > 0
                && let Some(time) = heads[index].time()
            {
                next.push(Reverse((time, turn, index)));
            }
        }
        out(&text)?;
        Ok(shown)
    }
}

/// Folds the entries of one trail after the other with [`Search::fold`].
pub(crate) fn folded<'t, T: Send>(
    searches: Vec<(&'t Member, Search)>,
    doing: &'static str,
    init: impl Fn(&Member) -> T + Sync,
    step: impl Fn(&mut T, &Member, &Found<'_>) + Sync,
) -> Result<(Vec<T>, Vec<Read<'t>>), Failure> {
    let (mut values, mut read) = (Vec::new(), Vec::new());
    for (member, search) in searches {
        // Dropping the search removes the progress bar.
        let search = watched(search, doing);
        let (more, summary) = search.fold(|| init(member), |value, found| step(value, member, found))?;
        values.extend(more);
        read.push((member, summary));
    }
    Ok((values, read))
}

/// Puts the findings of one search into its queue, until the queue is dropped.
fn find(
    search: &Search,
    order: Order,
    render: impl Fn(&Found<'_>, &mut Vec<u8>),
    blocks: &SyncSender<Block>,
) -> auditx_reader::Result<Summary> {
    let (mut block, mut sent) = (Block::default(), None::<Instant>);
    // An entry without a time, such as an erased one, comes directly after the one before it.
    let mut time = i64::MIN;
    let summary = search.each(|found| {
        time = match (found.row.moment().map(Moment::micros), order) {
            (None, _) => time,
            (Some(micros), Order::OldestFirst) => micros,
            (Some(micros), Order::NewestFirst) => !micros,
        };
        render(&found, &mut block.text);
        block.marks.push(Mark { time, end: block.text.len(), is_unsigned: found.is_unsigned });
        let is_early = sent.is_some_and(|sent| sent.elapsed() < PATIENCE);
        if is_early && block.text.len() < BLOCK {
            return ControlFlow::Continue(());
        }
        sent = Some(Instant::now());
        match blocks.send(std::mem::take(&mut block)) {
            Ok(()) => ControlFlow::Continue(()),
            // Enough was found.
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    // If the queue was dropped, enough was found.
    let _is_taken = blocks.send(block).is_ok();
    Ok(summary)
}
