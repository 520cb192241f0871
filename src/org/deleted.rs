//! What still ends in an organization that was deleted and can come back.
//!
//! It has no actor, and nothing in it is served. But whoever revokes an app there, or keeps a person out, is told that it
//! was done, and a restore brings everything back that the records hold: so the records have to say it at once.
//!
//! **Invariant:** what was revoked while its organization was deleted does not come back with it
//! (`flow::oauth_tests::ending::what_ends_while_its_organization_is_deleted_stays_ended`).

use sequel_store::{Expect, Write};

use super::audit::{Author, Event};
use super::error::ChangeError;
use super::grants;
use super::record::{
    DeletedOrgRecord, GrantRecord, KeyRecord, MemberRecord, deleted_org_at, encode, grant_at, key_at,
    member_at,
};
use super::registry::Registry;
use crate::credential::{GrantId, OrgId, UserId};

impl Registry {
    /// Ends a grant of a deleted organization. False where no organization of this id can come back; `Conflict` where it
    /// was restored, or the grant changed, meanwhile.
    pub async fn end_grant_of_deleted(
        &self,
        org: OrgId,
        id: GrantId,
        author: &Author,
        action: &'static str,
    ) -> Result<bool, ChangeError> {
        let store = self.store_of(org);
        let Some((_, deleted)) = store.get::<DeletedOrgRecord>(&deleted_org_at()).await? else {
            return Ok(false);
        };
        let Some((record, revision)) = store.get::<GrantRecord>(&grant_at(id)).await? else {
            return Ok(true);
        };
        let mut expects = vec![Expect::At(deleted_org_at(), deleted), Expect::At(grant_at(id), revision)];
        let mut writes = vec![Write::Delete(grant_at(id))];
        let at = member_at(record.user);
        if let Some((mut member, revision)) = store.get::<MemberRecord>(&at).await? {
            member.grants.retain(|listed| *listed != id);
            expects.push(Expect::At(at.clone(), revision));
            writes.push(Write::Put(at, encode(&member)));
        }
        let event = grants::event(action, id, &record);
        self.commit_ownerless(&store, expects, writes, Some((event, author))).await?;
        Ok(true)
    }

    /// Switches a user's personal keys off and ends their apps in a deleted organization, so that neither comes back with
    /// it. Nothing where there is none to come back; `Conflict` where it was restored meanwhile.
    pub async fn end_access_in_deleted(
        &self,
        org: OrgId,
        user: UserId,
        author: &Author,
    ) -> Result<(), ChangeError> {
        let store = self.store_of(org);
        let at = member_at(user);
        let Some((_, deleted)) = store.get::<DeletedOrgRecord>(&deleted_org_at()).await? else {
            return Ok(());
        };
        let Some((mut member, revision)) = store.get::<MemberRecord>(&at).await? else { return Ok(()) };
        let mut expects = vec![Expect::At(deleted_org_at(), deleted), Expect::At(at.clone(), revision)];
        let mut writes = Vec::new();
        for id in &member.keys {
            let Some((mut key, revision)) = store.get::<KeyRecord>(&key_at(*id)).await? else { continue };
            if key.enabled {
                key.enabled = false;
                expects.push(Expect::At(key_at(*id), revision));
                writes.push(Write::Put(key_at(*id), encode(&key)));
            }
        }
        let (keys, apps) = (writes.len(), member.grants.len());
        if keys + apps == 0 {
            return Ok(());
        }
        // What no member lists does not count, and the sweep removes it.
        member.grants.clear();
        writes.push(Write::Put(at, encode(&member)));
        let event = Event::new("member.end_access", "user", user, &member.email)
            .with("keys_disabled", keys)
            .with("apps_ended", apps);
        self.commit_ownerless(&store, expects, writes, Some((event, author))).await
    }
}
