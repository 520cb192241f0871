//! `/secrets`.

use actix_web::web::Json;

use super::acting::Acting;
use super::problem::Refused;
use crate::api;
use crate::flow::rotate_secrets::{Rotation, rotate_secrets};

pub(super) async fn rotate(admin: Acting) -> Result<Json<api::Rotated>, Refused> {
    let author = admin.author().clone();
    let Rotation { key, resealed, left, is_given } =
        rotate_secrets(&admin.registry, &admin.index, &admin.context, author).await?;
    tracing::info!(key, resealed, left = left.len(), "the master key was rotated");
    Ok(Json(api::Rotated { key, resealed, left, is_given }))
}
