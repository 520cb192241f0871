//! `sequel doctor`: looks at everything that an installation stands on and says what to do. One file for each part of
//! it; none of them changes anything.

mod config;
mod files;
mod machine;
mod public;
mod server;
mod store;

use serde::Serialize;

use super::answer::{Answer, clean, clean_lines};
use super::failure::Failure;
use super::{Global, World};

/// Check configuration, storage, sources, clock, files and public URL, and say what to do
///
/// Works while the server runs and while it does not. The exit code is 1 where there is a problem.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// How things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at, for programs: `store`, `clock`, `source acme/flights`.
    check: String,
    status: Status,
    /// What was found: one sentence.
    message: String,
    /// What to do; absent where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Whether there is no problem.
    ok: bool,
    problems: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, check: &str, status: Status, message: String, advice: Option<String>) {
        self.findings.push(Finding { check: check.to_owned(), status, message, advice });
    }

    fn ok(&mut self, check: &str, message: impl Into<String>) {
        self.add(check, Status::Ok, message.into(), None);
    }

    fn warning(&mut self, check: &str, message: impl Into<String>, advice: impl Into<String>) {
        self.add(check, Status::Warning, message.into(), Some(advice.into()));
    }

    fn problem(&mut self, check: &str, message: impl Into<String>, advice: impl Into<String>) {
        self.add(check, Status::Problem, message.into(), Some(advice.into()));
    }

    fn count(&mut self) {
        let count = |status| self.findings.iter().filter(|finding| finding.status == status).count();
        (self.problems, self.warnings) = (count(Status::Problem), count(Status::Warning));
        self.ok = self.problems == 0;
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let mark = match finding.status {
                Status::Ok => "ok     ",
                Status::Warning => "warning",
                Status::Problem => "PROBLEM",
            };
            text.push_str(&format!("{mark}  {}: {}\n", clean(&finding.check), clean(&finding.message)));
            if let Some(advice) = &finding.advice {
                text.push_str(&format!("         {}\n", clean_lines(advice)));
            }
        }
        let count = |count: usize, one: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {one}s"),
        };
        let (problems, warnings) = (count(self.problems, "problem"), count(self.warnings, "warning"));
        text + &format!("{problems}, {warnings}.")
    }
}

pub(super) fn run(_: Args, global: &Global, world: &mut World<'_>) -> Result<Answer, Failure> {
    let mut report = Report::default();
    if let Some(config) = config::look(&mut report, global, world) {
        files::look(&mut report, &config);
        let store = store::look(&mut report, &config);
        machine::look(&mut report, &config, store.holder.as_ref(), &world.clock);
        // Where no server runs, the administration would open the store, and a store that is opened may be made,
        // migrated or repaired.
        let may_ask = store.holder.is_some() || store.is_settled;
        let seen = if may_ask { server::look(&mut report, &config, world) } else { None };
        public::look(&mut report, &config, seen.as_ref(), &world.clock);
    }
    report.count();
    let mut answer = Answer::new(&report, report.text());
    answer.exit = u8::from(!report.ok);
    Ok(answer)
}
