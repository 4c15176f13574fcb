//! The table, and `target/bench.json`.

use serde_json::json;

/// What a figure must reach.
#[derive(Clone, Copy)]
pub enum Must {
    AtLeast(f64),
    AtMost(f64),
    /// Told for comparison only.
    Nothing,
}

#[derive(Default)]
pub struct Report {
    rows: Vec<(String, f64, &'static str, Must)>,
}

impl Report {
    pub fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str, must: Must) {
        let name = name.into();
        println!("  {name}: {value:.3} {unit}");
        self.rows.push((name, value, unit, must));
    }

    /// Prints the table, writes the file, and ends the process with 1 if a figure does not hold.
    pub fn finish(self) {
        println!("\n{:<88} {:>12} {:<8} {:>10}", "figure", "value", "unit", "must");
        let mut rows = Vec::new();
        let mut all_hold = true;
        for (name, value, unit, must) in self.rows {
            let (text, holds) = match must {
                Must::AtLeast(bound) => (format!(">= {bound}"), value >= bound),
                Must::AtMost(bound) => (format!("<= {bound}"), value <= bound),
                Must::Nothing => (String::new(), true),
            };
            all_hold &= holds;
            println!("{name:<88} {value:>12.3} {unit:<8} {text:>10} {}", if holds { "" } else { "MISSED" });
            rows.push(json!({ "name": name, "value": value, "unit": unit, "must": text, "holds": holds }));
        }
        let text = serde_json::to_string_pretty(&rows).expect("plain values");
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench.json"), text).expect("target is ours");
        std::process::exit(i32::from(!all_hold));
    }
}

/// The value below which `share` of the sorted values lie.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

pub fn median(values: &mut [f64]) -> f64 {
    percentile(values, 0.5)
}
