"""The less usual kinds of the catalogue query: statistics, publications, operators, foreign servers and more.

Each part gives the columns of ``thing`` in :mod:`.catalogue`: classid, objid, kind, identity, definition, owner, acl,
kind of acl.  Objects without a schema count as the user's own when their number is past the server's own ones.
"""

from __future__ import annotations

#: The first object number that a user's command can get.
_FIRST_USER_OID = 16384
#: Names of options, such as a foreign server's, whose values nobody should find in a report.
_SECRET = "^[^=]*(pass|secret|token|key)[^=]*="


def things(version: int) -> list[str]:
    """Return the parts for a server of this version."""
    return [_STATISTICS, _EVENT_TRIGGERS, _publications(version), _SUBSCRIPTIONS, _ranges(version), _BASE_TYPES,
             _collations(version), _CONVERSIONS, _CASTS, _OPERATORS, _OPERATOR_FAMILIES, _OPERATOR_CLASSES,
             _TEXT_DICTIONARIES, _TEXT_CONFIGURATIONS, _LANGUAGES, _WRAPPERS, _SERVERS, _USER_MAPPINGS]  # fmt: skip


def _own(classid: str, oid: str) -> str:
    """Return the condition that an object was made by a user and not by an extension."""
    return f"""{oid} >= {_FIRST_USER_OID}
  AND NOT EXISTS (SELECT FROM member m WHERE m.classid = '{classid}'::regclass AND m.objid = {oid})"""


def options(array: str) -> str:
    """Return a text[] of options as sorted text; what may be a secret is only named."""
    shown = f"CASE WHEN o ~* '{_SECRET}' THEN split_part(o, '=', 1) || '=(secret)' ELSE o END"
    told = f"(SELECT string_agg({shown}, ', ' ORDER BY o COLLATE \"C\") FROM unnest({array}) o)"
    return f"CASE WHEN {array} IS NOT NULL THEN {told} END"  # most have none, and unnesting nothing takes its time too


_STATISTICS = f"""
SELECT 'pg_statistic_ext'::regclass, x.oid, 'statistics', s.name || '.' || quote_ident(x.stxname),
    concat_ws(' ', pg_get_statisticsobjdef(x.oid),
        'target ' || CASE WHEN x.stxstattarget >= 0 THEN x.stxstattarget END),
    x.stxowner, NULL, NULL
FROM pg_statistic_ext x JOIN space s ON s.oid = x.stxnamespace WHERE {_own("pg_statistic_ext", "x.oid")}"""

_EVENT_TRIGGERS = f"""
SELECT 'pg_event_trigger'::regclass, e.oid, 'event trigger', quote_ident(e.evtname),
    concat_ws(' ', 'on', e.evtevent, 'when tag in (' || array_to_string(e.evttags, ', ') || ')',
        'execute', e.evtfoid::regprocedure,
        CASE e.evtenabled WHEN 'D' THEN '(disabled)' WHEN 'R' THEN '(replica)' WHEN 'A' THEN '(always)' END),
    e.evtowner, NULL, NULL
FROM pg_event_trigger e WHERE {_own("pg_event_trigger", "e.oid")}"""


def _publications(version: int) -> str:
    """Return publications with their tables; column lists, row filters and whole schemas came with 15."""
    table = "r.prrelid::regclass::text"
    spaces = ""
    if version >= 150000:
        table += """
            || coalesce((SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE "C") || ')'
                FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)), '')
            || coalesce(' where ' || pg_get_expr(r.prqual, r.prrelid), '')"""
        spaces = """(SELECT 'schemas ' || string_agg(n.pnnspid::regnamespace::text, ', '
                ORDER BY n.pnnspid::regnamespace::text COLLATE "C")
         FROM pg_publication_namespace n WHERE n.pnpubid = p.oid),"""
    generated = "CASE WHEN p.pubgencols <> 'n' THEN 'generated columns' END," if version >= 180000 else ""
    return f"""
SELECT 'pg_publication'::regclass, p.oid, 'publication', quote_ident(p.pubname),
    concat_ws(' ', CASE WHEN p.puballtables THEN 'all tables' END,
        (SELECT 'tables ' || string_agg({table}, ', ' ORDER BY r.prrelid::regclass::text COLLATE "C")
         FROM pg_publication_rel r WHERE r.prpubid = p.oid), {spaces} {generated}
        CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
        CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END,
        CASE WHEN p.pubviaroot THEN 'via root' END),
    p.pubowner, NULL, NULL
FROM pg_publication p WHERE {_own("pg_publication", "p.oid")}"""


