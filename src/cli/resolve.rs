//! Finds the connection, sync, run or token a person means: by its exact name, its id, or the beginning of its id.

use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::fields::text;

/// The connection that `wanted` names.
pub(super) async fn connection(client: &Client, wanted: &str) -> anyhow::Result<Value> {
    let all = client.list(&["connections"], &[], usize::MAX).await?;
    Ok(pick("connection", wanted, &all)?.clone())
}

/// The sync that `wanted` names.
pub(super) async fn sync(client: &Client, wanted: &str) -> anyhow::Result<Value> {
    let all = client.list(&["syncs"], &[], usize::MAX).await?;
    Ok(pick("sync", wanted, &all)?.clone())
}

/// The id of the run that `wanted` is or begins.
pub(super) async fn run(client: &Client, wanted: &str) -> anyhow::Result<String> {
    if wanted.parse::<crate::model::id::RunId>().is_ok() {
        return Ok(wanted.to_owned());
    }
    let all = client.list(&["runs"], &[], usize::MAX).await?;
    Ok(text(pick("run", wanted, &all)?, "id").to_owned())
}

/// The item that `wanted` names; when several fit, the failure lists them.
pub(super) fn pick<'a>(noun: &str, wanted: &str, items: &'a [Value]) -> Result<&'a Value, Failure> {
    let exact = |item: &&Value| text(item, "name") == wanted || text(item, "id") == wanted;
    if let Some(item) = items.iter().find(exact).filter(|_| !wanted.is_empty()) {
        return Ok(item);
    }
    let begins = |item: &&Value| !wanted.is_empty() && text(item, "id").starts_with(wanted);
    let found: Vec<&Value> = items.iter().filter(begins).collect();
    match found.as_slice() {
        [item] => Ok(item),
        [] => Err(Failure::usage(format!(
            "there is no {noun} `{wanted}`; `evenkeel {}` lists them",
            match noun {
                "token" | "sync" => format!("{noun} list"),
                _ => format!("{noun}s"),
            }
        ))),
        several => {
            let lines = several.iter().map(|item| {
                let (id, name) = (text(item, "id"), text(item, "name"));
                format!("\n  {id}  {name}").trim_end().to_owned()
            });
            Err(Failure::usage(format!(
                "`{wanted}` begins the id of {} {noun}s; write more of it:{}",
                several.len(),
                lines.collect::<String>()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{pick, text};

    #[test]
    fn a_name_or_the_beginning_of_an_id_is_enough_when_only_one_fits() {
        let items = [
            json!({"id": "0193a", "name": "hq"}),
            json!({"id": "0193b", "name": "0193"}),
            json!({"id": "0194c", "name": "berlin"}),
        ];
        let picked = |wanted| pick("connection", wanted, &items).map(|item| text(item, "id"));
        assert_eq!(picked("hq"), Ok("0193a"));
        assert_eq!(picked("0194"), Ok("0194c"));
        assert_eq!(picked("0193"), Ok("0193b"), "an exact name comes first");
        let ambiguous = picked("019").unwrap_err();
        assert!(
            ambiguous.words.contains("0193a  hq") && ambiguous.words.contains("0194c"),
            "{ambiguous}"
        );
        for unknown in ["", "h", "9"] {
            assert!(picked(unknown).is_err(), "{unknown}");
        }
    }
}
