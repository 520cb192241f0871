//! Which connectors there are, by kind.
//!
//! A value that `main` fills and hands down: no globals, no registration at a distance. It knows no
//! connector by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Connector, Declaration, OpenError, nearest};

/// The connectors that this server has, by kind. Cheap to clone.
#[derive(Clone, Default)]
pub struct Registry(Arc<BTreeMap<&'static str, Arc<dyn Connector>>>);

impl Registry {
    /// From the connectors; of two of one kind the later stays.
    pub fn new(connectors: impl IntoIterator<Item = Arc<dyn Connector>>) -> Self {
        Self(Arc::new(connectors.into_iter().map(|connector| (connector.kind(), connector)).collect()))
    }

    /// The connector of a kind. [`OpenError::Settings`] names the known kinds and the nearest one.
    pub fn get(&self, kind: &str) -> Result<&Arc<dyn Connector>, OpenError> {
        self.0.get(kind).ok_or_else(|| {
            let known = self.kinds().collect::<Vec<_>>().join(", ");
            let guess =
                nearest(kind, self.kinds()).map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
            let shown: String = kind.chars().take(64).collect();
            OpenError::Settings(format!(
                "There is no connector for databases of the kind \"{shown}\". Known kinds: {known}.{guess}"
            ))
        })
    }

    /// All kinds, in order.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }

    /// What each connector asks for, in the order of their labels.
    pub fn declarations(&self) -> Vec<&'static Declaration> {
        let mut declared: Vec<_> = self.0.values().map(|connector| connector.declaration()).collect();
        declared.sort_by_key(|declaration| declaration.label);
        declared
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{Configuration, DataSource, Party};

    struct Named(&'static Declaration);

    fn named(word: &'static str) -> Arc<dyn Connector> {
        Arc::new(Named(Box::leak(Box::new(Declaration { word, label: word, settings: &[], routing: &[] }))))
    }

    #[async_trait]
    impl Connector for Named {
        fn declaration(&self) -> &'static Declaration {
            self.0
        }

        async fn check(&self, given: &Configuration) -> Result<Configuration, OpenError> {
            Ok(given.clone())
        }

        async fn open(&self, _: &Configuration, _: &Party) -> Result<Arc<dyn DataSource>, OpenError> {
            Err(OpenError::Settings("only a name".into()))
        }
    }

    #[test]
    fn an_unknown_kind_is_answered_with_the_known_ones_and_the_nearest() {
        let registry = Registry::new([named("sqlite"), named("postgres")]);
        assert_eq!(registry.get("sqlite").unwrap().kind(), "sqlite");
        let Err(OpenError::Settings(message)) = registry.get("sqllite") else {
            panic!("unknown kinds are refused")
        };
        assert!(
            message.contains("postgres, sqlite") && message.contains("Did you mean sqlite?"),
            "{message}"
        );
        let Err(OpenError::Settings(message)) = registry.get("oracle") else {
            panic!("unknown kinds are refused")
        };
        assert!(!message.contains("Did you mean"), "{message}");
    }
}
