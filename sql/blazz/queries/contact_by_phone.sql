-- A message comes in: whose phone is it?
SELECT id, full_name FROM contacts WHERE workspace_id = 1 AND phone = '79001234567' AND deleted_at IS NULL;
