//! Property tests: random entries are encoded like the reference encoder does, and read back unchanged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, UNIX_EPOCH};

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::*;
use crate::amount::Amount;
use crate::context::ContextFields;
use crate::entry::MetadataValue;
use crate::redact::Redaction;
use crate::vocabulary::{AuditAction, BusinessModule, LogLevel};

/// xorshift64*: yields the same cases in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.next()).unwrap() % of.len()]
    }

    fn char(&mut self) -> char {
        const CLASSES: [(u32, u32); 16] = [
            (0x00, 0x1f),
            (0x20, 0x7e),
            (0x22, 0x22),
            (0x5c, 0x5c),
            (0x7f, 0x7f),
            (0x80, 0x9f),
            (0xa0, 0x17f),
            (0x618, 0x61f),
            (0x1000, 0x109f),
            (0x200b, 0x2010),
            (0x2026, 0x202f),
            (0x2064, 0x206b),
            (0xe000, 0xe010),
            (0xfefe, 0xff00),
            (0xfffc, 0xffff),
            (0x1f980, 0x1f9ff),
        ];
        let (first, last) = self.pick(&CLASSES);
        char::from_u32(first + u32::try_from(self.below(u64::from(last - first) + 1)).unwrap()).unwrap()
    }

    /// Returns mostly printable ASCII with a length around a step of the encoder, and a few other characters
    /// anywhere.
    fn text(&mut self) -> String {
        let length = match self.below(8) {
            0 => return String::new(),
            1 => self.below(200),
            _ => self.pick(&[1, 4, 8, 16, 24, 32, 48, 64]) + self.below(4) - 1,
        };
        let others = self.pick(&[0, 0, 0, 1, 2, 100]);
        let mut text: Vec<char> =
            (0..length).map(|_| char::from(u8::try_from(0x20 + self.below(0x5f)).unwrap())).collect();
        if self.one_in(2) {
            text.retain(|c| !matches!(c, '"' | '\\'));
        }
        for _ in 0..others.min(text.len()) {
            let offset = usize::try_from(self.next()).unwrap() % text.len();
            text[offset] = self.char();
        }
        text.into_iter().collect()
    }

    fn ip(&mut self) -> Option<IpAddr> {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        match self.below(3) {
            0 => None,
            1 => Some(Ipv4Addr::from_bits(u32::try_from(bits & 0xffff_ffff).unwrap()).into()),
            _ => Some(Ipv6Addr::from_bits(bits & (u128::MAX << self.pick(&[0, 32, 96]))).into()),
        }
    }

    fn amount(&mut self) -> Amount {
        let whole = i64::try_from(self.next()).unwrap() >> self.below(56);
        match self.below(5) {
            0 => Amount::from(-whole),
            1 => Amount::from(u64::MAX - self.below(3)),
            2 => Decimal::new(whole, u32::try_from(self.below(20)).unwrap()).into(),
            3 => Amount::parse(&format!("-{}.{whole:0>30}", u128::MAX)[..60]).unwrap(),
            _ => Amount::from(whole),
        }
    }

    fn json(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => json!(self.next()),
            1 => json!(-1.5e300),
            2 => json!(self.one_in(2)),
            3 => Value::String(format!("{}.", self.text())),
            4 => (0..self.below(4)).map(|_| self.json(depth - 1)).collect(),
            _ => Value::Object(
                (0..1 + self.below(3))
                    .map(|n| (format!("k{n}{}", self.text()), self.json(depth - 1)))
                    .collect(),
            ),
        }
    }

    fn metadata(&mut self) -> MetadataValue<'static> {
        match self.below(9) {
            0 => self.one_in(2).into(),
            1 => MetadataValue::Integer(-i64::try_from(self.next()).unwrap()),
            2 => self.next().into(),
            3 => self.pick(&[0.1, 2.0, -1e-7, f64::INFINITY, f64::NAN]).into(),
            4 => self.amount().into(),
            5 => self.ip().unwrap_or(Ipv4Addr::LOCALHOST.into()).into(),
            6 => self.json(2).into(),
            _ => self.text().into(),
        }
    }

    fn key(&mut self) -> String {
        match self.below(6) {
            0 => self.text(),
            1 => self.pick(&["password", "api_key", "pin", "card_number"]).to_owned(),
            _ => self
                .pick(&["party", "reason", "unit", "a_key_that_is_longer_than_thirty_bytes", "quantity"])
                .to_owned(),
        }
    }

    fn edit(&mut self, fields: &mut ContextFields) {
        match self.below(9) {
            0 => fields.user = self.text(),
            1 => fields.user_role = self.text(),
            2 => fields.company_id = self.text(),
            3 => fields.branch_id = self.text(),
            4 => fields.session_id = self.text(),
            5 => fields.request_id = self.text(),
            6 => fields.ip = self.ip(),
            7 => fields.extra.clear(),
            _ => drop(fields.extra.insert(self.key(), self.json(1))),
        }
    }

    fn entry(&mut self) -> Entry<'static> {
        let mut entry = Entry::new(self.text(), BusinessModule::Sales, AuditAction::Post);
        entry.level = self.pick(&LogLevel::ALL);
        entry.module = BusinessModule::ALL[usize::try_from(self.below(10)).unwrap()].clone();
        entry.action = if self.one_in(4) { AuditAction::other("SHIP") } else { AuditAction::Transfer };
        let own = self.pick(&[1, 4, 1_000]);
        for text in [
            &mut entry.user,
            &mut entry.user_role,
            &mut entry.on_behalf_of,
            &mut entry.company_id,
            &mut entry.branch_id,
            &mut entry.entity_type,
            &mut entry.entity_id,
            &mut entry.reference_no,
            &mut entry.currency,
            &mut entry.request_id,
            &mut entry.session_id,
            &mut entry.method,
            &mut entry.endpoint,
        ] {
            if self.one_in(own) {
                *text = self.text().into();
            }
        }
        entry.ip = self.one_in(own).then(|| self.ip()).flatten();
        entry.amount = self.one_in(2).then(|| self.amount());
        entry.status = self.one_in(2).then(|| u16::try_from(self.below(600)).unwrap());
        entry.success = self.one_in(2);
        entry.old_values = self.one_in(8).then(|| json!([self.json(2)]).into());
        entry.new_values = self.one_in(8).then(|| json!([self.json(2)]).into());
        for _ in 0..self.below(6) {
            let (key, value) = (self.key(), self.metadata());
            entry.put_metadata(key, value);
        }
        entry
    }
}

