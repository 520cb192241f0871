//! What was measured, beside its floor and its goal (DESIGN, "Budgets"); as a table or as JSON.

use serde_json::json;

/// Which side of the floor is good.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Better {
    /// At least the floor.
    Higher,
    /// At most the floor.
    Lower,
}

/// One row of the budgets.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) measured: f64,
    pub(crate) unit: &'static str,
    pub(crate) floor: f64,
    pub(crate) goal: f64,
    pub(crate) better: Better,
}

impl Row {
    fn verdict(&self) -> &'static str {
        if self.measured.is_nan() {
            return "FAILED";
        }
        let reaches = |limit: f64| match self.better {
            Better::Higher => self.measured >= limit,
            Better::Lower => self.measured <= limit,
        };
        match (reaches(self.goal), reaches(self.floor)) {
            (true, _) => "goal",
            (false, true) => "floor",
            (false, false) => "MISSED",
        }
    }
}

/// The rows, and what explains them.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// Adds a line that explains, and says it at once: a run takes minutes.
    pub(crate) fn note(&mut self, text: String) {
        eprintln!("  {text}");
        self.notes.push(text);
    }

    /// Whether every row was measured.
    pub(crate) fn is_complete(&self) -> bool {
        self.rows.iter().all(|row| !row.measured.is_nan())
    }

    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            let rows: Vec<_> = self
                .rows
                .iter()
                .map(|row| {
                    json!({ "what": row.what, "measured": row.measured, "unit": row.unit, "floor": row.floor,
                            "goal": row.goal, "verdict": row.verdict() })
                })
                .collect();
            println!("{}", json!({ "rows": rows, "notes": self.notes }));
            return;
        }
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header(["what", "measured", "floor", "goal", "verdict"]);
        for row in &self.rows {
            let number = |n: f64| match row.unit {
                _ if n.is_nan() => "–".to_owned(),
                "" => format!("{n:.3}"),
                unit => format!("{n:.1} {unit}"),
            };
            table.add_row([
                row.what.clone(),
                number(row.measured),
                number(row.floor),
                number(row.goal),
                row.verdict().into(),
            ]);
        }
        println!("{table}\n");
        for note in &self.notes {
            println!("- {note}");
        }
    }
}
