//! Which backend keeps the records of the servers under test: SQLite, or what `SEQUEL_TEST_BACKEND` names. So
//! all tests run on each of them; those that are about SQLite's own files say `Home::on_sqlite`.

/// Where a home's records are.
pub(crate) enum Backing {
    /// `sequel.db` in the data folder, as it comes.
    Sqlite,
    /// A folder in the data folder.
    Sled,
}

impl Backing {
    /// What whoever runs the tests asked for.
    pub(crate) fn asked_for() -> Self {
        match std::env::var("SEQUEL_TEST_BACKEND").as_deref() {
            Err(_) | Ok("" | "sqlite") => Self::Sqlite,
            Ok("sled") => Self::Sled,
            Ok(other) => panic!("SEQUEL_TEST_BACKEND is {other:?}; it may be sqlite or sled"),
        }
    }

    /// `storage.url`, where it is not the default.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Sled => Some("sled:sequel.sled".to_owned()),
        }
    }
}
