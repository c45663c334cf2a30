-- engine: mysql
-- stands: chats 40000
-- stands: visits 4000000

-- expect: add-column zero (INSTANT)
ALTER TABLE chats ADD COLUMN note text NULL;
-- expect: add-column zero (INSTANT)
-- expect: add-index very low (INPLACE, LOCK=NONE)
ALTER TABLE chats ADD COLUMN state int NOT NULL DEFAULT 0 AFTER id, ADD INDEX by_state (state);
-- expect: add-column medium breaking (INSTANT)
ALTER TABLE chats ADD COLUMN owner int NOT NULL;
-- expect: add-index very low (INPLACE, LOCK=NONE)
ALTER TABLE chats ADD INDEX by_owner (owner), ALGORITHM = INPLACE, LOCK = NONE;
-- expect: add-index low (INPLACE, LOCK=NONE)
CREATE UNIQUE INDEX one ON chats (a(10), b) ALGORITHM=INPLACE LOCK=NONE;
-- expect: add-table zero
CREATE TABLE IF NOT EXISTS logs (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, at timestamp NULL);
-- expect: modify-column high breaking hard (COPY, LOCK=SHARED)
ALTER TABLE chats MODIFY COLUMN status enum('a', 'b', 'c') NOT NULL DEFAULT 'a';
-- expect: modify-column high breaking hard (COPY, LOCK=SHARED)
ALTER TABLE chats MODIFY COLUMN IF EXISTS status varchar(10);
-- expect: modify-column high breaking hard (COPY, LOCK=SHARED)
ALTER TABLE chats CONVERT TO CHARACTER SET utf8mb4;
-- expect: drop-column high breaking no data-loss (INPLACE, LOCK=NONE)
ALTER TABLE chats DROP COLUMN IF EXISTS note;
-- expect: drop-column high breaking no data-loss (INSTANT)
ALTER TABLE chats DROP COLUMN note, ALGORITHM=INSTANT;
-- expect: drop-index low (INPLACE, LOCK=NONE)
ALTER TABLE chats DROP INDEX by_state;
-- expect: add-constraint high breaking (COPY, LOCK=SHARED)
ALTER TABLE visits ADD CONSTRAINT f FOREIGN KEY (chat_id) REFERENCES chats (id) ON DELETE CASCADE;
-- expect: rename high breaking (INSTANT)
RENAME TABLE chats TO talks;
-- expect: drop-table high breaking no data-loss (EXCLUSIVE metadata lock)
DROP TABLE IF EXISTS chats;
-- The change stands in the arguments of a procedure that looks first.
-- expect: add-column zero (INSTANT)
CALL add_where_missing('chats', 'note', 'ALTER TABLE chats ADD COLUMN note text, ALGORITHM = INSTANT');
-- expect: opaque medium hard
CALL do_all_of_it();
-- expect: update-rows medium hard (each changed row)
UPDATE chats SET state = 1;
SET @found = 0;
