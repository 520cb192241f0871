//! The revocation endpoint: a client gives a token back, an access token alone or with a refresh token everything.

use std::net::IpAddr;
use std::sync::Arc;

use super::oauth::{OAuth, OAuthError};
use super::redeem::{Caller, Found, TRIES};
use crate::credential::refresh::RefreshToken;
use crate::credential::{Credential, CredentialKind, Digest};
use crate::metrics::App;
use crate::oauth::grant::Stage;
use crate::oauth::params::Params;
use crate::oauth::revocation;
use crate::oauth::token::Header;
use crate::org::ChangeError;
use crate::org::grants::{GIVEN_BACK, Step};

/// Takes a token back. A token that is none, or none any more, is done with already.
pub async fn revoke(
    oauth: &OAuth,
    header: &Header,
    params: &[(String, String)],
    from: Option<IpAddr>,
) -> Result<(), OAuthError> {
    let place = oauth.place(from)?;
    let outcome = given_back(oauth, header, Params(params), from).await;
    match outcome {
        Ok(true) => oauth.count(App::GivenBack),
        // What is forged looks like what was given back long ago. Who guesses is told nothing, and waits like who guesses
        // elsewhere.
        Ok(false) | Err(OAuthError::Refused(_)) => oauth.in_vain(place)?,
        Err(_) => {}
    }
    outcome.map(drop)
}

/// False where there was nothing to take back.
async fn given_back(
    oauth: &OAuth,
    header: &Header,
    params: Params<'_>,
    from: Option<IpAddr>,
) -> Result<bool, OAuthError> {
    let client = oauth.authenticated(header, params).await?;
    let token = revocation::token(params)?;
    let caller = Caller { oauth, client, from };
    match (RefreshToken::parse(token), Credential::parse(token)) {
        (Ok(refresh), _) => caller.revoke_grant(&refresh).await,
        (_, Ok(access)) if access.kind == CredentialKind::Access => caller.revoke_access(&access).await,
        _ => Ok(false),
    }
}

impl Caller<'_> {
    async fn revoke_grant(&self, token: &RefreshToken) -> Result<bool, OAuthError> {
        for _ in 0..TRIES {
            let Some(found) = self.find(token.org, token.grant).await? else { return Ok(false) };
            // A token of its family is enough: it was this client's, whenever that was.
            let is_genuine = match &found.record.stage {
                Stage::Exchanged(grant) => grant.live.family.matches(&token.family()),
                Stage::Fulfilled(_) => false,
            };
            if !is_genuine {
                return Ok(false);
            }
            if found.record.client.id != self.client {
                return Err(revocation::of_another_client().into());
            }
            if self.end_or_gone(&found).await? {
                return Ok(true);
            }
        }
        Err(ChangeError::Busy.into())
    }

    /// Ends a grant, unless it ended with its organization; false where it has changed meanwhile.
    async fn end_or_gone(&self, found: &Found) -> Result<bool, OAuthError> {
        match self.end(found, "app.revoke").await {
            Err(OAuthError::Refused(_)) => Ok(true),
            ended => ended,
        }
    }

    async fn revoke_access(&self, token: &Credential) -> Result<bool, OAuthError> {
        let is = |digest: &Digest| digest.matches(&token.digest);
        for _ in 0..TRIES {
            let Some(found) = self.find(token.org, token.id).await? else { return Ok(false) };
            let Stage::Exchanged(grant) = found.record.stage.clone() else { return Ok(false) };
            let Some(without) = grant.without_access(is) else { return Ok(false) };
            if found.record.client.id != self.client {
                return Err(revocation::of_another_client().into());
            }
            let (id, at, mut record) = (found.id, found.at, found.record.clone());
            record.stage = Stage::Exchanged(without);
            let step = Step { id, at, record: Arc::new(record), action: Some(GIVEN_BACK) };
            let org = match self.org(&found).await {
                // In an organization that was deleted and may come back all of the grant ends: nobody reads it meanwhile.
                Err(OAuthError::Refused(_)) if self.end_or_gone(&found).await? => return Ok(true),
                Err(OAuthError::Refused(_)) => continue,
                org => org?,
            };
            org.take_of_app(id).map_err(OAuthError::TooFast)?;
            match self.step(&org, step).await {
                Ok(true) | Err(OAuthError::Refused(_)) => return Ok(true),
                Ok(false) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ChangeError::Busy.into())
    }
}
