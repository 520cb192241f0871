//! The servers under load, each the only thing in its process: Sequel itself, and a bare actix-web
//! server that does the same work without authentication, policy, caps and audit.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::Context as _;
use sequel::config::{Config, Log};
use sequel::mcp::{Decision, HeaderField, RequestHead, ServerFacts, Task, ToolCall, decide};
use sequel::tools::encode::QueryEncoder;
use sequel_connector::{Connector, DataSource, Limits, Origin, Party, Query, Settings};
use sequel_connector_sqlite::{Policy, SqliteConnector};
use tokio_util::sync::CancellationToken;

use crate::common::process::{Process, end_with_parent};

/// HTTP workers of either server.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Starts Sequel on a prepared data folder.
pub(crate) fn start_sequel(
    data_dir: &std::path::Path,
    active_max: usize,
    folder: &std::path::Path,
) -> anyhow::Result<Process> {
    let text = |path: &std::path::Path| {
        path.to_str().map(str::to_owned).context("the temporary folder's path is not UTF-8")
    };
    Process::start("serve-sequel", &[text(data_dir)?, active_max.to_string(), text(folder)?])
}

/// Starts the bare server: `/list` answers `list_bytes` bytes, `/query` asks one of `sources` handles on `database`.
pub(crate) fn start_bare(
    list_bytes: usize,
    database: &std::path::Path,
    sources: usize,
) -> anyhow::Result<Process> {
    let database = database.to_str().context("the temporary folder's path is not UTF-8")?.to_owned();
    Process::start("serve-bare", &[list_bytes.to_string(), database, sources.to_string()])
}

/// Runs the role of a child process, if this is one. Never returns from a role but by its end.
pub(crate) fn run_role(arguments: &[String]) -> Option<anyhow::Result<()>> {
    match arguments {
        [role, port, rest @ ..] if role == "serve-sequel" => Some(sequel_role(port, rest)),
        [role, port, rest @ ..] if role == "serve-bare" => Some(bare_role(port, rest)),
        _ => None,
    }
}

fn sequel_role(port: &str, arguments: &[String]) -> anyhow::Result<()> {
    let [data_dir, active_max, folder] = arguments else { anyhow::bail!("a role with wrong arguments") };
    end_with_parent();
    let mut config = Config { data_dir: data_dir.into(), ..Config::default() };
    config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    config.orgs.active_max = active_max.parse()?;
    config.sources.sqlite.folders = vec![PathBuf::from(folder)];
    // Everything else as it comes, the log included.
    // So high that nothing is refused, and counted all the same.
    config.limits.requests_per_minute_per_key = 60_000_000;
    config.limits.requests_per_minute_per_org = 60_000_000;
    config.log = Log::default();
    sequel::run::serve(config)
}

struct Bare {
    list: Bytes,
    facts: ServerFacts,
    sources: Vec<Arc<dyn DataSource>>,
    limits: Limits,
}

fn bare_role(port: &str, arguments: &[String]) -> anyhow::Result<()> {
    let [list_bytes, database, sources] = arguments else { anyhow::bail!("a role with wrong arguments") };
    end_with_parent();
    let (port, list_bytes, sources): (u16, usize, usize) =
        (port.parse()?, list_bytes.parse()?, sources.parse()?);
    let folder =
        std::path::Path::new(database).parent().context("a database outside of any folder")?.to_owned();
    let settings: Settings = [("path".to_owned(), database.as_str().into())].into_iter().collect();
    actix_rt::System::new().block_on(async move {
        let connector = SqliteConnector::new(Policy { folders: vec![folder], ..Policy::default() })?;
        let mut handles = Vec::new();
        for _ in 0..sources {
            handles.push(connector.open(&settings.clone().into(), &Party::new("a")).await?);
        }
        let query = Config::default().query;
        let bare = Data::new(Bare {
            list: Bytes::from(vec![b'x'; list_bytes]),
            facts: ServerFacts::sequel(),
            sources: handles,
            limits: Limits {
                rows: query.rows_max,
                bytes: query.bytes_max,
                cell_bytes: query.cell_bytes_max,
                columns: query.columns_max,
                time: query.time_max(),
            },
        });
        let app = move || {
            App::new()
                .app_data(bare.clone())
                .service(web::resource("/list").to(bare_list))
                .service(web::resource("/query/{source}").to(bare_query))
        };
        HttpServer::new(app)
            .workers(workers())
            .keep_alive(Duration::from_secs(75))
            // The generator connects to all servers before the rounds of the first begin.
            .client_request_timeout(Duration::from_secs(75))
            .bind((Ipv4Addr::LOCALHOST, port))?
            .run()
            .await?;
        Ok(())
    })
}

/// Reads the request's body and answers as many bytes as `tools/list` has.
async fn bare_list(body: Bytes, bare: Data<Bare>) -> HttpResponse {
    std::hint::black_box(&body);
    HttpResponse::Ok().content_type("application/json").body(bare.list.clone())
}

/// Parses the call, asks the connector, encodes the same JSON; nothing else.
async fn bare_query(
    request: HttpRequest,
    source: web::Path<usize>,
    body: Bytes,
    bare: Data<Bare>,
) -> HttpResponse {
    let field =
        |name: &str| HeaderField::collect(request.headers().get_all(name).map(|value| value.as_bytes()));
    let head = RequestHead {
        protocol_version: field("mcp-protocol-version"),
        mcp_method: field("mcp-method"),
        mcp_name: field("mcp-name"),
    };
    let Decision::Call(call) = decide(&head, &body, &bare.facts) else {
        return HttpResponse::BadRequest().finish();
    };
    let Task::Tool(ToolCall::RunQuery(asked)) = &call.task else {
        return HttpResponse::BadRequest().finish();
    };
    let query = Query {
        sql: asked.sql.clone(),
        limits: bare.limits,
        cancel: CancellationToken::new(),
        origin: Origin::default(),
    };
    let Ok(mut rows) = bare.sources[*source].query(query).await else {
        return HttpResponse::BadRequest().finish();
    };
    let mut encoder = QueryEncoder::new("demo", rows.columns(), asked.format, "0123456789abcdef");
    while let Ok(Some(batch)) = rows.next_batch().await {
        if !encoder.push(&batch, usize::MAX) {
            break;
        }
    }
    let outcome = encoder.finish(None, Duration::ZERO);
    HttpResponse::Ok().content_type("application/json").body(call.encode(outcome))
}
