//! Random entries and queries made of the same few words, so that queries often match.

use std::fmt::Write;

/// SplitMix64.
pub(crate) struct Random {
    state: u64,
    /// Whether to use only text without escapes: a line with a backslash is always a candidate.
    is_plain: bool,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, is_plain: false }
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// JSON whose numbers keep their spelling.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(&'static str),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

const TEXTS: [&str; 22] = [
    "admin",
    "Admin",
    "inv-42",
    "SI-2026-0042",
    "SI-2026-7",
    "Éclair",
    "éclair",
    "straße",
    "ဒေါ်ခင်",
    "a\"b",
    "c\\d",
    "x\ty",
    "\u{212a}elvin",
    "kelvin",
    "",
    "5",
    "5.0",
    "true",
    "null",
    "user",
    "a/b c, (d)",
    "👍 ok",
];
const NUMBERS: [&str; 10] =
    ["5", "5.0", "50e-1", "100", "1e2", "-3", "0", "-0.0", "12345678901234567890.1", "0.05E2"];
const KEYS: [&str; 5] = ["a", "b", "limit", "a.b", "é\"x"];
const TIMES: [&str; 4] =
    ["2026-11-24T13:30:00.000000Z", "2026-11-23T13:30:00+06:30", "2026-11-24T15:24:54Z", "no time"];
const TEXT_FIELDS: [&str; 19] = [
    "id",
    "level",
    "module",
    "action",
    "description",
    "user",
    "user_role",
    "on_behalf_of",
    "company_id",
    "branch_id",
    "entity_type",
    "entity_id",
    "reference_no",
    "currency",
    "request_id",
    "session_id",
    "ip",
    "method",
    "endpoint",
];
const OBJECTS: [&str; 3] = ["old_values", "new_values", "metadata"];

fn text(random: &mut Random) -> String {
    let text = random.pick(&TEXTS);
    let text = if random.one_in(4) { format!("{text} {}", random.pick(&TEXTS)) } else { text.to_owned() };
    if random.is_plain && needs_escape(&text) { "plain".to_owned() } else { text }
}

fn needs_escape(text: &str) -> bool {
    text.contains(['"', '\\', '\t'])
}

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth > 2 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => Value::Bool(random.one_in(2)),
        2 => Value::Number(random.pick(&NUMBERS)),
        3 | 4 => Value::Text(text(random)),
        5 => {
            let len = random.below(3);
            Value::List((0..len).map(|_| value(random, depth + 1)).collect())
        }
        _ => object(random, depth),
    }
}

fn object(random: &mut Random, depth: usize) -> Value {
    let members = KEYS
        .into_iter()
        .filter(|key| random.one_in(2) && !(random.is_plain && needs_escape(key)))
        .collect::<Vec<_>>();
    Value::Object(members.into_iter().map(|key| (key.to_owned(), value(random, depth + 1))).collect())
}

/// An entry in this library's format or in that of legacy lines, which have no seq and write null for absent
/// values.
pub(crate) fn entry(random: &mut Random) -> Value {
    let is_legacy = !random.one_in(2);
    random.is_plain = random.one_in(2);
    let mut fields = Vec::new();
    let mut add = |name: &str, value| fields.push((name.to_owned(), value));
    if !is_legacy {
        add("seq", Value::Number(random.pick(&["5", "100"])));
    }
    add("timestamp", Value::Text(random.pick(&TIMES).to_owned()));
    for name in TEXT_FIELDS {
        if random.one_in(3) {
            add(name, Value::Text(text(random)));
        } else if is_legacy && random.one_in(3) {
            add(name, Value::Null);
        }
    }
    for name in ["amount", "status"] {
        if random.one_in(2) {
            add(name, Value::Number(random.pick(&NUMBERS)));
        }
    }
    for name in OBJECTS {
        if random.one_in(2) {
            add(name, object(random, 0));
        } else if name != "metadata" && random.one_in(3) {
            add(name, value(random, 0));
        }
    }
    if random.one_in(2) {
        fields.retain(|(name, _)| name != "ip");
        let ip = random.pick(&[
            "10.0.0.1",
            "10.0.1.1",
            "::ffff:10.0.0.2",
            "::FFFF:a00:3",
            "2001:db8::1",
            "10.0.0.x",
        ]);
        fields.push(("ip".to_owned(), Value::Text(ip.to_owned())));
    }
    let mut add = |name: &str, value| fields.push((name.to_owned(), value));
    if random.one_in(6) {
        add("auditx", Value::Object(vec![("kind".to_owned(), Value::Text(text(random)))]));
    }
    if !is_legacy || random.one_in(2) {
        add("success", Value::Bool(random.one_in(2)));
    }
    random.is_plain = false;
    Value::Object(fields)
}

/// A style of writing JSON.
pub(crate) struct Style {
    pub(crate) has_spaces: bool,
    /// One in this many characters is written as an escape although it need not be.
    pub(crate) escapes: usize,
}

