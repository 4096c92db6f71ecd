//! Prints results: a table, or one JSON object per line. Nothing else writes to standard output.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::Outcome;

/// Prints the rows, which must serialise to objects; the columns are the fields in order. A field may be an
/// object of plain values.
pub(crate) fn print<R: Serialize>(rows: &[R], json: bool) -> Outcome<()> {
    if json {
        for row in rows {
            println!("{}", serde_json::to_string(row)?);
        }
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for row in rows {
        let text = serde_json::to_string(row)?;
        let cells = cells(&text)?;
        if table.header().is_none() {
            table.set_header(cells.iter().map(|(name, _)| name));
        }
        table.add_row(cells.iter().map(|(_, value)| value));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    Ok(())
}

/// Returns the fields of an object in their original order, which a map would not preserve.
fn cells(object: &str) -> Outcome<Vec<(String, String)>> {
    let mut cells: Vec<(usize, String, String)> = Vec::new();
    let Value::Object(map) = serde_json::from_str(object)? else {
        return Err("a row is not an object".into());
    };
    for (name, value) in map {
        let position = object.find(&format!("\"{name}\":")).unwrap_or(usize::MAX);
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text,
            Value::Object(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
                fields.join(", ")
            }
            other => other.to_string(),
        };
        cells.push((position, name, text));
    }
    cells.sort();
    Ok(cells.into_iter().map(|(_, name, value)| (name, value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_is_an_empty_cell() {
        assert_eq!(cells(r#"{"ratio":null}"#).unwrap()[0].1, "");
    }

    #[test]
    fn an_object_is_one_cell() {
        assert_eq!(cells(r#"{"threads":{"a":1.5,"b":2}}"#).unwrap()[0].1, "a 1.5, b 2");
    }

    #[test]
    fn columns_keep_the_order_of_the_fields() {
        let cells = cells(r#"{"subject":"write","threads":2,"p50_ns":1.5}"#).unwrap();
        let names: Vec<&str> = cells.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["subject", "threads", "p50_ns"]);
        assert_eq!(cells[0].1, "write");
    }
}
