//! The servers under load, each the only thing in its process: Sequel itself, and a bare actix-web
//! server that does the same work without authentication, policy, caps and audit.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::Context as _;
use sequel::config::{Config, Log, Query as QueryConfig};
use sequel::mcp::{Decision, HeaderField, RequestHead, ServerFacts, Task, ToolCall, decide};
use sequel::tools::encode::QueryEncoder;
use sequel_connector::{Configuration, Connector, DataSource, Egress, Limits, Party, Query, Settings};
use sequel_connector_postgres::PostgresConnector;
use sequel_connector_sqlite::{Policy, SqliteConnector};

use crate::common::process::{Process, end_with_parent};
use crate::raw_postgres;

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
    start_sequel_for(data_dir, active_max, folder, Config::default().query.rows_max)
}

/// The same where answers may have so many rows. More than by default, and they may be as long as they get and take
/// minutes.
pub(crate) fn start_sequel_for(
    data_dir: &std::path::Path,
    active_max: usize,
    folder: &std::path::Path,
    rows_max: u64,
) -> anyhow::Result<Process> {
    let text = |path: &std::path::Path| {
        path.to_str().map(str::to_owned).context("the temporary folder's path is not UTF-8")
    };
    let arguments = [text(data_dir)?, active_max.to_string(), text(folder)?, rows_max.to_string()];
    Process::start("serve-sequel", &arguments)
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

/// Starts the bare server on a PostgreSQL database: `/query` as above, `/raw` with the raw driver.
pub(crate) fn start_bare_postgres(url: &str, sources: usize) -> anyhow::Result<Process> {
    Process::start("serve-bare", &["0".to_owned(), url.to_owned(), sources.to_string()])
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
    let [data_dir, active_max, folder, rows_max] = arguments else {
        anyhow::bail!("a role with wrong arguments")
    };
    end_with_parent();
    let mut config = Config { data_dir: data_dir.into(), ..Config::default() };
    config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    config.orgs.active_max = active_max.parse()?;
    config.sources.sqlite.folders = vec![PathBuf::from(folder)];
    // The databases to measure are on this machine.
    config.sources.network.allow = vec!["127.0.0.1".parse().map_err(anyhow::Error::msg)?];
    let rows_max = rows_max.parse()?;
    if rows_max > config.query.rows_max {
        config.query = QueryConfig { rows_max, bytes_max: 1 << 30, time_max_ms: 300_000, ..config.query };
    }
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

/// So many handles on one database: the URL of a PostgreSQL, or a SQLite file.
async fn handles(database: &str, sources: usize) -> anyhow::Result<Vec<Arc<dyn DataSource>>> {
    let (connector, configuration): (Box<dyn Connector>, Configuration) = if is_postgres(database) {
        let egress = Egress { private: true, ..Egress::default() };
        let connector =
            PostgresConnector::new(sequel_connector_postgres::Policy { egress, ..Default::default() })?;
        let tls = ("tls".to_owned(), "disable".into());
        let url = ("url".to_owned(), database.into());
        let given = Configuration::of(connector.declaration(), Settings::from_iter([tls, url]));
        (Box::new(connector), given)
    } else {
        let folder =
            std::path::Path::new(database).parent().context("a database outside of any folder")?.to_owned();
        let connector = SqliteConnector::new(Policy { folders: vec![folder], ..Policy::default() })?;
        (Box::new(connector), Settings::from_iter([("path".to_owned(), database.into())]).into())
    };
    let mut handles = Vec::new();
    for _ in 0..sources {
        handles.push(connector.open(&configuration, &Party::new("a")).await?);
    }
    Ok(handles)
}

fn is_postgres(database: &str) -> bool {
    database.starts_with("postgres://")
}

fn bare_role(port: &str, arguments: &[String]) -> anyhow::Result<()> {
    let [list_bytes, database, sources] = arguments else { anyhow::bail!("a role with wrong arguments") };
    end_with_parent();
    let (port, list_bytes, sources): (u16, usize, usize) =
        (port.parse()?, list_bytes.parse()?, sources.parse()?);
    let raw = is_postgres(database).then(|| database.clone());
    actix_rt::System::new().block_on(async move {
        let handles = handles(database, sources).await?;
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
                .configure(|app| raw.iter().for_each(|url| raw_postgres::mount(app, url)))
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
    let query = Query::new(asked.sql.clone(), bare.limits);
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
