//! *A key leaked?*: find the key that is meant, show what it did, stop it or replace it.

use std::sync::Arc;

use super::keys::{Owners, count};
use super::reply::{Failed, Reply};
use super::visit::{Inside, Outcome};
use crate::credential::{SourceId, prefix};
use crate::org::Source;
use crate::org::keys::ListedKey;
use crate::org::usage::UsageReport;
use crate::pages::{Input, Leaked, LeakedKey, Name, Room, Use, When};

/// The key that somebody means: by the whole of it, or by the prefix that is shown. Only its first characters count,
/// and none of it is written anywhere.
async fn meant(inside: &Inside, text: &str) -> Result<Option<ListedKey>, Failed> {
    let text = text.trim();
    // `sql_` and six characters of the id tell keys of one organization apart.
    if text.len() < 10 || !text.is_ascii() {
        return Ok(None);
    }
    let keys = inside.member.list_keys().await?;
    let mut meant = keys.into_iter().filter(|key| {
        let visible = prefix(&key.id);
        visible.starts_with(text) || text.starts_with(visible.as_str())
    });
    Ok(match (meant.next(), meant.next()) {
        (Some(key), None) => Some(key),
        _ => None,
    })
}

async fn leaked_page(inside: &Inside, asked: Input, key: Option<ListedKey>) -> Result<Leaked, Failed> {
    let found = match key {
        None => None,
        Some(key) => {
            let (sources, owners) = (inside.member.list_sources()?, Owners::of(inside).await?);
            let uses = uses(inside, &inside.used(key.id, 30).await?, &sources);
            let once = inside.dashboard().once.token()?;
            Some(LeakedKey { key: inside.row(&key, &sources, &owners), uses, once })
        }
    };
    Ok(Leaked { shell: inside.org_shell(Room::Keys).await?, asked, found })
}

/// The lines of a report by data source, the most asked first.
fn uses(inside: &Inside, report: &UsageReport, sources: &[Arc<Source>]) -> Vec<Use> {
    let mut uses: Vec<(Option<SourceId>, Use)> = Vec::new();
    for line in &report.lines {
        let at = uses.iter().position(|(source, _)| *source == line.source).unwrap_or_else(|| {
            let named = line.source.and_then(|id| sources.iter().find(|source| source.id() == id));
            let source = match (line.source, named) {
                (None, _) => Name::new("no data source"),
                (Some(_), Some(source)) => Name::new(source.record().name.clone()),
                (Some(_), None) => Name::new("a removed source"),
            };
            // Lines come with the newest day first.
            let last = When::of_day(line.day, inside.now.0);
            uses.push((line.source, Use { source, calls: 0, rows: 0, last }));
            uses.len() - 1
        });
        uses[at].1.calls += count(line.usage.calls);
        uses[at].1.rows += count(line.usage.rows);
    }
    let mut uses: Vec<Use> = uses.into_iter().map(|(_, used)| used).collect();
    uses.sort_by_key(|used| std::cmp::Reverse(used.calls));
    uses
}

pub(super) async fn show(inside: Inside) -> Outcome {
    let asked = inside.query.trimmed("key").to_owned();
    let key = meant(&inside, &asked).await?;
    inside.show(&leaked_page(&inside, Input::of(asked), key).await?)
}

pub(super) async fn find(inside: Inside) -> Outcome {
    let sent = inside.form.trimmed("key").to_owned();
    match meant(&inside, &sent).await? {
        // Of a whole key only the part that is shown anyway comes back.
        Some(key) => {
            let asked = Input::of(prefix(&key.id));
            Reply::page(&leaked_page(&inside, asked, Some(key)).await?)
        }
        None => {
            let shown: String = sent.chars().take(14).collect();
            let error =
                "No key of this organization that you may see begins so. Compare the first ten characters.";
            Reply::refused(&leaked_page(&inside, Input::wrong(shown, error), None).await?)
        }
    }
}
