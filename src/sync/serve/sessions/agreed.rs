//! What a receiver agreed on with itself, held against what this side shows of the table.
//!
//! Pure. Invariant: a contract names only columns that are sent, each once, and a key that the database itself keeps, or
//! none.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::table::Column;
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::session_fault::SessionFault;
use crate::sync::serve::sessions::session::HeldTable;
use crate::sync::serve::sieve::Contract;
use crate::sync::serve::stream::wanted_columns;
use crate::sync::serve::view::View;
use crate::wire::normal::Normal;
use crate::wire::session::Agreed;

const CODE: &str = "invalid_agreed";

impl HeldTable {
    /// The table's contract: the one said now, which holds from the first time on.
    ///
    /// # Errors
    /// When it does not fit, another was said before, or none ever.
    pub(super) fn contract(&self, said: Option<&Agreed>) -> Result<Arc<Contract>, ServeError> {
        let table = &self.view.table.name;
        let refused = |words: String| Err(SessionFault::invalid(CODE, words).into());
        let kept = match (self.agreed.get(), said) {
            (Some(kept), _) => kept,
            (None, Some(said)) => {
                let made = (said.clone(), Arc::new(contract(&self.view, said)?));
                // Whoever else says one at the same moment is held against the first.
                self.agreed.get_or_init(|| made)
            }
            (None, None) => {
                return refused(format!(
                    "Table {table}: `agreed` is missing; the first question about a table says it"
                ));
            }
        };
        match said {
            Some(said) if *said != kept.0 => refused(format!(
                "Table {table}: another `agreed` was said before, and it holds until the session ends"
            )),
            _ => Ok(Arc::clone(&kept.1)),
        }
    }
}

fn contract(view: &View, said: &Agreed) -> Result<Contract, ServeError> {
    let table = view.table.name.clone();
    let unfit = |words: String| SessionFault::invalid(CODE, format!("Table {table}: {words}"));
    let columns = wanted_columns(view, Some(said.columns.clone()))?;
    let place = |name: &String| said.columns.iter().position(|column| column == name);
    let places: Option<Vec<usize>> = said.key.iter().map(place).collect();
    let wanted: BTreeSet<&String> = said.key.iter().collect();
    let mut keys = view.table.usable_keys();
    // Without a key a table is compared as a multiset, which every table is.
    let is_key = wanted.len() == said.key.len()
        && (wanted.is_empty()
            || keys.any(|key| key.columns.iter().collect::<BTreeSet<_>>() == wanted));
    let Some(key) = places.filter(|_| is_key) else {
        let words = "its `key` is no key of the table as this connection sees it, or not among its `columns`";
        return Err(unfit(words.to_owned()).into());
    };
    let shown = said
        .columns
        .iter()
        .filter_map(|name| view.table.column(name));
    let shown: Vec<Column> = shown.cloned().collect();
    let normal = Normal::new(&shown, &said.forms).map_err(|err| unfit(err.to_string()))?;
    Ok(Contract {
        columns,
        key,
        normal,
        is_whole: view.is_whole(),
        table,
    })
}
