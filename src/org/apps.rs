//! Authorized apps as people see them: who has authorized what, when it was used last, and how it ends.
//!
//! **Invariant:** no member but the one who allowed an app lets it do more
//! (`flow::oauth_tests::apps::no_member_but_its_person_lets_an_app_do_more`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::error::ChangeError;
use super::grants::{APP, AppEdit, Limit, NewGrant, Stepped};
use super::grants_sweep::SetPolicy;
use super::handle::Org;
use super::member::Member;
use super::permission::{Action, allows};
use super::record::{
    self, AppPolicyRecord, GrantRecord, MemberRecord, UsedRecord, decode, grant_at, member_at, used_at,
};
use crate::context::Timestamp;
use crate::credential::{GrantId, UserId};

/// An authorized app as lists show it.
#[derive(Debug, Clone)]
pub struct ListedApp {
    /// Its id.
    pub id: GrantId,
    /// Its record.
    pub record: GrantRecord,
    /// The address of who has authorized it.
    pub email: String,
    /// The last accepted request.
    pub last_used_at: Option<Timestamp>,
}

impl Org {
    /// All apps that anybody has authorized, or those of one user: what was used last comes first.
    pub async fn list_apps(&self, of: Option<UserId>) -> Result<Vec<ListedApp>, ChangeError> {
        let store = self.store();
        let mut listed: HashMap<GrantId, String> = HashMap::new();
        match of {
            Some(user) => {
                if let Some((member, _)) = store.get::<MemberRecord>(&member_at(user)).await? {
                    listed.extend(member.grants.iter().map(|id| (*id, member.email.clone())));
                }
            }
            None => {
                for stored in &store.all(record::MEMBERS).await?.0 {
                    let member = decode::<MemberRecord>(&stored.value)?;
                    listed.extend(member.grants.iter().map(|id| (*id, member.email.clone())));
                }
            }
        }
        let mut apps = Vec::with_capacity(listed.len());
        for (id, email) in listed {
            if let Some((record, _)) = store.get::<GrantRecord>(&grant_at(id)).await? {
                apps.push(ListedApp { id, record, email, last_used_at: self.app_used_at(id).await? });
            }
        }
        apps.sort_by_key(|app| (std::cmp::Reverse((app.last_used_at, app.record.created_at)), app.id));
        Ok(apps)
    }

    /// One of them.
    pub async fn app(&self, id: GrantId) -> Result<ListedApp, ChangeError> {
        let store = self.store();
        let missing = || ChangeError::NotFound(APP);
        let (record, _) = store.get::<GrantRecord>(&grant_at(id)).await?.ok_or_else(missing)?;
        let member = store.get::<MemberRecord>(&member_at(record.user)).await?;
        let (member, _) = member.filter(|(member, _)| member.grants.contains(&id)).ok_or_else(missing)?;
        Ok(ListedApp { id, record, email: member.email, last_used_at: self.app_used_at(id).await? })
    }

    async fn app_used_at(&self, id: GrantId) -> Result<Option<Timestamp>, ChangeError> {
        let stored = self.store().get::<UsedRecord>(&used_at(id)).await?.map(|(used, _)| used.last_used_at);
        let here = self.view().and_then(|view| view.apart.grants.get(&id)?.uses.last());
        Ok(here.max(stored))
    }

    /// Gives an app other data sources or another end. What it may do less than before ends at once.
    pub async fn edit_app(&self, id: GrantId, edit: AppEdit) -> Result<GrantRecord, ChangeError> {
        self.ask(|| Limit { id, edit: edit.clone(), only_narrows: false }).await
    }

    /// Ends an app's access. When this answers, every later request with one of its tokens is refused, and its running
    /// calls and streams were told to end.
    pub async fn revoke_app(&self, id: GrantId) -> Result<GrantRecord, ChangeError> {
        match self.end_grant(id, None, "app.revoke").await? {
            Stepped::Made(record) => Ok(Arc::unwrap_or_clone(record)),
            Stepped::Stale => Err(ChangeError::NotFound(APP)),
        }
    }

    /// Which classes of client may be authorized.
    pub async fn app_policy(&self) -> Result<AppPolicyRecord, ChangeError> {
        let stored = self.store().get::<AppPolicyRecord>(&record::app_policy_at()).await?;
        Ok(stored.map(|(policy, _)| policy).unwrap_or_default())
    }

    /// Says which classes of client may be authorized, and ends those apps that may not be any more. Returns how many.
    pub async fn set_app_policy(&self, policy: AppPolicyRecord) -> Result<usize, ChangeError> {
        let policy = checked(policy)?;
        // What a former policy has ended and a crash has left.
        self.sweep_grants(&self.dead_grants().await?).await?;
        let ended = self.ask(|| SetPolicy(policy.clone())).await?;
        self.sweep_grants(&ended).await?;
        for id in &ended {
            self.forget_use(*id).await;
        }
        Ok(ended.len())
    }