pub(crate) fn written(value: &Value, style: &Style, random: &mut Random) -> String {
    let space = if style.has_spaces { " " } else { "" };
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(digits) => (*digits).to_owned(),
        Value::Text(text) => written_text(text, style, random),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| written(item, style, random)).collect();
            format!("[{}]", items.join(&format!(",{space}")))
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .enumerate()
                .map(|(index, (key, value))| {
                    // This library's format begins with exactly these bytes.
                    let is_seq = index == 0 && key == "seq";
                    let key = if is_seq { "\"seq\"".to_owned() } else { written_text(key, style, random) };
                    let space = if is_seq { "" } else { space };
                    format!("{key}:{space}{}", written(value, style, random))
                })
                .collect();
            format!("{{{}}}", members.join(&format!(",{space}")))
        }
    }
}

fn written_text(text: &str, style: &Style, random: &mut Random) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        let is_escaped = style.escapes > 0 && random.one_in(style.escapes);
        match c {
            '"' | '\\' if !is_escaped => write!(out, "\\{c}").unwrap(),
            c if is_escaped || c < ' ' => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| write!(out, "\\u{unit:04x}").unwrap());
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// The text of a valid query.
pub(crate) fn query_text(random: &mut Random, depth: usize) -> String {
    let count = 1 + random.below(3);
    let mut out = String::new();
    for number in 0..count {
        if number > 0 {
            out.push_str(random.pick(&[" ", " ", " AND ", " OR "]));
        }
        out.push_str(random.pick(&["", "", "", "-", "NOT "]));
        if depth < 3 && random.one_in(4) {
            write!(out, "({})", query_text(random, depth + 1)).unwrap();
        } else {
            out.push_str(&term(random));
        }
    }
    out
}

fn term(random: &mut Random) -> String {
    let values = |random: &mut Random, one: fn(&mut Random) -> String| {
        let count = 1 + random.below(2);
        (0..count).map(|_| one(random)).collect::<Vec<_>>().join(",")
    };
    match random.below(9) {
        0 => random
            .pick(&["admin", "elv", "\u{212a}", "ecl*r", "É", "ဒေါ", "5", "inv?42", "i", "?", "*"])
            .to_owned(),
        1 => {
            let text = text(random);
            quoted(if text.is_empty() { "a" } else { &text })
        }
        2 => format!("{}:{}", random.pick(&["amount", "status", "seq"]), values(random, number)),
        3 => format!(
            "{}:{}",
            member(random),
            values(random, |random| { if random.one_in(2) { text_value(random) } else { number(random) } })
        ),
        4 => format!(
            "changed:{}",
            random.pick(&["a", "b", "a.b", "\"a.b\"", "limit", "*", "a,b", "\"é\\\"x\""])
        ),
        5 => random
            .pick(&[
                "since:2h",
                "until:now",
                "time:today",
                "time:yesterday..today",
                "since:1d",
                "time:>2026-11-23",
                "time:*",
            ])
            .to_owned(),
        6 => random.pick(&["success:true", "success:false", "success:*", "kind:admin", "kind:*"]).to_owned(),
        7 if random.one_in(2) => random
            .pick(&["ip:10.0.0.0/24", "ip:10.0.0.0/23", "ip:2001:db8::/32", "ip:::/0", "-ip:0.0.0.0/0"])
            .to_owned(),
        7 => format!("entity:{}", random.pick(&["admin", "admin/inv-42", "*/inv-42", "ad*/*", "\"/\""])),
        _ => format!("{}:{}", random.pick(&TEXT_FIELDS), values(random, text_value)),
    }
}

fn member(random: &mut Random) -> String {
    let mut path = random.pick(&["old", "new", "meta"]).to_owned();
    for _ in 0..=random.below(2) {
        path.push('.');
        path.push_str(random.pick(&["a", "b", "limit", "\"a.b\"", "\"é\\\"x\""]));
    }
    path
}

fn text_value(random: &mut Random) -> String {
    match random.below(6) {
        0 => random.pick(&["*", "a*", "*n", "SI-2026-*", "*2*", "?dmin", "É*", "ADM*"]).to_owned(),
        1 => random.pick(&["~\"^a\"", "~\"[0-9]+$\"", "~\"(?i)ADM\"", "~\"^$\"", "~\"\\\"\""]).to_owned(),
        2 => random.pick(&["admin", "ADMIN", "5", "true", "false", "null", "kelvin", "inv-42"]).to_owned(),
        _ => quoted(&text(random)),
    }
}

fn number(random: &mut Random) -> String {
    let number = random.pick(&NUMBERS);
    match random.below(4) {
        0 => format!("{}{number}", random.pick(&[">", ">=", "<", "<="])),
        1 => format!("-3..{}", random.pick(&["5", "100", "0"])),
        2 => format!("{number}.."),
        3 if random.one_in(2) => "\"\"".to_owned(),
        _ => number.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
