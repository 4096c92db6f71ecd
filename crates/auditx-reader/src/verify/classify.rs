//! Classifies the first line that is not the expected one.
//!
//! Works on that line and its neighbours, and returns a [`Fault`]. A line that was deleted or inserted with
//! all later lines renumbered is detected by the renumber test: with its original number, a line has the
//! signed hash.

use auditx_tlog::{Hash, MAX_LINE, erased_hash, leaf_hash, parse_seq};

use super::fault::{Fault, FaultKind};
use super::localise::{AHEAD, Localiser};

/// A line as found in a segment.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) line: Vec<u8>,
    pub(super) number: Option<u64>,
    pub(super) segment: usize,
    pub(super) name: String,
    pub(super) offset: u64,
    /// The number in its segment's name, if it is the segment's first line.
    pub(super) named: Option<u64>,
    pub(super) is_first: bool,
    /// Whether it ends with a newline.
    pub(super) is_whole: bool,
    /// Whether it is the text after the last newline of the active segment.
    pub(super) is_torn: bool,
}

impl Seen {
    fn is_stub(&self) -> bool {
        erased_hash(&self.line).is_some()
    }

    fn follows_with(&self, seq: u64) -> bool {
        memchr::memmem::find(&self.line, format!("{{\"seq\":{seq},").as_bytes()).is_some()
    }
}

/// A wrong line and its neighbours.
pub(super) struct Classifier<'a> {
    pub(super) localiser: &'a Localiser<'a>,
    /// The number of the expected line.
    pub(super) at: u64,
    pub(super) seen: &'a Seen,
    pub(super) previous: Option<&'a Seen>,
    /// The lines after it.
    pub(super) ahead: &'a [Seen],
}

