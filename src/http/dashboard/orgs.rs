//! Organizations: a new one, the first page, settings, the end and the way back.

use std::time::Duration;

use super::once::Met;
use super::reply::{Failed, Reply, told};
use super::shell::base_of;
use super::visit::{DAY, Inside, Outcome, Session};
use crate::credential::OrgId;
use crate::flow::{create_org, delete_org, rename_org};
use crate::org::ChangeError;
use crate::org::permission::{Action, Role};
use crate::org::record::{KeyRecord, KeyStatus};
use crate::org::usage::{UsageQuery, day_of};
use crate::pages::{DeletedOrg, Input, Name, NewOrg, OrgLink, OrgSettings, Overview, Room};

/// Organizations that somebody may belong to and still make another one: each page lists them all. Those that were
/// deleted and can be restored count, so that making and deleting them fills no disk.
const ORGS_MAX: usize = 100;

impl Session {
    async fn new_org_page(&self, name: Input) -> Result<NewOrg, Failed> {
        let shell = self.shell(Room::Elsewhere).await?;
        let deleted = self.dashboard().people.restorable(self.who.user).await?;
        let deleted =
            deleted.into_iter().map(|(id, name)| OrgLink { name: Name::new(name), base: base_of(id) });
        let once = self.dashboard().once.token()?;
        Ok(NewOrg { shell, name, may_create: true, deleted: deleted.collect(), once })
    }
}

pub(super) async fn new(session: Session) -> Outcome {
    session.show(&session.new_org_page(Input::default()).await?)
}

pub(super) async fn create(session: Session) -> Outcome {
    let people = &session.dashboard().people;
    let name = session.form.trimmed("name");
    let make = async {
        // By the index, in which one that was deleted stays as long as it takes up room.
        if people.memberships.of(session.who.user).await?.len() >= ORGS_MAX {
            return Err(ChangeError::Limit(format!(
                "you belong to {ORGS_MAX} organizations, as many as one may; leave one first, or delete one and wait until \
                 it can be restored no longer"
            )));
        }
        let (id, _) = create_org::create_org_of(people, &session.person(), name).await?;
        tracing::info!(org = %id, user = %session.who.user, "an organization was created");
        Ok(id)
    };
    match session.dashboard().once_org.meet(session.who.user, session.form.get("once"), make).await {
        Ok(Met::Now(id) | Met::Before(id)) => Ok(session.done(&base_of(id), &format!("{name} was created."))),
        Err(error) => Reply::refused(&session.new_org_page(Input::wrong(name, told(error)?)).await?),
    }
}

pub(super) async fn overview(inside: Inside) -> Outcome {
    let keys = inside.keys_seen().await?;
    let from = day_of(inside.now.minus(DAY * 7));
    let calls = match inside.member.usage(UsageQuery { from, key: None, source: None }).await {
        Ok(report) => Some(usize::try_from(report.total.calls).unwrap_or(usize::MAX)),
        Err(ChangeError::Forbidden) => None,
        Err(error) => return Err(error.into()),
    };
    let is_on = |record: &KeyRecord| record.status(inside.now) == KeyStatus::Active;
    let page = Overview {
        shell: inside.org_shell(Room::Overview).await?,
        sources: inside.member.list_sources()?.len(),
        keys: keys.iter().filter(|key| is_on(&key.record)).count(),
        members: inside.member.list_members().await?.len(),
        calls,
        last_call: keys.iter().filter_map(|key| key.last_used_at).max().map(|at| inside.when(at)),
        may_connect: inside.member.may(Action::Sources),
        may_create: inside.member.may(Action::OwnKeys),
    };
    inside.show(&page)
}

impl Inside {
    async fn settings_page(
        &self,
        name: Option<Input>,
        deleting: Option<Input>,
    ) -> Result<OrgSettings, Failed> {
        let record = self.member.record().await?;
        Ok(OrgSettings {
            shell: self.org_shell(Room::Organization).await?,
            name: name.unwrap_or_else(|| Input::of(record.name)),
            id: self.member.org_id().to_string(),
            created: self.when(record.created_at),
            may_rename: self.member.may(Action::Rename),
            may_delete: self.member.may(Action::Delete),
            grace: Some(self.dashboard().delete_grace).filter(|grace| !grace.is_zero()).map(span),
            deleting,
        })
    }
}

/// A time in words, in the largest unit that it is whole in: `7 days`, `36 hours`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (size, unit) =
        units.into_iter().find(|(size, _)| seconds.is_multiple_of(*size)).unwrap_or((1, "second"));
    let count = seconds / size;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

pub(super) async fn settings(inside: Inside) -> Outcome {
    inside.show(&inside.settings_page(None, None).await?)
}

pub(super) async fn rename(inside: Inside) -> Outcome {
    let people = &inside.dashboard().people;
    let name = inside.form.trimmed("name");
    let org = inside.member.to_rename()?;
    match rename_org::rename_org(&people.registry, &people.index, &org, name).await {
        Ok(record) => {
            let to = format!("{}/settings", inside.base());
            Ok(inside.done(&to, &format!("The organization is called {} now.", record.name)))
        }
        Err(error) => {
            let name = Input::wrong(name, told(error)?);
            Reply::refused(&inside.settings_page(Some(name), None).await?)
        }
    }
}

pub(super) async fn ask_delete(inside: Inside) -> Outcome {
    inside.member.to_delete()?;
    Reply::page(&inside.settings_page(None, Some(Input::default())).await?)
}

pub(super) async fn delete(inside: Inside) -> Outcome {
    let org = inside.member.to_delete()?;
    let dashboard = inside.dashboard();
    let typed = inside.form.get("confirm");
    if !Name::new(inside.member.record().await?.name).is_typed(typed) {
        let typed = Input::wrong(typed, "Type the name exactly as it is shown. Nothing was deleted.");
        return Reply::refused(&inside.settings_page(None, Some(typed)).await?);
    }
    let people = &dashboard.people;
    delete_org::delete_org(&people.index, &people.context, &org, dashboard.delete_grace).await?;
    Ok(Reply::see(&format!("{}/restore", inside.base())))
}

/// A deleted organization of which the reader was an owner; for everybody else there is none.
async fn deleted_of(session: &Session) -> Result<(OrgId, crate::org::record::DeletedOrgRecord), Failed> {
    let id: OrgId = session.part("org").parse().map_err(|_| Failed::NOT_FOUND)?;
    let registry = &session.dashboard().people.registry;
    let role = registry.former_role(id, session.who.user).await?;
    if role != Some(Role::Owner) {
        return Err(Failed::NOT_FOUND);
    }
    Ok((id, registry.deleted(id).await?.ok_or(Failed::NOT_FOUND)?))
}

pub(super) async fn deleted(session: Session) -> Outcome {
    let (id, record) = deleted_of(&session).await?;
    let page = DeletedOrg {
        shell: session.shell(Room::Elsewhere).await?,
        name: Name::new(record.name),
        base: base_of(id),
        until: session.when(record.purge_at),
    };
    Reply::page(&page)
}

pub(super) async fn restore(session: Session) -> Outcome {
    let (id, _) = deleted_of(&session).await?;
    let people = &session.dashboard().people;
    let author = session.person().author();
    let (_, record) =
        delete_org::restore_org(&people.registry, &people.index, &author, &id.to_string()).await?;
    Ok(session.done(&base_of(id), &format!("{} is back, with its keys and data sources.", record.name)))
}