/// Applies the one documented change.
fn stored(text: &str) -> Value {
    Value::String(text.replace('\0', "\u{fffd}"))
}

fn assert_reads_back(body: &[u8], entry: &Entry<'_>, context: &ContextFields) {
    let line: Map<String, Value> = serde_json::from_slice(&[b"{", body].concat()).unwrap();
    let either = |own: &str, other: &str| stored(if own.is_empty() { other } else { own });
    let user = if context.user.is_empty() { "SYSTEM" } else { &context.user };
    for (name, expected) in [
        ("description", stored(&entry.description)),
        ("user", either(&entry.user, user)),
        ("user_role", either(&entry.user_role, &context.user_role)),
        ("on_behalf_of", stored(&entry.on_behalf_of)),
        ("company_id", either(&entry.company_id, &context.company_id)),
        ("branch_id", either(&entry.branch_id, &context.branch_id)),
        ("entity_type", stored(&entry.entity_type)),
        ("entity_id", stored(&entry.entity_id)),
        ("reference_no", stored(&entry.reference_no)),
        ("request_id", either(&entry.request_id, &context.request_id)),
        ("session_id", either(&entry.session_id, &context.session_id)),
        ("method", stored(&entry.method)),
        ("endpoint", stored(&entry.endpoint)),
        ("ip", stored(&entry.ip.or(context.ip).map(|ip| ip.to_string()).unwrap_or_default())),
    ] {
        assert_eq!(line.get(name).unwrap_or(&json!("")), &expected, "{name}");
    }
    for (key, value) in entry.metadata.iter() {
        if let (MetadataValue::Text(text), true) =
            (value, line["metadata"][stored(key).as_str().unwrap()] != "[REDACTED]")
        {
            assert_eq!(line["metadata"][stored(key).as_str().unwrap()], stored(text));
        }
    }
}

#[test]
fn every_entry_matches_the_reference_encoder() {
    let mut random = Random(0x5eed_a0d1_7000_0001);
    let envelope = Envelope {
        rules: Redaction::default().compile().unwrap(),
        hostname: "erp \"1\"".into(),
        default_currency: "MMK".into(),
    };
    let contexts: [RequestContext; 3] = std::array::from_fn(|_| RequestContext::new());
    let mut scratch = Scratch::default();
    for case in 0..20_000 {
        let entry = random.entry();
        let context = if random.one_in(4) { None } else { Some(&contexts[usize::from(random.one_in(5))]) };
        if let (Some(context), true) = (context, random.one_in(3)) {
            context.edit(|fields| random.edit(fields));
        }
        if random.one_in(50) {
            RequestContext::set(&contexts[2]);
            let _scope = contexts[1].enter();
            RequestContext::set(&contexts[0]);
        }
        let fields = context.map(RequestContext::fields).unwrap_or_default();
        let id = Uuid::from_u64_pair(random.next() << 8, random.next() << 3);
        let now = Timestamp::of(UNIX_EPOCH + Duration::from_micros(random.below(1 << 52)));
        envelope.encode(&mut scratch, &entry, context, id, now).unwrap();
        let expected = reference::body(&envelope, &entry, &fields, id, now);
        assert_eq!(String::from_utf8_lossy(scratch.body()), expected, "case {case}");
        assert_reads_back(scratch.body(), &entry, &fields);
    }
    RequestContext::clear();
}

#[test]
fn a_special_character_at_any_offset_is_escaped() {
    let mut buffer = Buffer::default();
    for length in 0..70_usize {
        for offset in 0..length {
            for c in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{feff}', '🦀']) {
                let text: String = (0..length).map(|at| if at == offset { c } else { 'x' }).collect();
                buffer.clear();
                let remaining = buffer
                    .reserve(max_escaped_len([&text]) + 2)
                    .put(b"\"")
                    .text(&text)
                    .put(b"\"")
                    .remaining();
                buffer.commit(remaining);
                assert_eq!(String::from_utf8_lossy(buffer.written()), reference::quoted(&text));
            }
        }
    }
}
