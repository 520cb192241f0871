//! What an application brings for the Rust SDK's client to sign in: a callback on loopback, and a browser, which is the
//! program that `BROWSER` names.

use anyhow::Context as _;
use rmcp::transport::auth::{AuthClient, AuthorizationRequest, OAuthState};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 24\r\nConnection: close\r\n\r\nYou can close this page.";
const MISSING: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// An HTTP client that has signed in at the server, and refreshes by itself.
pub(super) async fn signed_in(url: &str) -> anyhow::Result<AuthClient<reqwest::Client>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let mut state = OAuthState::new(url, None).await?;
    let request =
        AuthorizationRequest::new(format!("{origin}/callback")).with_client_name("sequel-tests-rmcp");
    state.start_authorization(request).await?;
    let browser = std::env::var_os("BROWSER").context("BROWSER is not set")?;
    let status =
        tokio::process::Command::new(browser).arg(state.get_authorization_url().await?).status().await?;
    anyhow::ensure!(status.success(), "the browser ends with {status}");
    let target = answered(&listener).await?;
    state.handle_callback_url(&format!("{origin}{target}")).await?;
    let manager =
        state.into_authorization_manager().context("the SDK is not signed in after its callback")?;
    Ok(AuthClient::new(reqwest::Client::new(), manager))
}

/// The path and query of the first request for the callback.
async fn answered(listener: &TcpListener) -> anyhow::Result<String> {
    loop {
        let (stream, _) = listener.accept().await?;
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        stream.read_line(&mut head).await?;
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 2 {
            line.clear();
        }
        let is_ours = target.starts_with("/callback?");
        stream.write_all(if is_ours { PAGE } else { MISSING }).await?;
        stream.shutdown().await?;
        if is_ours {
            return Ok(target);
        }
    }
}
