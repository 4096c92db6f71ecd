//! Reads syslog messages with an independent parser, which knows only the grammar of RFC 5424, section 6.

use std::collections::BTreeMap;

use auditx_export::{Exporter, Format, Framing};

use crate::trail::{entries, mapped};

#[derive(Debug)]
pub(crate) struct Message<'m> {
    pub(crate) priority: u32,
    pub(crate) timestamp: &'m str,
    pub(crate) hostname: &'m str,
    pub(crate) app_name: &'m str,
    pub(crate) procid: &'m str,
    pub(crate) msgid: &'m str,
    pub(crate) sd_id: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) message: &'m str,
}

pub(crate) fn parse(text: &str) -> Message<'_> {
    let (priority, rest) = text.strip_prefix('<').unwrap().split_once('>').unwrap();
    let mut words = rest.splitn(7, ' ');
    let mut word = || words.next().unwrap();
    assert_eq!(word(), "1");
    let (timestamp, hostname, app_name, procid, msgid) = (word(), word(), word(), word(), word());
    let (sd_id, parameters, message) = structured(words.next().unwrap());
    Message {
        priority: priority.parse().unwrap(),
        timestamp,
        hostname,
        app_name,
        procid,
        msgid,
        sd_id,
        parameters,
        message,
    }
}

/// One element, then a space and the message.
fn structured(text: &str) -> (String, BTreeMap<String, String>, &str) {
    let mut chars = text.strip_prefix('[').unwrap().char_indices();
    let (mut words, mut word, mut is_quoted, mut end) = (Vec::new(), String::new(), false, 0);
    while let Some((at, c)) = chars.next() {
        match (is_quoted, c) {
            (true, '\\') => {
                let (_, c) = chars.next().unwrap();
                assert!(matches!(c, '"' | '\\' | ']'), "only these three are escaped: {text}");
                word.push(c);
            }
            (_, '"') => is_quoted = !is_quoted,
            (false, ']') => {
                end = at + 2;
                break;
            }
            (false, ' ') => words.push(std::mem::take(&mut word)),
            (true, ']') => panic!("a bracket in a value is escaped: {text}"),
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    let message = text[end..].strip_prefix(' ').unwrap();
    let mut words = words.into_iter();
    let id = words.next().unwrap();
    let parameters = words.map(|word| {
        let (name, value) = word.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    (id, parameters.collect(), message)
}

fn is_printable(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[test]
fn messages_follow_the_grammar_and_hold_the_exact_line() {
    for (line, entry) in entries() {
        let text = mapped(&Exporter::new(Format::Syslog), &line, &entry);
        let message = parse(text.strip_suffix('\n').unwrap());
        assert_eq!((message.priority / 8, message.app_name, message.procid), (13, "auditx", "-"));
        assert!(is_printable(message.hostname, 255) && is_printable(message.msgid, 32), "{message:?}");
        let time = message.timestamp;
        assert!(time == "-" || (time.len() == 27 && time.ends_with('Z') && &time[19..20] == "."), "{time}");
        assert!(is_printable(&message.sd_id, 64) && message.sd_id == "auditx@32473", "{message:?}");
        assert!(message.parameters.keys().all(|name| is_printable(name, 32)), "{message:?}");
        assert_eq!(message.message.as_bytes(), line);
    }
}

#[test]
fn priorities_and_parameters_are_those_of_the_mapping() {
    let texts: Vec<_> = entries()
        .iter()
        .map(|(line, entry)| mapped(&Exporter::new(Format::Syslog).enterprise_number(7), line, entry))
        .collect();
    let priorities = [(0, 110), (3, 109), (7, 108), (8, 107), (9, 106), (11, 110), (12, 107)];
    for (line, priority) in priorities {
        assert_eq!(parse(&texts[line]).priority, priority, "line {line}");
    }
    let posted = parse(&texts[3]);
    assert_eq!((posted.msgid, posted.sd_id.as_str()), ("sales.POST", "auditx@7"));
    assert_eq!((posted.parameters["seq"].as_str(), posted.parameters["user"].as_str()), ("3", "admin"));
    let hostile = parse(&texts[12]);
    assert_eq!((hostile.hostname, hostile.msgid), ("host_name__", "reporting.EXPORT"));
    assert_eq!(hostile.parameters["branch"], "a\"b]c\\d");
    assert_eq!(parse(&texts[20]).timestamp, "-");
    assert_eq!(parse(&texts[24]).msgid, "unknown.unknown");
}

#[test]
fn octet_counting_delimits_the_same_messages_as_newlines() {
    let lines = Exporter::new(Format::Syslog).default_hostname("fallback");
    let counted = lines.clone().framing(Framing::OctetCounting);
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for (line, entry) in entries() {
        counted.entry(&line, &entry, &mut stream);
        expected.push(mapped(&lines, &line, &entry).trim_end_matches('\n').to_owned());
    }
    let (mut rest, mut found) = (stream.as_slice(), Vec::new());
    while !rest.is_empty() {
        let space = rest.iter().position(|&byte| byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&rest[..space]).unwrap().parse().unwrap();
        let (message, tail) = rest[space + 1..].split_at(length);
        found.push(String::from_utf8(message.to_vec()).unwrap());
        rest = tail;
    }
    assert_eq!(found, expected);
    assert_eq!(parse(&found[24]).hostname, "fallback");
}

#[test]
fn framings_parse_by_their_names() {
    for framing in Framing::ALL {
        assert_eq!(framing.to_string().parse::<Framing>().unwrap(), framing);
    }
    assert!("udp".parse::<Framing>().unwrap_err().is_invalid());
}
