//! A bar for what takes its time, where a person looks.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error; nothing where that is no terminal, or where JSON is wanted.
pub(super) fn bar(total: u64, json: bool) -> ProgressBar {
    let target = if json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{wide_bar} {percent}%").expect("a constant that is a template");
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}
