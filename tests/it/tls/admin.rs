//! The commands and the admin API over https.

use crate::support::daemon::{Output, Site};
use crate::support::http::{Address, Request};
use crate::support::tls::Authority;
use crate::tls::ask;

struct Https {
    site: Site,
    authority: Authority,
    url: String,
    token: String,
}

impl Https {
    fn start() -> Self {
        let authority = Authority::new();
        let site = Site::builder("hq")
            .sqlite(|_| {})
            .certified("admin.tls", &authority.issue(&["127.0.0.1"]))
            .start();
        let Address::Tcp(address) = site.admin_address() else {
            panic!("no TCP listener");
        };
        std::fs::write(site.folder().join("ca.pem"), authority.pem()).unwrap();
        Self {
            token: site.token().to_owned(),
            url: format!("https://{address}"),
            site,
            authority,
        }
    }

    fn command(&self, url: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = self.site.command();
        command
            .args(["--server", url])
            .args(arguments)
            .env("EVENKEEL_TOKEN", &self.token)
            .envs(variables.iter().copied());
        let output = command.output().unwrap();
        Output {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn commands_reach_a_daemon_over_https_with_an_authority_of_its_own() {
    let https = Https::start();
    let by_option = https.command(&https.url, &[], &["--ca-file", "ca.pem", "settings"]);
    assert_eq!(by_option.code, 0, "{by_option:#?}");
    let by_variable = https.command(&https.url, &[("EVENKEEL_CA_FILE", "ca.pem")], &["settings"]);
    assert_eq!(by_variable.stdout, by_option.stdout);
    // Nothing changed for the socket.
    assert_eq!(https.site.cli(&["settings"]).stdout, by_option.stdout);
}

#[test]
fn a_command_says_why_it_does_not_speak_with_a_listener() {
    let https = Https::start();
    let plain = https.url.replacen("https", "http", 1);
    let peers = https.site.url().replacen("http", "https", 1);
    for (url, arguments, code, words) in [
        (https.url.as_str(), &["settings"][..], 3, "--ca-file FILE"),
        (&plain, &["settings"], 3, "write https://"),
        (&peers, &["settings"], 3, "does not speak TLS"),
        (
            &https.url,
            &["--ca-file", "none.pem", "settings"],
            2,
            "none.pem",
        ),
        (
            "http://93.184.216.34",
            &["settings"],
            4,
            "token could be read",
        ),
    ] {
        let told = https.command(url, &[], arguments);
        assert_eq!(told.code, code, "{told:#?}");
        assert!(told.stderr.contains(words), "{told:#?}");
    }
}

#[test]
fn the_admin_api_answers_over_http2_to_its_own_names_only() {
    let https = Https::start();
    let Address::Tcp(address) = https.site.admin_address() else {
        panic!("no TCP listener");
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let own = address.to_string();
    let statuses = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(https.authority.client(&["h2"]));
        let stream = connector
            .connect(address.ip().into(), stream)
            .await
            .unwrap();
        let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
        let asked = async {
            let mut statuses = Vec::new();
            for host in [own.as_str(), "evil.example:7441"] {
                let request = axum::http::Request::get(format!("https://{host}/api/v1/site"))
                    .header("authorization", format!("Bearer {}", https.token));
                let (answer, _) = requests
                    .send_request(request.body(()).unwrap(), true)
                    .unwrap();
                statuses.push(answer.await.unwrap().status().as_u16());
            }
            statuses
        };
        tokio::select! {
            statuses = asked => statuses,
            ended = connection => panic!("{ended:?}"),
        }
    });
    assert_eq!(statuses, [200, 403]);
    let health = Request::new("GET", "/healthz");
    ask(address, &https.authority, &health).unwrap().expect(200);
}
