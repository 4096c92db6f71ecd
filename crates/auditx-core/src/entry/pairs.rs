//! The key-values of an entry, in the order in which they were first set: a few inside the entry, further ones on the heap.

use super::{MetadataValue, Text};

/// As many as the helpers set. More of them would make every entry larger.
const INLINE: usize = 4;

pub(crate) type Pair<'a> = (Text<'a>, MetadataValue<'a>);

/// Each key is there once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs<'a> {
    /// After the first empty place all are empty, and so is `further`.
    first: [Option<Pair<'a>>; INLINE],
    further: Vec<Pair<'a>>,
}

impl<'a> Pairs<'a> {
    pub(crate) const fn new() -> Self {
        Self { first: [const { None }; INLINE], further: Vec::new() }
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pair<'a>> {
        self.first.iter().map_while(Option::as_ref).chain(&self.further)
    }

    /// Adds or replaces; an absent value takes the key away.
    ///
    /// Inlined, and by value where it calls: an entry whose address no call learns is put together once, where it is recorded
    /// from; one whose address a call learns is copied by each setter.
    #[inline(always)]
    pub(crate) fn put(&mut self, key: Text<'a>, value: MetadataValue<'a>) {
        let [a, b, c, d] = &mut self.first;
        if value.is_absent() {
            self.put_late(key, value);
        } else if a.is_none() {
            fill(a, (key, value));
        } else if is_other(a, &key) && b.is_none() {
            fill(b, (key, value));
        } else if is_other(a, &key) && is_other(b, &key) && c.is_none() {
            fill(c, (key, value));
        } else if is_other(a, &key) && is_other(b, &key) && is_other(c, &key) && d.is_none() {
            fill(d, (key, value));
        } else {
            self.put_late(key, value);
        }
    }

    #[inline(always)]
    fn put_late(&mut self, key: Text<'a>, value: MetadataValue<'a>) {
        let pairs = std::mem::take(self).with(key, value);
        // What is replaced was just emptied.
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
        let is_key = |(existing, _): &Pair<'a>| existing == key;
        if let Some(place) = self.first.iter().position(|pair| pair.as_ref().is_some_and(is_key)) {
            self.first[place] = None;
            self.first[place..].rotate_left(1);
            self.first[INLINE - 1] = (!self.further.is_empty()).then(|| self.further.remove(0));
        } else {
            self.further.retain(|pair| !is_key(pair));
        }
    }
}

#[inline(always)]
fn is_other(place: &Option<Pair<'_>>, key: &str) -> bool {
    place.as_ref().is_some_and(|(existing, _)| existing != key)
}

/// Without a call that drops what was there: nothing.
#[inline(always)]
fn fill<'a>(place: &mut Option<Pair<'a>>, pair: Pair<'a>) {
    std::mem::forget(place.replace(pair));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn keys<'p>(pairs: &'p Pairs<'_>) -> Vec<&'p str> {
        pairs.iter().map(|(key, _)| key.as_ref()).collect()
    }

    #[test]
    fn keys_keep_their_order_wherever_they_stand() {
        let all = ["a", "b", "c", "d", "e", "f", "g"];
        for gone in all {
            let mut pairs = Pairs::new();
            for (key, value) in all.into_iter().zip(0..).chain([("b", 10), ("f", 11)]) {
                pairs.put(key.into(), value.into());
            }
            assert_eq!(keys(&pairs), all);
            let values: Vec<String> = pairs.iter().map(|(_, value)| format!("{value:?}")).collect();
            assert_eq!((&*values[1], &*values[5], &*values[6]), ("Integer(10)", "Integer(11)", "Integer(6)"));

            pairs.put(gone.into(), Value::Null.into());
            pairs.put("none".into(), "".into());
            let mut left: Vec<&str> = all.into_iter().filter(|key| *key != gone).collect();
            assert_eq!(keys(&pairs), left);

            pairs.put(gone.into(), true.into());
            left.push(gone);
            assert_eq!(keys(&pairs), left);
        }
    }

    #[test]
    fn a_key_is_there_once_however_few_there_are() {
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