impl Classifier<'_> {
    pub(super) fn fault(&self) -> Fault {
        let Self { at, seen, .. } = *self;
        if let Some(fault) = self.of_the_line_before() {
            return fault;
        }
        if seen.line.is_empty() && seen.is_whole {
            return self.here(FaultKind::Inserted, format!("an empty line was inserted before line {at}"));
        }
        if !seen.is_whole || seen.line.len() >= MAX_LINE {
            return self.here(FaultKind::Altered, format!("the end of line {at} was altered"));
        }
        if seen.is_stub() && seen.number == Some(at) && self.is_well_named() {
            return self
                .here(FaultKind::BadErasure, format!("the stub of line {at} does not have the signed hash"));
        }
        if seen.is_first && self.is_misplaced() {
            return self.of_segment();
        }
        if seen.number == Some(at) { self.renumbered() } else { self.misnumbered() }
    }

    /// Faults of the previous line that only this line shows: two lines joined, one line split, a stub next
    /// to its line.
    fn of_the_line_before(&self) -> Option<Fault> {
        let previous = self.previous?;
        let before = self.at.checked_sub(1)?;
        let there = |kind, message: String| {
            Some(Fault::new(kind, message).at(before).within(previous.name.clone(), previous.offset))
        };
        if self.seen.number == Some(before) && (previous.is_stub() || self.seen.is_stub()) {
            return there(
                FaultKind::BadErasure,
                format!("line {before} is present next to the stub of its erasure"),
            );
        }
        // The previous line matched its signed hash.
        if self.localiser.known(before).is_some() {
            return None;
        }
        if self.seen.number != Some(self.at) && previous.follows_with(self.at) {
            return there(FaultKind::Altered, format!("the end of line {before} was altered"));
        }
        if self.seen.number.is_none() && !self.seen.line.is_empty() && !previous.line.ends_with(b"}") {
            return there(FaultKind::Altered, format!("line {before} was split in two"));
        }
        None
    }

    fn is_well_named(&self) -> bool {
        self.seen.named.is_none_or(|named| named == self.at)
    }

    fn following(&self) -> Option<u64> {
        self.ahead.first()?.number
    }

    /// Whether the whole segment rather than its first line is out of place.
    fn is_misplaced(&self) -> bool {
        let is_a_neighbour = [self.at, self.at.saturating_add(1)].map(Some).contains(&self.following());
        !self.is_well_named()
            || (self.seen.number.is_some() && self.seen.number != Some(self.at) && !is_a_neighbour)
    }

    fn of_segment(&self) -> Fault {
        let Self { at, seen, .. } = *self;
        let files = self.localiser.files;
        let begins_here = |file: usize| files.get(file).is_some_and(|file| file.first_seq() == Some(at));
        let elsewhere = (0..files.len()).find(|file| *file != seen.segment && begins_here(*file));
        let is_old = seen.number.is_some_and(|number| number < at);
        if is_old && begins_here(seen.segment + 1) {
            let message = format!("a copy of earlier lines was inserted before line {at}");
            return self.here(FaultKind::Inserted, message);
        }
        if elsewhere.is_some() || seen.number == Some(at) {
            let message = format!("the segment that begins with line {at} has the name of another segment");
            return self.here(FaultKind::Reordered, message);
        }
        self.missing()
    }

    /// The fault of a line with the expected number and another hash.
    fn renumbered(&self) -> Fault {
        let Self { at, seen, .. } = *self;
        let is_from = |line: &Seen, seq: u64| self.is_signed_as(line, seq);
        let came_after =
            (at.saturating_add(1)..=at.saturating_add(AHEAD as u64)).find(|seq| is_from(seen, *seq));
        let goes_here = self.ahead.iter().find(|line| is_from(line, at));
        match (came_after, goes_here) {
            (Some(_), Some(_)) => self.here(
                FaultKind::Reordered,
                format!("line {at} was moved behind a later line and renumbered"),
            ),
            (Some(_), None) => self.missing(),
            (None, Some(_)) => {
                self.here(FaultKind::Inserted, format!("a line was inserted before line {at}"))
            }
            (None, None) => self.altered(),
        }
    }

    /// The fault of a line with another number, or with none.
    fn misnumbered(&self) -> Fault {
        let Self { at, seen, .. } = *self;
        let following = self.following();
        let Some(number) = seen.number else {
            return if following == Some(at) { self.inserted() } else { self.altered() };
        };
        if self.is_signed_as(seen, at) || following == Some(at.saturating_add(1)) {
            return self.altered();
        }
        let is_authentic = match self.localiser.known(number) {
            Some(known) => leaf_hash(&seen.line) == known,
            None if number < at => self.previous.is_some_and(|previous| previous.line == seen.line),
            None => true,
        };
        match (number < at, following == Some(at)) {
            (true, true) => self.inserted(),
            (true, false) if is_authentic => self.inserted(),
            (false, true) => {
                self.here(FaultKind::Reordered, format!("line {number} was found before line {at}"))
            }
            (false, false) if is_authentic => self.missing(),
            _ => self.altered(),
        }
    }

    /// Whether the line, renumbered to `seq`, has the signed hash of line `seq`.
    fn is_signed_as(&self, line: &Seen, seq: u64) -> bool {
        self.localiser.known(seq).is_some_and(|known| hash_as(&line.line, seq) == Some(known))
    }

    fn altered(&self) -> Fault {
        self.here(FaultKind::Altered, format!("line {} differs from what was signed", self.at))
    }

    fn inserted(&self) -> Fault {
        let message = match self.seen.number {
            Some(number) => format!("a second line {number} was inserted before line {}", self.at),
            None => format!("something that is not a line of the trail was inserted before line {}", self.at),
        };
        self.here(FaultKind::Inserted, message)
    }

    fn missing(&self) -> Fault {
        let message = match self.seen.number {
            Some(number) if number > self.at => format!("line {} is missing before line {number}", self.at),
            _ => format!("line {} is missing", self.at),
        };
        self.here(FaultKind::Missing, message)
    }

    fn here(&self, kind: FaultKind, message: String) -> Fault {
        Fault::new(kind, message).at(self.at).within(self.seen.name.clone(), self.seen.offset)
    }
}

/// The hash that the line would have with this number.
pub(super) fn hash_as(line: &[u8], seq: u64) -> Option<Hash> {
    parse_seq(line)?;
    let body = &line[memchr::memchr(b',', line)?..];
    Some(leaf_hash(&[format!("{{\"seq\":{seq}").as_bytes(), body].concat()))
}
