//! Draws small charts as SVG: bars beside those of peers, and latencies by percentile.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
/// Where bars and curves begin, to the right of their names.
const LEFT: f64 = 190.0;
/// The space to the right of the longest bar, for its value.
const RIGHT: f64 = 110.0;
const BAR: f64 = 22.0;
const GAP: f64 = 8.0;
const TOP: f64 = 44.0;
const OURS: &str = "#1f6feb";
const OTHERS: &str = "#9aa4b2";
const COLORS: [&str; 6] = [OURS, "#7aa9f7", "#0b3d91", "#9aa4b2", "#c2703d", "#5b6470"];

/// A bar.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// The value with its unit.
    pub(crate) text: String,
}

/// Returns a chart of horizontal bars. Those whose name contains `auditx` are highlighted.
pub(crate) fn bars(title: &str, bars: &[Bar]) -> String {
    let height = TOP + (BAR + GAP) * count(bars.len()) + GAP;
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let mut svg = begin(title, height);
    let mut y = TOP;
    for Bar { name, value, text } in bars {
        let width = if most > 0.0 { (WIDTH - LEFT - RIGHT) * value / most } else { 0.0 };
        let color = if name.contains("auditx") { OURS } else { OTHERS };
        let middle = y + BAR * 0.7;
        push(
            &mut svg,
            format_args!(
                r#"<text x="{}" y="{middle:.1}" text-anchor="end">{}</text>"#,
                LEFT - 10.0,
                escaped(name)
            ),
        );
        push(
            &mut svg,
            format_args!(
                r#"<rect x="{LEFT}" y="{y:.1}" width="{width:.1}" height="{BAR}" rx="3" fill="{color}"/>"#
            ),
        );
        push(
            &mut svg,
            format_args!(r#"<text x="{:.1}" y="{middle:.1}">{}</text>"#, LEFT + width + 8.0, escaped(text)),
        );
        y += BAR + GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

/// Latencies of one subject.
#[derive(Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// In nanoseconds, one for each percentile.
    pub(crate) values: Vec<f64>,
}

/// Returns a chart of latencies with a logarithmic axis, from 100 ns to 100 ms.
pub(crate) fn curves(title: &str, percentiles: &[&str], curves: &[Curve]) -> String {
    const LINES: [(&str, f64); 7] = [
        ("100 ns", 1e2),
        ("1 µs", 1e3),
        ("10 µs", 1e4),
        ("100 µs", 1e5),
        ("1 ms", 1e6),
        ("10 ms", 1e7),
        ("100 ms", 1e8),
    ];
    const PLOT: f64 = 280.0;
    let (left, right) = (80.0, 520.0);
    let y = |value: f64| TOP + PLOT * (1.0 - ((value.max(1.0).log10() - 2.0) / 6.0).clamp(0.0, 1.0));
    let x = |index: usize| {
        left + (right - left) * count(index) / count(percentiles.len().saturating_sub(1)).max(1.0)
    };
    let mut svg = begin(title, TOP + PLOT + 34.0);
    for (name, value) in LINES {
        let y = y(value);
        push(&mut svg, format_args!(r##"<path d="M{left} {y:.1}H{right}" stroke="#d8dee6"/>"##));
        push(
            &mut svg,
            format_args!(r#"<text x="{}" y="{:.1}" text-anchor="end">{name}</text>"#, left - 8.0, y + 4.0),
        );
    }
    for (index, name) in percentiles.iter().enumerate() {
        let (x, y) = (x(index), TOP + PLOT + 22.0);
        push(&mut svg, format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle">{name}</text>"#));
    }
    for (index, Curve { name, values }) in curves.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let points: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(index, value)| format!("{:.1},{:.1}", x(index), y(*value)))
            .collect();
        push(
            &mut svg,
            format_args!(
                r#"<polyline points="{}" fill="none" stroke="{color}" stroke-width="2.5"/>"#,
                points.join(" ")
            ),
        );
        let legend = TOP + 10.0 + 20.0 * count(index);
        push(
            &mut svg,
            format_args!(r#"<path d="M{} {legend}h18" stroke="{color}" stroke-width="2.5"/>"#, right + 20.0),
        );
        push(
            &mut svg,
            format_args!(r#"<text x="{}" y="{:.1}">{}</text>"#, right + 44.0, legend + 4.0, escaped(name)),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn begin(title: &str, height: f64) -> String {
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" font-family="system-ui, sans-serif" font-size="13" fill="#24292f">
<rect width="100%" height="100%" fill="#ffffff"/>
"##
    );
    push(
        &mut svg,
        format_args!(r#"<text x="14" y="26" font-size="15" font-weight="600">{}</text>"#, escaped(title)),
    );
    svg
}

fn push(svg: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(svg, "{element}").expect("writing to a String does not fail");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[expect(clippy::cast_precision_loss, reason = "a chart has a few bars")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_chart_and_others_are_in_proportion() {
        let bar = |name: &str, value| Bar { name: name.to_owned(), value, text: format!("{value} & more") };
        let svg = bars("a < b", &[bar("auditx", 50.0), bar("other", 100.0)]);
        let widths: Vec<f64> = svg
            .lines()
            .filter_map(|line| {
                line.split_once("rx=")?.0.split_once("width=\"")?.1.split_once('"')?.0.parse().ok()
            })
            .collect();
        assert_eq!(widths, [210.0, 420.0]);
        assert!(svg.contains("a &lt; b") && svg.contains("50 &amp; more"));
    }

    #[test]
    fn each_power_of_ten_is_as_far_from_the_next() {
        let curve = Curve { name: "auditx".to_owned(), values: vec![100.0, 1_000.0, 10_000.0] };
        let svg = curves("x", &["p50", "p99", "max"], &[curve]);
        let points = svg.split_once("points=\"").unwrap().1.split_once('"').unwrap().0;
        assert_eq!(points, "80.0,324.0 300.0,277.3 520.0,230.7");
    }
}
