//! Giving: what a peer may see of this site's tables, and the stream of their rows.
