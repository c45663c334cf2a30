"""PostgreSQL's catalogue as one query: every user object as (kind, identity, definition).

The query must run under :data:`SETTINGS`, or names and constants come out as the session likes to see them.  Columns
appear by name, grants as what differs from the kind's default, so that the order in which things were made, and
whether a default right was written down or not, make no difference.

Left out: system schemas, the schema of the journal, and what belongs to an extension (the extension itself is listed).
"""

from __future__ import annotations

from . import catalogue_rare
from .catalogue_rare import options

#: The number of the usual access method of tables, the same on every server.
_HEAP = 2
#: The schemas whose content is nobody's work: the server's own, the journal's and that of the archives.
_LEFT_OUT = "('pg_catalog', 'information_schema', 'pg_toast', 'windlass', 'windlass_archive')"

#: What the deparsing functions of the server look at.  An empty search_path makes every name full.
SETTINGS = {
    "search_path": "",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "jit": "off",
}


def query(server_version: int) -> str:
    """Return the one query for a server of this version (150020 for 15.20)."""
    things = [*_things(server_version), *catalogue_rare.things(server_version)]
    return f"""
WITH member AS MATERIALIZED (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
), space AS MATERIALIZED (
    SELECT oid, quote_ident(nspname) AS name, nspowner, nspacl FROM pg_namespace
    WHERE nspname NOT IN {_LEFT_OUT} AND nspname !~ '^pg_(toast_)?temp_'
), relation AS MATERIALIZED (
    SELECT c.oid, c.relkind, c.relowner, c.relacl, c.relpersistence, c.relispartition, c.relpartbound, c.reloptions,
           c.reltoastrelid, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relam, c.reltablespace,
           c.reloftype, s.name || '.' || quote_ident(c.relname) AS identity
    FROM pg_class c JOIN space s ON s.oid = c.relnamespace
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
      AND NOT (c.relkind = 'c' AND c.reltype IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass))
), thing (classid, objid, kind, identity, definition, owner, acl, aclkind) AS MATERIALIZED (
{" UNION ALL ".join(things)}
), field AS MATERIALIZED ({_fields(server_version)}
)
SELECT kind, identity, coalesce(definition, '') FROM thing
UNION ALL SELECT 'column', identity, definition FROM field WHERE relkind <> 'v' OR atthasdef
UNION ALL SELECT 'owner', kind || ' ' || identity, quote_ident(pg_get_userbyid(owner)) FROM thing WHERE owner <> 0
UNION ALL {_GRANTS}
UNION ALL {_COLUMN_GRANTS}
UNION ALL {_DEFAULT_PRIVILEGES}
UNION ALL
SELECT 'comment', t.kind || ' ' || t.identity, d.description
FROM thing t JOIN pg_description d ON d.classoid = t.classid AND d.objoid = t.objid AND d.objsubid = 0
WHERE t.kind <> 'extension'
UNION ALL
SELECT 'comment', 'column ' || f.identity, d.description
FROM field f JOIN pg_description d
    ON d.classoid = 'pg_class'::regclass AND d.objoid = f.relation AND d.objsubid = f.attnum
"""


def _things(version: int) -> list[str]:
    """Return the parts for the everyday kinds."""
    return [_SCHEMAS, _EXTENSIONS, _tables(version), _INDEXES, _CONSTRAINTS, _TRIGGERS, _FUNCTIONS, _VIEWS,
            _SEQUENCES, _ENUMS, _DOMAINS, _COMPOSITES, _RULES, _POLICIES]  # fmt: skip


def _apart(classid: str, oid: str) -> str:
    """Return the condition that an object is no part of an extension."""
    return f"NOT EXISTS (SELECT FROM member m WHERE m.classid = '{classid}'::regclass AND m.objid = {oid})"


_SCHEMAS = f"""
SELECT 'pg_namespace'::regclass::oid, s.oid, 'schema', s.name, '', s.nspowner, s.nspacl, 'n'::"char"
FROM space s WHERE {_apart("pg_namespace", "s.oid")}"""

