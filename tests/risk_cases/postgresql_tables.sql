-- engine: postgresql
-- stands: orders 40000
-- stands: visits 4000000

-- expect: add-table zero
CREATE TABLE things (id int PRIMARY KEY, order_id int REFERENCES orders);
-- What is done to a table that is new hurts nobody.
-- expect: add-index zero (SHARE)
CREATE UNIQUE INDEX things_order ON things (order_id);
-- expect: drop-column zero (ACCESS EXCLUSIVE)
ALTER TABLE things DROP COLUMN order_id;
-- expect: add-index very low (SHARE)
CREATE INDEX orders_customer ON orders (customer_id);
-- expect: add-index medium (SHARE)
CREATE INDEX visits_at ON visits (at);
-- expect: add-index very low (SHARE UPDATE EXCLUSIVE)
CREATE INDEX CONCURRENTLY visits_at ON visits (at);
-- expect: add-index low (SHARE UPDATE EXCLUSIVE)
CREATE UNIQUE INDEX CONCURRENTLY visits_key ON visits (lower(key)) WHERE key IS NOT NULL;
-- expect: drop-index low (SHARE UPDATE EXCLUSIVE on its table)
DROP INDEX CONCURRENTLY IF EXISTS visits_at;
-- expect: add-constraint medium breaking (SHARE ROW EXCLUSIVE, also on customers)
ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (customer_id) REFERENCES customers (id);
-- expect: add-constraint low breaking (SHARE ROW EXCLUSIVE, also on customers)
ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID;
-- expect: validate-constraint very low (SHARE UPDATE EXCLUSIVE)
ALTER TABLE orders VALIDATE CONSTRAINT f;
-- expect: add-constraint medium breaking (ACCESS EXCLUSIVE)
ALTER TABLE visits ADD CONSTRAINT positive CHECK (seconds > 0);
-- expect: add-constraint low breaking (ACCESS EXCLUSIVE)
ALTER TABLE visits ADD CONSTRAINT one UNIQUE USING INDEX visits_key;
-- expect: drop-constraint low (ACCESS EXCLUSIVE)
ALTER TABLE orders DROP CONSTRAINT f;
-- expect: drop-table high breaking no data-loss (ACCESS EXCLUSIVE)
DROP TABLE IF EXISTS orders;
-- expect: truncate high no data-loss (ACCESS EXCLUSIVE)
TRUNCATE orders;
-- expect: rebuild high (ACCESS EXCLUSIVE)
VACUUM FULL visits;
-- expect: detach-partition medium breaking (ACCESS EXCLUSIVE)
ALTER TABLE visits DETACH PARTITION visits_2024;
-- expect: attach-partition low (SHARE UPDATE EXCLUSIVE)
ALTER TABLE visits ATTACH PARTITION visits_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
-- expect: set-option low (ACCESS EXCLUSIVE)
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
