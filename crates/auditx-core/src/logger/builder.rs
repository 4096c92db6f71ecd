//! One builder for every kind of entry: required facts are arguments of the helper, the rest are setters here.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::net::IpAddr;

use serde_json::Value;

use super::AuditLogger;
use super::accept::Within;
use crate::amount::Amount;
use crate::context::RequestContext;
use crate::entry::{Entry, MetadataValue};
use crate::error::Result;
use crate::receipt::Receipt;
use crate::vocabulary::{AuditAction, BusinessModule, LogLevel};

/// The user of a security event that names none.
const UNKNOWN_USER: &str = "UNKNOWN";

/// Any fact.
#[derive(Debug, Clone, Copy)]
pub struct General;
/// Money moved, or is owed.
#[derive(Debug, Clone, Copy)]
pub struct Transaction;
/// Stock moved.
#[derive(Debug, Clone, Copy)]
pub struct Inventory;
/// A service job went on.
#[derive(Debug, Clone, Copy)]
pub struct Service;
/// A record was changed.
#[derive(Debug, Clone, Copy)]
pub struct Change;
/// Somebody tried something.
#[derive(Debug, Clone, Copy)]
pub struct Security;

/// An entry being stated. Nothing happens before [`EntryBuilder::record`].
///
/// What is not set here comes from the current [`RequestContext`]. `&str` facts are borrowed, not copied.
#[must_use = "an entry is recorded by `record()`"]
pub struct EntryBuilder<'a, K> {
    logger: &'a AuditLogger,
    pub(super) entry: Entry<'a>,
    level: Option<LogLevel>,
    is_security: bool,
    kind: PhantomData<K>,
}

impl<K> fmt::Debug for EntryBuilder<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryBuilder")
            .field("module", &self.entry.module.as_str())
            .field("action", &self.entry.action.as_str())
            .finish_non_exhaustive()
    }
}

impl AuditLogger {
    /// Any fact, in the system module, level NORMAL and action READ unless set otherwise.
    pub fn log<'a>(&'a self, description: impl Into<Cow<'a, str>>) -> EntryBuilder<'a, General> {
        let mut builder = EntryBuilder::new(self, description, BusinessModule::System, AuditAction::Read);
        builder.entry.level = LogLevel::Normal;
        builder
    }

    /// Money that moved or is owed: an invoice posted, a payment, a refund.
    #[inline(always)]
    pub fn log_transaction<'a>(
        &'a self,
        description: impl Into<Cow<'a, str>>,
        module: BusinessModule,
        action: AuditAction,
        reference_no: impl Into<Cow<'a, str>>,
        amount: impl Into<Amount>,
    ) -> EntryBuilder<'a, Transaction> {
        EntryBuilder::new(self, description, module, action).reference_no(reference_no).amount(amount)
    }

    /// Stock that moved. `quantity` is exact, in `unit` (default `pcs`).
    pub fn log_inventory<'a>(
        &'a self,
        description: impl Into<Cow<'a, str>>,
        action: AuditAction,
        product_id: impl Into<Cow<'a, str>>,
        quantity: impl Into<Amount>,
    ) -> EntryBuilder<'a, Inventory> {
        EntryBuilder::new(self, description, BusinessModule::Inventory, action)
            .entity("product", product_id)
            .metadata("quantity", quantity.into())
            .metadata("unit", "pcs")
    }

    /// A service job that went on.
    pub fn log_service<'a>(
        &'a self,
        description: impl Into<Cow<'a, str>>,
        action: AuditAction,
        job_id: impl Into<Cow<'a, str>>,
    ) -> EntryBuilder<'a, Service> {
        EntryBuilder::new(self, description, BusinessModule::Service, action).entity("service_job", job_id)
    }

    /// A record that was changed; say from what to what with `old_values` and `new_values`, or with `changes`.
    pub fn log_change<'a>(
        &'a self,
        description: impl Into<Cow<'a, str>>,
        module: BusinessModule,
        action: AuditAction,
        entity_type: impl Into<Cow<'a, str>>,
        entity_id: impl Into<Cow<'a, str>>,
    ) -> EntryBuilder<'a, Change> {
        EntryBuilder::new(self, description, module, action).entity(entity_type, entity_id)
    }

    /// Something to do with access: module auth, action LOGIN unless set otherwise, user UNKNOWN unless known.
    ///
    /// Success has level AUDIT. Failure (`.success(false)`) has level SECURITY and is counted per client address; past the
    /// limit it becomes CRITICAL, with `metadata.rate_limited` and `metadata.failure_count`, and keeps its description.
    pub fn log_security<'a>(&'a self, description: impl Into<Cow<'a, str>>) -> EntryBuilder<'a, Security> {
        let mut builder = EntryBuilder::new(self, description, BusinessModule::Auth, AuditAction::Login);
        builder.is_security = true;
        builder
    }
}

