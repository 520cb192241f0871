//! Personal API keys while their owner may be switched off: an organization does not know who is kept out of this server,
//! and a request that was let in a moment before must not leave a key that works.
//!
//! Whoever is disabled is marked first, and then their keys are looked for; here the key comes first and then its owner is
//! looked at. So one of the two finds the other (`people_tests::no_key_of_somebody_disabled_works_however_it_came_about`).

use super::People;
use crate::credential::{KeyId, UserId};
use crate::org::keys::{MintedKey, NewKey};
use crate::org::record::{KeyRecord, Owner};
use crate::org::{ChangeError, Member, Org};

/// Makes a personal key of a member's. Its secret is in the answer for the only time.
pub async fn create_personal(
    people: &People,
    member: &Member,
    new: NewKey,
) -> Result<MintedKey, ChangeError> {
    let minted = member.create_personal_key(new).await?;
    if is_on(people, member.person().user).await? {
        return Ok(minted);
    }
    member.delete_key(minted.id).await?;
    Err(ChangeError::Forbidden)
}

/// Gives a key another name, switches it on or off, or both, in a member's name.
pub async fn alter(
    people: &People,
    member: &Member,
    id: KeyId,
    (name, enabled): (Option<String>, Option<bool>),
) -> Result<KeyRecord, ChangeError> {
    let record = member.alter_key(id, name, enabled).await?;
    looked_at(people, record, enabled, member.alter_key(id, None, Some(false))).await
}

/// The same for the operator.
pub async fn alter_as_operator(
    people: &People,
    org: &Org,
    id: KeyId,
    (name, enabled): (Option<String>, Option<bool>),
) -> Result<KeyRecord, ChangeError> {
    let record = org.alter_key(id, name, enabled).await?;
    looked_at(people, record, enabled, org.alter_key(id, None, Some(false))).await
}

/// Looks at the owner of a key that was switched on, and switches it off again where they are kept out.
async fn looked_at(
    people: &People,
    record: KeyRecord,
    enabled: Option<bool>,
    switch_off: impl Future<Output = Result<KeyRecord, ChangeError>>,
) -> Result<KeyRecord, ChangeError> {
    if enabled != Some(true) || owner_is_on(people, &record).await? {
        return Ok(record);
    }
    switch_off.await?;
    Err(ChangeError::Invalid("the key's owner is kept out of this server; enable the user first".into()))
}

async fn owner_is_on(people: &People, key: &KeyRecord) -> Result<bool, ChangeError> {
    match &key.owner {
        Owner::Org => Ok(true),
        Owner::User { id } => match id.parse() {
            Ok(user) => is_on(people, user).await,
            Err(_) => Ok(false),
        },
    }
}

async fn is_on(people: &People, user: UserId) -> Result<bool, ChangeError> {
    Ok(people.users.get(user).await?.is_some_and(|user| user.is_on()))
}
