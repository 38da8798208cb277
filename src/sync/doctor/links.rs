//! What `doctor` tells of the links to this site: certificates, and whether a token could be read on its way here.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::base::certificate::{
    Certificate, CertificateError, CertificateFiles, LiveCertificate, Standing, authorities,
};
use crate::config::Config;
use crate::model::finding::Finding;
use crate::model::url::is_loopback;
use crate::sync::Ctx;

/// With less than this left a certificate expires soon.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
const RELOAD: &str = "send the daemon SIGHUP, which takes it over without a pause";

/// The findings of a running daemon, which knows what it shows.
pub(super) async fn findings(ctx: &Ctx) -> Vec<Finding> {
    let (config, certificates) = (&ctx.config, &ctx.certificates);
    let now = Timestamp::now();
    let mut findings = vec![site_url(ctx).await];
    findings.extend(open_listener(config));
    findings.push(admin_exposure(config));
    let host = config.site.url.host();
    let listeners = [
        (
            "server.tls",
            &config.server.tls,
            &certificates.server,
            Some(host),
        ),
        ("admin.tls", &config.admin.tls, &certificates.admin, None),
    ];
    for (section, files, shown, host) in listeners {
        if let Some((files, shown)) = files.as_ref().zip(shown.as_deref()) {
            findings.push(of_shown(section, &shown.current(), now));
            findings.extend(of_disk(section, files, files.load(), Some(shown)));
            findings.extend(host.and_then(|host| of_name(&shown.current(), host)));
        }
    }
    findings.extend(config.outgoing.ca_file.as_deref().map(of_authorities));
    findings
}

/// The findings where no daemon answers.
pub(super) fn file_findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let listeners = [
        ("server.tls", &config.server.tls),
        ("admin.tls", &config.admin.tls),
    ];
    for (section, files) in listeners {
        let Some(files) = files else { continue };
        let found = files.load();
        if let Ok(certificate) = &found {
            findings.push(of_shown(section, certificate, Timestamp::now()));
        }
        findings.extend(of_disk(section, files, found, None));
    }
    findings.extend(config.outgoing.ca_file.as_deref().map(of_authorities));
    findings
}

/// Peers send their tokens to this URL.
async fn site_url(ctx: &Ctx) -> Finding {
    let url = &ctx.config.site.url;
    if url.is_encrypted() {
        return Finding::good(format!("peers reach this site encrypted, at {url}"));
    }
    match ctx.remote.check_token_may_cross(url).await {
        Ok(()) => Finding::good(format!(
            "peers reach this site at {url}, which does not leave this machine or the networks in outgoing.allowed_networks"
        )),
        Err(_) => Finding::bad(
            format!(
                "site.url is {url}: a token could be read on its way there, so peers refuse it"
            ),
            "set [server.tls] or a proxy that ends TLS, and write https:// in site.url",
        ),
    }
}

/// Without TLS only callers that nobody can overhear are served.
fn open_listener(config: &Config) -> Option<Finding> {
    let server = &config.server;
    let reachable = server.tls.is_none() && !is_loopback(server.listen.ip());
    let trusts_nobody =
        server.trusted_proxies.is_empty() && config.outgoing.allowed_networks.is_empty();
    (reachable && trusts_nobody).then(|| {
        Finding::bad(
            format!(
                "peers are refused: server.listen = {} has no TLS, and no proxy or network is named",
                server.listen
            ),
            "set [server.tls], or name the proxy in server.trusted_proxies",
        )
    })
}

fn admin_exposure(config: &Config) -> Finding {
    let is_far = |address: &SocketAddr| !is_loopback(address.ip());
    match (config.admin.listen, &config.admin.tls) {
        (Some(address), None) if is_far(&address) => Finding::bad(
            format!(
                "the admin API listens on {address} without TLS: tokens cross the network readable"
            ),
            "set [admin.tls], or set admin.listen to a loopback address and reach it through a tunnel",
        ),
        (Some(address), Some(_)) if is_far(&address) => {
            Finding::good(format!("the admin API listens on {address}, encrypted"))
        }
        (Some(_), _) => Finding::good("the admin API listens on this machine only"),
        (None, _) => Finding::good("the admin API listens on its socket only"),
    }
}

fn of_shown(section: &str, shown: &Certificate, now: Timestamp) -> Finding {
    let (from, until) = (shown.valid_from(), shown.expires_at());
    let renew = format!("renew it, put the files in their place, and {RELOAD}");
    match shown.standing(now, SOON) {
        Standing::Valid => Finding::good(format!(
            "the certificate of {section} is valid until {until}"
        )),
        Standing::ExpiresSoon => Finding::bad(
            format!("the certificate of {section} expires at {until}"),
            renew,
        ),
        Standing::Expired => Finding::bad(
            format!("the certificate of {section} expired at {until}: callers refuse it"),
            renew,
        ),
        Standing::NotYetValid => Finding::bad(
            format!("the certificate of {section} is valid only from {from} on: callers refuse it"),
            "let an NTP client keep the clock, or make another certificate",
        ),
    }
}

/// What lies on the disk: whether others can read the key, and whether the next reload will find it in order.
fn of_disk(
    section: &str,
    files: &CertificateFiles,
    found: Result<Certificate, CertificateError>,
    shown: Option<&LiveCertificate>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let key = files.key.display();
    let is_open = |metadata: std::fs::Metadata| metadata.permissions().mode() & 0o007 != 0;
    if std::fs::metadata(&files.key).is_ok_and(is_open) {
        findings.push(Finding::bad(
            format!("the private key {key} is open to everybody on this machine"),
            format!("chmod o= {key}"),
        ));
    }
    match found {
        Err(err) => findings.push(Finding::bad(
            format!("{section}: {err}"),
            "correct the files: the daemon would not start with them again",
        )),
        Ok(found) if shown.is_some_and(|shown| !shown.current().is_same(&found)) => {
            findings.push(Finding::bad(
                format!("{section}: the certificate on the disk is another than the one in use"),
                RELOAD,
            ));
        }
        Ok(_) => {}
    }
    findings
}

fn of_name(shown: &Certificate, host: &str) -> Option<Finding> {
    (!shown.names(host)).then(|| {
        Finding::bad(
            format!("the certificate of server.tls is not for {host}, the host of site.url: peers refuse it"),
            "get a certificate for that name, or correct site.url",
        )
    })
}

fn of_authorities(file: &Path) -> Finding {
    match authorities(file) {
        Ok(found) => Finding::good(format!(
            "outgoing.ca_file names {} besides the system's authorities",
            found.len()
        )),
        Err(err) => Finding::bad(
            format!("outgoing.ca_file: {err}"),
            "correct the file: the daemon would not start with it again",
        ),
    }
}
