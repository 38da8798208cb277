//! PostgreSQL: binary COPY both ways.
