-- Somebody reads a chat.
UPDATE chats SET is_read = NOT is_read, read_at = NOW() WHERE id = (SELECT newest FROM (SELECT MAX(id) AS newest FROM chats) AS c);
