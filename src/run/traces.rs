//! Traces to an OTLP collector over HTTP, in a build with the feature `otel`.
//!
//! Spans are made where the work is done, under the target [`SPANS`]; the log does not show them and without
//! a collector nobody makes them. They hold names, kinds and numbers: no SQL, no rows, no secret.

use anyhow::bail;

use crate::config::Telemetry;

#[cfg(feature = "otel")]
pub(super) use exporting::Traces;

/// Nothing is sent.
#[cfg(not(feature = "otel"))]
pub(super) struct Traces;

#[cfg(not(feature = "otel"))]
impl Traces {
    /// Refuses what this build cannot do.
    pub(super) fn start(telemetry: &Telemetry) -> anyhow::Result<Option<Self>> {
        if !telemetry.endpoint.is_empty() {
            bail!(
                "telemetry.endpoint is set, but this build of Sequel has no OpenTelemetry. Build it with --features \
                 otel, or remove the setting."
            );
        }
        Ok(None)
    }

    /// There is nothing to send.
    pub(super) fn stop(self) {}
}

#[cfg(feature = "otel")]
mod exporting {
    use std::fmt;
    use std::time::Duration;

    use anyhow::Context as _;
    use async_trait::async_trait;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full, Limited};
    use hyper::client::conn::http1::handshake;
    use hyper::header::{HOST, HeaderValue};
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_http::{HttpClient, HttpError};
    use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

    use super::{Telemetry, bail};

    /// How long a collector may take for one batch of spans.
    const TIMEOUT: Duration = Duration::from_secs(10);
    /// Longest answer of a collector that is read.
    const ANSWER_BYTES_MAX: usize = 64 * 1024;

    /// What sends spans, on a thread of its own.
    pub(in super::super) struct Traces {
        provider: SdkTracerProvider,
    }

    impl Traces {
        /// Sends to the configured collector; `None` where there is none. That it can be reached is not held
        /// against it: traces are no reason not to serve.
        pub(in super::super) fn start(telemetry: &Telemetry) -> anyhow::Result<Option<Self>> {
            if telemetry.endpoint.is_empty() {
                return Ok(None);
            }
            let Ok(client) = Client::new() else { bail!("a thread for traces cannot be prepared") };
            let exporter = SpanExporter::builder()
                .with_http()
                .with_http_client(client)
                .with_endpoint(telemetry.endpoint.clone())
                .with_timeout(TIMEOUT)
                .build()
                .context("telemetry.endpoint cannot be used")?;
            let ratio = f64::from(telemetry.sample_percent) / 100.0;
            let resource = Resource::builder()
                .with_service_name(telemetry.service_name.clone())
                .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
                .build();
            let provider = SdkTracerProvider::builder()
                .with_batch_exporter(exporter)
                // A client's own trace is not continued: strangers would decide what is sampled.
                .with_sampler(Sampler::TraceIdRatioBased(ratio))
                .with_resource(resource)
                .build();
            Ok(Some(Self { provider }))
        }

        /// What makes the spans.
        pub(in super::super) fn tracer(&self) -> SdkTracer {
            self.provider.tracer("sequel")
        }

        /// Sends what waits and ends. Blocks, for as long as the collector may take.
        pub(in super::super) fn stop(self) {
            if let Err(error) = self.provider.shutdown() {
                tracing::warn!(%error, "the last traces could not be sent");
            }
        }
    }

    /// Plain HTTP/1 to a collector. Called on the exporter's own thread, which may block.
    struct Client(tokio::runtime::Runtime);

    impl Client {
        fn new() -> std::io::Result<Self> {
            Ok(Self(tokio::runtime::Builder::new_current_thread().enable_all().build()?))
        }
    }

    impl fmt::Debug for Client {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Client")
        }
    }

    #[async_trait]
    impl HttpClient for Client {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            self.0.block_on(async { tokio::time::timeout(TIMEOUT, send(request)).await? })
        }
    }

    async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        let authority = parts.uri.authority().ok_or("the collector's URL has no host")?.clone();
        let address = (authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(80));
        let stream = tokio::net::TcpStream::connect(address).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        parts.headers.insert(HOST, HeaderValue::from_str(authority.as_str())?);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
        parts.uri = path;
        let answer = sender.send_request(Request::from_parts(parts, Full::new(body))).await?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
        connection.abort();
        Ok(Response::from_parts(parts, body))
    }
}
