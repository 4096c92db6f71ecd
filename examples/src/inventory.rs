//! Stock.

use std::collections::BTreeMap;
use std::sync::Mutex;

use auditx_core::{AuditAction, audit};
use serde::{Deserialize, Serialize};

use crate::erp::lock;
use crate::refusal::Refusal;

/// All products, by id.
#[derive(Debug)]
pub struct Inventory {
    products: Mutex<BTreeMap<String, Product>>,
}

#[derive(Debug)]
struct Product {
    name: &'static str,
    on_hand: u32,
}

/// A request to issue stock for an order.
#[derive(Debug, Deserialize)]
pub struct Issue {
    product_id: String,
    quantity: u32,
    warehouse_id: String,
    reference_no: String,
}

/// The stock that is left after an issue.
#[derive(Debug, Serialize)]
pub struct Issued {
    product_id: String,
    on_hand: u32,
}

impl Default for Inventory {
    fn default() -> Self {
        let products = [
            ("SKU-1001".to_owned(), Product { name: "LED Panel 24W", on_hand: 1_000_000 }),
            ("SKU-1002".to_owned(), Product { name: "Copper Cable 2.5mm", on_hand: 40 }),
        ];
        Self { products: Mutex::new(BTreeMap::from(products)) }
    }
}

impl Inventory {
    /// Issues stock from a warehouse.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if there is no such product; [`Refusal::Conflict`] if there is too little of it.
    pub fn issue(&self, issue: &Issue) -> Result<Issued, Refusal> {
        let mut products = lock(&self.products);
        let Issue { product_id, quantity, warehouse_id, reference_no } = issue;
        let product = products
            .get_mut(product_id)
            .ok_or_else(|| Refusal::NotFound(format!("no product {product_id}")))?;
        let on_hand = product
            .on_hand
            .checked_sub(*quantity)
            .ok_or_else(|| Refusal::Conflict(format!("only {} of {product_id} in stock", product.on_hand)))?;
        audit()
            .log_inventory("Stock issued for sales order", AuditAction::Transfer, product_id, *quantity)
            .product_name(product.name)
            .warehouse_id(warehouse_id)
            .reference_no(reference_no)
            .record()?;
        product.on_hand = on_hand;
        Ok(Issued { product_id: product_id.clone(), on_hand })
    }
}
