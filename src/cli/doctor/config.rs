//! The configuration: whether it is valid, and what in it has no effect or one that was hardly meant.

use super::Report;
use crate::cli::failure::Failure;
use crate::cli::{Global, World};
use crate::config::{Config, ENV_PREFIX, keys};

/// The configuration, where it can be used.
pub(super) fn look(report: &mut Report, global: &Global, world: &World<'_>) -> Option<Config> {
    let loaded = match global.load(world, None) {
        Ok(loaded) => loaded,
        Err(error) => {
            let advice = "Correct it: 'sequel config check' says whether it is right, config/default.toml lists every key.";
            report.problem("configuration", Failure::sentence(&error), advice);
            return None;
        }
    };
    let from = match &loaded.file {
        Some(file) => format!("read from {}", file.display()),
        None => "no file: defaults and environment".to_owned(),
    };
    report.ok("configuration", format!("It is valid ({from})."));
    unread_variables(report, &world.env);
    ineffective(report, &loaded.config);
    Some(loaded.config)
}

/// Variables that look like settings and are none, because they have one underscore where two belong.
fn unread_variables(report: &mut Report, env: &[(String, String)]) {
    for (name, _) in env.iter().filter(|(name, _)| !name.starts_with(ENV_PREFIX)) {
        let Some(rest) = name.strip_prefix("SEQUEL_") else { continue };
        let meant =
            keys().find(|key| key.path.replace('.', "_").eq_ignore_ascii_case(&rest.replace("__", "_")));
        if let Some(key) = meant {
            let right = format!("{ENV_PREFIX}{}", key.path.replace('.', "__").to_uppercase());
            report.warning(
                "configuration",
                format!("The environment variable {name} is not read."),
                format!("For the setting {} write {right}, with two underscores.", key.path),
            );
        }
    }
}

fn ineffective(report: &mut Report, config: &Config) {
    if config.server.shutdown_seconds.saturating_mul(1_000) < config.query.time_max_ms {
        report.warning(
            "configuration",
            "A query may run longer than a shutdown waits.",
            "Raise server.shutdown_seconds above query.time_max_ms, or stopping the server cuts queries off.",
        );
    }
    let anybody = config.server.trusted_proxies.iter().map(ToString::to_string);
    if let Some(network) = anybody.into_iter().find(|network| network.ends_with("/0")) {
        report.warning(
            "configuration",
            format!("server.trusted_proxies contains {network}: everybody's word about a client's address is taken."),
            "Name the addresses of your proxies alone.",
        );
    }
    let folders = &config.sources.sqlite.folders;
    if folders.is_empty() {
        report.warning(
            "sources.sqlite.folders",
            "No folder is allowed, so no SQLite file can be a data source.",
            "Name the folders that SQLite files may lie beneath in sources.sqlite.folders.",
        );
    }
    for folder in folders {
        let shown = folder.display();
        match std::fs::read_dir(folder) {
            Ok(_) => report.ok("sources.sqlite.folders", format!("{shown} can be read.")),
            Err(error) => report.warning(
                "sources.sqlite.folders",
                format!("{shown} cannot be read ({error})."),
                "Make it readable for the user that runs Sequel, or take it out of sources.sqlite.folders.",
            ),
        }
    }
}
