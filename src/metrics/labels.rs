//! The values that labels have: all of them, for ever few.

macro_rules! labels {
    ($($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $label:literal,)* })*) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum $name { $($(#[$what])* $variant,)* }

            impl $name {
                pub(super) const ALL: &[Self] = &[$(Self::$variant,)*];
                pub(super) const COUNT: usize = Self::ALL.len();

                pub(super) fn label(self) -> &'static str {
                    match self { $(Self::$variant => $label,)* }
                }
            }
        )*
    };
}

labels! {
    /// What a request was for.
    Route {
        /// The MCP endpoint.
        Mcp = "/mcp",
        /// What the endpoint says of itself.
        Metadata = "/.well-known/oauth-protected-resource",
        /// Registration, tokens, revocation, and what the authorization server says of itself.
        OAuth = "oauth",
        /// The process lives.
        Healthz = "/healthz",
        /// Requests are served.
        Readyz = "/readyz",
        /// The dashboard's pages and what they load.
        Dashboard = "dashboard",
        /// Anything else.
        Other = "other",
    }

    /// A method of MCP.
    Method {
        /// `tools/call`
        ToolsCall = "tools/call",
        /// `tools/list`
        ToolsList = "tools/list",
        /// `initialize`
        Initialize = "initialize",
        /// `ping`
        Ping = "ping",
        /// `server/discover`
        Discover = "server/discover",
        /// `resources/list`
        ResourcesList = "resources/list",
        /// `resources/templates/list`
        ResourcesTemplatesList = "resources/templates/list",
        /// `resources/read`
        ResourcesRead = "resources/read",
        /// `prompts/list`
        PromptsList = "prompts/list",
        /// `prompts/get`
        PromptsGet = "prompts/get",
        /// `completion/complete`
        Complete = "completion/complete",
        /// `subscriptions/listen`
        Listen = "subscriptions/listen",
        /// Every notification.
        Notification = "notification",
        /// Any other.
        Other = "other",
    }

    /// A tool, or what else looks into an organization.
    Tool {
        /// `list_data_sources`
        ListDataSources = "list_data_sources",
        /// `search_schema`
        SearchSchema = "search_schema",
        /// `describe_table`
        DescribeTable = "describe_table",
        /// `explain_query`
        ExplainQuery = "explain_query",
        /// `run_query`
        RunQuery = "run_query",
        /// `resources/list`
        ResourcesList = "resources/list",
        /// `resources/read`
        ResourcesRead = "resources/read",
        /// `completion/complete`
        Complete = "completion/complete",
        /// Any other.
        Other = "other",
    }

    /// Why a request was refused before anything was done.
    Refusal {
        /// A `Host` or `Origin` that is not ours.
        Foreign = "foreign_host_or_origin",
        /// No credential.
        Missing = "missing_credential",
        /// Something that is no credential of ours.
        Malformed = "malformed_credential",
        /// An unknown or forged credential.
        Unknown = "unknown_credential",
        /// A credential that is switched off.
        Disabled = "disabled_credential",
        /// A credential past its expiry.
        Expired = "expired_credential",
        /// An access token for another resource.
        Audience = "foreign_audience",
        /// A grant that does not allow what is asked.
        Scope = "insufficient_scope",
        /// A credential that was revoked while its request was read.
        Revoked = "revoked_credential",
        /// Too many invalid credentials came from the address.
        Throttled = "address_throttled",
        /// The credential made too many requests.
        KeyRate = "key_rate_limit",
        /// The organization made too many requests.
        OrgRate = "org_rate_limit",
        /// Who is signed in asked the dashboard too often.
        PersonRate = "person_rate_limit",
        /// The credential runs too many calls at once.
        KeyBusy = "key_concurrency",
        /// The organization runs too many calls at once.
        OrgBusy = "org_concurrency",
        /// The organization creates API keys too fast.
        KeyCreations = "key_creation_rate_limit",
        /// The credential could not be verified now.
        Unavailable = "unavailable",
        /// The server shuts down.
        Draining = "draining",
        /// Another method than the route has.
        HttpMethod = "http_method",
        /// A body that is too large.
        BodyTooLarge = "body_too_large",
        /// A body that came too slowly.
        BodyTooSlow = "body_too_slow",
        /// A body that broke off, is compressed or no JSON.
        BodyUnreadable = "body_unreadable",
    }

    /// How a statement on a data source ended.
    Ending {
        /// With an answer.
        Ok = "ok",
        /// The engine refused it.
        Sql = "sql_error",
        /// It is not one that only reads.
        Refused = "refused",
        /// It ran into a limit.
        Limit = "limit",
        /// Its client went away or cancelled it.
        Cancelled = "cancelled",
        /// Its credential was revoked, or its data source removed.
        Revoked = "revoked",
        /// The data source could not be opened.
        CannotOpen = "cannot_open",
        /// The data source failed.
        Unavailable = "unavailable",
        /// Sequel failed.
        Internal = "internal",
    }

    /// What became of a change.
    Change {
        /// It was made.
        Made = "made",
        /// It makes no sense, or what it is about is not there.
        Refused = "refused",
        /// A limit stands against it.
        Limit = "limit",
        /// Too many waited.
        Busy = "busy",
        /// No answer in time, or an outcome that is not known.
        Unknown = "unknown",
        /// The store or Sequel failed.
        Failed = "failed",
    }

    /// What became of apps that people authorize.
    App {
        /// A client registered.
        Registered = "registered",
        /// Somebody said yes.
        Authorized = "authorized",
        /// Somebody said no.
        Denied = "denied",
        /// A code was redeemed.
        Connected = "connected",
        /// A refresh token was used.
        Refreshed = "refreshed",
        /// A used refresh token was answered with what its use came to.
        Replayed = "replayed",
        /// A grant ended because a code or a refresh token was used again.
        Reused = "reused",
        /// A client gave a token back.
        GivenBack = "given_back",
        /// What was presented at the endpoints for tokens was refused, or was none.
        Refused = "refused",
    }

    /// What the store is asked for.
    StoreOperation {
        /// One record.
        Get = "get",
        /// A page of records.
        Scan = "scan",
        /// A batch.
        Commit = "commit",
        /// Until no node serves what is older.
        Settle = "settle",
        /// Anything else.
        Other = "other",
    }

    /// What the store answered.
    StoreOutcome {
        /// It did it.
        Ok = "ok",
        /// Somebody else writes.
        Conflict = "conflict",
        /// The disk is full.
        Full = "full",
        /// It is away.
        Unavailable = "unavailable",
        /// It is not known what happened.
        Unknown = "unknown",
        /// A record is damaged, or a request is not what a store takes.
        Broken = "broken",
        /// Nobody waited for the end.
        GivenUp = "given_up",
    }
}

impl Method {
    /// The method of this name.
    pub fn named(name: &str) -> Self {
        match Self::ALL.iter().find(|method| method.label() == name) {
            // Our own word, not a method.
            Some(Self::Notification) => Self::Other,
            Some(method) => *method,
            None if name.starts_with("notifications/") => Self::Notification,
            None => Self::Other,
        }
    }
}

impl Tool {
    /// The tool or method of this name.
    pub fn named(name: &str) -> Self {
        Self::ALL.iter().find(|tool| tool.label() == name).copied().unwrap_or(Self::Other)
    }
}