_EXTENSIONS = """
SELECT 'pg_extension'::regclass, e.oid, 'extension', quote_ident(e.extname),
       'version ' || e.extversion || ' schema ' || quote_ident(n.nspname), 0, NULL, NULL
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"""


def _tables(version: int) -> str:
    """Return tables, partitioned and foreign ones among them; their columns and constraints come by themselves."""
    detached = "|| CASE WHEN bool_or(i.inhdetachpending) THEN ' (detach pending)' ELSE '' END"
    return f"""
SELECT 'pg_class'::regclass, r.oid, CASE r.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END, r.identity,
    concat_ws(' ',
        CASE r.relpersistence WHEN 'u' THEN 'unlogged' END,
        'partitioned by ' || CASE r.relkind WHEN 'p' THEN pg_get_partkeydef(r.oid) END,
        'of ' || CASE WHEN r.reloftype <> 0 THEN format_type(r.reloftype, NULL) END,
        CASE WHEN r.relispartition THEN 'partition of ' ELSE 'inherits ' END || h.parents,
        pg_get_expr(r.relpartbound, r.oid),
        CASE WHEN r.relam NOT IN (0, {_HEAP}) THEN
            (SELECT 'using ' || quote_ident(a.amname) FROM pg_am a WHERE a.oid = r.relam) END,
        'with (' || {options("r.reloptions")} || ')',
        'toast (' || {options("x.reloptions")} || ')',
        CASE WHEN r.relrowsecurity THEN 'row level security' END,
        CASE WHEN r.relforcerowsecurity THEN 'forced for the owner' END,
        CASE WHEN r.relkind <> 'f' THEN CASE r.relreplident
            WHEN 'f' THEN 'replica identity full' WHEN 'n' THEN 'replica identity nothing' END END,
        CASE WHEN r.reltablespace <> 0 THEN
            (SELECT 'tablespace ' || quote_ident(p.spcname) FROM pg_tablespace p WHERE p.oid = r.reltablespace) END,
        CASE WHEN r.relkind = 'f' THEN
            (SELECT 'server ' || quote_ident(v.srvname) || ' options (' || coalesce({options("f.ftoptions")}, '') || ')'
             FROM pg_foreign_table f JOIN pg_foreign_server v ON v.oid = f.ftserver WHERE f.ftrelid = r.oid) END),
    r.relowner, r.relacl, 'r'::"char"
FROM relation r
LEFT JOIN (
    SELECT i.inhrelid, string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
        {detached if version >= 140000 else ""} AS parents
    FROM pg_inherits i GROUP BY i.inhrelid) h ON h.inhrelid = r.oid
LEFT JOIN pg_class x ON x.oid = r.reltoastrelid AND x.relkind = 't' AND x.reloptions IS NOT NULL
WHERE r.relkind IN ('r', 'p', 'f')"""


def _fields(version: int) -> str:
    """Return the columns of tables, composite types and views; views' only for comments, grants and defaults."""
    compression = "'compression ' || CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,"
    unproven = """CASE WHEN EXISTS (SELECT FROM pg_constraint n WHERE n.conrelid = a.attrelid AND n.contype = 'n'
                      AND n.conkey[1] = a.attnum AND NOT n.convalidated) THEN 'not valid' END,"""
    return f"""
SELECT r.oid AS relation, r.relkind, a.attnum, a.atthasdef, a.attacl,
    r.identity || '.' || quote_ident(a.attname) AS identity,
    concat_ws(' ',
        format_type(a.atttypid, a.atttypmod),
        (SELECT 'collate ' || quote_ident(n.nspname) || '.' || quote_ident(l.collname)
         FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
         WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation),
        CASE WHEN a.attnotnull THEN 'not null' END,
        {unproven if version >= 180000 else ""}
        CASE a.attidentity WHEN 'a' THEN 'generated always as identity'
            WHEN 'd' THEN 'generated by default as identity' END,
        CASE a.attgenerated WHEN '' THEN 'default ' ELSE 'generated always as ' END
            || CASE WHEN a.atthasdef THEN (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
                                           WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END,
        CASE a.attgenerated WHEN 's' THEN 'stored' WHEN 'v' THEN 'virtual' END,
        'storage ' || CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage
            WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END END,
        {compression if version >= 140000 else ""}
        'statistics ' || CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END,
        'with (' || {options("a.attoptions")} || ')',
        'options (' || {options("a.attfdwoptions")} || ')') AS definition
FROM relation r
JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE r.relkind IN ('r', 'p', 'f', 'c', 'v', 'm')"""


