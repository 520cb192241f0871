//! *Install*: one page for each tool, which makes its key and shows what to paste, once.

use super::keys::made;
use super::once::{Made, Met};
use super::reply::{Failed, Reply};
use super::visit::{Inside, Outcome};
use crate::credential::{KeyId, prefix};
use crate::flow::keys;
use crate::install::{self, TOOLS, Tool, Way};
use crate::org::ChangeError;
use crate::org::keys::{ListedKey, NewKey};
use crate::org::permission::Action;
use crate::org::record::{KeyStatus, Owner};
use crate::pages::{FirstCall, Install, InstallState, Name, Room};

/// The name of a key that the page makes.
const KEY: &str = "sequel_mcp";
/// Names that are tried where others have it already.
const NAMES_MAX: usize = 50;

impl Inside {
    fn tool(&self) -> Result<&'static Tool, Failed> {
        install::tool(self.part("tool")).ok_or(Failed::NOT_FOUND)
    }

    /// The reader's own key for a tool: the newest that is not over.
    async fn key_for(&self, tool: &Tool) -> Result<Option<ListedKey>, ChangeError> {
        let mine = Owner::User { id: self.who.user.to_string() };
        let keys = self.member.list_keys().await?;
        let mut keys = keys.into_iter().filter(|key| {
            let record = &key.record;
            let is_over = record.status(self.now) == KeyStatus::Expired;
            record.owner == mine && record.made_for.as_deref() == Some(tool.id) && !is_over
        });
        Ok(keys.next_back())
    }

    /// The first call with a key, as far as it is known.
    fn first_call(&self, key: &ListedKey) -> Option<FirstCall> {
        let seen = self.dashboard().first_calls.ask(self.member.org_id(), key.id);
        seen.map(|call| FirstCall {
            client: Name::new(call.client),
            tool: call.tool,
            when: self.when(call.at),
        })
    }

    async fn install_page(&self, tool: &'static Tool, state: InstallState) -> Result<Install, Failed> {
        Ok(Install {
            shell: self.org_shell(Room::Install).await?,
            tool,
            mcp_url: self.edge().mcp_url.clone(),
            state,
            may_create: self.member.may(Action::OwnKeys),
            may_connect: self.member.may(Action::Sources),
            has_sources: !self.member.list_sources()?.is_empty(),
            lets_sign_in: self.edge().oauth.settings().enabled,
            once: self.dashboard().once.token()?,
        })
    }
}

pub(super) async fn first(inside: Inside) -> Outcome {
    let tool = TOOLS.first().ok_or(Failed::NOT_FOUND)?;
    Ok(Reply::see(&format!("{}/install/{}", inside.base(), tool.id)))
}

pub(super) async fn page(inside: Inside) -> Outcome {
    let tool = inside.tool()?;
    let state = match (tool.way, inside.key_for(tool).await?) {
        (Way::SigningIn, _) => InstallState::SignsIn,
        (Way::Key, None) => InstallState::NoKey,
        (Way::Key, Some(key)) => InstallState::HasKey {
            id: key.id.to_string(),
            name: Name::new(key.record.name.clone()),
            prefix: prefix(&key.id),
            first_call: inside.first_call(&key),
        },
    };
    inside.show(&inside.install_page(tool, state).await?)
}

/// Makes a key under the first of these names that nobody has: `sequel_mcp`, `sequel_mcp_cursor`, `sequel_mcp_cursor_2`.
async fn make_key(inside: &Inside, tool: &Tool) -> Result<Made, ChangeError> {
    let names = [KEY.to_owned(), format!("{KEY}_{}", tool.id)].into_iter();
    let numbered = (2..NAMES_MAX).map(|number| format!("{KEY}_{}_{number}", tool.id));
    let mut refused = ChangeError::Conflict;
    for name in names.chain(numbered) {
        let new = NewKey { name, expires_at: None, sources: None, made_for: Some(tool.id.to_owned()) };
        match keys::create_personal(&inside.dashboard().people, &inside.member, new).await {
            Ok(minted) => return Ok(made(&minted)),
            Err(taken @ ChangeError::NameTaken { .. }) => refused = taken,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

/// The key whose secret is to be replaced, if it is the reader's own for this tool.
async fn to_rotate(inside: &Inside, tool: &Tool) -> Result<Option<KeyId>, Failed> {
    let Ok(id) = inside.form.get("rotate").parse::<KeyId>() else { return Ok(None) };
    let key = inside.member.key(id).await?;
    let is_mine = key.record.owner == Owner::User { id: inside.who.user.to_string() };
    let is_for_it = key.record.made_for.as_deref() == Some(tool.id);
    if is_mine && is_for_it { Ok(Some(id)) } else { Err(Failed::NOT_FOUND) }
}

pub(super) async fn make(inside: Inside) -> Outcome {
    let tool = inside.tool()?;
    if tool.way == Way::SigningIn {
        return Err(Failed::NOT_FOUND);
    }
    let rotating = to_rotate(&inside, tool).await?;
    let make = async {
        match rotating {
            Some(id) => Ok(made(&inside.member.rotate_key(id, std::time::Duration::ZERO).await?)),
            None => make_key(&inside, tool).await,
        }
    };
    let met = inside.dashboard().once.meet(inside.who.user, inside.form.get("once"), make).await;
    let (Met::Now(made) | Met::Before(made)) = met.map_err(Failed::from)?;
    // From here on a call is waited for, even if the page is slow to ask.
    inside.dashboard().first_calls.ask(inside.member.org_id(), made.key);
    let name = Name::new(inside.member.key(made.key).await?.record.name);
    let state = match &made.secret {
        Some(secret) => {
            let url = &inside.edge().mcp_url;
            InstallState::Fresh {
                id: made.key.to_string(),
                name,
                prefix: prefix(&made.key),
                snippets: install::snippets_for(tool, url, secret),
                link: install::link(tool, url, secret),
            }
        }
        None => InstallState::HasKey {
            id: made.key.to_string(),
            name,
            prefix: prefix(&made.key),
            first_call: None,
        },
    };
    Reply::page(&inside.install_page(tool, state).await?)
}

/// For the script of the page: nothing, or the line that tells the first call.
pub(super) async fn progress(inside: Inside) -> Outcome {
    inside.tool()?;
    let id: KeyId = inside.query.get("key").parse().map_err(|_| Failed::NOT_FOUND)?;
    let key = inside.member.key(id).await?;
    Ok(inside.first_call(&key).map_or_else(Reply::nothing, |call| Reply::text(call.line())))
}
