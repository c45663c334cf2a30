-- engine: postgresql
-- stands: orders 40000
-- stands: visits 4000000

-- expect: add-column zero (ACCESS EXCLUSIVE)
ALTER TABLE orders ADD COLUMN note text;
-- expect: add-column zero (ACCESS EXCLUSIVE)
ALTER TABLE orders ADD COLUMN state int NOT NULL DEFAULT 0;
-- expect: add-column zero (ACCESS EXCLUSIVE)
ALTER TABLE visits ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();
-- A value for each row of its own: the table is written anew.
-- expect: add-column high (ACCESS EXCLUSIVE)
ALTER TABLE visits ADD COLUMN token uuid DEFAULT gen_random_uuid();
-- expect: add-column medium (ACCESS EXCLUSIVE)
ALTER TABLE orders ADD COLUMN number bigserial;
-- expect: add-column medium breaking (ACCESS EXCLUSIVE)
ALTER TABLE orders ADD COLUMN owner int NOT NULL;
-- expect: modify-column high breaking hard (ACCESS EXCLUSIVE)
ALTER TABLE orders ALTER COLUMN total TYPE bigint;
-- expect: require-value medium breaking (ACCESS EXCLUSIVE)
ALTER TABLE orders ALTER COLUMN total SET NOT NULL;
-- expect: relax-column very low (ACCESS EXCLUSIVE)
ALTER TABLE orders ALTER COLUMN total DROP NOT NULL;
-- expect: drop-column high breaking no data-loss (ACCESS EXCLUSIVE)
-- expect: drop-column high breaking no data-loss (ACCESS EXCLUSIVE)
ALTER TABLE orders DROP COLUMN a, DROP COLUMN IF EXISTS b CASCADE;
-- expect: rename high breaking (ACCESS EXCLUSIVE)
ALTER TABLE orders RENAME COLUMN total TO amount;
