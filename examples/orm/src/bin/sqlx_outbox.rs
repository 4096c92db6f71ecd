//! Records what commits with sqlx, and only that.
//!
//! ```console
//! $ cargo run -p auditx-examples-orm --bin sqlx_outbox
//! ```

use auditx_core::{AuditLogger, EncodedEntry, RequestContext};
use auditx_examples_orm::{MAX_LIMIT, Result, Shop, added, raised, refused};
use auditx_postgres::outbox;
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, PgTransaction};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let shop = Shop::open().await?;
    let pool = PgPool::connect(&shop.url).await?;
    let scope = RequestContext::new().user("thida").branch_id("YGN").enter();

    let mut transaction = begin(&pool).await?;
    let add = "INSERT INTO customer VALUES (42, 'Golden Trading Co.', 500000)";
    sqlx::query(add).execute(&mut *transaction).await?;
    store(&mut transaction, &added(&shop.logger)?).await?;
    transaction.commit().await?;

    let mut transaction = begin(&pool).await?;
    raise_limit(&mut transaction, &shop.logger, 700_000).await?;
    transaction.rollback().await?;

    for limit in [800_000, 5_000_000] {
        let mut transaction = begin(&pool).await?;
        raise_limit(&mut transaction, &shop.logger, limit).await?;
        if limit > MAX_LIMIT {
            transaction.rollback().await?;
            refused(&shop.logger, limit)?;
        } else {
            transaction.commit().await?;
        }
    }
    drop(scope);
    pool.close().await;
    shop.print()
}

/// Begins a transaction whose changes are noted with the context of the request.
async fn begin(pool: &PgPool) -> Result<PgTransaction<'static>> {
    let mut transaction = pool.begin().await?;
    let context = serde_json::to_string(&RequestContext::current().to_carrier())?;
    sqlx::query(outbox::SET_CONTEXT).bind(context).execute(&mut *transaction).await?;
    Ok(transaction)
}

/// Stores an entry in the transaction.
async fn store(transaction: &mut PgConnection, entry: &EncodedEntry) -> Result {
    sqlx::query(outbox::INSERT).bind(entry.id()).bind(entry.to_string()).execute(&mut *transaction).await?;
    Ok(())
}

async fn raise_limit(transaction: &mut PgConnection, logger: &AuditLogger, limit: i64) -> Result {
    let select = "SELECT credit_limit FROM customer WHERE id = 42 FOR UPDATE";
    let old: i64 = sqlx::query_scalar(select).fetch_one(&mut *transaction).await?;
    let update = "UPDATE customer SET credit_limit = $1 WHERE id = 42";
    sqlx::query(update).bind(limit).execute(&mut *transaction).await?;
    store(transaction, &raised(logger, old, limit)?).await
}
