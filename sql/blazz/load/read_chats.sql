-- The newest chats, as the inbox of a workspace asks for them.
SELECT id, contact_id, type, message_status, created_at
FROM chats
WHERE workspace_id = (SELECT MAX(workspace_id) FROM chats)
ORDER BY created_at DESC
LIMIT 50;