#: Whether it is enabled, and its connection (which holds a password), stay out.
_SUBSCRIPTIONS = """
SELECT 'pg_subscription'::regclass, b.oid, 'subscription', quote_ident(b.subname),
    'publications ' || array_to_string(b.subpublications, ', '), b.subowner, NULL, NULL
FROM pg_subscription b WHERE b.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def _ranges(version: int) -> str:
    """Return range types; a multirange type came with 14 and has a name that can be chosen."""
    multirange = "'multirange ' || g.rngmultitypid::regtype::text," if version >= 140000 else ""
    return f"""
SELECT 'pg_type'::regclass, t.oid, 'range', s.name || '.' || quote_ident(t.typname),
    concat_ws(' ', 'of', format_type(g.rngsubtype, NULL), {multirange}
        (SELECT 'operator class ' || quote_ident(n.nspname) || '.' || quote_ident(o.opcname)
         FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE o.oid = g.rngsubopc),
        (SELECT 'collate ' || quote_ident(n.nspname) || '.' || quote_ident(l.collname)
         FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = g.rngcollation),
        'canonical ' || nullif(g.rngcanonical::oid, 0)::regprocedure,
        'difference ' || nullif(g.rngsubdiff::oid, 0)::regprocedure),
    t.typowner, t.typacl, 'T'::"char"
FROM pg_range g JOIN pg_type t ON t.oid = g.rngtypid JOIN space s ON s.oid = t.typnamespace
WHERE {_own("pg_type", "t.oid")}"""


#: Types written in C; the array type that comes with each type is none of them.
_BASE_TYPES = f"""
SELECT 'pg_type'::regclass, t.oid, 'type', s.name || '.' || quote_ident(t.typname),
    CASE WHEN t.typisdefined THEN
        concat_ws(' ', 'input', t.typinput::oid::regprocedure, 'output', t.typoutput::oid::regprocedure,
            'length', t.typlen, CASE WHEN t.typbyval THEN 'by value' END, 'align', t.typalign,
            'storage', t.typstorage, 'category', t.typcategory,
            CASE WHEN t.typispreferred THEN 'preferred' END, 'delimiter', quote_literal(t.typdelim::text),
            'default ' || quote_literal(t.typdefault), CASE WHEN t.typcollation <> 0 THEN 'collatable' END)
    ELSE 'shell' END,
    t.typowner, t.typacl, 'T'::"char"
FROM pg_type t JOIN space s ON s.oid = t.typnamespace
WHERE t.typtype IN ('b', 'p') AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
    AND {_own("pg_type", "t.oid")}"""


def _collations(version: int) -> str:
    """Return collations; the locale's column was renamed twice."""
    locale = "l.colllocale" if version >= 170000 else "l.colliculocale" if version >= 150000 else "NULL::text"
    rules = "'rules ' || quote_literal(l.collicurules)," if version >= 160000 else ""
    return f"""
SELECT 'pg_collation'::regclass, l.oid, 'collation', s.name || '.' || quote_ident(l.collname),
    concat_ws(' ', 'provider', l.collprovider, 'locale ' || quote_literal({locale}),
        'lc_collate ' || quote_literal(l.collcollate), 'lc_ctype ' || quote_literal(l.collctype), {rules}
        CASE WHEN NOT l.collisdeterministic THEN 'not deterministic' END),
    l.collowner, NULL, NULL
FROM pg_collation l JOIN space s ON s.oid = l.collnamespace WHERE {_own("pg_collation", "l.oid")}"""


