//! `/orgs/{org}/members`.

use actix_web::HttpResponse;
use actix_web::web::{Json, Path};

use super::acting::Acting;
use super::problem::Refused;
use crate::api;
use crate::credential::UserId;
use crate::flow::members::{self, PersonInOrg};
use crate::flow::users;
use crate::org::permission::Role;
use crate::org::{ChangeError, Org};

fn shape(person: PersonInOrg) -> api::Member {
    api::Member {
        id: person.user.to_string(),
        email: person.email,
        name: person.name,
        role: person.role.to_string(),
        since: person.since,
        last_signed_in_at: person.last_signed_in_at,
        disabled: person.disabled,
    }
}

fn role(word: &str) -> Result<Role, ChangeError> {
    let unknown = || ChangeError::Invalid("a role is owner, admin, member or viewer".into());
    Role::of(word).ok_or_else(unknown)
}

async fn shown(admin: &Acting, org: &Org, user: UserId) -> Result<api::Member, Refused> {
    let all = members::list(&admin.people, org).await?;
    let found = all.into_iter().find(|person| person.user == user);
    Ok(shape(found.ok_or(ChangeError::NotFound("member"))?))
}

pub(super) async fn list(admin: Acting, org: Path<String>) -> Result<Json<api::Members>, Refused> {
    let org = admin.org(&org).await?;
    let members = members::list(&admin.people, &org).await?.into_iter().map(shape).collect();
    Ok(Json(api::Members { members }))
}

pub(super) async fn add(
    admin: Acting,
    org: Path<String>,
    body: Json<api::AddMember>,
) -> Result<HttpResponse, Refused> {
    let org = admin.org(&org).await?;
    let role = role(&body.role)?;
    let (user, record) = users::find(&admin.people, &body.user).await?;
    members::add_member(&admin.people, &org, (user, &record), role).await?;
    tracing::info!(org = %org.id(), %user, %role, "a member was added");
    Ok(HttpResponse::Created().json(shown(&admin, &org, user).await?))
}

/// The member that an operator means: by id or address, also where the user is gone.
async fn find(org: &Org, word: &str) -> Result<UserId, ChangeError> {
    let (word, members) = (word.trim().to_lowercase(), org.list_members().await?);
    let named = |member: &&crate::org::members::ListedMember| {
        member.user.as_str().to_lowercase() == word || member.record.email == word
    };
    members.iter().find(named).map(|member| member.user).ok_or(ChangeError::NotFound("member"))
}

pub(super) async fn change(
    admin: Acting,
    path: Path<(String, String)>,
    body: Json<api::ChangeMember>,
) -> Result<Json<api::Member>, Refused> {
    let org = admin.org(&path.0).await?;
    let (role, user) = (role(&body.role)?, find(&org, &path.1).await?);
    org.set_role(user, role).await?;
    tracing::info!(org = %org.id(), %user, %role, "a member has another role");
    Ok(Json(shown(&admin, &org, user).await?))
}

pub(super) async fn remove(
    admin: Acting,
    path: Path<(String, String)>,
) -> Result<Json<api::Deleted>, Refused> {
    let org = admin.org(&path.0).await?;
    let user = find(&org, &path.1).await?;
    let record = members::remove_as_operator(&admin.people, &org, user).await?;
    tracing::info!(org = %org.id(), %user, "a member was removed");
    Ok(Json(api::Deleted { deleted: true, id: user.to_string(), name: record.email }))
}
