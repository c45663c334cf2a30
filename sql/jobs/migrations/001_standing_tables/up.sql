-- The two tables that stand on every server, as the first release of the application made them. Nothing that stands is
-- touched: only a table that is missing is created, so a fresh database can be built, and a live one adopted with
-- `baseline`. Each statement can be run again.
CREATE TABLE IF NOT EXISTS processing_jobs (
    id         bigint unsigned NOT NULL AUTO_INCREMENT,
    job_type   varchar(50)     NOT NULL,
    status     varchar(20)     NOT NULL DEFAULT 'PENDING',
    payload    json            NULL,
    created_at datetime        NULL DEFAULT NULL,
    updated_at datetime        NULL DEFAULT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS user_sessions (
    id             bigint unsigned NOT NULL AUTO_INCREMENT,
    phone          varchar(32)     NOT NULL,
    contact_status enum('ACTIVE', 'OPT_OUT', 'CLOSED') NULL DEFAULT 'ACTIVE',
    created_at     datetime        NULL DEFAULT NULL,
    updated_at     datetime        NULL DEFAULT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
