//! *Members*: who they are, what they may do, and how one comes and goes.

use super::reply::{Failed, Reply, told};
use super::visit::{Inside, Outcome};
use crate::credential::{InvitationId, UserId};
use crate::flow::members::PersonInOrg;
use crate::flow::{invite as flow_invite, members as flow};
use crate::org::ChangeError;
use crate::org::permission::{self, Action};
use crate::org::record::Owner;
use crate::pages::{Input, Invited, MemberDialog, MemberRow, Members, Name, Role, Room};

/// Members of one page.
const PAGE: usize = 100;

/// A role as pages write it.
pub(super) fn role(role: permission::Role) -> Role {
    match role {
        permission::Role::Owner => Role::Owner,
        permission::Role::Admin => Role::Admin,
        permission::Role::Member => Role::Member,
        permission::Role::Viewer => Role::Viewer,
    }
}

impl Inside {
    /// What the reader may give.
    fn roles(&self) -> Vec<Role> {
        let may_own = self.member.may(Action::Owners);
        Role::ALL.into_iter().filter(|role| may_own || *role != Role::Owner).collect()
    }

    fn user_id(&self) -> Result<UserId, Failed> {
        self.part("user").parse().map_err(|_| Failed::NOT_FOUND)
    }

    async fn member_rows(&self) -> Result<Vec<MemberRow>, Failed> {
        // Whoever may not see everybody's keys sees how many are their own.
        let (keys, sees_all) = (self.keys_seen().await?, self.member.may(Action::AllKeys));
        let people = flow::list_as(&self.dashboard().people, &self.member).await?;
        let row = |person: PersonInOrg| {
            let owner = Owner::User { id: person.user.to_string() };
            let is_you = person.user == self.who.user;
            let count = || keys.iter().filter(|key| key.record.owner == owner).count();
            MemberRow {
                id: person.user.to_string(),
                email: Name::new(person.email),
                role: role(person.role),
                keys: (sees_all || is_you).then(count),
                last_active: person.last_signed_in_at.map(|at| self.when(at)),
                disabled: person.disabled,
                is_you,
                may_change: self.member.may(match person.role {
                    permission::Role::Owner => Action::Owners,
                    _ => Action::Members,
                }),
            }
        };
        Ok(people.into_iter().map(row).collect())
    }

    async fn members_page(&self, dialog: Option<MemberDialog>) -> Result<Members, Failed> {
        let rows = self.member_rows().await?;
        let may_invite = self.member.may(Action::Members);
        let invitations = if may_invite { self.member.list_invitations().await? } else { Vec::new() };
        let living = invitations.into_iter().filter(|(_, record)| self.now < record.expires_at);
        let invited = living.map(|(id, record)| Invited {
            id: id.to_string(),
            email: Name::new(record.email),
            role: role(record.role),
            expires: self.when(record.expires_at),
        });
        let at = |from| format!("{}?from={from}", self.members_at());
        let (shown, paging) = self.part_of(rows.len(), PAGE, at);
        Ok(Members {
            invited: invited.collect(),
            shell: self.org_shell(Room::Members).await?,
            rows: rows[shown].to_vec(),
            paging,
            may_invite,
            dialog,
        })
    }

    async fn row_of(&self, user: UserId) -> Result<MemberRow, Failed> {
        let id = user.to_string();
        self.member_rows().await?.into_iter().find(|row| row.id == id).ok_or(Failed::NOT_FOUND)
    }

    async fn over_members(&self, dialog: MemberDialog) -> Outcome {
        Reply::page(&self.members_page(Some(dialog)).await?)
    }

    async fn refused_over_members(&self, dialog: MemberDialog) -> Outcome {
        Reply::refused(&self.members_page(Some(dialog)).await?)
    }

    fn invite_dialog(&self, email: Input, role: Input) -> MemberDialog {
        let sends_mail = self.dashboard().people.post.is_some();
        MemberDialog::Invite { email, role, roles: self.roles(), sends_mail }
    }

    fn members_at(&self) -> String {
        format!("{}/members", self.base())
    }
}

pub(super) async fn list(inside: Inside) -> Outcome {
    inside.show(&inside.members_page(None).await?)
}

pub(super) async fn ask_invite(inside: Inside) -> Outcome {
    if !inside.member.may(Action::Members) {
        return Err(ChangeError::Forbidden.into());
    }
    inside.over_members(inside.invite_dialog(Input::default(), Input::of("member"))).await
}

