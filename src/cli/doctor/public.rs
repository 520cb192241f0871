//! What clients meet: the public URL, whether the server answers on it from here, and its certificate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use super::Report;
use crate::api;
use crate::config::Config;
use crate::context::Clock;
use crate::tls::{self, Files, Loaded};

/// A certificate that ends within these days is due, unless it is of a kind that lives so short.
const DUE_DAYS: i64 = 14;
const DAY_MS: i64 = 86_400_000;

pub(super) fn look(report: &mut Report, config: &Config, server: Option<&api::Server>, clock: &Clock) {
    let certificate = certificate(report, config, clock);
    url(report, config);
    let bound = server.and_then(|server| server.listen.as_deref()).and_then(|listen| listen.parse().ok());
    if let Some(bound) = bound {
        reach(report, config, bound, certificate.as_ref());
    }
}

fn certificate(report: &mut Report, config: &Config, clock: &Clock) -> Option<Loaded> {
    let (certificate, private_key) = config.tls.files()?;
    let files = Files { certificate: certificate.to_owned(), private_key: private_key.to_owned() };
    let loaded = match files.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            report.problem(
                "certificate",
                error.to_string(),
                "Put the right files there; the server looks by itself.",
            );
            return None;
        }
    };
    let Some(validity) = loaded.validity else {
        report.warning(
            "certificate",
            "Its validity cannot be read.",
            "Look at it with 'openssl x509 -text'.",
        );
        return Some(loaded);
    };
    let (now, until) = (clock.now(), validity.until);
    let (left, whole) = (until.0 - now.0, until.0 - validity.from.0);
    let renew = "Renew it; the server serves the new one as soon as the files are exchanged.";
    if left <= 0 {
        report.problem("certificate", format!("It has expired at {until}."), renew);
    } else if now < validity.from {
        let advice = "Set the machine's clock, or wait.";
        report.problem("certificate", format!("It is valid from {} on only.", validity.from), advice);
    } else if left < DUE_DAYS * DAY_MS && left < whole / 3 {
        report.warning("certificate", format!("It expires at {until}, in {} days.", left / DAY_MS), renew);
    } else {
        report.ok("certificate", format!("It is valid until {until}."));
    }
    Some(loaded)
}

fn url(report: &mut Report, config: &Config) {
    let tls = config.tls.files().is_some();
    let open = !config.server.listen.ip().is_loopback();
    let configured = &config.server.public_url;
    let Ok(url) = Url::parse(configured) else {
        // Empty: the configuration lets nothing else through.
        if open && !tls {
            let message = format!(
                "Sequel listens on {} in the clear: keys can be read on their way.",
                config.server.listen
            );
            let advice = "Set tls.certificate, or listen on 127.0.0.1 and put a proxy with TLS before it.";
            report.warning("public URL", message, advice);
        } else if open {
            let advice = "Set server.public_url to the name that the certificate is for.";
            report.warning("public URL", "Clients are told an address, not a name.", advice);
        } else {
            report.ok("public URL", "Clients on this machine use the address that is listened on.");
        }
        return;
    };
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "http" if tls => report.problem(
            "public URL",
            format!("{configured} says http, but Sequel serves https."),
            "Write https:// in server.public_url.",
        ),
        "http" if !loopback => report.warning(
            "public URL",
            format!("{configured} is in the clear: keys can be read on their way."),
            "Use https: set tls.certificate, or put a proxy with TLS before Sequel.",
        ),
        "https" if !tls && config.server.trusted_proxies.is_empty() => report.warning(
            "public URL",
            format!("{configured} needs a proxy with TLS, and server.trusted_proxies names none."),
            "Name the proxy's address there: otherwise all clients count as one when wrong keys are throttled.",
        ),
        _ => report.ok("public URL", format!("{configured} goes with how Sequel is served.")),
    }
}

/// Asks the server for its health, as a client on this machine would.
fn reach(report: &mut Report, config: &Config, bound: SocketAddr, certificate: Option<&Loaded>) {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let at = SocketAddr::new(ip, bound.port());
    let secure = config.tls.files().is_some();
    match tls::look(at, secure, "/healthz") {
        Ok(looked) if looked.status == 200 => {
            report.ok("reachable", format!("The server answers on {at}."));
            // The whole chain: clients refuse a server that leaves out a certificate between.
            let same = certificate.is_none_or(|file| looked.chain == file.chain());
            if secure && !same {
                report.warning(
                    "certificate",
                    "The server serves another certificate or chain than the file holds.",
                    "Look into its log for why it could not be loaded, or send it SIGHUP.",
                );
            }
        }
        Ok(looked) => report.problem(
            "reachable",
            format!("{at} answers with the status {}.", looked.status),
            "Look whether another program listens there.",
        ),
        Err(error) => report.problem(
            "reachable",
            format!("The server does not answer on {at} ({error})."),
            "Look into its log; where the configuration was changed since it started, restart it.",
        ),
    }
}
