//! One source of settings, held against the list of keys: a file or the environment.

use std::path::Path;

use config::{Map, Source, Value};

use super::error::{ConfigError, Place};
use super::key::{Key, Refused};
use super::{ENV_PREFIX, keys};

/// Checked values with the place that each was written at.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub(super) values: Vec<(&'static str, Value, Place)>,
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.values.iter().map(|(key, value, _)| ((*key).to_owned(), value.clone())).collect())
    }
}

impl Layer {
    /// The text that this layer has for a key.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.values.iter().find(|(path, ..)| *path == key).and_then(|(_, v, _)| v.clone().into_string().ok())
    }

    /// Reads a file's text. Relative paths in it are taken from the file's own folder.
    pub(super) fn from_file(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let table = toml::de::DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            why: error.message().trim_end_matches('.').replace('\n', ", "),
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mut walk = Walk { path, text, base, layer: Self::default() };
        walk.table("", table.get_ref())?;
        Ok(walk.layer)
    }

    /// Reads the variables that begin with `SEQUEL__`. Others, also `SEQUEL_…` with one underscore,
    /// are left alone: Kubernetes sets `SEQUEL_PORT` and its like for a service of that name.
    pub(super) fn from_env(env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for (name, text) in env {
            let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
            let path = rest.to_ascii_lowercase().replace("__", ".");
            let place = Place::Env { name: name.clone() };
            let Some(key) = keys().find(|key| key.path == path) else {
                let hint =
                    hint(&path, |key| format!("{ENV_PREFIX}{}", key.to_uppercase().replace('.', "__")));
                return Err(ConfigError::Unknown { place, key: path, hint });
            };
            let value =
                key.read_env(&text, &place.to_string()).map_err(|refused| wrong(&place, key, refused))?;
            layer.values.push((key.path, value, place));
        }
        Ok(layer)
    }
}

struct Walk<'a> {
    path: &'a Path,
    text: &'a str,
    base: &'a Path,
    layer: Layer,
}

impl Walk<'_> {
    fn table(&mut self, section: &str, table: &toml::de::DeTable<'_>) -> Result<(), ConfigError> {
        for (name, value) in table.iter() {
            let path = if section.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{section}.{}", name.get_ref())
            };
            let place =
                Place::File { path: self.path.to_owned(), line: line_at(self.text, name.span().start) };
            if let Some(key) = keys().find(|key| key.path == path) {
                let origin = place.to_string();
                let shown = self.text.get(value.span()).unwrap_or_default();
                let value = key
                    .read_toml(value.get_ref(), shown, self.base, &origin)
                    .map_err(|refused| wrong(&place, key, refused))?;
                self.layer.values.push((key.path, value, place));
            } else if !keys().any(|key| in_section(key, &path)) {
                return Err(ConfigError::Unknown { place, hint: hint(&path, str::to_owned), key: path });
            } else if let toml::de::DeValue::Table(inner) = value.get_ref() {
                self.table(&path, inner)?;
            } else {
                let value = self.text.get(value.span()).unwrap_or_default().to_owned();
                let allowed = format!("a section, written as [{path}] with its keys below");
                return Err(ConfigError::Wrong { place, key: path, value, allowed });
            }
        }
        Ok(())
    }
}

fn wrong(place: &Place, key: &Key, refused: Refused) -> ConfigError {
    let Refused { value, allowed } = refused;
    ConfigError::Wrong { place: place.clone(), key: key.path.to_owned(), value, allowed }
}

fn in_section(key: &Key, section: &str) -> bool {
    key.path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

/// What was probably meant by an unknown key: the nearest name, or the names of its section, or the
/// sections. `write` says how names are written where the key stood.
fn hint(unknown: &str, write: impl Fn(&str) -> String) -> String {
    let leaf = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let mut sections: Vec<&str> =
        keys().filter_map(|key| key.path.rsplit_once('.').map(|(s, _)| s)).collect();
    sections.dedup();
    let names = || keys().map(|key| key.path).chain(sections.iter().copied());
    // The right name in the wrong section, then a slip of the fingers.
    let moved = names().find(|known| leaf(known) == leaf(unknown));
    if let Some(nearest) = moved.or_else(|| sequel_connector::nearest(unknown, names())) {
        return format!("did you mean {}?", write(nearest));
    }
    let section = unknown.rsplit_once('.').map_or("", |(section, _)| section);
    let siblings: Vec<String> = keys()
        .filter(|key| !section.is_empty() && in_section(key, section))
        .map(|key| write(key.path))
        .collect();
    if siblings.is_empty() {
        format!("the sections are {}.", sections.join(", "))
    } else {
        format!("there are {}.", siblings.join(", "))
    }
}
