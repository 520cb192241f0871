//! What users rely on when they configure Sequel.

use std::collections::BTreeSet;

use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn with_file(text: &str) -> Self {
        let folder = Self::new();
        std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
        folder
    }

    fn options(&self) -> LoadOptions {
        let flags = Flags { data_dir: Some(self.path().to_owned()), port: None };
        LoadOptions { file: None, env: Vec::new(), flags }
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.options())
    }

    fn load_env(&self, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::load(LoadOptions { env: env(pairs), ..self.options() })
    }

    /// The sentence that a file is refused with, its folder left out.
    fn refused(text: &str) -> String {
        let folder = Self::with_file(text);
        let message = folder.load().unwrap_err().to_string();
        message.replace(&format!("{}/", folder.path().display()), "")
    }
}

#[test]
fn default_toml_equals_the_defaults_of_the_code() {
    let folder = Folder::new();
    let expected = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    assert_eq!(folder.load().unwrap(), expected);
}

#[test]
fn every_key_stands_in_default_toml() {
    fn paths(prefix: &str, value: &toml::Value, into: &mut BTreeSet<String>) {
        match value {
            toml::Value::Table(table) => {
                for (name, value) in table {
                    let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    paths(&path, value, into);
                }
            }
            _ => drop(into.insert(prefix.to_owned())),
        }
    }
    let (mut written, mut typed) = (BTreeSet::new(), BTreeSet::new());
    paths("", &toml::Value::Table(toml::from_str(DEFAULT_TOML).unwrap()), &mut written);
    paths("", &toml::Value::try_from(Config::default()).unwrap(), &mut typed);
    let listed: BTreeSet<String> = keys().map(|key| key.path.to_owned()).collect();
    assert_eq!(written, listed);
    assert_eq!(typed, listed);
}

#[test]
fn default_toml_passes_its_own_checks_and_comments_every_key() {
    Layer::from_file(Path::new("default.toml"), DEFAULT_TOML).unwrap();
    let mut before = "";
    for line in DEFAULT_TOML.lines() {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(before.starts_with('#'), "{line} has no comment");
        }
        before = line;
    }
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let folder =
        Folder::with_file("[server]\nlisten = \"127.0.0.1:1\"\nworkers = 1\nkeep_alive_seconds = 1\n");
    let variables = [("SEQUEL__SERVER__LISTEN", "127.0.0.2:2"), ("SEQUEL__SERVER__WORKERS", "2")];
    let mut options = LoadOptions { env: env(&variables), ..folder.options() };
    options.flags.port = Some(3);
    let server = Config::load(options).unwrap().server;
    assert_eq!(server.listen, "127.0.0.2:3".parse().unwrap());
    assert_eq!((server.workers, server.keep_alive_seconds, server.shutdown_seconds), (2, 1, 30));
}

#[test]
fn a_named_file_replaces_the_one_in_the_data_folder() {
    let folder = Folder::with_file("[server]\nworkers = 1\n");
    let other = folder.path().join("other.toml");
    std::fs::write(&other, "[orgs]\nidle_seconds = 5\n").unwrap();
    let config = Config::load(LoadOptions { file: Some(other), ..folder.options() }).unwrap();
    assert_eq!((config.server.workers, config.orgs.idle_seconds), (0, 5));
}

#[test]
fn a_named_file_that_is_missing_is_refused() {
    let folder = Folder::new();
    let options = LoadOptions { file: Some(folder.path().join("gone.toml")), ..folder.options() };
    let message = Config::load(options).unwrap_err().to_string();
    assert!(message.starts_with("cannot read the configuration file ") && message.contains("gone.toml"));
}

