//! *Settings → Authorized apps*.

use std::sync::Arc;

use super::consent::{lifetime, sent_to};
use super::reply::{Failed, Reply, told};
use super::visit::{DAY, Inside, Outcome};
use crate::context::Timestamp;
use crate::credential::GrantId;
use crate::org::apps::ListedApp;
use crate::org::grants::AppEdit;
use crate::org::permission::Action;
use crate::org::record::{AppPolicyRecord, AppStatus, HttpsPolicy};
use crate::org::{ChangeError, Source};
use crate::pages::{
    self, AppDialog, AppForm, AppPage, AppRow, AppState, Apps, Input, Name, Pick, Room, query_string,
};

/// Apps of one page.
const PAGE: usize = 50;
/// What can be chosen when an app's time is changed, in days.
const LIFETIMES: [Option<u32>; 5] = [None, Some(1), Some(7), Some(30), Some(90)];

impl Inside {
    fn app_id(&self) -> Result<GrantId, Failed> {
        self.part("app").parse().map_err(|_| Failed::NOT_FOUND)
    }

    /// The app of the address, if the reader may see it.
    async fn app(&self) -> Result<ListedApp, Failed> {
        Ok(self.member.app(self.app_id()?).await?)
    }

    fn is_mine(&self, app: &ListedApp) -> bool {
        app.record.user == self.who.user
    }

    fn apps_at(&self) -> String {
        format!("{}/apps", self.base())
    }

    fn app_row(&self, app: &ListedApp, sources: &[Arc<Source>]) -> AppRow {
        let record = &app.record;
        AppRow {
            id: app.id.to_string(),
            name: Name::new(record.client.name.clone()),
            sent_to: sent_to(record.client.kind, &record.client.host),
            by: Name::new(app.email.clone()),
            state: match record.status(self.now) {
                AppStatus::Active => AppState::Active,
                AppStatus::Pending => AppState::Pending,
                AppStatus::Expired => AppState::Expired,
            },
            reach: super::keys::reach(record.sources.as_deref(), sources),
            last_used: app.last_used_at.map(|at| self.when(at)),
            from: record.seen_from.clone(),
            since: self.when(record.created_at),
            ends: self.when(record.ends_at()),
            may_change: self.member.may(if self.is_mine(app) { Action::OwnApps } else { Action::AllApps }),
        }
    }

    /// The apps that the reader sees: none for a viewer, who authorizes none.
    async fn apps_seen(&self) -> Result<Vec<ListedApp>, ChangeError> {
        match self.member.list_apps().await {
            Err(ChangeError::Forbidden) => Ok(Vec::new()),
            listed => listed,
        }
    }

    async fn apps_page(&self, dialog: Option<AppDialog>) -> Result<Apps, Failed> {
        let sources = self.member.list_sources()?;
        let mut apps = self.apps_seen().await?;
        let (all, mine) = (apps.len(), apps.iter().filter(|app| self.is_mine(app)).count());
        let only_mine = self.query.get("whose") == "mine";
        apps.retain(|app| !only_mine || self.is_mine(app));
        let (shown, paging) = self.part_of(apps.len(), PAGE, |from| {
            let whose = if only_mine { "mine" } else { "" };
            format!("{}?{}", self.apps_at(), query_string(&[("whose", whose), ("from", &from.to_string())]))
        });
        Ok(Apps {
            shell: self.org_shell(Room::Apps).await?,
            rows: apps[shown].iter().map(|app| self.app_row(app, &sources)).collect(),
            only_mine,
            sees_all: self.member.may(Action::AllApps),
            all,
            mine,
            paging,
            dialog,
        })
    }
}

pub(super) async fn list(inside: Inside) -> Outcome {
    inside.show(&inside.apps_page(None).await?)
}

pub(super) async fn one(inside: Inside) -> Outcome {
    let app = inside.app().await?;
    let sources = inside.member.list_sources()?;
    let page = AppPage {
        shell: inside.org_shell(Room::Apps).await?,
        app: inside.app_row(&app, &sources),
        client_id: app.record.client.id.to_string(),
        client_uri: app.record.client.uri.clone(),
        scopes: app.record.scopes.iter().map(|scope| scope.word().to_owned()).collect(),
        ends_anyway: app.record.expires_at == Some(app.record.ends_at()),
        sees_audit: inside.member.may(Action::Audit),
    };
    inside.show(&page)
}

fn form_of(inside: &Inside, app: &ListedApp) -> Result<AppForm, Failed> {
    let only = app.record.sources.as_deref();
    let is_mine = inside.is_mine(app);
    let mut sources = super::keys::source_choices(&inside.member.list_sources()?, only);
    // Of somebody else's there is less to choose, and no more.
    sources.retain(|(.., ticked)| is_mine || only.is_none() || *ticked);
    let end = |days: Option<u32>| days.map(|days| inside.now.plus(DAY * days));
    let is_sooner = |days| app.record.expires_at.is_none_or(|now| end(days).is_some_and(|end| end <= now));
    let offered = LIFETIMES.into_iter().filter(|days| is_mine || is_sooner(*days));
    let mut lifetimes = vec![Pick::new("keep", "As it is")];
    lifetimes.extend(offered.map(|days| lifetime(days, &inside.edge().oauth)));
    Ok(AppForm {
        id: app.id.to_string(),
        name: Name::new(app.record.client.name.clone()),
        person: (!is_mine).then(|| Name::new(app.email.clone())),
        may_read_all: is_mine || only.is_none(),
        all_sources: only.is_none(),
        sources,
        sources_error: None,
        lifetimes,
        days: Input::of("keep"),
    })
}

