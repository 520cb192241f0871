//! The Rust SDK's client as a driver of `tests/clients`: JSON lines in, JSON lines out (README.md).
//!
//! It knows no scenario and judges nothing. `legacy` is the SDK's default handshake, `auto` asks
//! `server/discover` first.

mod sign_in;

use std::collections::HashMap;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CompleteRequestParams, GetPromptRequestParams, ProtocolVersion,
    ReadResourceRequestParams,
};
use rmcp::service::{ClientInitializeError, RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::AbortHandle;

type Client = RunningService<RoleClient, ()>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mode = std::env::args().nth(1).unwrap_or_else(|| "legacy".to_owned());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut client: Option<Arc<Client>> = None;
    let mut running: HashMap<String, AbortHandle> = HashMap::new();
    while let Some(line) = lines.next_line().await? {
        let request: Value = serde_json::from_str(&line)?;
        let id = request["id"].clone();
        match request["op"].as_str().unwrap_or_default() {
            "connect" => match connect(&request, &mode).await {
                Ok(connected) => {
                    let protocol = connected.peer_info().map(|info| info.protocol_version.to_string());
                    client = Some(Arc::new(connected));
                    answer(&id, json!({"protocol": protocol}));
                }
                Err(error) => {
                    let shown = error.downcast_ref::<ClientInitializeError>();
                    fail(&id, error.as_ref(), shown.and_then(ClientInitializeError::auth_challenge));
                }
            },
            "close" => {
                // The last reference; dropping it ends the client's task.
                client = None;
                running.clear();
                answer(&id, json!({}));
            }
            "cancel" => {
                let target = request["target"].to_string();
                if let Some(call) = running.remove(&target) {
                    // Dropping the call's future is how this SDK's callers give up on it.
                    call.abort();
                    say(
                        &json!({"id": request["target"], "ok": false, "error": {"message": "given up by the caller"}}),
                    );
                }
                answer(&id, json!({}));
            }
            _ => {
                let Some(client) = client.clone() else {
                    answer(&id, json!({"ok": false, "error": {"message": "not connected"}}));
                    continue;
                };
                let task = tokio::spawn(carry_out(client, request));
                running.insert(id.to_string(), task.abort_handle());
            }
        }
    }
    Ok(())
}

async fn connect(request: &Value, mode: &str) -> anyhow::Result<Client> {
    let url = request["url"].as_str().unwrap_or_default();
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    let lifecycle = match mode {
        "auto" => ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: None,
        },
        _ => ClientLifecycleMode::Initialize,
    };
    Ok(match request["key"].as_str() {
        Some(key) => {
            let transport = StreamableHttpClientTransport::from_config(config.auth_header(key));
            ().serve_with_lifecycle(transport, lifecycle).await?
        }
        None => {
            let client = sign_in::signed_in(url).await?;
            let transport = StreamableHttpClientTransport::with_client(client, config);
            ().serve_with_lifecycle(transport, lifecycle).await?
        }
    })
}

async fn carry_out(client: Arc<Client>, request: Value) {
    match ask(&client, &request).await {
        Ok(fields) => answer(&request["id"], fields),
        Err(error) => refused(&request["id"], &error),
    }
}

async fn ask(client: &Client, request: &Value) -> Result<Value, ServiceError> {
    let text = |member: &str| request[member].as_str().unwrap_or_default().to_owned();
    let arguments = request["arguments"].as_object().cloned();
    Ok(match text("op").as_str() {
        "list_tools" => json!({"tools": client.list_all_tools().await?}),
        "list_resources" => json!({"resources": client.list_all_resources().await?}),
        "list_resource_templates" => json!({"templates": client.list_all_resource_templates().await?}),
        "list_prompts" => json!({"prompts": client.list_all_prompts().await?}),
        "read_resource" => {
            let read = client.read_resource(ReadResourceRequestParams::new(text("uri"))).await?;
            json!({"contents": read.contents})
        }
        "get_prompt" => {
            let params =
                GetPromptRequestParams::new(text("name")).with_arguments(arguments.unwrap_or_default());
            json!({"messages": client.get_prompt(params).await?.messages})
        }
        "complete" => {
            let params: CompleteRequestParams =
                serde_json::from_value(json!({"ref": request["ref"], "argument": request["argument"]}))
                    .expect("the runner writes a completion as the protocol does");
            json!({"values": client.complete(params).await?.completion.values})
        }
        "call" => {
            let mut params = CallToolRequestParams::new(text("name"));
            params.arguments = arguments;
            json!({"result": client.call_tool(params).await?})
        }
        other => panic!("the runner asks for {other}, which this driver does not know"),
    })
}

fn refused(id: &Value, error: &ServiceError) {
    fail(id, error, error.auth_challenge());
}

/// This SDK shows a 401 only as its challenge: a 401 without one stays without a status here.
fn fail(id: &Value, error: &(dyn std::error::Error + 'static), challenge: Option<&str>) {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        message = format!("{message}: {current}");
        cause = current.source();
    }
    let status = challenge.map(|_| 401);
    say(
        &json!({"id": id, "ok": false, "error": {"message": message, "status": status, "challenge": challenge}}),
    );
}

fn answer(id: &Value, mut fields: Value) {
    if fields.get("ok").is_none() {
        fields["ok"] = json!(true);
    }
    fields["id"] = id.clone();
    say(&fields);
}

fn say(line: &Value) {
    println!("{line}");
}