#[test]
fn a_named_file_may_choose_the_data_folder_relative_to_itself() {
    let folder = Folder::new();
    let file = folder.path().join("other.toml");
    std::fs::write(&file, "data_dir = \"data\"\n[sources.sqlite]\nfolders = [\"a\", \"/b\"]\n").unwrap();
    let options = LoadOptions { file: Some(file), ..LoadOptions::default() };
    let config = Config::load(options).unwrap();
    assert_eq!(config.data_dir, folder.path().join("data"));
    assert_eq!(config.sources.sqlite.folders, [folder.path().join("a"), PathBuf::from("/b")]);
    assert_eq!(config.store(), StoreLocation::Sqlite(folder.path().join("data/sequel.db")));
}

#[test]
fn the_file_in_the_data_folder_cannot_move_the_data_folder() {
    assert!(Folder::refused("data_dir = \"/elsewhere\"\n").contains("remove data_dir there"));
}

#[test]
fn an_unknown_key_of_a_file_is_refused_with_its_line_and_the_nearest_name() {
    for (text, message) in [
        (
            "\n[server]\nlisen = \"x\"\n",
            "sequel.toml:3: there is no setting server.lisen; did you mean server.listen?",
        ),
        ("[sever]\nlisten = \"x\"\n", "sequel.toml:1: there is no setting sever; did you mean server?"),
        ("listen = \"x\"\n", "sequel.toml:1: there is no setting listen; did you mean server.listen?"),
        (
            "[keys]\nzebra = 1\n",
            "sequel.toml:2: there is no setting keys.zebra; there are keys.rotate_overlap_seconds, \
             keys.rotate_overlap_max_seconds.",
        ),
        (
            "zebra = 1\n",
            "sequel.toml:1: there is no setting zebra; the sections are server, tls, storage, orgs, keys, auth, \
             sessions, passwords, oauth, mail, limits, query, streams, sources, sources.network, sources.postgres, sources.sqlite, secrets, admin, log, metrics, telemetry, audit, usage.",
        ),
    ] {
        assert_eq!(Folder::refused(text), message);
    }
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_name() {
    let message = Folder::new().load_env(&[("SEQUEL__SERVER__LISEN", "x")]).unwrap_err().to_string();
    assert_eq!(
        message,
        "SEQUEL__SERVER__LISEN: there is no setting server.lisen; did you mean SEQUEL__SERVER__LISTEN?"
    );
}

#[test]
fn variables_of_others_are_left_alone() {
    let others = [("SEQUEL_PORT", "tcp://10.0.0.1:80"), ("SEQUEL_SERVICE_HOST", "x"), ("PATH", "/bin")];
    Folder::new().load_env(&others).unwrap();
}

#[test]
fn wrong_values_of_a_file_are_refused_with_what_is_allowed() {
    for (text, message) in [
        (
            "[server]\nworkers = \"many\"\n",
            "server.workers is \"many\", but must be a whole number from 0 to 1024.",
        ),
        ("[server]\nworkers = 2000\n", "server.workers is 2000, but must be a whole number from 0 to 1024."),
        ("[server]\nworkers = -1\n", "server.workers is -1, but must be a whole number from 0 to 1024."),
        ("[server]\nworkers = 1.5\n", "server.workers is 1.5, but must be a whole number from 0 to 1024."),
        (
            "[server]\nlisten = \"localhost\"\n",
            "server.listen is \"localhost\", but must be an IP address and a port, such as \"127.0.0.1:7700\" or \
             \"[::1]:7700\".",
        ),
        ("[log]\nformat = \"xml\"\n", "log.format is \"xml\", but must be \"text\" or \"json\"."),
        (
            "[sources.sqlite]\nfolders = \"/a\"\n",
            "sources.sqlite.folders is \"/a\", but must be a list of paths in quotes.",
        ),
        (
            "[server]\nallowed_origins = [\"x\"]\n",
            "server.allowed_origins is \"x\", but must be a list, each item an origin, such as \
             \"https://app.example.com\".",
        ),
    ] {
        assert_eq!(Folder::refused(text), format!("sequel.toml:2: {message}"));
    }
    assert_eq!(
        Folder::refused("server = 1\n"),
        "sequel.toml:1: server is 1, but must be a section, written as [server] with its keys below."
    );
    assert_eq!(
        Folder::refused("[query]\nrows_max = 10\n"),
        "query.rows_default is 1000, but query.rows_max allows at most 10; lower the first or raise the second."
    );
    assert!(Folder::refused("[server\n").starts_with("sequel.toml:1: this is not valid TOML: "));
}

#[test]
fn wrong_values_of_variables_are_refused_with_what_is_allowed() {
    let message = Folder::new().load_env(&[("SEQUEL__SERVER__WORKERS", "yes")]).unwrap_err().to_string();
    assert_eq!(
        message,
        "SEQUEL__SERVER__WORKERS: server.workers is \"yes\", but must be a whole number from 0 to 1024."
    );
}

#[test]
fn a_list_in_a_variable_is_written_with_commas_or_as_toml() {
    for text in ["/a,/b", " /a , /b ", "[\"/a\", \"/b\"]"] {
        let config = Folder::new().load_env(&[("SEQUEL__SOURCES__SQLITE__FOLDERS", text)]).unwrap();
        assert_eq!(config.sources.sqlite.folders, [Path::new("/a"), Path::new("/b")], "{text}");
    }
    let none = Folder::new().load_env(&[("SEQUEL__SOURCES__SQLITE__FOLDERS", "")]).unwrap();
    assert!(none.sources.sqlite.folders.is_empty());
}

#[test]
fn storage_of_another_kind_is_refused_without_showing_its_password() {
    let message = Folder::refused("[storage]\nurl = \"mysql://u:hunter2@h/db\"\n");
    assert!(message.contains("storage.url is a value that is not shown, but must be"), "{message}");
    assert!(!message.contains("hunter2"));
}

#[test]
fn a_log_filter_that_would_silence_everything_is_refused() {
    assert!(Folder::refused("[log]\nfilter = \"inof\"\n").contains("must be a log filter"));
    Folder::with_file("[log]\nfilter = \"warn,sequel=debug\"\n").load().unwrap();
}

#[test]
fn an_admin_socket_that_is_too_long_is_refused() {
    let text = format!("[admin]\nsocket = \"/{}\"\n", "s".repeat(200));
    assert!(Folder::refused(&text).contains("choose a shorter one"));
}

#[test]
fn show_names_each_origin_and_hides_secrets() {
    let folder = Folder::with_file("\n[server]\nworkers = 3\n");
    let variables = [("SEQUEL__LOG__FORMAT", "json")];
    let mut options = LoadOptions { env: env(&variables), ..folder.options() };
    options.flags.port = Some(9);
    let mut loaded = Config::load_with_places(options).unwrap();
    loaded.config.storage.url = Secret::new("postgres://u:hunter2@h/db".to_owned());
    let shown = loaded.to_toml();
    for line in [
        "workers = 3  # {}/sequel.toml:3",
        "format = \"json\"  # SEQUEL__LOG__FORMAT",
        "listen = \"127.0.0.1:9\"  # --port",
        "data_dir = \"{}\"  # --data-dir",
        "url = \"postgres:[redacted]\"  # default",
        "folders = []  # default",
    ] {
        let line = line.replace("{}", &folder.path().display().to_string());
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(!shown.contains("hunter2") && !format!("{loaded:?}").contains("hunter2"));
    let settings = loaded.settings();
    assert_eq!(settings.len(), keys().count());
}

#[test]
fn what_show_prints_loads_again() {
    let folder = Folder::with_file("[server]\nallowed_hosts = [\"a\", \"b:1\"]\n");
    let loaded = Config::load_with_places(folder.options()).unwrap();
    let file = folder.path().join("again.toml");
    std::fs::write(&file, loaded.to_toml()).unwrap();
    let again = Config::load(LoadOptions { file: Some(file), ..LoadOptions::default() }).unwrap();
    assert_eq!(again, loaded.config);
}
