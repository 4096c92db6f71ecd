//! Ids that hold the position of a change in a log.
//!
//! A log is read again after a failure, and each reading must give a change the same id. Since the id holds
//! the position, the last change in the trail says where to continue, however many changes follow it.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The ids of the changes of one log: UUIDs of version 8. They are ordered as the changes are.
///
/// From the highest bit: 56 bits of the position of the commit, 32 bits of the number in the transaction, and
/// 34 bits that tell one log from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series(u64);

const MARK_BITS: u32 = 34;
const INDEX_BITS: u32 = 32;
const POSITION_BITS: u32 = 56;

/// The bits of a UUID below its version, and below its variant.
const AFTER_VERSION: u32 = 76;
const AFTER_VARIANT: u32 = 62;

impl Series {
    /// Creates the series of a log. What identifies the log must be different for each log that is recorded
    /// in one trail.
    #[must_use]
    pub fn new(log: &[u8]) -> Self {
        let hash = Sha256::digest(log);
        let first = hash.iter().take(8).fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
        Self(first >> (64 - MARK_BITS))
    }

    /// Returns the id of a change; `None` if the position needs more than 56 bits.
    #[must_use]
    pub fn id(self, position: u64, index: u32) -> Option<Uuid> {
        if position >> POSITION_BITS != 0 {
            return None;
        }
        let bits = u128::from(position) << (INDEX_BITS + MARK_BITS)
            | u128::from(index) << MARK_BITS
            | u128::from(self.0);
        // 122 bits, around the four of the version and the two of the variant.
        let (high, middle, low) =
            (bits >> 74, bits >> AFTER_VARIANT & 0xfff, bits & ((1 << AFTER_VARIANT) - 1));
        let with_version = high << 4 | 8;
        Some(Uuid::from_u128(with_version << AFTER_VERSION | middle << 64 | 2 << AFTER_VARIANT | low))
    }

    /// Returns the position and the number of a change; `None` if the id is not of this series.
    #[must_use]
    pub fn place(self, id: Uuid) -> Option<(u64, u32)> {
        let bits = id.as_u128();
        let is_ours = is_reserved(id) && bits >> AFTER_VARIANT & 3 == 2;
        if !is_ours || bits & ((1 << MARK_BITS) - 1) != u128::from(self.0) {
            return None;
        }
        let (high, middle, low) = (bits >> 80, bits >> 64 & 0xfff, bits & ((1 << AFTER_VARIANT) - 1));
        let value = high << 74 | middle << AFTER_VARIANT | low;
        let index = u32::try_from(value >> MARK_BITS & u128::from(u32::MAX)).ok()?;
        Some((u64::try_from(value >> (INDEX_BITS + MARK_BITS)).ok()?, index))
    }
}

/// `true` for the version that only changes of a log have. An entry that an application stored must not have
/// it: the collector would skip the changes before the position that it holds.
pub(crate) fn is_reserved(id: Uuid) -> bool {
    id.get_version_num() == 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_where_the_change_is() {
        let series = Series::new(b"erp");
        for (position, index) in [(0, 0), (1, 0), (0x16_b374_8d80, 7), ((1 << 56) - 1, u32::MAX)] {
            let id = series.id(position, index).unwrap();
            assert_eq!(series.place(id), Some((position, index)), "{id}");
            assert_eq!((id.get_version_num(), id.get_variant()), (8, uuid::Variant::RFC4122));
            assert_eq!(Series::new(b"crm").place(id), None);
        }
        assert_eq!(series.id(1 << 56, 0), None);
        assert_eq!(series.place(Uuid::from_u128(u128::MAX)), None);
    }

    #[test]
    fn ids_are_ordered_as_the_changes_are() {
        let series = Series::new(b"erp");
        let places = [(1, 1), (1, 2), (1, 1 << 31), (2, 0), (1 << 20, 5), (1 << 40, 1)];
        let ids = places.map(|(position, index)| series.id(position, index).unwrap());
        assert!(ids.is_sorted() && ids[0] < ids[5]);
    }
}