_INDEXES = f"""
SELECT 'pg_class'::regclass, r.oid, 'index', r.identity,
    concat_ws(' ',
        pg_get_indexdef(r.oid),
        CASE WHEN NOT i.indisvalid THEN '(not valid)' END,
        CASE WHEN i.indisreplident THEN '(replica identity)' END,
        CASE WHEN i.indisclustered THEN '(clustered)' END,
        CASE WHEN r.relispartition THEN
            (SELECT '(partition of ' || h.inhparent::regclass || ')' FROM pg_inherits h WHERE h.inhrelid = r.oid) END,
        CASE WHEN r.reltablespace <> 0 THEN
            (SELECT '(tablespace ' || quote_ident(p.spcname) || ')' FROM pg_tablespace p WHERE p.oid = r.reltablespace)
            END,
        '(statistics ' || g.targets || ')'),
    0, NULL, NULL
FROM relation r JOIN pg_index i ON i.indexrelid = r.oid
LEFT JOIN (
    SELECT a.attrelid, string_agg(a.attnum || ' ' || a.attstattarget, ', ' ORDER BY a.attnum) AS targets
    FROM pg_attribute a WHERE a.attstattarget >= 0 AND a.attnum > 0 GROUP BY a.attrelid) g ON g.attrelid = r.oid
WHERE {_apart("pg_class", "i.indrelid")}"""


#: Not here: NOT NULL (the column says it), constraint triggers (they are triggers), and the copies of a foreign key
#: that partitions get by themselves under names that depend on the order of work.
_CONSTRAINTS = f"""
SELECT 'pg_constraint'::regclass, c.oid, 'constraint', quote_ident(c.conname) || ' on ' || r.identity,
    pg_get_constraintdef(c.oid), 0, NULL, NULL
FROM pg_constraint c JOIN relation r ON r.oid = c.conrelid
WHERE c.contype IN ('c', 'p', 'u', 'x') OR c.contype = 'f' AND c.conparentid = 0
UNION ALL
SELECT 'pg_constraint'::regclass, c.oid, 'constraint',
    quote_ident(c.conname) || ' on ' || s.name || '.' || quote_ident(t.typname), pg_get_constraintdef(c.oid),
    0, NULL, NULL
FROM pg_constraint c JOIN pg_type t ON t.oid = c.contypid JOIN space s ON s.oid = t.typnamespace
WHERE c.contype = 'c' AND {_apart("pg_type", "t.oid")}"""

#: A partition's copy of a trigger counts only where it was switched to another state than the original.
_TRIGGERS = """
SELECT 'pg_trigger'::regclass, g.oid, 'trigger', quote_ident(g.tgname) || ' on ' || r.identity,
    pg_get_triggerdef(g.oid) || CASE g.tgenabled
        WHEN 'D' THEN ' (disabled)' WHEN 'R' THEN ' (replica)' WHEN 'A' THEN ' (always)' ELSE '' END,
    0, NULL, NULL
FROM pg_trigger g JOIN relation r ON r.oid = g.tgrelid
LEFT JOIN pg_trigger o ON o.oid = g.tgparentid
WHERE (NOT g.tgisinternal AND g.tgparentid = 0)
   OR (g.tgparentid <> 0 AND NOT o.tgisinternal AND g.tgenabled <> o.tgenabled)"""