pub(super) async fn edit(inside: Inside) -> Outcome {
    let dialog = AppDialog::Edit(form_of(&inside, &inside.app().await?)?);
    Reply::page(&inside.apps_page(Some(dialog)).await?)
}

/// When an app ends: `None` where that stays as it is.
fn end_of(inside: &Inside, days: &str) -> Result<Option<Option<Timestamp>>, String> {
    match days {
        "keep" => Ok(None),
        "" => Ok(Some(None)),
        days => match days.parse::<u32>() {
            Ok(number) if LIFETIMES.contains(&Some(number)) => Ok(Some(Some(inside.now.plus(DAY * number)))),
            _ => Err("Choose when it ends.".to_owned()),
        },
    }
}

pub(super) async fn save(inside: Inside) -> Outcome {
    let app = inside.app().await?;
    let mut form = form_of(&inside, &app)?;
    let sent = &inside.form;
    form.all_sources = sent.get("reach") != "only";
    for (id, _, _, ticked) in &mut form.sources {
        *ticked = sent.all("source").any(|sent| sent == id);
    }
    let ticked: Vec<_> =
        form.sources.iter().filter(|(.., ticked)| *ticked).map(|(id, ..)| id.clone()).collect();
    if !form.all_sources && ticked.is_empty() {
        form.sources_error = Some("Choose at least one data source, or all of them.".to_owned());
    }
    let expires_at = end_of(&inside, sent.get("days"));
    form.days = Input { value: sent.get("days").to_owned(), error: expires_at.as_ref().err().cloned() };
    if let (Ok(expires_at), None) = (expires_at, &form.sources_error) {
        let edit = AppEdit { sources: Some((!form.all_sources).then_some(ticked)), expires_at };
        match inside.member.edit_app(app.id, edit).await {
            Ok(record) => {
                let toast = format!("What {} may do was saved.", Name::new(record.client.name).plain());
                return Ok(inside.done(&format!("{}/{}", inside.apps_at(), app.id), &toast));
            }
            Err(error) => form.sources_error = Some(told(error)?),
        }
    }
    Reply::refused(&inside.apps_page(Some(AppDialog::Edit(form))).await?)
}

pub(super) async fn ask_revoke(inside: Inside) -> Outcome {
    let (app, sources) = (inside.app().await?, inside.member.list_sources()?);
    let dialog = AppDialog::Revoke(inside.app_row(&app, &sources));
    Reply::page(&inside.apps_page(Some(dialog)).await?)
}

pub(super) async fn revoke(inside: Inside) -> Outcome {
    let record = inside.member.revoke_app(inside.app_id()?).await?;
    let org = inside.member.record().await?.name;
    let toast = format!("{} can no longer read {org}.", Name::new(record.client.name).plain());
    Ok(inside.done(&inside.apps_at(), &toast))
}

async fn policy_page(inside: &Inside, policy: AppPolicyRecord) -> Result<pages::AppPolicy, Failed> {
    let apps = inside.apps_seen().await?;
    let (https, hosts) = match policy.https {
        HttpsPolicy::Any => ("any", Vec::new()),
        HttpsPolicy::Hosts(hosts) => ("hosts", hosts),
        HttpsPolicy::None => ("none", Vec::new()),
    };
    Ok(pages::AppPolicy {
        shell: inside.org_shell(Room::Apps).await?,
        all: apps.len(),
        mine: apps.iter().filter(|app| inside.is_mine(app)).count(),
        loopback: policy.loopback,
        private_schemes: policy.private_schemes,
        https: https.to_owned(),
        hosts: Input::of(hosts.join(" ")),
    })
}

pub(super) async fn policy(inside: Inside) -> Outcome {
    if !inside.member.may(Action::AllApps) {
        return Err(ChangeError::Forbidden.into());
    }
    let policy = inside.member.app_policy().await?;
    inside.show(&policy_page(&inside, policy).await?)
}

pub(super) async fn set_policy(inside: Inside) -> Outcome {
    let sent = &inside.form;
    let hosts: Vec<String> = sent
        .get("hosts")
        .split([' ', ',', '\n'])
        .filter(|host| !host.is_empty())
        .map(str::to_owned)
        .collect();
    let policy = AppPolicyRecord {
        loopback: sent.get("loopback") == "true",
        private_schemes: sent.get("schemes") == "true",
        https: match sent.get("https") {
            "any" => HttpsPolicy::Any,
            "hosts" => HttpsPolicy::Hosts(hosts),
            _ => HttpsPolicy::None,
        },
    };
    match inside.member.set_app_policy(policy.clone()).await {
        Ok(ended) => {
            let toast = match ended {
                0 => "Saved. No app ended by it.".to_owned(),
                1 => "Saved. 1 app that is no longer allowed has ended.".to_owned(),
                ended => format!("Saved. {ended} apps that are no longer allowed have ended."),
            };
            Ok(inside.done(&format!("{}/policy", inside.apps_at()), &toast))
        }
        Err(error) => {
            let error = told(error)?;
            let mut page = policy_page(&inside, policy).await?;
            page.hosts = Input::wrong(sent.get("hosts"), error);
            Reply::refused(&page)
        }
    }
}
