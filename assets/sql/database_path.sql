-- Where names are looked up in this database by sessions that say nothing else.
-- Cost: under 1 ms. Privilege: none.
SELECT coalesce((SELECT o.option_value
                 FROM pg_db_role_setting s
                 JOIN pg_database d ON d.oid = s.setdatabase
                 CROSS JOIN pg_options_to_table(s.setconfig) o
                 WHERE d.datname = current_database() AND s.setrole = 0 AND o.option_name = 'search_path'), 'public')
