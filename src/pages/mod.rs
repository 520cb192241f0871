//! The pages that people see: a typed context and a template for each, the files that they load, the headers
//! that they are sent with, and the documentation inside.
//!
//! A context holds what its page says and nothing else: strings, times and enums of this module. It knows no
//! request, no organization and no store; whoever fills it has decided already what may be seen. Templates escape
//! by default, and what people named is a [`Name`], which cannot be shown otherwise than escaped and isolated.
//!
//! Addresses are spelled in the templates; the snapshot `every_address_that_the_pages_name` lists them all.
//!
//! **Invariant:** every page renders with nothing, with the usual and with hostile content, without inline style or
//! script, within its budget (`tests.rs`).

mod account;
mod apps;
pub mod assets;
mod audit;
mod consent;
pub mod docs;
mod failure;
mod form;
mod gate;
mod headers;
mod installing;
mod keys;
mod members;
mod orgs;
mod overview;
#[cfg(any(test, feature = "preview"))]
mod parts;
mod queries;
#[cfg(any(test, feature = "preview"))]
mod samples;
mod shell;
mod sources;
mod text;
mod when;

pub use account::{Account, Session};
pub use apps::{AppDialog, AppForm, AppPage, AppPolicy, AppRow, AppState, Apps};
pub use askama::Template;
pub use audit::{Audit, AuditDetail, AuditFilter, AuditRow};
pub use consent::{Consent, ConsentNone, ConsentOrg, ConsentSent, NoConsent, NotHere, SentTo, Told};
pub use docs::{Doc, DocPage};
pub use failure::{Failure, FailureKind};
pub use form::{Control, Field, Input, Pick, Problems};
pub use gate::{Forgot, Gate, Invitation, LinkKind, LinkOver, Reset, SetUp, SignIn, SignInRefusal, Standing};
pub use headers::{ASSET, OPENER, OPENER_KEPT, PAGE};
pub use installing::{FirstCall, Install, InstallState};
pub use keys::{
    Deleting, KeyDialog, KeyForm, KeyPage, KeyRow, KeyState, Keys, Leaked, LeakedKey, Reach, Rotating, Shown,
    Sort, Use,
};
pub use members::{Invited, MemberDialog, MemberRow, Members, Role};
pub use orgs::{DeletedOrg, NewOrg, OrgSettings};
pub use overview::{Overview, Step};
pub use queries::{Ended, Queries, QueryDetail, QueryFilter, QueryLine, QueryRow};
#[cfg(any(test, feature = "preview"))]
pub use samples::{Rendered, all as all_samples};
pub use shell::{Member, OrgLink, Paging, Room, Shell};
pub use sources::{
    Asked, Check, CheckOutcome, Declared, DeclaredKind, Health, SourceForm, SourceKind, SourcePage,
    SourceRow, Sources,
};
pub use text::{Name, query_string};
pub use when::When;

use text::filters;

#[cfg(test)]
mod tests;
