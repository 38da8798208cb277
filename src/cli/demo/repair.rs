//! The demo's second half: rows are broken at the destination behind everybody's back, found, repaired, and what both
//! sites signed about it is shown.

use serde_json::{Value, json};

use super::{Stage, described, unexpected};
use crate::cli::demo::data;
use crate::cli::fields::text;
use crate::cli::{differences, receipts};
use crate::model::order::TableOrder;
use crate::model::run::{RunOrder, SyncMode};
use crate::model::table::TableName;
use crate::wire::receipt::Receipt;

impl Stage {
    /// Breaks rows at the receiver, whose connection is `id`, finds them and repairs them.
    pub(super) async fn repair(&self, id: &str) -> anyhow::Result<()> {
        let broken = data::break_rows(&mut self.receiver.open_database()?)?;
        let told: Vec<String> = broken.iter().map(described).collect();
        self.tell(&format!(
            "Somebody breaks rows in berlin's database, by hand. To be as in newyork it takes: {}.",
            told.join("; ")
        ))?;
        let names: Vec<&str> = broken.iter().map(|change| change.table).collect();
        let client = self.receiver.client()?;
        self.typed("berlin", &format!("diff newyork {}", names.join(" ")))?;
        let asked = json!({"tables": names, "rows": 20});
        let run = client.post(&["connections", id, "diff"], &asked).await?;
        differences::wait(&client, self.output, &run).await?;
        let found = client.get(&["runs", text(&run, "id")]).await?;
        exactly(&unexpected(&found, &broken), "found")?;

        let names = names.join(" ");
        self.typed("berlin", &format!("pull newyork {names} --mode mirror"))?;
        let tables = broken.iter().map(|change| TableName::bare(change.table));
        let order = RunOrder {
            sync_mode: SyncMode::Mirror,
            ..RunOrder::of(tables.map(TableOrder::of).collect())
        };
        let run = self.pull(&client, id, &order).await?;
        exactly(&unexpected(&run, &broken), "repaired")?;
        self.tell("Exactly those rows were found, and exactly those repaired.")?;
        self.receipts(&run).await
    }

    async fn receipts(&self, run: &Value) -> anyhow::Result<()> {
        self.typed(
            "berlin",
            &format!(
                "runs receipt {} | evenkeel verify-receipt -",
                text(run, "id")
            ),
        )?;
        let client = self.receiver.client()?;
        let path = ["runs", text(run, "id"), "receipts"];
        let kept = client.list(&path, &[], usize::MAX).await?;
        anyhow::ensure!(!kept.is_empty(), "the two sites signed no receipt");
        for receipt in kept {
            let receipt: Receipt = serde_json::from_value(receipt)?;
            let checked = receipt.check([None, None]);
            let holds = checked.is_ok();
            receipts::tell(self.output, &receipt, checked)?;
            anyhow::ensure!(holds, "a receipt does not hold");
        }
        Ok(())
    }
}

fn exactly(wrong: &[String], done: &str) -> anyhow::Result<()> {
    let wrong = wrong.join("; ");
    anyhow::ensure!(wrong.is_empty(), "not what was broken was {done}: {wrong}");
    Ok(())
}