_CONVERSIONS = f"""
SELECT 'pg_conversion'::regclass, c.oid, 'conversion', s.name || '.' || quote_ident(c.conname),
    concat_ws(' ', 'from', pg_encoding_to_char(c.conforencoding), 'to', pg_encoding_to_char(c.contoencoding),
        'by', c.conproc::oid::regprocedure, CASE WHEN c.condefault THEN 'default' END),
    c.conowner, NULL, NULL
FROM pg_conversion c JOIN space s ON s.oid = c.connamespace WHERE {_own("pg_conversion", "c.oid")}"""

_CASTS = f"""
SELECT 'pg_cast'::regclass, c.oid, 'cast', format_type(c.castsource, NULL) || ' as ' || format_type(c.casttarget, NULL),
    concat_ws(' ', CASE c.castmethod WHEN 'i' THEN 'by text' WHEN 'b' THEN 'binary' ELSE 'function' END,
        nullif(c.castfunc, 0)::regprocedure,
        CASE c.castcontext WHEN 'i' THEN 'implicit' WHEN 'a' THEN 'assignment' END),
    0, NULL, NULL
FROM pg_cast c WHERE {_own("pg_cast", "c.oid")}
  AND NOT EXISTS (
      SELECT FROM pg_depend i WHERE i.classid = 'pg_cast'::regclass AND i.objid = c.oid AND i.deptype = 'i')"""

_OPERATORS = f"""
SELECT 'pg_operator'::regclass, o.oid, 'operator', o.oid::regoperator::text,
    concat_ws(' ', 'function', nullif(o.oprcode::oid, 0)::regprocedure, 'returns', format_type(o.oprresult, NULL),
        'commutator ' || nullif(o.oprcom, 0)::regoperator, 'negator ' || nullif(o.oprnegate, 0)::regoperator,
        'restrict ' || nullif(o.oprrest::oid, 0)::regprocedure, 'join ' || nullif(o.oprjoin::oid, 0)::regprocedure,
        CASE WHEN o.oprcanmerge THEN 'merges' END, CASE WHEN o.oprcanhash THEN 'hashes' END),
    o.oprowner, NULL, NULL
FROM pg_operator o JOIN space s ON s.oid = o.oprnamespace WHERE {_own("pg_operator", "o.oid")}"""

_OPERATOR_FAMILIES = f"""
SELECT 'pg_opfamily'::regclass, f.oid, 'operator family',
    s.name || '.' || quote_ident(f.opfname) || ' using ' || quote_ident(m.amname),
    concat_ws(', ',
        (SELECT string_agg(concat_ws(' ', 'operator', o.amopstrategy, o.amopopr::regoperator, o.amoppurpose), ', '
                           ORDER BY o.amopstrategy, o.amopopr::regoperator::text)
         FROM pg_amop o WHERE o.amopfamily = f.oid),
        (SELECT string_agg(concat_ws(' ', 'function', p.amprocnum, p.amproc::oid::regprocedure), ', '
                           ORDER BY p.amprocnum, p.amproc::oid::regprocedure::text)
         FROM pg_amproc p WHERE p.amprocfamily = f.oid)),
    f.opfowner, NULL, NULL
FROM pg_opfamily f JOIN space s ON s.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod
WHERE {_own("pg_opfamily", "f.oid")}"""

