//! The secrets of an organization's data sources: sealed for the one place that they belong to.
//!
//! **Invariant:** what was sealed for a source of an organization opens for that source of that organization alone
//! (`a_sealed_secret_that_was_moved_does_not_open`).

use sequel_connector::{OpenError, Party, Secrets};
use serde::{Deserialize, Serialize};

use super::error::ChangeError;
use crate::context::Rng;
use crate::credential::{OrgId, SourceId};
use crate::vault::{Sealed, Vault};

/// Secrets as a record holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecrets {
    /// Which settings they are, in order.
    pub names: Vec<String>,
    /// The secrets.
    #[serde(flatten)]
    pub sealed: Sealed,
}

/// Whose a source is: what connectors are told of it, and what its secrets are sealed for.
#[derive(Debug, Clone)]
pub(super) struct Belonging {
    pub(super) party: Party,
    org: OrgId,
}

impl Belonging {
    /// An organization.
    pub(super) fn new(org: OrgId) -> Self {
        Self { party: Party::new(org.as_str()), org }
    }

    fn place(&self, source: SourceId) -> String {
        format!("sequel source secrets 1\n{}\n{source}", self.org)
    }

    /// Seals secrets for a source; `None` where there are none.
    pub(super) fn seal(
        &self,
        vault: &Vault,
        rng: &Rng,
        source: SourceId,
        secrets: &Secrets,
    ) -> Result<Option<SealedSecrets>, ChangeError> {
        if secrets.is_empty() {
            return Ok(None);
        }
        let text =
            serde_json::to_vec(secrets).map_err(|_| ChangeError::Invalid("a secret is no text".into()))?;
        let sealed = vault.seal(rng, &self.place(source), &text);
        let sealed = sealed.map_err(|error| ChangeError::Invalid(error.to_string()))?;
        Ok(Some(SealedSecrets { names: secrets.keys().cloned().collect(), sealed }))
    }

    /// Opens a source's secrets; the error is a sentence for whoever connects it.
    pub(super) fn unseal(
        &self,
        vault: &Vault,
        source: SourceId,
        sealed: Option<&SealedSecrets>,
    ) -> Result<Secrets, OpenError> {
        let Some(sealed) = sealed else { return Ok(Secrets::new()) };
        let what = sealed.names.join(" and ");
        let refuse = |why: String| {
            OpenError::Settings(format!("The {what} of the data source cannot be opened: {why}."))
        };
        let text =
            vault.unseal(&self.place(source), &sealed.sealed).map_err(|error| refuse(error.to_string()))?;
        serde_json::from_slice(&text).map_err(|_| refuse("it is damaged; enter it anew".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use sequel_connector::Secret;

    use super::*;

    #[test]
    fn a_sealed_secret_that_was_moved_does_not_open() {
        let rng = Rng::system();
        let vault = Vault::fleeting(&rng).unwrap();
        let (org, other) =
            (Belonging::new(OrgId::mint(&rng).unwrap()), Belonging::new(OrgId::mint(&rng).unwrap()));
        let (source, beside) = (SourceId::mint(&rng).unwrap(), SourceId::mint(&rng).unwrap());
        let secrets = Secrets::from([("password".to_owned(), Secret::new("hunter2"))]);
        let sealed = org.seal(&vault, &rng, source, &secrets).unwrap();
        assert_eq!(org.unseal(&vault, source, sealed.as_ref()).unwrap(), secrets);
        for (belonging, id) in [(&other, source), (&org, beside)] {
            let error = belonging.unseal(&vault, id, sealed.as_ref()).unwrap_err().to_string();
            assert!(error.contains("password") && error.contains("anew"), "{error}");
        }
        assert_eq!(sealed.as_ref().unwrap().names, ["password"]);
        assert!(!serde_json::to_string(&sealed).unwrap().contains("hunter2"));
        assert_eq!(org.seal(&vault, &rng, source, &Secrets::new()).unwrap(), None);
    }
}