macro_rules! text_setters {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $field(mut self, $field: impl Into<Cow<'a, str>>) -> Self {
            self.entry.$field = $field.into();
            self
        })*
    };
}

impl<'a, K> EntryBuilder<'a, K> {
    #[inline(always)]
    fn new(
        logger: &'a AuditLogger,
        description: impl Into<Cow<'a, str>>,
        module: BusinessModule,
        action: AuditAction,
    ) -> Self {
        let entry = Entry::new(description, module, action);
        Self { logger, entry, level: None, is_security: false, kind: PhantomData }
    }

    text_setters! {
        /// Who acts.
        user,
        /// In which role.
        user_role,
        /// For whom, where one person acts in another's name.
        on_behalf_of,
        /// For which company.
        company_id,
        /// In which branch.
        branch_id,
        /// The number on the paper.
        reference_no,
        /// The amount's currency, such as `MMK`; written only with an amount.
        currency,
        /// In which request.
        request_id,
        /// In which session; prefer a hash of it.
        session_id,
        /// The HTTP method.
        method,
        /// The HTTP path and query.
        endpoint,
    }

    /// Which part of the business.
    pub fn module(mut self, module: BusinessModule) -> Self {
        self.entry.module = module;
        self
    }

    /// What was done.
    pub fn action(mut self, action: AuditAction) -> Self {
        self.entry.action = action;
        self
    }

    /// How much it matters.
    pub fn level(mut self, level: LogLevel) -> Self {
        self.level = Some(level);
        self
    }

    /// To which record.
    #[inline(always)]
    pub fn entity(
        mut self,
        entity_type: impl Into<Cow<'a, str>>,
        entity_id: impl Into<Cow<'a, str>>,
    ) -> Self {
        self.entry.entity_type = entity_type.into();
        self.entry.entity_id = entity_id.into();
        self
    }

    /// How much money. From integers, `Decimal`, or [`Amount::parse`]; never through binary floating point.
    #[inline(always)]
    pub fn amount(mut self, amount: impl Into<Amount>) -> Self {
        self.entry.amount = Some(amount.into());
        self
    }

