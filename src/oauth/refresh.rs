//! Refresh tokens that are used more than once (RFC 6749 §6, RFC 9700 §4.14.2).
//!
//! A client's processes refresh from copies of their own, and a strict rotation logs their person out. So a used token is
//! answered for a while with what its use came to: its successor was sealed under a key that is made of the token itself,
//! and so on to the one that is live. Whoever reads the store can open none of it, whoever holds a token gets nothing
//! that its use would not have given. After that while a used token is what it looks like, stolen: the grant ends.
//!
//! All refresh tokens of a grant share a part that no other knows. So one that was used long ago is told from a forged
//! one without keeping each: the latter hurts nobody (`a_forged_token_ends_nothing`).

use super::grant::{Exchanged, Spent};

/// What a presented refresh token is.
#[derive(Debug)]
pub enum Standing<'a, D, T> {
    /// The one that is next.
    Live,
    /// Used lately: go on with what is sealed under it.
    Spent(&'a Spent<D, T>),
    /// Used, and longer ago than is answered: the grant ends.
    Reused,
    /// Its time is over.
    Expired,
    /// None of this grant's: nothing follows.
    Stranger,
}

/// What a token is, given whether a digest is its own and whether one is that of its family's part.
pub fn standing<'a, D, T: Copy + Ord>(
    grant: &'a Exchanged<D, T>,
    (is, is_family): (impl Fn(&D) -> bool, impl Fn(&D) -> bool),
    now: T,
    replays_since: T,
) -> Standing<'a, D, T> {
    if !is_family(&grant.live.family) {
        return Standing::Stranger;
    }
    if now >= grant.live.expires_at {
        return Standing::Expired;
    }
    if is(&grant.live.digest) {
        return Standing::Live;
    }
    match grant.spent.iter().find(|spent| is(&spent.digest)) {
        Some(spent) if spent.at > replays_since => Standing::Spent(spent),
        _ => Standing::Reused,
    }
}

#[cfg(test)]
mod tests {
    use super::super::grant::samples::*;
    use super::*;

    fn of(grant: &Sample, token: u32, family: u32, now: u32, since: u32) -> String {
        match standing(grant, (|digest: &u32| *digest == token, |part: &u32| *part == family), now, since) {
            Standing::Live => "live".into(),
            Standing::Spent(spent) => spent.sealed.clone(),
            Standing::Reused => "reused".into(),
            Standing::Expired => "expired".into(),
            Standing::Stranger => "stranger".into(),
        }
    }

    fn grant() -> Sample {
        fulfilled().exchange(issue(0, 0)).rotate(successor(1, 10), 10, 0).rotate(successor(2, 20), 20, 0)
    }

    #[test]
    fn a_used_token_leads_to_its_successor_for_a_while_and_then_ends_the_grant() {
        let grant = grant();
        assert_eq!(of(&grant, 202, 7, 21, 0), "live");
        assert_eq!(of(&grant, 201, 7, 21, 0), "sealed 2");
        assert_eq!(of(&grant, 200, 7, 21, 0), "sealed 1");
        assert_eq!(of(&grant, 200, 7, 21, 10), "reused", "at the end of the while, not after it");
        assert_eq!(of(&grant, 201, 7, 21, 10), "sealed 2");
    }

    #[test]
    fn one_that_was_forgotten_is_known_by_its_family() {
        let grant = grant().rotate(successor(3, 40), 40, 30);
        assert_eq!(of(&grant, 200, 7, 41, 0), "reused");
    }

    #[test]
    fn a_forged_token_ends_nothing() {
        let grant = grant();
        assert_eq!(of(&grant, 999, 8, 21, 0), "stranger");
        assert_eq!(of(&grant, 202, 8, 21, 0), "stranger");
    }

    #[test]
    fn whatever_was_not_used_for_long_is_over_and_ends_nothing() {
        for token in [200, 201, 202, 999] {
            assert_eq!(of(&grant(), token, 7, 110, 100), "expired");
        }
    }
}
