//! How grants end that nobody revokes one by one: a policy that forbids them, and what is over.
//!
//! **Invariant:** what a policy ended does not come back with another one
//! (`flow::oauth_tests::ending::a_policy_ends_more_apps_than_one_batch_takes_and_each_of_them_at_once`).

use std::collections::HashSet;
use std::sync::Arc;

use sequel_store::{KeyRange, Write};

use super::actor::{Change, Decided, Desk, Edit};
use super::audit::Event;
use super::error::ChangeError;
use super::grants::holder;
use super::handle::Org;
use super::record::{
    self, AppPolicyRecord, GrantRecord, MemberRecord, decode, encode, grant_at, id_after, member_at,
};
use super::registry::Registry;
use super::view::View;
use crate::context::Timestamp;
use crate::credential::{GrantId, OrgId};

/// Grants that one batch ends: a batch has 256 operations, and each may be of another member.
const ENDED_AT_ONCE: usize = 100;
/// Grants that are read at once where all are looked at; one has up to 16 KiB.
const READ_AT_ONCE: usize = 200;

/// Other classes of client may be authorized than before. What the new policy forbids is shown to no reader from this
/// commit on, and not loaded any more; of its records go as many as a batch takes, the others with the sweep that follows.
pub(super) struct SetPolicy(pub(super) AppPolicyRecord);

impl Change for SetPolicy {
    type Reply = Vec<GrantId>;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<Vec<GrantId>>, ChangeError> {
        let Self(policy) = self;
        let grants = all(&desk).await?;
        // What the former policy ended has to be gone before another one could allow it again.
        if grants.iter().any(|(_, grant)| forbids(&view.apart.policy, grant)) {
            return Err(ChangeError::Busy);
        }
        let gone: Vec<_> = grants.into_iter().filter(|(_, grant)| forbids(&policy, grant)).collect();
        let ids: Vec<GrantId> = gone.iter().map(|(id, _)| *id).collect();
        let (mut writes, _) = taken_off(&desk, &gone[..gone.len().min(ENDED_AT_ONCE)]).await?;
        writes.push(Write::Put(record::app_policy_at(), encode(&policy)));
        let details = serde_json::to_value(&policy).unwrap_or_default();
        let event = Event::new("app.policy", "org", desk.org, "")
            .with("policy", details)
            .with_some("apps_ended", (!ids.is_empty()).then_some(ids.len()));
        Ok(Decided {
            expects: Vec::new(),
            writes,
            narrows: true,
            edit: Edit::PutPolicy(policy, ids.clone()),
            event: Some(event),
            reply: ids,
        })
    }
}

pub(super) fn forbids(policy: &AppPolicyRecord, grant: &GrantRecord) -> bool {
    !policy.allows(grant.client.kind, &grant.client.host)
}

/// All grants that are stored, whether or not they count.
async fn all(desk: &Desk) -> Result<Vec<(GrantId, GrantRecord)>, ChangeError> {
    let (stored, _) = desk.store.all(record::GRANTS).await?;
    let mut grants = Vec::with_capacity(stored.len());
    for stored in &stored {
        let Some(id) = id_after(record::GRANTS, &stored.key) else { continue };
        grants.push((id, decode(&stored.value)?));
    }
    Ok(grants)
}

/// What deletes these grants and takes them off their members' lists.
async fn taken_off(
    desk: &Desk,
    grants: &[(GrantId, GrantRecord)],
) -> Result<(Vec<Write>, Vec<GrantId>), ChangeError> {
    let ids: Vec<GrantId> = grants.iter().map(|(id, _)| *id).collect();
    let mut writes: Vec<Write> = ids.iter().map(|id| Write::Delete(grant_at(*id))).collect();
    for user in grants.iter().map(|(_, grant)| grant.user).collect::<HashSet<_>>() {
        let Some((mut member, _)) = desk.store.get::<MemberRecord>(&member_at(user)).await? else { continue };
        member.grants.retain(|id| !ids.contains(id));
        writes.push(Write::Put(member_at(user), encode(&member)));
    }
    Ok((writes, ids))
}

/// Removes those of these grants that are over, that no member lists or that the policy forbids. No entry: they ended
/// before, by themselves or with what the trail tells.
struct Sweep(Vec<GrantId>);

impl Change for Sweep {
    type Reply = usize;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<usize>, ChangeError> {
        let now = desk.context.clock.now();
        let mut over = Vec::new();
        for id in self.0 {
            let Some((grant, _)) = desk.store.get::<GrantRecord>(&grant_at(id)).await? else { continue };
            if forbids(&view.apart.policy, &grant) || !counts(&desk, id, &grant, now).await? {
                over.push((id, grant));
            }
        }
        if over.is_empty() {
            return Ok(Decided::nothing(0));
        }
        let (writes, ids) = taken_off(&desk, &over).await?;
        let (expects, reply) = (Vec::new(), ids.len());
        Ok(Decided { expects, writes, narrows: false, edit: Edit::RemoveGrants(ids), event: None, reply })
    }
}

async fn counts(desk: &Desk, id: GrantId, grant: &GrantRecord, now: Timestamp) -> Result<bool, ChangeError> {
    if grant.ends_at() <= now {
        return Ok(false);
    }
    match holder(desk, id, grant).await {
        Ok(_) => Ok(true),
        Err(ChangeError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Org {
    /// Removes what is over of these grants. Returns how many.
    pub(super) async fn sweep_grants(&self, dead: &[GrantId]) -> Result<usize, ChangeError> {
        let mut swept = 0;
        for ids in dead.chunks(ENDED_AT_ONCE) {
            swept += self.ask(|| Sweep(ids.to_vec())).await?;
        }
        Ok(swept)
    }

    /// What there is to sweep.
    pub(super) async fn dead_grants(&self) -> Result<Vec<GrantId>, ChangeError> {
        self.registry.dead_grants(self.id()).await
    }
}

impl Registry {
    /// The grants of an organization that seem to be over, whoever is in memory: one look at all, a page at a time, so
    /// that who has none is not loaded for it. The sweep asks again before it removes one.
    pub(super) async fn dead_grants(&self, org: OrgId) -> Result<Vec<GrantId>, ChangeError> {
        let store = self.store_of(org);
        let mut range = KeyRange::prefix(record::GRANTS);
        let mut page = store.page(range.clone(), READ_AT_ONCE).await?;
        if page.records.is_empty() {
            return Ok(Vec::new());
        }
        let (members, _) = store.all(record::MEMBERS).await?;
        let mut listed: HashSet<GrantId> = HashSet::new();
        for member in &members {
            listed.extend(decode::<MemberRecord>(&member.value)?.grants);
        }
        let policy = store.get::<AppPolicyRecord>(&record::app_policy_at()).await?;
        let policy = policy.map(|(policy, _)| policy).unwrap_or_default();
        let now = self.0.parts.context.clock.now();
        let mut dead = Vec::new();
        loop {
            for stored in &page.records {
                let Some(id) = id_after(record::GRANTS, &stored.key) else { continue };
                let grant: GrantRecord = decode(&stored.value)?;
                if !listed.contains(&id) || grant.ends_at() <= now || forbids(&policy, &grant) {
                    dead.push(id);
                }
            }
            let Some(last) = page.next else { return Ok(dead) };
            range = range.after(&last);
            page = store.page(range.clone(), READ_AT_ONCE).await?;
        }
    }
}
