//! A role's attributes are changed only if they still are what was seen. Between a look and a statement a colleague may have
//! changed them, and then an undo would take away their work and not ours.

use postgres_protocol::escape::escape_identifier;

use super::act::literal;

/// Changes nothing, and takes the role's row: whoever alters the role at the same time is waited for, and then all of this fails
/// ("tuple concurrently updated"); whoever wants to later waits for our end. What is compared after it stays what it is. Settings
/// of a role (`ALTER ROLE … SET`) lie elsewhere: between two statements of one transaction they are nobody's.
pub(super) fn hold(role: &str) -> String {
    format!("ALTER ROLE {} /* changes nothing: who else alters it waits */", escape_identifier(role))
}

/// Goes no further unless this is true of the role's row in `pg_roles`.
pub(super) fn expect(role: &str, what: &str, otherwise: &str) -> String {
    format!(
        "DO $tierdeck$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = {} AND {what}) THEN \
         RAISE EXCEPTION USING MESSAGE = {}, ERRCODE = '55000'; END IF; END $tierdeck$",
        literal(role),
        literal(&format!("somebody {otherwise} meanwhile; nothing was done"))
    )
}

/// What a setting of the role, in all databases, is stored as; null: it is not set.
pub(super) fn setting(name: &str) -> String {
    format!(
        "(SELECT split_part(s, '=', 2) FROM pg_db_role_setting d, unnest(d.setconfig) s \
         WHERE d.setrole = r.oid AND d.setdatabase = 0 AND s LIKE '{name}=%')"
    )
}
