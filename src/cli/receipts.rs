//! Receipts: printing those that the daemon keeps, and `verify-receipt`, which checks some offline, without a daemon, a
//! database or settings.

use serde_json::{Value, json};

use crate::cli::arguments::VerifyReceiptArguments;
use crate::cli::exit::{Exit, Failure};
use crate::cli::print::{Output, grouped};
use crate::wire::receipt::{Receipt, ReceiptFault, Side, Signer, Terms};

/// One a line, as they are: what is printed is what `verify-receipt` reads.
pub(super) fn print(output: Output, receipts: &[Value]) -> anyhow::Result<Exit> {
    for receipt in receipts {
        output.object(receipt)?;
    }
    if receipts.is_empty() {
        output.note(
            "No receipts: nothing was pulled and proved (a look signs none), the peer does not sign, or they were kept long enough (receipts.keep).",
        );
        return Ok(Exit::Told);
    }
    Ok(Exit::Done)
}

/// Says of each receipt in the file whether it holds; with keys, whether these two sites signed it.
pub(super) fn verify(output: Output, arguments: &VerifyReceiptArguments) -> anyhow::Result<Exit> {
    let (source, destination) = (&arguments.source_key, &arguments.destination_key);
    let keys = [source.as_deref(), destination.as_deref()];
    let mut exit = Exit::Done;
    for receipt in read(&arguments.file)? {
        let checked = receipt.check(keys);
        if checked.is_err() {
            exit = Exit::Told;
        }
        tell(output, &receipt, checked)?;
    }
    if keys.contains(&None) {
        output.note(
            "Whose keys these are, only the sites themselves can tell: `evenkeel connections show ID` on each of them. With --source-key and --destination-key they are compared.",
        );
    }
    Ok(exit)
}

/// The receipts of a file: one object, or several one after the other.
fn read(file: &std::path::Path) -> Result<Vec<Receipt>, Failure> {
    let fault = |words: String| Failure::usage(format!("{}: {words}", file.display()));
    let read = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin().lock())
    } else {
        std::fs::read_to_string(file)
    };
    let text = read.map_err(|err| fault(err.to_string()))?;
    let receipts: Result<Vec<Receipt>, _> = serde_json::Deserializer::from_str(&text)
        .into_iter()
        .collect();
    match receipts {
        Ok(receipts) if !receipts.is_empty() => Ok(receipts),
        Ok(_) => Err(fault(
            "it is empty; `evenkeel runs receipt ID` prints receipts".to_owned(),
        )),
        Err(err) => Err(fault(format!("it holds no receipt: {err}"))),
    }
}

/// What one receipt says, given whether it holds.
pub(super) fn tell(
    output: Output,
    receipt: &Receipt,
    checked: Result<Terms, ReceiptFault>,
) -> anyhow::Result<()> {
    let terms = match checked {
        Ok(terms) => terms,
        Err(fault) if output.json => {
            let told = json!({"holds": false, "reason": fault.to_string()});
            return Ok(output.object(&told)?);
        }
        Err(fault) => return Ok(output.line(&format!("does not hold: {fault}"))?),
    };
    let key_of = |signer| {
        let mut signatures = receipt.signatures.iter();
        let signed = signatures.find(|signed| signed.by == signer);
        signed.map_or("", |signed| signed.key.as_str())
    };
    let (source, destination) = (key_of(Signer::Source), key_of(Signer::Destination));
    if output.json {
        let told = json!({"holds": true, "terms": terms, "source_key": source, "destination_key": destination});
        return Ok(output.object(&told)?);
    }
    output.line(&format!("holds: {}", equation(&terms)))?;
    let done = &terms.committed;
    output.line(&format!(
        "  run {}, {}: {} added, {} updated, {} deleted; proved {}",
        terms.run_id,
        terms.sync_mode,
        grouped(done.added),
        grouped(done.updated),
        grouped(done.deleted),
        terms.proved_at
    ))?;
    for (role, side, key) in [
        ("gave", &terms.source, source),
        ("received", &terms.destination, destination),
    ] {
        output.line(&format!("  {}", signature(role, side, key)))?;
    }
    Ok(())
}

/// What the sums say. A name is quoted with what would hide in it written out: nobody has checked it.
fn equation(terms: &Terms) -> String {
    let side = |side: &Side| {
        let (rows, table) = (grouped(side.at.rows), side.table.to_string());
        format!("{rows} rows of {table:?} at {:?}", side.site_name)
    };
    let (source, destination) = (side(&terms.source), side(&terms.destination));
    let which = match terms.filter {
        Some(_) => " (those that a filter lets through)",
        None => "",
    };
    let (here, there) = (terms.left_here.rows, terms.left_there.rows);
    if here == 0 && there == 0 {
        return format!("{source}{which} are equal to {destination}");
    }
    format!(
        "{source}{which} are {destination}, less {} that the rules left there, plus {} that are not there as they are in the source",
        grouped(here),
        grouped(there)
    )
}

fn signature(role: &str, side: &Side, key: &str) -> String {
    format!(
        "{:?} ({}) {role}; read at {:?}; key {key}",
        side.site_name, side.site_id, side.read_point
    )
}
