//! `/users`.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Json, Path};

use super::acting::Acting;
use super::problem::Refused;
use crate::api;
use crate::credential::UserId;
use crate::flow::{passwords, users};
use crate::org::ChangeError;
use crate::system::users::UserRecord;

async fn shape(admin: &Acting, id: UserId, record: UserRecord) -> Result<api::User, ChangeError> {
    let orgs = admin.people.orgs_of(id).await?;
    let is_leaving = admin.people.users.is_leaving(id).await?;
    Ok(api::User {
        id: id.to_string(),
        status: match () {
            () if is_leaving => api::UserStatus::Leaving,
            () if !record.enabled => api::UserStatus::Disabled,
            () if record.suspended_at.is_some() => api::UserStatus::Suspended,
            () => api::UserStatus::Active,
        },
        has_password: record.password.is_some(),
        email: record.email.to_string(),
        name: record.name,
        created_at: record.created_at,
        last_signed_in_at: record.last_signed_in_at,
        orgs: orgs
            .into_iter()
            .map(|org| api::UserOrg { id: org.id.to_string(), name: org.name, role: org.role.to_string() })
            .collect(),
    })
}

pub(super) async fn list(admin: Acting) -> Result<Json<api::Users>, Refused> {
    let all = admin.people.users.all().await.map_err(ChangeError::from)?;
    let mut users = Vec::with_capacity(all.len());
    for (id, record) in all {
        users.push(shape(&admin, id, record).await?);
    }
    Ok(Json(api::Users { users }))
}

pub(super) async fn create(admin: Acting, body: Json<api::CreateUser>) -> Result<HttpResponse, Refused> {
    let api::CreateUser { email, name } = body.into_inner();
    let name = name.unwrap_or_else(|| email.trim().split('@').next().unwrap_or_default().to_owned());
    let (id, record, link) = users::create(&admin.people, admin.author(), &email, &name).await?;
    tracing::info!(user = %id, "a user was created");
    Ok(HttpResponse::Created()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(password_link(&admin, id, &record, link)))
}

fn password_link(admin: &Acting, id: UserId, record: &UserRecord, link: String) -> api::PasswordLink {
    let expires_at = admin.context.clock.now().plus(passwords::RESET_LIFE);
    api::PasswordLink { id: id.to_string(), email: record.email.to_string(), link, expires_at }
}

pub(super) async fn get(admin: Acting, user: Path<String>) -> Result<Json<api::User>, Refused> {
    let (id, record) = users::find(&admin.people, &user).await?;
    Ok(Json(shape(&admin, id, record).await?))
}

pub(super) async fn change(
    admin: Acting,
    user: Path<String>,
    body: Json<api::ChangeUser>,
) -> Result<Json<api::User>, Refused> {
    let (id, _) = users::find(&admin.people, &user).await?;
    let record = users::switch(&admin.people, admin.author(), id, body.enabled).await?;
    tracing::info!(user = %id, enabled = body.enabled, "a user was switched");
    Ok(Json(shape(&admin, id, record).await?))
}

pub(super) async fn delete(admin: Acting, user: Path<String>) -> Result<Json<api::DeletedUser>, Refused> {
    let (id, record) = users::find(&admin.people, &user).await?;
    let gone = users::delete(&admin.people, admin.author(), id).await?;
    Ok(Json(api::DeletedUser { deleted: true, id: id.to_string(), email: record.email.to_string(), gone }))
}

pub(super) async fn reset_password(admin: Acting, user: Path<String>) -> Result<HttpResponse, Refused> {
    let (id, record) = users::find(&admin.people, &user).await?;
    let link = passwords::link(&admin.people, admin.author(), id).await?;
    tracing::info!(user = %id, "a link to set a password was made");
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(password_link(&admin, id, &record, link)))
}
