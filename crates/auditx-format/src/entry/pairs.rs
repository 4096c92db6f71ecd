//! The metadata of an entry in insertion order: the first pairs inline, further ones on the heap.

use super::{MetadataValue, Text};

/// The number of pairs that the helpers such as `log_inventory` set. A larger number would make every entry
/// larger.
const INLINE: usize = 4;

/// A key and a value of the metadata.
pub type Fact<'a> = (Text<'a>, MetadataValue<'a>);

/// Key-value pairs with unique keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs<'a> {
    /// INVARIANT: after the first empty slot all slots are empty, and `further` is empty too.
    first: [Option<Fact<'a>>; INLINE],
    further: Vec<Fact<'a>>,
}

impl<'a> Pairs<'a> {
    pub(crate) const fn new() -> Self {
        Self { first: [const { None }; INLINE], further: Vec::new() }
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fact<'a>> {
        self.first.iter().map_while(Option::as_ref).chain(&self.further)
    }

    /// Adds or replaces a pair; an absent value removes the key.
    ///
    /// Inlined, and calls out of line pass `Pairs` by value: as long as the address of an entry does not
    /// escape into a call, the compiler builds the entry in place; otherwise each setter of the builder
    /// copies it.
    #[inline(always)]
    pub(crate) fn put(&mut self, key: Text<'a>, value: MetadataValue<'a>) {
        let [a, b, c, d] = &mut self.first;
        if value.is_absent() {
            self.put_slow(key, value);
        } else if a.is_none() {
            fill(a, (key, value));
        } else if is_other(a, &key) && b.is_none() {
            fill(b, (key, value));
        } else if is_other(a, &key) && is_other(b, &key) && c.is_none() {
            fill(c, (key, value));
        } else if is_other(a, &key) && is_other(b, &key) && is_other(c, &key) && d.is_none() {
            fill(d, (key, value));
        } else {
            self.put_slow(key, value);
        }
    }

    #[inline(always)]
    fn put_slow(&mut self, key: Text<'a>, value: MetadataValue<'a>) {
        let pairs = std::mem::take(self).with(key, value);
        // The replaced value is empty since `take`; forgetting it avoids a drop call.
        std::mem::forget(std::mem::replace(self, pairs));
    }

    #[cold]
    #[inline(never)]
    fn with(mut self, key: Text<'a>, value: MetadataValue<'a>) -> Self {
        let mut all = self.first.iter_mut().flatten().chain(&mut self.further);
        if value.is_absent() {
            self.remove(&key);
        } else if let Some((_, old)) = all.find(|(existing, _)| *existing == key) {
            *old = value;
        } else {
            self.further.push((key, value));
        }
        self
    }

    fn remove(&mut self, key: &str) {
        let is_key = |(existing, _): &Fact<'a>| existing == key;
        if let Some(slot) = self.first.iter().position(|pair| pair.as_ref().is_some_and(is_key)) {
            self.first[slot] = None;
            self.first[slot..].rotate_left(1);
            self.first[INLINE - 1] = (!self.further.is_empty()).then(|| self.further.remove(0));
        } else {
            self.further.retain(|pair| !is_key(pair));
        }
    }
}

#[inline(always)]
fn is_other(slot: &Option<Fact<'_>>, key: &str) -> bool {
    slot.as_ref().is_some_and(|(existing, _)| existing != key)
}

/// Fills an empty slot. The old value is `None`; forgetting it avoids a drop call.
#[inline(always)]
fn fill<'a>(slot: &mut Option<Fact<'a>>, pair: Fact<'a>) {
    std::mem::forget(slot.replace(pair));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn keys<'p>(pairs: &'p Pairs<'_>) -> Vec<&'p str> {
        pairs.iter().map(|(key, _)| key.as_ref()).collect()
    }

    #[test]
    fn keys_keep_their_insertion_order() {
        let all = ["a", "b", "c", "d", "e", "f", "g"];
        for removed in all {
            let mut pairs = Pairs::new();
            for (key, value) in all.into_iter().zip(0..).chain([("b", 10), ("f", 11)]) {
                pairs.put(key.into(), value.into());
            }
            assert_eq!(keys(&pairs), all);
            let values: Vec<String> = pairs.iter().map(|(_, value)| format!("{value:?}")).collect();
            assert_eq!((&*values[1], &*values[5], &*values[6]), ("Integer(10)", "Integer(11)", "Integer(6)"));

            pairs.put(removed.into(), Value::Null.into());
            pairs.put("none".into(), "".into());
            let mut expected: Vec<&str> = all.into_iter().filter(|key| *key != removed).collect();
            assert_eq!(keys(&pairs), expected);

            pairs.put(removed.into(), true.into());
            expected.push(removed);
            assert_eq!(keys(&pairs), expected);
        }
    }

    #[test]
    fn inline_keys_are_unique() {
        for count in 0..=4 {
            let mut pairs = Pairs::new();
            let all = ["a", "b", "c", "d"];
            all.into_iter()
                .take(count)
                .chain(all.into_iter().take(count))
                .for_each(|key| pairs.put(key.into(), 1.into()));
            assert_eq!(keys(&pairs), all[..count]);
        }
    }
}
