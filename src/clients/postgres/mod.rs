//! PostgreSQL: a URL with libpq's meaning becomes a connection, or an error that says what to do.
