//! Organizations with an authorized app each, over one store, and what is asked of them.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use sequel::context::Context;
use sequel::credential::Credential;
use sequel::flow::register;
use sequel::org::Admission;
use sequel::org::keys::NewKey;
use sequel_store::Store;

use crate::inside::{App, CLIENT, Inside};

/// A server's inside with busy apps.
pub(crate) struct House {
    inside: Inside,
    apps: Vec<App>,
    key: String,
}

/// Nanoseconds of one verification.
pub(crate) struct Verified {
    pub(crate) token: f64,
    pub(crate) key: f64,
}

impl House {
    /// With so many organizations.
    pub(crate) async fn build(store: Arc<dyn Store>, orgs: usize, replay: Duration) -> anyhow::Result<Self> {
        let inside = Inside::over(&store, &Context::system(), replay)?;
        let mut house = Self { inside, apps: Vec::with_capacity(orgs), key: String::new() };
        for number in 0..orgs {
            let (org, person) = house.inside.org(&format!("{number} {replay:?}")).await?;
            if house.key.is_empty() {
                let new = NewKey { name: "k".into(), expires_at: None, sources: None, made_for: None };
                house.key = org.create_key(new).await?.plain.reveal().to_owned();
            }
            let app = house.inside.app(org.id(), &person).await?;
            ensure!(house.inside.accepts(&app.access).await, "an app that was just authorized is refused");
            house.apps.push(app);
        }
        Ok(house)
    }

    /// Refreshes a second: each app with its live token, one after the other, all apps at once.
    pub(crate) async fn refreshes(&mut self, time: Duration) -> anyhow::Result<f64> {
        let started = Instant::now();
        let inside = &self.inside;
        let busy = self.apps.iter_mut().map(|app| async move {
            let mut done = 0u64;
            while started.elapsed() < time {
                inside.go_on(app).await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
        let done: u64 = try_join_all(busy).await?.iter().sum();
        Ok(done as f64 / started.elapsed().as_secs_f64())
    }

    /// Registrations a second, so many at once.
    pub(crate) async fn registrations(&self, at_once: usize, time: Duration) -> anyhow::Result<f64> {
        let started = Instant::now();
        let busy = (0..at_once).map(|_| async {
            let mut done = 0u64;
            while started.elapsed() < time {
                register::register(
                    &self.inside.oauth,
                    register::turn(&self.inside.oauth, None)?,
                    CLIENT.as_bytes(),
                )
                .await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
        let done: u64 = try_join_all(busy).await?.iter().sum();
        Ok(done as f64 / started.elapsed().as_secs_f64())
    }

    /// What the head of a request pays: reading the credential, and the verdict of the published view. In turns.
    pub(crate) async fn verifications(&self, quick: bool) -> anyhow::Result<Verified> {
        let rounds = if quick { 20 } else { 200 };
        let (mut token, mut key) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            token.push(self.verify(&self.apps[0].access)?);
            key.push(self.verify(&self.key)?);
        }
        Ok(Verified { token: crate::common::median(token), key: crate::common::median(key) })
    }

    fn verify(&self, text: &str) -> anyhow::Result<f64> {
        const TIMES: u32 = 10_000;
        let now = self.inside.oauth.people().context.clock.now();
        let started = Instant::now();
        for _ in 0..TIMES {
            let credential = Credential::parse(black_box(text))?;
            ensure!(self.inside.registry.admit(&credential, now) == Admission::Accepted, "it is accepted");
        }
        Ok(started.elapsed().as_nanos() as f64 / f64::from(TIMES))
    }
}
