//! Which rows of a table a session is over, as the peer says, held against what was asked for.
//!
//! Pure. Invariant: what is said holds every condition of the row filter that was asked for, so that no row outside it is
//! taken for one that the source deleted.

use crate::model::filter::Filter;
use crate::model::order::TableOrder;
use crate::sync::SyncError;
use crate::sync::pull::feed::nonsense;
use crate::wire::session::SessionTable;

/// What the source says of the rows that there are for this site.
#[derive(Clone, Debug, Default)]
pub(super) struct GivenRows {
    /// Only those that pass this, by its own names.
    pub(super) scope: Option<Filter>,
    /// Others are left out by what this site cannot see.
    pub(super) hides_rows: bool,
    /// Another one once what is granted of the table was changed; an earlier version tells none.
    pub(super) grant: Option<String>,
}

impl GivenRows {
    /// What a session tells of the table that was asked for by `order`.
    ///
    /// # Errors
    /// When a condition of the row filter is not among those that it names.
    pub(super) fn told(order: &TableOrder, table: &SessionTable) -> Result<Self, SyncError> {
        let told = table.scope.as_ref().map(Filter::terms).unwrap_or_default();
        let mut asked = order.row_filter.iter().flat_map(Filter::terms);
        if let Some(left_out) = asked.find(|term| !told.contains(term)) {
            let (source, column) = (&order.source_table, &left_out.column);
            let message = format!(
                "the peer does not keep to the row filter of {source}: its session is over rows that the condition on {column} leaves out"
            );
            return Err(nonsense(order.destination(), message));
        }
        Ok(Self {
            scope: table.scope.clone(),
            hides_rows: table.hides_rows,
            grant: table.grant.clone(),
        })
    }

    /// The order by which its rows are held against what the source says of them, which is no less than what was asked.
    pub(super) fn order(&self, asked: &TableOrder) -> TableOrder {
        let mut order = asked.clone();
        if self.scope.is_some() {
            order.row_filter.clone_from(&self.scope);
        }
        order
    }
}
