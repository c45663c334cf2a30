"""Rows and types that several of these tests speak of."""

from __future__ import annotations

NARROW = "enum('ACTIVE','OPT_OUT','CLOSED')"
WIDE = "enum('ACTIVE','BLOCKED','PAUSED','OPT_OUT','CLOSED')"
WORKSPACE = (
    "INSERT INTO workspaces (id, name) VALUES (1, 'one'), (2, 'two')",
    "INSERT INTO users (id, name, email) VALUES (1, 'Ann', 'ann@example.org')",
)


def account(number: int, workspace: int, status: str, phone: str, age: str) -> str:
    return (
        "INSERT INTO whatsapp_accounts (id, uuid, session_id, workspace_id, created_by, status, phone_number, "
        "last_connected_at, last_activity_at, created_at, updated_at) VALUES "
        f"({number}, '{number}', '{number}', {workspace}, 1, '{status}', {phone}, "
        f"NOW() - INTERVAL {age}, NOW() - INTERVAL {age}, NOW() - INTERVAL {age}, NOW() - INTERVAL {age})"
    )


def queue(rows: int) -> str:
    return (
        "INSERT INTO webhook_retry_queue (uuid, workspace_id, event_type, endpoint, payload, next_retry_at) "
        "SELECT CONCAT('row-', seq), 1 + seq % 2, 'message', 'https://example.org', '{}', "
        f"NOW() - INTERVAL seq SECOND FROM seq_1_to_{rows}"
    )
