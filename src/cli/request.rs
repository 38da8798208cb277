//! `request`: ask another site for access to its tables.

use crate::cli::arguments::RequestArguments;
use crate::cli::connect::{Order, Purpose, carry_out, conclude};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::password;
use crate::model::url::PeerUrl;

/// Asks the peer; also done when its administrator has yet to decide.
pub(super) async fn run(context: &Context, arguments: RequestArguments) -> anyhow::Result<Exit> {
    let output = context.output;
    let url = PeerUrl::parse(&arguments.url).map_err(|err| Failure::usage(err.to_string()))?;
    let names: Vec<String> = arguments.tables.iter().map(ToString::to_string).collect();
    output.note(&announcement(url.host(), &names));
    let client = context.client()?;
    let mut order = Order {
        url: url.to_string(),
        name: arguments.name.unwrap_or_else(|| url.host().to_owned()),
        purpose: Purpose::Ask {
            tables: arguments.tables,
        },
        password: password::given(context, arguments.password_file.as_deref())?,
    };
    let connection = carry_out(context, &client, &mut order).await?;
    conclude(&client, output, &connection, arguments.wait).await
}

/// What is asked for, said before.
fn announcement(host: &str, names: &[String]) -> String {
    let what = if names.is_empty() {
        "tables of its choice".to_owned()
    } else {
        names.join(", ")
    };
    format!(
        "This site asks {host} to let it read {what}. Nothing will be read or written until then."
    )
}

#[cfg(test)]
mod tests {
    use super::announcement;

    #[test]
    fn what_is_asked_for_is_said() {
        let names = ["orders".to_owned(), "items".to_owned()];
        assert!(announcement("hq", &names).contains("asks hq to let it read orders, items."));
        assert!(announcement("hq", &[]).contains("tables of its choice"));
    }
}
