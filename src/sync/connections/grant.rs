//! Whether a grant an administrator wrote can be kept.

use crate::model::grant::{Grant, GrantedTables};
use crate::sync::{Ctx, SyncError};

/// A grant that names something, and only tables that exist here.
///
/// # Errors
/// [`SyncError::Invalid`] for `grant.tables`; [`SyncError::Engine`] when the site database cannot be asked.
pub(super) async fn checked_grant(ctx: &Ctx, grant: Grant) -> Result<Grant, SyncError> {
    let invalid = |message: String| SyncError::Invalid {
        field: "grant.tables",
        message,
    };
    if grant.is_empty() {
        return Err(invalid(
            "a grant without tables gives nothing; name tables, or \"*\" for all".to_owned(),
        ));
    }
    if grant.limits.max_records_per_request == 0 {
        return Err(SyncError::Invalid {
            field: "grant.limits.max_records_per_request",
            message: "it must be at least 1".to_owned(),
        });
    }
    if let GrantedTables::Named(names) = &grant.tables {
        let known = ctx.driver.tables().await?;
        let unknown: Vec<String> = names
            .iter()
            .filter(|name| !known.iter().any(|table| table.name == **name))
            .map(ToString::to_string)
            .collect();
        if !unknown.is_empty() {
            return Err(invalid(format!(
                "this site has no table {}; check the spelling, and that its schema is in site.schemas (empty: the default schema)",
                unknown.join(", ")
            )));
        }
    }
    Ok(grant)
}
