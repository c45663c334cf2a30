-- windlass: requires 003_phase_2_account_health
-- windlass: requires 004_phase_3_queue_and_cleanup_logs
--
-- What the hourly clean-up jobs run. An account that is cleaned up is soft-deleted and stays in its table: to bring it
-- back is to set deleted_at to NULL. Its log row and its deletion are one transaction (the caller's, or one a batch).
DROP PROCEDURE IF EXISTS clean_up_whatsapp_accounts;

DELIMITER //
-- p_reason: stale_qr          shows its QR code for over 30 minutes;
--           disconnected_24h  is disconnected for over 24 hours;
--           duplicate         has a phone that another live account of the same workspace has too: the one that is
--                             connected stays, of several the one that connected last.
-- An account's age counts from whatever happened to it last, so one that has just begun to scan or to connect again is
-- not taken. p_workspace_id limits the work to one workspace (NULL: all). p_cleaned says how many were taken.
CREATE PROCEDURE IF NOT EXISTS clean_up_whatsapp_accounts(
    IN p_reason varchar(20), IN p_type varchar(20), IN p_executed_by bigint unsigned,
    IN p_workspace_id bigint unsigned, IN p_batch int unsigned, OUT p_cleaned int unsigned)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'Soft-deletes stale or double accounts and logs each with its reason.'
BEGIN
    DECLARE v_own_transaction boolean DEFAULT false;
    DECLARE v_rows int unsigned;
    DECLARE v_before datetime;
    DECLARE v_now datetime DEFAULT NOW();
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        IF v_own_transaction THEN
            ROLLBACK;
        END IF;
        RESIGNAL;
    END;

    CASE p_reason
        WHEN 'stale_qr' THEN SET v_before = v_now - INTERVAL 30 MINUTE;
        WHEN 'disconnected_24h' THEN SET v_before = v_now - INTERVAL 24 HOUR;
        WHEN 'duplicate' THEN SET v_before = NULL;
        ELSE SIGNAL SQLSTATE '45000'
            SET MESSAGE_TEXT = 'the reason must be stale_qr, disconnected_24h or duplicate';
    END CASE;
    BEGIN
        -- Without an open transaction a savepoint is forgotten at once, and 1305 says so.
        DECLARE EXIT HANDLER FOR 1305 SET v_own_transaction = true;
        SAVEPOINT clean_up_whatsapp_accounts;
        RELEASE SAVEPOINT clean_up_whatsapp_accounts;
    END;

    SET p_cleaned = 0;
    REPEAT
        IF v_own_transaction THEN
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
            START TRANSACTION;
        END IF;
        DROP TEMPORARY TABLE IF EXISTS accounts_in_question, accounts_to_clean_up;
        CREATE TEMPORARY TABLE accounts_in_question (id bigint unsigned NOT NULL PRIMARY KEY) ENGINE = InnoDB;
        CREATE TEMPORARY TABLE accounts_to_clean_up (
            id bigint unsigned NOT NULL PRIMARY KEY, kept_id bigint unsigned) ENGINE = InnoDB;

        IF p_reason = 'duplicate' THEN
            -- All accounts of the phone are locked first, so that none connects while the one to keep is chosen.
            INSERT INTO accounts_in_question (id)
            SELECT a.id
            FROM (
                SELECT workspace_id, phone_number
                FROM whatsapp_accounts
                WHERE deleted_at IS NULL AND phone_number <> ''
                  AND (p_workspace_id IS NULL OR workspace_id = p_workspace_id)
                GROUP BY workspace_id, phone_number
                HAVING COUNT(*) > 1
                LIMIT p_batch
            ) AS phones
            JOIN whatsapp_accounts a
              ON a.workspace_id = phones.workspace_id AND a.phone_number = phones.phone_number
            WHERE a.deleted_at IS NULL
            FOR UPDATE;
            INSERT INTO accounts_to_clean_up (id, kept_id)
            SELECT ranked.id, ranked.kept_id
            FROM (
                SELECT a.id, FIRST_VALUE(a.id) OVER (
                           PARTITION BY a.workspace_id, a.phone_number
                           ORDER BY a.status = 'connected' DESC, a.last_connected_at DESC, a.last_activity_at DESC,
                                    a.id DESC) AS kept_id
                FROM accounts_in_question q
                JOIN whatsapp_accounts a ON a.id = q.id
                WHERE a.deleted_at IS NULL
            ) AS ranked
            WHERE ranked.id <> ranked.kept_id;
        ELSE
            INSERT INTO accounts_to_clean_up (id)
            SELECT a.id
            FROM whatsapp_accounts a
            WHERE (p_reason = 'stale_qr' AND a.status = 'qr_scanning'
                   OR p_reason = 'disconnected_24h' AND a.status = 'disconnected')
              AND a.deleted_at IS NULL
              AND (a.last_activity_at IS NULL OR a.last_activity_at < v_before)
              AND (a.last_connected_at IS NULL OR a.last_connected_at < v_before)
              AND (a.updated_at IS NULL OR a.updated_at < v_before)
              AND (a.created_at IS NULL OR a.created_at < v_before)
              AND COALESCE(a.last_activity_at, a.last_connected_at, a.updated_at, a.created_at) IS NOT NULL
              AND (p_workspace_id IS NULL OR a.workspace_id = p_workspace_id)
            LIMIT p_batch
            FOR UPDATE SKIP LOCKED;
        END IF;

        INSERT INTO session_cleanup_logs (workspace_id, whatsapp_account_id, cleanup_type, reason, details,
                                          executed_by, executed_at, created_at, updated_at)
        SELECT a.workspace_id, a.id, p_type, p_reason,
               JSON_OBJECT('status', a.status, 'phone_number', a.phone_number, 'last_activity_at', a.last_activity_at,
                           'last_connected_at', a.last_connected_at, 'kept_account', c.kept_id),
               p_executed_by, v_now, v_now, v_now
        FROM accounts_to_clean_up c
        JOIN whatsapp_accounts a ON a.id = c.id;
        UPDATE whatsapp_accounts a
        JOIN accounts_to_clean_up c ON c.id = a.id
        SET a.deleted_at = v_now, a.last_cleanup_at = v_now, a.updated_at = v_now;
        SET v_rows = ROW_COUNT();
        SET p_cleaned = p_cleaned + v_rows;

        DROP TEMPORARY TABLE accounts_in_question, accounts_to_clean_up;
        IF v_own_transaction THEN
            COMMIT;
        END IF;
    UNTIL v_rows = 0 END REPEAT;
END//
DELIMITER ;
