//! The values that may occur in a block: the identifying values of its entries, in a split block Bloom filter
//! as defined by Apache Parquet
//!
//! For a value that does not occur, a filter answers "maybe" about once in two hundred times. It never
//! answers "no" for a value that occurs.

use auditx_format::row::{Field, Row};
use xxhash_rust::xxh64::xxh64;

/// The indexed fields, those by which entries are looked up.
const INDEXED: [Field; 12] = [
    Field::Id,
    Field::Level,
    Field::Module,
    Field::Action,
    Field::User,
    Field::OnBehalfOf,
    Field::EntityType,
    Field::EntityId,
    Field::ReferenceNo,
    Field::RequestId,
    Field::SessionId,
    Field::Ip,
];

/// The number of bits per value.
const BITS_PER_KEY: usize = 12;

const WORDS: usize = 8;
const BUCKET_BITS: usize = 32 * WORDS;

const SALTS: [u32; WORDS] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The filter of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyFilter(pub(super) Vec<[u32; WORDS]>);

/// Collects the keys of the entries of a block.
#[derive(Debug, Default)]
pub(super) struct KeyCollector {
    keys: Vec<u64>,
    /// The last value of each indexed field, with its quotation marks. Consecutive entries often share
    /// values, and need not be hashed again.
    last: [Vec<u8>; INDEXED.len()],
    scratch: Vec<u8>,
}

impl KeyCollector {
    /// Adds the keys of an entry.
    pub(super) fn add(&mut self, row: &Row<'_>) {
        for (field, last) in INDEXED.into_iter().zip(&mut self.last) {
            if let Some(raw) = row.raw(field)
                && *last != raw.as_bytes()
            {
                last.clear();
                last.extend_from_slice(raw.as_bytes());
                self.keys.push(key(field, &row.text(field), &mut self.scratch));
            }
        }
    }

    /// Ends the block and returns its filter.
    pub(super) fn finish(&mut self) -> KeyFilter {
        let filter = KeyFilter::of(&mut self.keys);
        self.keys.clear();
        self.last.iter_mut().for_each(Vec::clear);
        filter
    }
}

/// A value of an indexed field, hashed once to query many blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexKey(pub(super) u64);

impl IndexKey {
    /// Creates the key of a value, given as text without escapes. `None` if the field is not indexed.
    #[must_use]
    pub fn of(field: Field, value: &str) -> Option<Self> {
        INDEXED.contains(&field).then(|| Self(key(field, value, &mut Vec::new())))
    }
}

/// Returns XXH64, with seed 0, of the field's name, a zero byte and the value. Level, module and action are
/// lower-cased.
fn key(field: Field, value: &str, bytes: &mut Vec<u8>) -> u64 {
    bytes.clear();
    bytes.extend_from_slice(field.name().as_bytes());
    bytes.push(0);
    let begin = bytes.len();
    bytes.extend_from_slice(value.as_bytes());
    if matches!(field, Field::Level | Field::Module | Field::Action) {
        bytes[begin..].make_ascii_lowercase();
    }
    xxh64(bytes, 0)
}

impl KeyFilter {
    /// Creates the filter of these keys, which it sorts.
    pub(super) fn of(keys: &mut Vec<u64>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        let buckets = (keys.len() * BITS_PER_KEY).div_ceil(BUCKET_BITS).max(1);
        let mut filter = Self(vec![[0; WORDS]; buckets]);
        for key in keys {
            let (bucket, mask) = filter.locate(*key);
            for (word, bit) in filter.0[bucket].iter_mut().zip(mask) {
                *word |= bit;
            }
        }
        filter
    }

    /// Returns whether this key may be in the filter.
    pub(super) fn may_hold(&self, key: u64) -> bool {
        let (bucket, mask) = self.locate(key);
        self.0.get(bucket).is_none_or(|words| words.iter().zip(mask).all(|(word, bit)| word & bit != 0))
    }

    /// Returns the bucket, from the upper half of the key, and one bit for each of its words, from the lower
    /// half.
    fn locate(&self, key: u64) -> (usize, [u32; WORDS]) {
        let [upper, lower] = [key >> 32, key & u64::from(u32::MAX)];
        let bucket = (upper * self.0.len() as u64) >> 32;
        let lower = u32::try_from(lower).unwrap_or(0);
        (usize::try_from(bucket).unwrap_or(0), SALTS.map(|salt| 1 << (lower.wrapping_mul(salt) >> 27)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_no_false_negatives_and_few_false_positives() {
        let mut bytes = Vec::new();
        let mut keys: Vec<u64> =
            (0..2_000).map(|number| key(Field::EntityId, &format!("inv-{number}"), &mut bytes)).collect();
        let filter = KeyFilter::of(&mut keys.clone());
        assert!(keys.iter().all(|key| filter.may_hold(*key)));
        keys = (2_000..22_000)
            .map(|number| key(Field::EntityId, &format!("inv-{number}"), &mut bytes))
            .collect();
        let wrong = keys.iter().filter(|key| filter.may_hold(**key)).count();
        assert!(wrong < 200, "{wrong} of 20,000");
        assert!(!KeyFilter::of(&mut Vec::new()).may_hold(keys[0]));
    }

    #[test]
    fn keys_depend_on_the_field_and_ignore_case_of_levels() {
        let mut bytes = Vec::new();
        let mut key = |field, value| key(field, value, &mut bytes);
        assert_ne!(key(Field::User, "x"), key(Field::EntityId, "x"));
        assert_ne!(key(Field::User, "Aung"), key(Field::User, "aung"));
        assert_eq!(key(Field::Level, "SECURITY"), key(Field::Level, "security"));
    }
}