#: pg_get_functiondef refuses aggregates, so these are spelled out.
_FUNCTIONS = f"""
SELECT 'pg_proc'::regclass, p.oid,
    CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
    s.name || '.' || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')',
    CASE p.prokind WHEN 'a' THEN (
        SELECT concat_ws(' ', pg_get_function_arguments(p.oid), 'returns', format_type(p.prorettype, NULL),
            'kind', a.aggkind, 'sfunc', a.aggtransfn::oid::regprocedure, 'stype', format_type(a.aggtranstype, NULL),
            'initcond ' || quote_literal(a.agginitval),
            'finalfunc ' || nullif(a.aggfinalfn::oid, 0)::regprocedure || ' ' || a.aggfinalmodify::text,
            'combinefunc ' || nullif(a.aggcombinefn::oid, 0)::regprocedure,
            'serialfunc ' || nullif(a.aggserialfn::oid, 0)::regprocedure,
            'deserialfunc ' || nullif(a.aggdeserialfn::oid, 0)::regprocedure,
            'msfunc ' || nullif(a.aggmtransfn::oid, 0)::regprocedure,
            'mstype ' || format_type(nullif(a.aggmtranstype, 0), NULL),
            'minvfunc ' || nullif(a.aggminvtransfn::oid, 0)::regprocedure,
            'mfinalfunc ' || nullif(a.aggmfinalfn::oid, 0)::regprocedure,
            'minitcond ' || quote_literal(a.aggminitval),
            'sortop ' || nullif(a.aggsortop, 0)::regoperator,
            CASE WHEN a.aggfinalextra THEN 'finalfunc_extra' END,
            'sspace ' || nullif(a.aggtransspace, 0),
            'parallel', p.proparallel)
        FROM pg_aggregate a WHERE a.aggfnoid = p.oid)
    ELSE pg_get_functiondef(p.oid) END,
    p.proowner, p.proacl, 'f'::"char"
FROM pg_proc p JOIN space s ON s.oid = p.pronamespace
WHERE {_apart("pg_proc", "p.oid")}
  AND NOT EXISTS (
      SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')"""

_VIEWS = f"""
SELECT 'pg_class'::regclass, r.oid, CASE r.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, r.identity,
    concat_ws(' ', 'with (' || {options("r.reloptions")} || ')', pg_get_viewdef(r.oid)),
    r.relowner, r.relacl, 'r'::"char"
FROM relation r WHERE r.relkind IN ('v', 'm')"""

_SEQUENCES = """
SELECT 'pg_class'::regclass, r.oid, 'sequence', r.identity,
    concat_ws(' ',
        CASE r.relpersistence WHEN 'u' THEN 'unlogged' END,
        'as', format_type(q.seqtypid, NULL), 'start', q.seqstart, 'increment', q.seqincrement,
        'minvalue', q.seqmin, 'maxvalue', q.seqmax, 'cache', q.seqcache, CASE WHEN q.seqcycle THEN 'cycle' END,
        (SELECT CASE d.deptype WHEN 'i' THEN 'identity of ' ELSE 'owned by ' END
             || d.refobjid::regclass || '.' || quote_ident(a.attname)
         FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
           AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))),
    r.relowner, r.relacl, 's'::"char"
FROM relation r JOIN pg_sequence q ON q.seqrelid = r.oid"""

_ENUMS = f"""
SELECT 'pg_type'::regclass, t.oid, 'enum', s.name || '.' || quote_ident(t.typname),
    (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
     FROM pg_enum e WHERE e.enumtypid = t.oid),
    t.typowner, t.typacl, 'T'::"char"
FROM pg_type t JOIN space s ON s.oid = t.typnamespace WHERE t.typtype = 'e' AND {_apart("pg_type", "t.oid")}"""

