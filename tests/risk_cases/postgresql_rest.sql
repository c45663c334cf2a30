-- engine: postgresql
-- stands: orders 40000

SET LOCAL lock_timeout = '1s';
SELECT set_config('app.user', 'x', false);
-- expect: add-object zero
CREATE FUNCTION total(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
-- expect: replace-object low
CREATE OR REPLACE VIEW open_orders AS SELECT 1 AS one;
-- expect: add-trigger low (SHARE ROW EXCLUSIVE)
CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touched();
-- expect: drop-object medium breaking
DROP FUNCTION old_total(int);
-- What the plan itself makes for its own use goes without harm.
-- expect: drop-object zero
DROP FUNCTION total(int);
-- expect: update-rows medium hard (ROW EXCLUSIVE, and each changed row)
UPDATE orders SET total = 0 WHERE total IS NULL;
-- expect: delete-rows medium no data-loss (ROW EXCLUSIVE, and each changed row)
DELETE FROM orders WHERE total = 0;
-- expect: insert-rows very low (ROW EXCLUSIVE, and each changed row)
INSERT INTO orders (id) VALUES (1);
-- expect: add-object zero
COMMENT ON TABLE orders IS 'what customers ask for';
-- expect: add-object zero
GRANT SELECT ON orders TO reader;
-- expect: take-right medium breaking
REVOKE SELECT ON orders FROM reader;
-- expect: opaque medium hard
DO $$ DECLARE what text; BEGIN EXECUTE what; END $$;
-- expect: opaque medium hard
SELECT move_everything();
-- A block is what stands in it, and what it puts together.
-- expect: add-table zero
-- expect: add-index very low (SHARE)
-- expect: add-trigger low (SHARE ROW EXCLUSIVE)
-- expect: opaque medium hard
DO $$ DECLARE what text; BEGIN IF to_regclass('x') IS NULL THEN CREATE TABLE x (id int); CREATE INDEX i ON orders (id); END IF; EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION f()', what, what); EXECUTE what; END $$;