    /// The app that a person means: by its id.
    pub async fn find_app(&self, word: &str) -> Result<GrantId, ChangeError> {
        let id = word.trim().parse().map_err(|_| ChangeError::NotFound(APP))?;
        self.app(id).await.map(|app| app.id)
    }
}

/// Most hosts that a policy names, and the longest of them.
const HOSTS_MAX: usize = 100;

/// Hosts as redirect URIs have them: lower case, each once.
fn checked(policy: AppPolicyRecord) -> Result<AppPolicyRecord, ChangeError> {
    let record::HttpsPolicy::Hosts(hosts) = policy.https else { return Ok(policy) };
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for host in hosts.iter().map(|host| host.trim().to_ascii_lowercase()) {
        let uri = crate::oauth::redirect::RedirectUri::parse(&format!("https://{host}/"));
        if uri.is_none_or(|uri| uri.host() != host) {
            return Err(ChangeError::Invalid(format!(
                "{host:?} is no host; write it like client.example.com"
            )));
        }
        if seen.insert(host.clone()) {
            kept.push(host);
        }
    }
    if kept.is_empty() || kept.len() > HOSTS_MAX {
        return Err(ChangeError::Invalid(format!("name 1 to {HOSTS_MAX} hosts, or allow none or any")));
    }
    Ok(AppPolicyRecord { https: record::HttpsPolicy::Hosts(kept), ..policy })
}

impl Member {
    /// Their own authorized apps, or everybody's where they may see those.
    pub async fn list_apps(&self) -> Result<Vec<ListedApp>, ChangeError> {
        let all = self.may(Action::AllApps);
        let org = self.to(if all { Action::AllApps } else { Action::OwnApps })?;
        org.list_apps((!all).then_some(self.person().user)).await
    }

    /// One of these.
    pub async fn app(&self, id: GrantId) -> Result<ListedApp, ChangeError> {
        self.to_app(id).await?.0.app(id).await
    }

    /// Authorizes an app. Whether its owner may still be here is the business of `flow::consent`.
    pub(crate) async fn authorize(&self, new: NewGrant) -> Result<GrantRecord, ChangeError> {
        self.to(Action::OwnApps)?.fulfil(new).await
    }

    /// Gives an app other data sources or another end. Somebody else's does no more afterwards than its person has
    /// allowed; otherwise `Invalid`.
    pub async fn edit_app(&self, id: GrantId, edit: AppEdit) -> Result<GrantRecord, ChangeError> {
        let (org, is_own) = self.to_app(id).await?;
        org.ask(|| Limit { id, edit: edit.clone(), only_narrows: !is_own }).await
    }

    /// Ends an app's access.
    pub async fn revoke_app(&self, id: GrantId) -> Result<GrantRecord, ChangeError> {
        self.to_app(id).await?.0.revoke_app(id).await
    }

    /// Which classes of client may be authorized.
    pub async fn app_policy(&self) -> Result<AppPolicyRecord, ChangeError> {
        self.to(Action::See)?.app_policy().await
    }

    /// Says which.
    pub async fn set_app_policy(&self, policy: AppPolicyRecord) -> Result<usize, ChangeError> {
        self.to(Action::AllApps)?.set_app_policy(policy).await
    }

    /// Whether they may authorize a client of this class here now: their role, and then the policy.
    pub(crate) fn may_authorize(
        &self,
        kind: crate::oauth::redirect::RedirectKind,
        host: &str,
    ) -> Result<Authorizing, ChangeError> {
        let view = self.org.view().ok_or(ChangeError::Busy)?;
        Ok(match () {
            () if !allows(self.role()?, Action::OwnApps) => Authorizing::NotInThisRole,
            () if !view.apart.policy.allows(kind, host) => Authorizing::NotThisApp,
            () => Authorizing::May,
        })
    }

    /// The organization for what concerns one app: one's own, or everybody's; and whether it is their own. Somebody
    /// else's is none for who may see just their own.
    async fn to_app(&self, id: GrantId) -> Result<(Org, bool), ChangeError> {
        self.role()?;
        let app = self.org.app(id).await?;
        if app.record.user == self.person().user {
            return Ok((self.to(Action::OwnApps)?, true));
        }
        match self.to(Action::AllApps) {
            Err(ChangeError::Forbidden) => Err(ChangeError::NotFound(APP)),
            decided => Ok((decided?, false)),
        }
    }
}

/// Whether somebody may authorize an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authorizing {
    May,
    NotInThisRole,
    NotThisApp,
}
