//! Encrypted connections to a server with an authority of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::Driver;

use super::driver;
use crate::support::mariadb::{self, Mariadb};
use crate::support::tls::Authority;

/// Writes a file that the server's user can read; its path.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_believed_by_its_certificate_and_its_name_or_not_at_all() {
    let (own, other) = (Authority::new(), Authority::new());
    let issued = own.issue(&["127.0.0.1"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let certificate = file(folder.path(), "cert.pem", &issued.certificate);
    let key = file(folder.path(), "key.pem", &issued.key);
    let trusted = file(folder.path(), "own.pem", &own.pem());
    let stranger = file(folder.path(), "other.pem", &other.pem());
    let server = Mariadb::with_settings(&[
        &format!("--ssl-cert={certificate}"),
        &format!("--ssl-key={key}"),
    ]);
    mariadb::query(
        &server.url("mysql"),
        "create user encrypted@'127.0.0.1' require ssl; grant all on *.* to encrypted@'127.0.0.1'",
    );
    let url = server.url_of("encrypted", "mysql");
    let by_name = url.replace("127.0.0.1", "localhost");
    for (url, parameters, is_believed) in [
        (
            &url,
            format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={trusted}"),
            true,
        ),
        (
            &url,
            format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={stranger}"),
            false,
        ),
        (&url, "ssl-mode=VERIFY_IDENTITY".to_owned(), false),
        (
            &by_name,
            format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={trusted}"),
            false,
        ),
        (
            &by_name,
            format!("ssl-mode=VERIFY_CA&ssl-ca={trusted}"),
            true,
        ),
        (
            &by_name,
            format!("ssl-mode=VERIFY_CA&ssl-ca={stranger}"),
            false,
        ),
        (&url, "ssl-mode=REQUIRED".to_owned(), true),
        (&url, "ssl-mode=DISABLED".to_owned(), false),
        (&url, String::new(), true),
    ] {
        let found = driver(&format!("{url}?{parameters}"), &[]).version().await;
        assert_eq!(found.is_ok(), is_believed, "{parameters}: {found:?}");
        if let Err(err) = found {
            assert!(
                matches!(err, EngineError::Unreachable(_)),
                "{parameters}: {err}"
            );
        }
    }
}
