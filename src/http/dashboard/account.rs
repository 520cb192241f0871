//! One's own account: name, password, and where one is signed in.

use super::reply::{Failed, Reply, told};
use super::visit::{Outcome, Session};
use crate::credential::SessionId;
use crate::flow::people::SignInError;
use crate::flow::{passwords, users};
use crate::org::ChangeError;
use crate::pages::{self, Account, Input, Name, Room};

impl Session {
    async fn account_page(
        &self,
        name: Input,
        (current_error, new_error): (Option<String>, Option<String>),
    ) -> Result<Account, Failed> {
        let people = &self.dashboard().people;
        let sessions =
            people.sessions.list(self.who.user, &self.who.record).await.map_err(ChangeError::from)?;
        let sessions = sessions.into_iter().map(|(id, record)| pages::Session {
            id: id.to_string(),
            device: Name::new(device(&record.agent)),
            from: record.source.unwrap_or_else(|| "unknown".to_owned()),
            since: self.when(record.created_at),
            last_used: self.when(record.last_seen_at),
            is_this: id == self.who.session,
        });
        Ok(Account {
            shell: self.shell(Room::Account).await?,
            name,
            current_error,
            new_error,
            sessions: sessions.collect(),
        })
    }

    fn own_name(&self) -> Input {
        Input::of(self.who.record.name.clone())
    }
}

/// What a browser says of itself, in the words that its owner knows it by. Only a guess, and shown as one's own word.
fn device(agent: &str) -> String {
    let of = |names: &[(&str, &'static str)]| {
        names.iter().find(|(part, _)| agent.contains(part)).map(|(_, name)| *name)
    };
    // Later ones call themselves by the names of earlier ones as well.
    let browser = of(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = of(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "an unknown browser".to_owned(),
    }
}

pub(super) async fn page(session: Session) -> Outcome {
    session.show(&session.account_page(session.own_name(), (None, None)).await?)
}

pub(super) async fn rename(session: Session) -> Outcome {
    let name = session.form.trimmed("name");
    match users::rename(&session.dashboard().people, &session.person(), name).await {
        Ok(_) => Ok(session.done("/account", "Your name was changed.")),
        Err(error) => {
            let name = Input::wrong(name, told(error)?);
            Reply::refused(&session.account_page(name, (None, None)).await?)
        }
    }
}

pub(super) async fn change_password(session: Session) -> Outcome {
    let dashboard = session.dashboard();
    let (current, new) = (session.form.get("current"), session.form.get("password"));
    let me = (&session.who, session.cookie.as_str());
    let errors = match passwords::change(&dashboard.people, me, (current, new), &session.visitor).await {
        Ok(began) => {
            let lifetimes = dashboard.people.sessions.lifetimes();
            let cookie = dashboard.cookie.set(&began.cookie, lifetimes);
            // The toast belongs to the session as it is from now on.
            return Ok(Reply::see("/account").cookie(&cookie).cookie(&session.toast_for(
                began.cookie.reveal(),
                "Your password was changed, and you are signed out everywhere else.",
            )));
        }
        Err(SignInError::Refused) => (Some("This is not your present password.".to_owned()), None),
        Err(SignInError::Throttled(wait)) => {
            let text = format!("Tried too often. Try again in {} s.", wait.as_secs().max(1));
            (Some(text), None)
        }
        Err(SignInError::Failed(error)) => (None, Some(told(error)?)),
    };
    Reply::refused(&session.account_page(session.own_name(), errors).await?)
}

pub(super) async fn end(session: Session) -> Outcome {
    let id: SessionId = session.part("session").parse().map_err(|_| Failed::NOT_FOUND)?;
    let sessions = &session.dashboard().people.sessions;
    sessions.end(session.who.user, id).await.map_err(ChangeError::from)?;
    if id == session.who.session {
        return Ok(Reply::see("/sign-in?after=out").cookie(&session.dashboard().cookie.clear()));
    }
    Ok(session.done("/account", "That session was ended."))
}

pub(super) async fn end_others(session: Session) -> Outcome {
    let sessions = &session.dashboard().people.sessions;
    let ended =
        sessions.end_others(session.who.user, Some(session.who.session)).await.map_err(ChangeError::from)?;
    let toast = match ended {
        0 => "You were signed in nowhere else.",
        _ => "You are signed out everywhere else.",
    };
    Ok(session.done("/account", toast))
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn browsers_are_told_by_the_names_that_people_know() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 \
                    Safari/537.36 Edg/140.0.0.0";
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                      Version/18.0 Mobile/15E148 Safari/604.1";
        assert_eq!(
            [firefox, edge, safari, "curl/8", "<script>"].map(device),
            ["Firefox on Linux", "Edge on Windows", "Safari on iPhone", "curl", "an unknown browser"]
        );
    }
}
