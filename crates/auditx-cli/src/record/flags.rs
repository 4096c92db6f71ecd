//! The flags of `auditx record` for the fields of one entry. Their names are those of `auditx query`.

use std::net::IpAddr;

use auditx_core::kind::General;
use auditx_core::{Amount, AuditAction, AuditLogger, BusinessModule, EntryBuilder, LogLevel};
use auditx_format::row::Json;
use serde_json::Value;

use super::refusal::Refusal;
use super::value;

/// An entry on the command line.
#[derive(Debug, clap::Args)]
pub(super) struct EntryFlags {
    /// What happened, in words
    #[arg(
        value_name = "DESCRIPTION",
        required_unless_present = "ndjson",
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    description: Option<String>,
    /// DEBUG, INFO, NORMAL, AUDIT, WARNING, ERROR, SECURITY or CRITICAL [default: NORMAL]
    #[arg(long, help_heading = "Entry")]
    level: Option<LogLevel>,
    /// sales, crm, … or a name of your own [default: system]
    #[arg(long, help_heading = "Entry")]
    module: Option<BusinessModule>,
    /// CREATE, POST, … or a name of your own [default: READ]
    #[arg(long, help_heading = "Entry")]
    action: Option<AuditAction>,
    /// The user who acts [default: SYSTEM]
    #[arg(long, help_heading = "Entry")]
    user: Option<String>,
    /// The role of the user
    #[arg(long, help_heading = "Entry")]
    role: Option<String>,
    /// The person on whose behalf the user acts
    #[arg(long, value_name = "USER", help_heading = "Entry")]
    on_behalf_of: Option<String>,
    /// The company
    #[arg(long, help_heading = "Entry")]
    company: Option<String>,
    /// The branch
    #[arg(long, help_heading = "Entry")]
    branch: Option<String>,
    /// The record that the entry is about
    #[arg(long, value_name = "TYPE/ID", value_parser = entity, help_heading = "Entry")]
    entity: Option<(String, String)>,
    /// The reference number of the document
    #[arg(long = "ref", value_name = "REFERENCE", help_heading = "Entry")]
    reference: Option<String>,
    /// The amount of money, in plain digits: 1250000.10
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, help_heading = "Entry")]
    amount: Option<Amount>,
    /// The currency of the amount [default: AUDITX_DEFAULT_CURRENCY]
    #[arg(long, requires = "amount", help_heading = "Entry")]
    currency: Option<String>,
    /// The values of the record before the change
    #[arg(long, value_name = "JSON", value_parser = old, help_heading = "Entry")]
    old: Option<Value>,
    /// The values of the record after the change
    #[arg(long, value_name = "JSON", value_parser = new, help_heading = "Entry")]
    new: Option<Value>,
    /// Further data; repeatable
    #[arg(long, value_name = "KEY=TEXT", value_parser = pair, help_heading = "Entry")]
    meta: Vec<(String, String)>,
    /// Further data that is not text: 12, true, {"a":1}; repeatable
    #[arg(long, value_name = "KEY=JSON", value_parser = json_pair, help_heading = "Entry")]
    meta_json: Vec<(String, String)>,
    /// The request
    #[arg(long, value_name = "ID", help_heading = "Entry")]
    request: Option<String>,
    /// The session, stored as given: prefer a hash of its id
    #[arg(long, value_name = "ID", help_heading = "Entry")]
    session: Option<String>,
    /// The client's address
    #[arg(long, value_name = "ADDRESS", help_heading = "Entry")]
    ip: Option<IpAddr>,
    /// The action failed
    #[arg(long, help_heading = "Entry")]
    failed: bool,
}

impl EntryFlags {
    /// Returns the entry. `None` if there is no description.
    pub(super) fn entry<'l>(&'l self, logger: &'l AuditLogger) -> Option<EntryBuilder<'l, General>> {
        let mut entry = self.with_metadata(logger.log(self.description.as_ref()?)).success(!self.failed);
        let set = |text: &'l Option<String>| text.as_deref().unwrap_or_default();
        entry = entry.user(set(&self.user)).user_role(set(&self.role)).on_behalf_of(set(&self.on_behalf_of));
        entry = entry.company_id(set(&self.company)).branch_id(set(&self.branch));
        entry = entry.reference_no(set(&self.reference)).currency(set(&self.currency));
        entry = entry.request_id(set(&self.request)).session_id(set(&self.session));
        if let Some((kind, id)) = &self.entity {
            entry = entry.entity(kind, id);
        }
        if let Some(level) = self.level {
            entry = entry.level(level);
        }
        if let Some(module) = &self.module {
            entry = entry.module(module.clone());
        }
        if let Some(action) = &self.action {
            entry = entry.action(action.clone());
        }
        if let Some(amount) = &self.amount {
            entry = entry.amount(amount.clone());
        }
        if let Some(ip) = self.ip {
            entry = entry.ip(ip);
        }
        if let Some(old) = &self.old {
            entry = entry.old_values(old.clone());
        }
        if let Some(new) = &self.new {
            entry = entry.new_values(new.clone());
        }
        Some(entry)
    }

    fn with_metadata<'l>(&'l self, mut entry: EntryBuilder<'l, General>) -> EntryBuilder<'l, General> {
        for (key, text) in &self.meta {
            entry = entry.metadata(key, text);
        }
        for (key, text) in &self.meta_json {
            // `json_pair` has accepted the text.
            if let Some(Ok(value)) = Json::read(text).map(|json| value::metadata(key, json)) {
                entry = entry.metadata(key, value);
            }
        }
        entry
    }
}

fn entity(text: &str) -> Result<(String, String), Refusal> {
    match text.split_once('/') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok((kind.to_owned(), id.to_owned())),
        _ => Err(Refusal::new("expected TYPE/ID, for example customer/CUST-220")),
    }
}

fn old(text: &str) -> Result<Value, Refusal> {
    value::json("old", Json::parse(text)?)
}

fn new(text: &str) -> Result<Value, Refusal> {
    value::json("new", Json::parse(text)?)
}

fn pair(text: &str) -> Result<(String, String), Refusal> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Refusal::new("expected KEY=VALUE, for example size=12G")),
    }
}

fn json_pair(text: &str) -> Result<(String, String), Refusal> {
    let (key, text) = pair(text)?;
    value::metadata(&key, Json::parse(&text)?)?;
    Ok((key, text))
}
