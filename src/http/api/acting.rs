//! Who asks the administration for something: the user at the other end of its socket, by the operating
//! system's word. What they claim in a request is not asked for.

use std::any::Any;
use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::{Extensions, Payload};
use actix_web::rt::net::UnixStream;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use super::Admin;
use super::problem::Refused;
use crate::org::audit::{Author, Who};
use crate::org::{ChangeError, Org};

/// Where the machine's users are listed.
const USERS: &str = "/etc/passwd";

/// Notes the user at the other end of a connection. For a server's `on_connect`.
pub fn note_peer(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<UnixStream>() else { return };
    match rustix::net::sockopt::socket_peercred(stream) {
        Ok(peer) => {
            extensions.insert(operator(peer.uid.as_raw()));
        }
        Err(error) => tracing::warn!(%error, "the user at the other end of the admin socket is not known"),
    }
}

/// The user with this id as an author of changes, with the name that the machine has for them.
pub fn operator(uid: u32) -> Who {
    let user = std::fs::read_to_string(USERS).ok().and_then(|users| name_of(&users, uid));
    Who::Operator { uid, user }
}

/// The name that passwd(5) has for a user id.
fn name_of(users: &str, uid: u32) -> Option<String> {
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.into_iter().find(|f| f.get(2).and_then(|id| id.parse().ok()) == Some(uid)).map(|f| f[0].to_owned())
}

/// The administration, for one request: changes are made in the name of who sent it.
pub(super) struct Acting {
    admin: Data<Admin>,
    author: Author,
}

impl Acting {
    /// The organization with this name or id, to be changed in this request's name.
    pub(super) async fn org(&self, word: &str) -> Result<Org, Refused> {
        let org = crate::flow::find_org::find_org(&self.registry, &self.index, word).await?;
        Ok(org.by(self.author.clone()))
    }

    /// Who sent the request.
    pub(super) fn author(&self) -> &Author {
        &self.author
    }
}

impl Deref for Acting {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.admin
    }
}

impl FromRequest for Acting {
    type Error = Refused;
    type Future = Ready<Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let admin = request.app_data::<Data<Admin>>().cloned();
        let who = request.conn_data::<Who>().cloned();
        ready(match (admin, who) {
            (Some(admin), Some(who)) => {
                let author = Author { who, via: admin.via, address: None };
                Ok(Self { admin, author })
            }
            // Without knowing who asks nothing is changed: the trail would have a hole.
            _ => {
                Err(ChangeError::Internal("the user at the other end of the socket is not known".into())
                    .into())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_is_told_by_the_machines_own_list() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_of(users, 1000).as_deref(), Some("ada"));
        assert_eq!(name_of(users, 0).as_deref(), Some("root"));
        assert_eq!(name_of(users, 7), None);
    }
}