pub(super) async fn invite(inside: Inside) -> Outcome {
    let (email, word) = (inside.form.trimmed("email"), inside.form.get("role"));
    let Some(wanted) = permission::Role::of(word) else {
        let dialog = inside.invite_dialog(Input::of(email), Input::wrong(word, "Choose a role."));
        return inside.refused_over_members(dialog).await;
    };
    match flow_invite::invite(&inside.dashboard().people, &inside.member, email, wanted).await {
        Ok(invited) => show_link(&inside, invited).await,
        Err(error) => {
            let dialog = inside.invite_dialog(Input::wrong(email, told(error)?), Input::of(word));
            inside.refused_over_members(dialog).await
        }
    }
}

/// The link, once; or where a letter has taken it, that it has.
async fn show_link(inside: &Inside, invited: flow_invite::Invited) -> Outcome {
    let Some(url) = invited.link else {
        return Ok(
            inside.done(&inside.members_at(), &format!("A mail with a link went to {}.", invited.email))
        );
    };
    let dialog =
        MemberDialog::Link { email: Name::new(invited.email), url, expires: inside.when(invited.expires_at) };
    inside.over_members(dialog).await
}

pub(super) async fn one(inside: Inside) -> Outcome {
    let row = inside.row_of(inside.user_id()?).await?;
    if !row.may_change {
        return Err(ChangeError::Forbidden.into());
    }
    let dialog = MemberDialog::Change { row, roles: inside.roles(), error: None };
    inside.over_members(dialog).await
}

pub(super) async fn change(inside: Inside) -> Outcome {
    let user = inside.user_id()?;
    let row = inside.row_of(user).await?;
    let wanted = permission::Role::of(inside.form.get("role"));
    let changed = match wanted {
        _ if inside.form.is_stale(row.role.word()) => Err(ChangeError::Invalid(format!(
            "somebody made them {} since you opened this; nothing was saved yet",
            row.role.label().to_lowercase()
        ))),
        Some(wanted) => inside.member.set_role(user, wanted).await,
        None => Err(ChangeError::Invalid("choose a role".into())),
    };
    match changed {
        Ok(record) => {
            let toast = format!("{} is {} now.", record.email, with_article(record.role));
            Ok(inside.done(&inside.members_at(), &toast))
        }
        Err(error) => {
            let error = Some(told(error)?);
            inside.refused_over_members(MemberDialog::Change { row, roles: inside.roles(), error }).await
        }
    }
}

fn with_article(role: permission::Role) -> &'static str {
    match role {
        permission::Role::Owner => "an owner",
        permission::Role::Admin => "an admin",
        permission::Role::Member => "a member",
        permission::Role::Viewer => "a viewer",
    }
}

pub(super) async fn ask_remove(inside: Inside) -> Outcome {
    let row = inside.row_of(inside.user_id()?).await?;
    if !row.is_you && !row.may_change {
        return Err(ChangeError::Forbidden.into());
    }
    inside.over_members(MemberDialog::Remove { row, error: None }).await
}

pub(super) async fn remove(inside: Inside) -> Outcome {
    let user = inside.user_id()?;
    let row = inside.row_of(user).await?;
    let people = &inside.dashboard().people;
    let (removed, to, toast) = match row.is_you {
        true => (flow::leave(people, &inside.member).await, "/".to_owned(), "You left the organization."),
        false => {
            let removed = flow::remove_member(people, &inside.member, user).await;
            (removed, inside.members_at(), "was removed. Their keys stopped working.")
        }
    };
    match removed {
        Ok(_) if row.is_you => Ok(inside.done(&to, toast)),
        Ok(record) => Ok(inside.done(&to, &format!("{} {toast}", record.email))),
        Err(error) => {
            let error = Some(told(error)?);
            inside.refused_over_members(MemberDialog::Remove { row, error }).await
        }
    }
}

fn invitation_id(inside: &Inside) -> Result<InvitationId, Failed> {
    inside.part("invitation").parse().map_err(|_| Failed::NOT_FOUND)
}

pub(super) async fn withdraw(inside: Inside) -> Outcome {
    let record = inside.member.withdraw(invitation_id(&inside)?).await?;
    Ok(inside.done(&inside.members_at(), &format!("The invitation of {} was withdrawn.", record.email)))
}

/// Another link in the place of the one before, which ends.
pub(super) async fn renew(inside: Inside) -> Outcome {
    let id = invitation_id(&inside)?;
    let open = inside.member.list_invitations().await?;
    let (_, record) = open.into_iter().find(|(open, _)| *open == id).ok_or(Failed::NOT_FOUND)?;
    let people = &inside.dashboard().people;
    // In one commit: what fails leaves the link as good as it was.
    let invited = flow_invite::invite(people, &inside.member, &record.email, record.role).await?;
    show_link(&inside, invited).await
}
