//! The admin API, `/api/v1`: one file per noun.
//!
//! The table below says which role each call needs; what is not in it does not exist.

mod audit;
mod connections;
mod differences;
mod doctor;
mod pull;
mod receipts;
mod request;
mod runs;
mod settings;
mod site;
mod status;
mod syncs;
mod tables;
mod tokens;
mod transfers;

use std::sync::Arc;

use axum::routing::{delete, get, patch, post, put};
use axum::{Router, middleware};

use crate::api::auth;
use crate::model::role::Role;
use crate::sync::Ctx;

/// Everything below `/api/v1`; nothing of it, not even a 404, without authentication.
pub(super) fn router(ctx: Arc<Ctx>) -> Router {
    viewers()
        .merge(operators())
        .merge(administrators())
        .fallback(super::unknown_path)
        .method_not_allowed_fallback(super::wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&ctx),
            auth::authenticate,
        ))
        .with_state(ctx)
}

fn viewers() -> Router<Arc<Ctx>> {
    Router::new()
        .route("/site", get(site::show))
        .route("/connections", get(connections::list))
        .route("/connections/{id}", get(connections::show))
        .route("/connections/{id}/receipts", get(receipts::of_connection))
        .route("/connections/{id}/tables", get(tables::list))
        .route(
            "/connections/{id}/tables/{table}/schema",
            get(tables::schema),
        )
        .route(
            "/connections/{id}/tables/{table}/records",
            get(tables::records),
        )
        .route("/syncs", get(syncs::list))
        .route("/syncs/{id}", get(syncs::show))
        .route("/syncs/{id}/runs", get(syncs::runs))
        .route("/syncs/{id}/runs/{run}", get(syncs::run))
        .route("/runs", get(runs::list))
        .route("/runs/{id}", get(runs::show))
        .route("/runs/{id}/errors", get(runs::errors))
        .route("/runs/{id}/differences", get(differences::list))
        .route("/runs/{id}/receipts", get(receipts::of_run))
        .route("/transfers", get(transfers::list))
        .route("/tokens", get(tokens::list))
        .route("/settings", get(settings::show))
        .route("/audit", get(audit::list))
        .route("/doctor", get(doctor::show))
        .route("/status", get(status::show))
        .route_layer(middleware::from_fn_with_state(Role::Viewer, auth::require))
}

fn operators() -> Router<Arc<Ctx>> {
    Router::new()
        .route("/connections/{id}/verify", post(connections::verify))
        .route("/connections/{id}/pull", post(pull::order))
        .route("/connections/{id}/diff", post(pull::diff))
        .route("/connections/{id}/creation", post(pull::creation))
        .route("/syncs", post(syncs::create))
        .route("/syncs/{id}", put(syncs::edit))
        .route("/syncs/{id}", delete(syncs::delete))
        .route("/syncs/{id}/trigger", post(syncs::trigger))
        .route("/syncs/{id}/preview", post(syncs::preview))
        .route("/runs/{id}/approve", post(differences::approve))
        .route("/runs/{id}/cancel", post(runs::cancel))
        .route("/runs/{id}/dismiss", post(runs::dismiss))
        .route_layer(middleware::from_fn_with_state(
            Role::Operator,
            auth::require,
        ))
}

fn administrators() -> Router<Arc<Ctx>> {
    Router::new()
        .route("/connections", post(connections::create))
        .route("/connections/{id}", patch(connections::edit))
        .route("/connections/{id}", delete(connections::delete))
        .route("/connections/{id}/approve", post(connections::approve))
        .route("/connections/{id}/reject", post(connections::reject))
        .route("/connections/{id}/suspend", post(connections::suspend))
        .route(
            "/connections/{id}/reactivate",
            post(connections::reactivate),
        )
        .route("/connections/{id}/revoke", post(connections::revoke))
        .route("/connections/{id}/rotate", post(connections::rotate))
        .route("/tokens", post(tokens::create))
        .route("/tokens/{id}", delete(tokens::revoke))
        .route("/settings", patch(settings::change))
        .route_layer(middleware::from_fn_with_state(Role::Admin, auth::require))
}

#[cfg(test)]
mod tests {
    use super::{administrators, operators, viewers};

    #[test]
    fn no_call_stands_twice_in_the_table() {
        // Overlapping routes would panic here.
        let table = viewers().merge(operators()).merge(administrators());
        assert!(table.has_routes());
    }
}