_OPERATOR_CLASSES = f"""
SELECT 'pg_opclass'::regclass, c.oid, 'operator class',
    s.name || '.' || quote_ident(c.opcname) || ' using ' || quote_ident(m.amname),
    concat_ws(' ', 'for', format_type(c.opcintype, NULL), 'storage ' || format_type(nullif(c.opckeytype, 0), NULL),
        CASE WHEN c.opcdefault THEN 'default' END,
        (SELECT 'family ' || quote_ident(n.nspname) || '.' || quote_ident(f.opfname)
         FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace WHERE f.oid = c.opcfamily)),
    c.opcowner, NULL, NULL
FROM pg_opclass c JOIN space s ON s.oid = c.opcnamespace JOIN pg_am m ON m.oid = c.opcmethod
WHERE {_own("pg_opclass", "c.oid")}"""

_TEXT_DICTIONARIES = f"""
SELECT 'pg_ts_dict'::regclass, d.oid, 'text search dictionary', s.name || '.' || quote_ident(d.dictname),
    concat_ws(' ', 'template', (SELECT quote_ident(n.nspname) || '.' || quote_ident(t.tmplname)
        FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE t.oid = d.dicttemplate),
        d.dictinitoption),
    d.dictowner, NULL, NULL
FROM pg_ts_dict d JOIN space s ON s.oid = d.dictnamespace WHERE {_own("pg_ts_dict", "d.oid")}"""

_TEXT_CONFIGURATIONS = f"""
SELECT 'pg_ts_config'::regclass, c.oid, 'text search configuration', s.name || '.' || quote_ident(c.cfgname),
    concat_ws(' ', 'parser', (SELECT quote_ident(n.nspname) || '.' || quote_ident(p.prsname)
            FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE p.oid = c.cfgparser),
        (SELECT string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ', ' ORDER BY m.maptokentype, m.mapseqno)
         FROM pg_ts_config_map m WHERE m.mapcfg = c.oid)),
    c.cfgowner, NULL, NULL
FROM pg_ts_config c JOIN space s ON s.oid = c.cfgnamespace WHERE {_own("pg_ts_config", "c.oid")}"""

_LANGUAGES = f"""
SELECT 'pg_language'::regclass, l.oid, 'language', quote_ident(l.lanname),
    concat_ws(' ', CASE WHEN l.lanpltrusted THEN 'trusted' END, 'handler ' || nullif(l.lanplcallfoid, 0)::regprocedure),
    l.lanowner, l.lanacl, 'l'::"char"
FROM pg_language l WHERE {_own("pg_language", "l.oid")}"""

_WRAPPERS = f"""
SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 'foreign data wrapper', quote_ident(w.fdwname),
    concat_ws(' ', 'handler ' || nullif(w.fdwhandler, 0)::regprocedure,
        'validator ' || nullif(w.fdwvalidator, 0)::regprocedure, 'options (' || {options("w.fdwoptions")} || ')'),
    w.fdwowner, w.fdwacl, 'F'::"char"
FROM pg_foreign_data_wrapper w WHERE {_own("pg_foreign_data_wrapper", "w.oid")}"""

_SERVERS = f"""
SELECT 'pg_foreign_server'::regclass, v.oid, 'foreign server', quote_ident(v.srvname),
    concat_ws(' ', (SELECT 'wrapper ' || quote_ident(w.fdwname) FROM pg_foreign_data_wrapper w WHERE w.oid = v.srvfdw),
        'type ' || quote_literal(v.srvtype), 'version ' || quote_literal(v.srvversion),
        'options (' || {options("v.srvoptions")} || ')'),
    v.srvowner, v.srvacl, 'S'::"char"
FROM pg_foreign_server v WHERE {_own("pg_foreign_server", "v.oid")}"""

#: The options of a user mapping hold passwords, so that it exists is all that is said.
_USER_MAPPINGS = f"""
SELECT 'pg_foreign_server'::regclass, 0, 'user mapping',
    CASE u.umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END || ' on ' || quote_ident(u.srvname),
    '', 0, NULL, NULL
FROM pg_user_mappings u WHERE u.umid >= {_FIRST_USER_OID}"""