_DOMAINS = f"""
SELECT 'pg_type'::regclass, t.oid, 'domain', s.name || '.' || quote_ident(t.typname),
    concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
        (SELECT 'collate ' || quote_ident(n.nspname) || '.' || quote_ident(l.collname)
         FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace JOIN pg_type b ON b.oid = t.typbasetype
         WHERE l.oid = t.typcollation AND t.typcollation <> b.typcollation),
        CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || pg_get_expr(t.typdefaultbin, 0)),
    t.typowner, t.typacl, 'T'::"char"
FROM pg_type t JOIN space s ON s.oid = t.typnamespace WHERE t.typtype = 'd' AND {_apart("pg_type", "t.oid")}"""

#: The type stands for the relation behind it, so that comments and grants on it are found; its columns follow.
_COMPOSITES = """
SELECT 'pg_type'::regclass, t.oid, 'type', r.identity, 'composite', t.typowner, t.typacl, 'T'::"char"
FROM relation r JOIN pg_type t ON t.typrelid = r.oid WHERE r.relkind = 'c'"""

_RULES = """
SELECT 'pg_rewrite'::regclass, w.oid, 'rule', quote_ident(w.rulename) || ' on ' || r.identity,
    pg_get_ruledef(w.oid) || CASE w.ev_enabled
        WHEN 'D' THEN ' (disabled)' WHEN 'R' THEN ' (replica)' WHEN 'A' THEN ' (always)' ELSE '' END,
    0, NULL, NULL
FROM pg_rewrite w JOIN relation r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'"""

_POLICIES = """
SELECT 'pg_policy'::regclass, p.oid, 'policy', quote_ident(p.polname) || ' on ' || r.identity,
    concat_ws(' ',
        CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
        'for', CASE p.polcmd
            WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete' ELSE 'all' END,
        'to', (SELECT string_agg(CASE u WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(u)) END, ', '
                                 ORDER BY pg_get_userbyid(u) COLLATE "C") FROM unnest(p.polroles) u),
        'using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
        'with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
    0, NULL, NULL
FROM pg_policy p JOIN relation r ON r.oid = p.polrelid"""

_RIGHT = "(e.privilege_type || CASE WHEN e.is_grantable THEN '*' ELSE '' END)"
_RIGHTS = f"""string_agg(DISTINCT {_RIGHT} COLLATE "C", ', ')"""
_GRANTEE = "CASE {0} WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid({0})) END"

#: A right that everybody of that kind has by default is no grant; one that was taken away is ("none").
_GRANTS = f"""
SELECT 'grant',
    t.kind || ' ' || t.identity || ' to '
        || CASE WHEN g.grantee = t.owner THEN 'its owner' ELSE {_GRANTEE.format("g.grantee")} END,
    coalesce(g.rights, 'none')
FROM thing t CROSS JOIN LATERAL (
    SELECT grantee, has.rights FROM
        (SELECT e.grantee, {_RIGHTS} AS rights FROM aclexplode(t.acl) e GROUP BY 1) has FULL JOIN
        (SELECT e.grantee, {_RIGHTS} AS rights FROM aclexplode(acldefault(t.aclkind, t.owner)) e GROUP BY 1) usual
        USING (grantee)
    WHERE has.rights IS DISTINCT FROM usual.rights) g
WHERE t.acl IS NOT NULL"""

_COLUMN_GRANTS = f"""
SELECT 'grant', 'column ' || f.identity || ' to ' || {_GRANTEE.format("e.grantee")}, {_RIGHTS}
FROM field f CROSS JOIN LATERAL aclexplode(f.attacl) e GROUP BY f.identity, e.grantee"""

_DEFAULT_PRIVILEGES = f"""
SELECT 'default privileges',
    concat_ws(' ', 'of', quote_ident(pg_get_userbyid(d.defaclrole)), 'in schema ' || s.name, 'on',
        CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
            WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END,
        'to', {_GRANTEE.format("e.grantee")}),
    {_RIGHTS}
FROM pg_default_acl d LEFT JOIN space s ON s.oid = d.defaclnamespace CROSS JOIN LATERAL aclexplode(d.defaclacl) e
WHERE d.defaclnamespace = 0 OR s.oid IS NOT NULL
GROUP BY d.defaclrole, s.name, d.defaclobjtype, e.grantee"""