    /// From which address.
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.entry.ip = Some(ip);
        self
    }

    /// The HTTP status.
    pub fn status(mut self, status: u16) -> Self {
        self.entry.status = Some(status);
        self
    }

    /// Default: true. Whether it succeeded.
    pub fn success(mut self, success: bool) -> Self {
        self.entry.success = success;
        self
    }

    /// Why, in words: `metadata.reason`.
    pub fn reason(self, reason: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("reason", reason.into())
    }

    /// One more fact. A key set twice has its last value; an empty value takes the key away.
    #[inline(always)]
    pub fn metadata(self, key: impl Into<Cow<'a, str>>, value: impl Into<MetadataValue<'a>>) -> Self {
        let (key, value) = (key.into(), value.into());
        // A drop while unwinding would be a call that learns the entry's address; see `Pairs::put`.
        let mut builder = ManuallyDrop::new(self);
        builder.entry.metadata.put(key, value);
        ManuallyDrop::into_inner(builder)
    }

    /// What the record said before. A JSON value has no number beyond `u64`, `i64` and `f64`; see `changes` for larger ones.
    pub fn old_values(mut self, values: impl Into<Value>) -> Self {
        self.entry.old_values = Some(values.into().into());
        self
    }

    /// What the record says now. A JSON value has no number beyond `u64`, `i64` and `f64`; see `changes` for larger ones.
    pub fn new_values(mut self, values: impl Into<Value>) -> Self {
        self.entry.new_values = Some(values.into().into());
        self
    }

    /// Records the entry. Once this returns `Ok`, the entry survives the death of the process (`kill -9`, abort); whether
    /// it already survives a power loss is the configuration's [`Durability`](crate::Durability) and the receipt's to say.
    ///
    /// # Errors
    /// `is_too_large` over 65,535 bytes, `is_invalid` for words or values that cannot be stored, `is_storage` where the
    /// disk refused, `is_full` where the journal had no room in time, `is_closed` after `close`. The entry is then not recorded.
    pub fn record(mut self) -> Result<Receipt> {
        self.finish();
        self.logger.record(&self.entry, Within::Current)
    }

    /// The same for async code: where `record` would block, this awaits.
    ///
    /// It waits for room in a full journal, and under [`Durability::EveryEntry`](crate::Durability::EveryEntry) for the disk.
    /// Dropped while it waits, it has recorded nothing, or everything. Needs no runtime.
    ///
    /// # Errors
    /// As [`EntryBuilder::record`].
    pub async fn record_async(mut self) -> Result<Receipt> {
        self.finish();
        self.logger.record_async(&self.entry, Within::Current).await
    }

    /// With what only the moment of recording can tell.
    fn finish(&mut self) {
        if self.is_security {
            self.judge();
        }
        if let Some(level) = self.level {
            self.entry.level = level;
        }
    }

    /// The level of a security event, and its address's failures.
    fn judge(&mut self) {
        let (user_is_known, context_ip) = RequestContext::try_current()
            .map_or((false, None), |context| context.read(|fields| (!fields.user.is_empty(), fields.ip)));
        if self.entry.user.is_empty() && !user_is_known {
            self.entry.user = Cow::Borrowed(UNKNOWN_USER);
        }
        if self.entry.success {
            self.entry.level = LogLevel::Audit;
            return;
        }
        self.entry.level = LogLevel::Security;
        let Some(ip) = self.entry.ip.or(context_ip) else { return };
        if let Some(state) = self.logger.count_failure(ip)
            && state.is_exceeded()
        {
            self.entry.level = LogLevel::Critical;
            self.entry.put_metadata("rate_limited", true);
            self.entry.put_metadata("failure_count", state.count);
        }
    }
}

impl<'a> EntryBuilder<'a, Transaction> {
    /// The other party: `metadata.party`.
    #[inline(always)]
    pub fn party(self, party: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("party", party.into())
    }
}

impl<'a> EntryBuilder<'a, Inventory> {
    /// The product's name: `metadata.product_name`.
    pub fn product_name(self, name: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("product_name", name.into())
    }

    /// Default: `pcs`. The unit of the quantity: `metadata.unit`.
    pub fn unit(self, unit: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("unit", unit.into())
    }

    /// The warehouse: `metadata.warehouse_id`.
    pub fn warehouse_id(self, id: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("warehouse_id", id.into())
    }
}

impl<'a> EntryBuilder<'a, Service> {
    /// The customer: `metadata.customer_id`.
    pub fn customer_id(self, id: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("customer_id", id.into())
    }

    /// Who does the work: `metadata.technician`.
    pub fn technician(self, name: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("technician", name.into())
    }

    /// The kind of work: `metadata.service_type`.
    pub fn service_type(self, service_type: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("service_type", service_type.into())
    }

    /// How the job stands: `metadata.status`.
    pub fn status_label(self, label: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("status", label.into())
    }
}
