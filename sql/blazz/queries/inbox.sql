-- The inbox of a workspace: its newest chats.
SELECT id, contact_id, message_status FROM chats WHERE workspace_id = 1 ORDER BY created_at DESC LIMIT 50;
