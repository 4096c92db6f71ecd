//! Records what commits with SeaORM, and only that.
//!
//! ```console
//! $ cargo run -p auditx-examples-orm --bin seaorm_outbox
//! ```

use auditx_core::{AuditLogger, EncodedEntry, RequestContext};
use auditx_examples_orm::{MAX_LIMIT, Result, Shop, added, raised, refused};
use auditx_postgres::outbox;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, Statement,
    TransactionTrait,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let shop = Shop::open().await?;
    let database = Database::connect(&shop.url).await?;
    let scope = RequestContext::new().user("thida").branch_id("YGN").enter();

    let transaction = begin(&database).await?;
    let mut add = Query::insert();
    add.into_table("customer").columns(["id", "name", "credit_limit"]);
    add.values([42_i64.into(), "Golden Trading Co.".into(), 500_000_i64.into()])?;
    transaction.execute(&add).await?;
    store(&transaction, &added(&shop.logger)?).await?;
    transaction.commit().await?;

    let transaction = begin(&database).await?;
    raise_limit(&transaction, &shop.logger, 700_000).await?;
    transaction.rollback().await?;

    for limit in [800_000, 5_000_000] {
        let transaction = begin(&database).await?;
        raise_limit(&transaction, &shop.logger, limit).await?;
        if limit > MAX_LIMIT {
            transaction.rollback().await?;
            refused(&shop.logger, limit)?;
        } else {
            transaction.commit().await?;
        }
    }
    drop(scope);
    database.close().await?;
    shop.print()
}

/// Begins a transaction whose changes are noted with the context of the request.
async fn begin(database: &DatabaseConnection) -> Result<DatabaseTransaction> {
    let transaction = database.begin().await?;
    let context = serde_json::to_string(&RequestContext::current().to_carrier())?;
    let values = [context.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, outbox::SET_CONTEXT, values);
    transaction.execute_raw(statement).await?;
    Ok(transaction)
}

/// Stores an entry in the transaction.
async fn store(transaction: &DatabaseTransaction, entry: &EncodedEntry) -> Result {
    let values = [entry.id().into(), entry.to_string().into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, outbox::INSERT, values);
    transaction.execute_raw(statement).await?;
    Ok(())
}

async fn raise_limit(transaction: &DatabaseTransaction, logger: &AuditLogger, limit: i64) -> Result {
    let mut select = Query::select();
    select.column("credit_limit").from("customer").and_where(Expr::col("id").eq(42)).lock_exclusive();
    let row = transaction.query_one(&select).await?.ok_or("customer 42 does not exist")?;
    let old: i64 = row.try_get("", "credit_limit")?;
    let mut update = Query::update();
    update.table("customer").value("credit_limit", limit).and_where(Expr::col("id").eq(42));
    transaction.execute(&update).await?;
    store(transaction, &raised(logger, old, limit)?).await
}
