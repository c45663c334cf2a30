-- windlass: requires 004_phase_3_queue_and_cleanup_logs
--
-- How workers take webhooks from the queue, and give them back. In a transaction of the caller's the procedures join it;
-- otherwise each makes its own. Between a DROP and its CREATE a worker finds no procedure and asks again.
-- The server must know SKIP LOCKED: MySQL 8, MariaDB 10.6.
DROP PROCEDURE IF EXISTS claim_webhook_retries;

DELIMITER //
-- Gives up to p_limit due webhooks (of one workspace, or of all: NULL) to this caller alone, and returns them. A row that
-- another session holds is passed over, not waited for. A claim counts as a try; it holds for p_lease_seconds.
CREATE PROCEDURE IF NOT EXISTS claim_webhook_retries(
    IN p_workspace_id bigint unsigned, IN p_limit int unsigned, IN p_lease_seconds int unsigned)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'Claims due webhooks, each for one caller only, and returns them.'
BEGIN
    DECLARE v_own_transaction boolean DEFAULT false;
    DECLARE v_now datetime DEFAULT NOW();
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        IF v_own_transaction THEN
            ROLLBACK;
        END IF;
        RESIGNAL;
    END;

    BEGIN
        -- Without an open transaction a savepoint is forgotten at once (1305 says so): the one way to tell
        -- that both MySQL and MariaDB have.
        DECLARE EXIT HANDLER FOR 1305 SET v_own_transaction = true;
        SAVEPOINT claim_webhook_retries;
        RELEASE SAVEPOINT claim_webhook_retries;
    END;
    IF v_own_transaction THEN
        -- Locks the claimed rows alone; REPEATABLE READ would lock the gaps between them too, and workers would collide.
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        START TRANSACTION;
    END IF;

    DROP TEMPORARY TABLE IF EXISTS claimed_webhook_retries;
    CREATE TEMPORARY TABLE claimed_webhook_retries (id bigint unsigned NOT NULL PRIMARY KEY) ENGINE = InnoDB;
    INSERT INTO claimed_webhook_retries (id)
    SELECT q.id
    FROM webhook_retry_queue q
    WHERE q.status = 'pending' AND (q.next_retry_at IS NULL OR q.next_retry_at <= v_now)
      AND (p_workspace_id IS NULL OR q.workspace_id = p_workspace_id)
    ORDER BY q.next_retry_at, q.id
    LIMIT p_limit
    FOR UPDATE SKIP LOCKED;

    UPDATE webhook_retry_queue q
    JOIN claimed_webhook_retries c ON c.id = q.id
    SET q.status = 'retrying',
        q.retry_count = q.retry_count + 1,
        q.next_retry_at = v_now + INTERVAL p_lease_seconds SECOND,
        q.updated_at = v_now;

    SELECT q.id, q.uuid, q.retry_count AS attempt, q.workspace_id, q.whatsapp_account_id, q.event_type, q.endpoint,
           q.payload
    FROM claimed_webhook_retries c
    JOIN webhook_retry_queue q ON q.id = c.id
    ORDER BY q.id;

    DROP TEMPORARY TABLE claimed_webhook_retries;
    IF v_own_transaction THEN
        COMMIT;
    END IF;
END//
DELIMITER ;

DROP PROCEDURE IF EXISTS finish_webhook_retry;

DELIMITER //
-- Reports a try, named by the attempt that the claim returned. p_status: success; pending (to be tried again after 1, 2,
-- 4, … minutes, at most an hour); failed (max_retries tries were begun); or stale: the claim had run out and the row is
-- another worker's or done, so nothing was changed.
CREATE PROCEDURE IF NOT EXISTS finish_webhook_retry(
    IN p_id bigint unsigned, IN p_attempt int, IN p_succeeded boolean, IN p_error text CHARACTER SET utf8mb4,
    OUT p_status varchar(10))
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'Reports how a claimed try of a webhook ended.'
BEGIN
    DECLARE v_failed boolean DEFAULT NOT COALESCE(p_succeeded, false);
    UPDATE webhook_retry_queue
    SET next_retry_at = IF(v_failed AND retry_count < max_retries,
                           NOW() + INTERVAL LEAST(3600, 60 * POW(2, LEAST(retry_count, 12) - 1)) SECOND, NULL),
        status = IF(v_failed, IF(retry_count < max_retries, 'pending', 'failed'), 'success'),
        last_error = IF(v_failed, COALESCE(p_error, 'failed without a reason'), last_error),
        updated_at = NOW()
    WHERE id = p_id AND status = 'retrying' AND retry_count = p_attempt;
    IF ROW_COUNT() = 0 THEN
        SET p_status = 'stale';
    ELSE
        SELECT status INTO p_status FROM webhook_retry_queue WHERE id = p_id;
    END IF;
END//
DELIMITER ;

DROP PROCEDURE IF EXISTS expire_webhook_retries;

DELIMITER //
-- Takes webhooks back whose worker did not report in time: to be tried again after the back-off, or failed past
-- max_retries. At most p_batch rows a statement, so that no lock is held for long; p_expired says how many in all.
CREATE PROCEDURE IF NOT EXISTS expire_webhook_retries(
    IN p_workspace_id bigint unsigned, IN p_batch int unsigned, OUT p_expired int unsigned)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'Takes back claimed webhooks whose worker did not report in time.'
BEGIN
    DECLARE v_rows int unsigned;
    SET p_expired = 0;
    REPEAT
        UPDATE webhook_retry_queue
        SET next_retry_at = IF(retry_count < max_retries,
                               NOW() + INTERVAL LEAST(3600, 60 * POW(2, LEAST(retry_count, 12) - 1)) SECOND, NULL),
            status = IF(retry_count < max_retries, 'pending', 'failed'),
            last_error = CONCAT('try ', retry_count, ': its worker did not report in time'),
            updated_at = NOW()
        WHERE status = 'retrying' AND next_retry_at < NOW()
          AND (p_workspace_id IS NULL OR workspace_id = p_workspace_id)
        ORDER BY next_retry_at, id
        LIMIT p_batch;
        SET v_rows = ROW_COUNT();
        SET p_expired = p_expired + v_rows;
    UNTIL v_rows < p_batch OR v_rows = 0 END REPEAT;
END//
DELIMITER ;
