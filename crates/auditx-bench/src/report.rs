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

/// Returns the rows as a table in Markdown. Empty fields of all rows are left out.
pub(crate) fn markdown<R: Serialize>(rows: &[R]) -> Outcome<String> {
    let rows: Vec<Vec<(String, String)>> =
        rows.iter().map(|row| cells(&serde_json::to_string(row)?)).collect::<Outcome<_>>()?;
    let Some(first) = rows.first() else { return Ok(String::new()) };
    let is_used = |index: &usize| rows.iter().any(|row| !matches!(row[*index].1.as_str(), "" | "0"));
    let columns: Vec<usize> = (0..first.len()).filter(is_used).collect();
    let line = |cell: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = columns.iter().map(|index| cell(*index)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut table = line(&|index| first[index].0.replace('_', " "));
    let is_text = |index: usize| rows.iter().any(|row| row[index].1.chars().any(char::is_alphabetic));
    table.push_str(&line(&|index| if is_text(index) { "---".to_owned() } else { "---:".to_owned() }));
    table.extend(rows.iter().map(|row| line(&|index| row[index].1.replace('|', "\\|"))));
    Ok(table)
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
    fn a_table_has_only_used_columns() {
        let rows = [
            serde_json::json!({"a": "x", "b_us": 1.5, "c": 0}),
            serde_json::json!({"a": "y|z", "b_us": null, "c": 0}),
        ];
        assert_eq!(markdown(&rows).unwrap(), "| a | b us |\n| --- | ---: |\n| x | 1.5 |\n| y\\|z |  |\n");
        assert_eq!(markdown::<u8>(&[]).unwrap(), "");
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
