//! `sequel demo`: a server on embedded defaults, with a real data set, an organization and a key.
//!
//! Run again on the same folder it goes on with what is there. A key is a digest at rest, so it cannot
//! be printed a second time; the demo says so and how to make another.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

use super::assemble::Inside;
use super::serve::{Served, run};
use super::{data_dir, log, set_up};
use crate::config::{Config, Private};
use crate::demo as data_set;
use crate::flow::create_org::create_org;
use crate::flow::find_org::find_org;
use crate::http::Edge;
use crate::install;
use crate::org::audit::Author;
use crate::org::keys::NewKey;
use crate::org::sources::NewSource;
use crate::org::{ChangeError, Org};

/// What `sequel demo` was asked for.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Its data folder and `--port` are already in here.
    pub config: Config,
    /// Print one line of JSON instead of text.
    pub json: bool,
}

/// The demo's organization.
const ORG: &str = "demo";
/// The key's name is the one that the install dialog uses.
const KEY: &str = "sequel_mcp";
/// The data source's name.
const SOURCE: &str = "flights";

/// What `--json` prints: one line, once requests are answered.
#[derive(Serialize)]
struct Line<'a> {
    mcp_url: &'a str,
    /// `None` where the key was made by an earlier run.
    api_key: Option<&'a str>,
    org: &'a str,
    /// The link that makes the first user; absent where somebody was set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    set_up_url: Option<&'a str>,
}

/// Serves the demo until it is told to stop.
pub fn demo(options: DemoOptions) -> anyhow::Result<()> {
    demo_with(options, |_| {})
}

/// The same, with something mounted that is not the product's. For test-only builds (`tests/conformance`).
pub fn demo_with(options: DemoOptions, mount: impl FnOnce(&mut Edge)) -> anyhow::Result<()> {
    let DemoOptions { mut config, json } = options;
    data_dir::keep_files_private();
    data_dir::make(&config.data_dir)?;
    // The terminal shows what to paste; a line for each call would push it away.
    log::start(&log::quiet(&config.log))?;
    let folder = config.data_dir.join("sources");
    data_dir::make(&folder)?;
    let file = folder.join("flights.sqlite");
    if !file.exists() {
        data_set::write(&file)
            .with_context(|| format!("the data set cannot be written to {}", file.display()))?;
    }
    config.sources.sqlite.folders.push(folder);
    // One person's server: the databases of this machine are theirs.
    config.sources.network.private = Private::Allowed;
    let data_dir = config.data_dir.clone();
    run(config, mount, async move |inside: &Inside, served: Served| {
        let key = prepare(inside, file).await?;
        let set_up = set_up::link(&inside.people).await?;
        let set_up = set_up.as_deref();
        let text = if json {
            let line =
                Line { mcp_url: &served.mcp_url, api_key: key.as_deref(), org: ORG, set_up_url: set_up };
            format!("{}\n", serde_json::to_string(&line).context("the demo's line cannot be made")?)
        } else {
            welcome(&served.mcp_url, (key.as_deref(), set_up), &data_dir)
        };
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .context("the demo's lines cannot be printed")
    })
}

/// The organization with its data source and key; the key's secret where it was just made.
async fn prepare(inside: &Inside, file: PathBuf) -> anyhow::Result<Option<String>> {
    let author = Author::sequel();
    match create_org(&inside.registry, &inside.index, &inside.context, &author, ORG).await {
        Ok(_) | Err(ChangeError::NameTaken { .. }) => {}
        Err(error) => return Err(error).context("the demo's organization cannot be made"),
    }
    let org = find_org(&inside.registry, &inside.index, ORG)
        .await
        .context("the demo's organization is not there")?;
    add_source(&org, file).await.context("the demo's data source cannot be connected")?;
    let has_keys = !org.list_keys().await.context("the demo's keys cannot be read")?.is_empty();
    if has_keys {
        return Ok(None);
    }
    let new = NewKey { name: KEY.into(), expires_at: None, sources: None, made_for: None };
    let minted = org.create_key(new).await.context("the demo's key cannot be made")?;
    Ok(Some(minted.plain.reveal().to_owned()))
}

async fn add_source(org: &Org, file: PathBuf) -> Result<(), ChangeError> {
    let path = file.to_string_lossy().into_owned();
    let existing = match org.find_source(SOURCE) {
        Ok(source) => Some(source),
        Err(ChangeError::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    if let Some(source) = existing {
        let same = source.record().settings.get("path").and_then(|p| p.as_str()) == Some(path.as_str());
        if same {
            return Ok(());
        }
        // The data folder was moved: the source follows it.
        org.remove_source(source.id()).await?;
    }
    let settings = sequel_connector::Settings::from_iter([("path".to_owned(), path.into())]);
    let description = Some(data_set::DESCRIPTION.to_owned());
    org.add_source(NewSource { name: SOURCE.into(), kind: "sqlite".into(), settings, description }).await?;
    Ok(())
}

fn welcome(mcp_url: &str, (key, set_up): (Option<&str>, Option<&str>), data_dir: &std::path::Path) -> String {
    let mut text = format!("Sequel is running. Stop it with Ctrl-C.\n\n  MCP URL  {mcp_url}\n");
    if let Some(link) = set_up {
        text.push_str(&format!("  Sign up  {link}\n           Works once, for the first person.\n"));
    }
    match key {
        Some(key) => {
            text.push_str(&format!("  API key  {key}\n"));
            text.push_str("           Shown this once: only a digest of it is stored.\n\n");
            text.push_str(&install::render(&install::snippets(mcp_url, key)));
            text.push('\n');
        }
        None => {
            let data_dir = install::shell_quote(&data_dir.to_string_lossy());
            text.push_str(&format!(
                "  API key  the ones that were made before still work unless they were deleted. They are stored \
                 as digests,\n           so they cannot be printed again. \
                 Another one: sequel key create NAME --org {ORG} --data-dir {data_dir}\n"
            ));
        }
    }
    text.push_str("\nThen ask, for instance:\n");
    for question in data_set::EXAMPLE_QUESTIONS {
        text.push_str(&format!("  · {question}\n"));
    }
    text
}
