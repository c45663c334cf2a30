SELECT $$;$$, $a$ ; $$ ; $b$ ; $a$, $élan$ ; $élan$, $_1$;$_1$;
SELECT a$b$c, x$$ FROM t$1$u;
PREPARE p (int) AS SELECT $1;
PREPARE q (int, text) AS SELECT $1, $2 || $$;$$, $1+$2;
SELECT $a$ $A$ ; $a$;
SELECT $a$ $ab$ ; $a$, 1;
SELECT $$a$b$;$$;
SELECT $$$$, $x$$x$, 1;
SELECT $$'$$, $$"$$, $$--$$, $$/*$$, ';$$', ";$$" FROM t;
DO $do$ BEGIN EXECUTE $q$ SELECT 1; $q$; RAISE NOTICE '%;', $$a;b$$; END $do$;
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$
DECLARE a int := 1; -- it's a comment; with a quote
BEGIN
  IF a = 1 THEN NULL; END IF;
  /* ; */
END;
$f$;
SELECT 1 AS "é$", é$$ FROM ü$tag$;
