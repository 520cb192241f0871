//! Apps that live for months, on a clock that is moved: the flows as the HTTP server calls them, over the backend that the
//! tests run on.

use std::time::Duration;

use sequel::context::{Clock, Context, Rng};
use sequel::credential::refresh::RefreshToken;
use sequel::flow::OAuthError;
use sequel::flow::redeem::Issued;
use sequel::oauth::error::Code;

use crate::inside::Inside;
use crate::server::Home;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

#[track_caller]
fn invalid(outcome: Result<Issued, OAuthError>) {
    match outcome {
        Err(OAuthError::Refused(refusal)) => assert_eq!(refusal.code, Code::InvalidGrant),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ninety_days_of_refreshing_keep_an_app_over_restarts_and_ninety_of_silence_end_it() {
    let home = Home::new();
    let store = home.open_store();
    let context = Context { clock: Clock::system(), rng: Rng::system() };
    actix_rt::System::new().block_on(async {
        let start = || Inside::over(&store, &context, DAY).unwrap();
        let (mut app, first, org) = {
            let inside = start();
            let (org, person) = inside.org("Acme").await.unwrap();
            let app = inside.app(org.id(), &person).await.unwrap();
            let first = app.refresh.clone();
            (app, first, org.id())
        };
        for month in 0..3 {
            // A server that was just started has nothing but what is stored.
            let inside = start();
            for refreshed in 0..30 * 6 {
                context.clock.advance(4 * HOUR);
                assert!(
                    !inside.accepts(&app.access).await,
                    "month {month}, {refreshed}: it lived for an hour"
                );
                inside.go_on(&mut app).await.unwrap();
            }
            assert!(inside.accepts(&app.access).await, "month {month}");
        }
        // Whoever makes up a token, of an organization and a grant that exist, ends nothing.
        let inside = start();
        let grant = RefreshToken::parse(&app.refresh).unwrap().grant;
        let forged = RefreshToken::mint(grant, org, &context.rng).unwrap();
        invalid(inside.refresh(&app.client, forged.reveal()).await);
        inside.go_on(&mut app).await.unwrap();
        context.clock.advance(90 * DAY - HOUR);
        inside.go_on(&mut app).await.unwrap();
        context.clock.advance(90 * DAY);
        invalid(inside.refresh(&app.client, &app.refresh).await);
        invalid(start().refresh(&app.client, &first).await);
    });
    drop(store);
}

#[test]
fn a_copy_that_is_used_again_after_its_time_ends_the_app_also_for_a_server_that_was_just_started() {
    let home = Home::new();
    let store = home.open_store();
    let context = Context { clock: Clock::system(), rng: Rng::system() };
    actix_rt::System::new().block_on(async {
        let start = || Inside::over(&store, &context, DAY).unwrap();
        let inside = start();
        let (org, person) = inside.org("Acme").await.unwrap();
        let mut app = inside.app(org.id(), &person).await.unwrap();
        let mut other = inside.app(org.id(), &person).await.unwrap();
        let first = app.refresh.clone();
        inside.go_on(&mut app).await.unwrap();
        context.clock.advance(DAY + HOUR);
        inside.go_on(&mut app).await.unwrap();
        let again = start();
        invalid(again.refresh(&app.client, &first).await);
        assert!(!again.accepts(&app.access).await);
        invalid(again.refresh(&app.client, &app.refresh).await);
        again.go_on(&mut other).await.unwrap();
        assert!(again.accepts(&other.access).await, "nobody else's ends");
    });
    drop(store);
}
