//! Parses policy files, line by line. A name can refer only to earlier lines, so rules have no cycles.

use std::collections::HashMap;

use super::{Kind, Policy, Rule, Witness};
use crate::cosignature::WitnessKey;
use crate::error::{Error, Result};
use crate::key::VerifierKey;

/// The largest accepted file.
const MAX_BYTES: usize = 1024 * 1024;

/// How deep groups may be nested.
const MAX_DEPTH: usize = 64;

/// The name of a quorum without cosignatures.
const NONE: &[u8] = b"none";

/// What the lines so far define.
#[derive(Default)]
struct Parsed {
    logs: Vec<VerifierKey>,
    witnesses: Vec<Witness>,
    rules: Vec<Rule>,
    /// The indexes of rules by name.
    names: HashMap<Vec<u8>, usize>,
    quorum: Option<Option<usize>>,
}

pub(super) fn parse(file: &[u8]) -> Result<Policy> {
    if file.len() > MAX_BYTES {
        return Err(Error::invalid("the policy is longer than 1 MiB"));
    }
    let mut parsed = Parsed::default();
    for (number, line) in (1..).zip(file.split(|byte| *byte == b'\n')) {
        parsed.line(line).map_err(|why| Error::invalid(format!("line {number} of the policy: {why}")))?;
    }
    let quorum = parsed.quorum.ok_or_else(|| Error::invalid("the policy has no line `quorum NAME`"))?;
    Ok(Policy { logs: parsed.logs, witnesses: parsed.witnesses, rules: parsed.rules, quorum })
}

impl Parsed {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if let Some(byte) = line.iter().find(|byte| matches!(byte, 0..=8 | 10..=31 | 127)) {
            return Err(format!("it contains the control character {byte:#04x}"));
        }
        let words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        let words: Vec<&[u8]> = words.collect();
        match words[..] {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] | [b"log", key, _] => self.log(key),
            [b"witness", name, key] => self.witness(name, key, None),
            [b"witness", name, key, url] => self.witness(name, key, Some(url)),
            [b"group", name, needed, ref members @ ..] => self.group(name, needed, members),
            [b"quorum", name] => self.quorum(name),
            [word, ..] => Err(format!(
                "expected `log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME all|any|K NAME…` or \
                 `quorum NAME`, found {:?} with {} words",
                lossy(word),
                words.len() - 1
            )),
        }
    }

    fn log(&mut self, key: &[u8]) -> Result<(), String> {
        let key: VerifierKey = lossy(key).parse().map_err(|error: Error| error.to_string())?;
        if self.logs.iter().any(|log| log.public_key() == key.public_key()) {
            return Err(format!("this log has the public key of an earlier one: {}", key.name()));
        }
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: Option<&[u8]>) -> Result<(), String> {
        let key: WitnessKey = lossy(key).parse().map_err(|error: Error| error.to_string())?;
        if self.witnesses.iter().any(|witness| witness.key.is_same_key(&key)) {
            return Err(format!("this witness has the public key of an earlier one: {}", key.name()));
        }
        self.define(name, Kind::Witness(self.witnesses.len()), 0)?;
        self.witnesses.push(Witness { name: lossy(name), key, url: url.map(lossy) });
        Ok(())
    }

    fn group(&mut self, name: &[u8], needed: &[u8], names: &[&[u8]]) -> Result<(), String> {
        let mut members = Vec::with_capacity(names.len());
        for member in names {
            let index = self.index(member)?;
            if std::mem::replace(&mut self.rules[index].is_member, true) {
                return Err(format!("{:?} is already a member of a group", lossy(member)));
            }
            members.push(index);
        }
        let needed = match needed {
            b"all" => members.len(),
            b"any" => 1,
            digits => {
                lossy(digits).parse().ok().filter(|k: &usize| k.to_string().as_bytes() == digits).unwrap_or(0)
            }
        };
        if members.is_empty() {
            return Err("a group needs members".to_owned());
        }
        if !(1..=members.len()).contains(&needed) {
            return Err(format!(
                "invalid number of members: expected `all`, `any`, or 1 to {}",
                members.len()
            ));
        }
        let depth = 1 + members.iter().map(|member| self.rules[*member].depth).max().unwrap_or(0);
        if depth > MAX_DEPTH {
            return Err(format!("groups are nested more than {MAX_DEPTH} deep"));
        }
        self.define(name, Kind::Group { needed, members }, depth)
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), String> {
        let quorum = if name == NONE { None } else { Some(self.index(name)?) };
        match self.quorum.replace(quorum) {
            None => Ok(()),
            Some(_) => Err("a policy has one line `quorum`, and this is the second".to_owned()),
        }
    }

    fn define(&mut self, name: &[u8], kind: Kind, depth: usize) -> Result<(), String> {
        if name == NONE {
            return Err("the name \"none\" is reserved: choose another".to_owned());
        }
        if self.names.contains_key(name) {
            return Err(format!("the name {:?} is already in use", lossy(name)));
        }
        self.names.insert(name.to_vec(), self.rules.len());
        self.rules.push(Rule { name: name.to_vec(), kind, is_member: false, depth });
        Ok(())
    }

    fn index(&self, name: &[u8]) -> Result<usize, String> {
        let index = self.names.get(name).copied();
        index.ok_or_else(|| format!("no witness or group {:?} on an earlier line", lossy(name)))
    }
}

fn lossy(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}
