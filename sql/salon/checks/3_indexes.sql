-- Check 3 of salon's nine: sixty indexes or more on the eleven tables, none of the known ones missing, none
-- invalid, and every partition of messages served by each index of its parent.

-- check: sixty_indexes
WITH needed AS (
    SELECT relation, regexp_split_to_table(names, '\s+') AS name
    FROM (VALUES
        ('companies', 'companies_pkey companies_yclients_company_id_key idx_companies_phone
            idx_companies_active_name idx_companies_created_at'),
        ('clients', 'clients_pkey clients_company_id_id_key clients_company_id_phone_key
            clients_company_id_yclients_client_id_key idx_clients_phone idx_clients_company_name
            idx_clients_company_last_visit idx_clients_company_updated idx_clients_tags'),
        ('services', 'services_pkey services_company_id_id_key services_company_id_yclients_service_id_key
            idx_services_company_category idx_services_company_title idx_services_active'),
        ('staff', 'staff_pkey staff_company_id_id_key staff_company_id_yclients_staff_id_key
            idx_staff_company_name idx_staff_active idx_staff_phone'),
        ('staff_schedules', 'staff_schedules_pkey staff_schedules_staff_id_work_date_key
            idx_staff_schedules_company_date idx_staff_schedules_company_staff idx_staff_schedules_working'),
        ('bookings', 'bookings_pkey bookings_company_id_id_key bookings_company_id_yclients_record_id_key
            idx_bookings_company_starts idx_bookings_company_client idx_bookings_company_staff
            idx_bookings_company_service idx_bookings_company_status idx_bookings_upcoming
            idx_bookings_booking_data'),
        ('appointments_cache', 'appointments_cache_pkey appointments_cache_company_id_cache_key_key
            idx_appointments_cache_expires idx_appointments_cache_company_date
            idx_appointments_cache_company_client idx_appointments_cache_company_staff'),
        ('dialog_contexts', 'dialog_contexts_pkey dialog_contexts_company_id_phone_key
            idx_dialog_contexts_expires idx_dialog_contexts_company_last_message
            idx_dialog_contexts_company_client idx_dialog_contexts_handed_over'),
        ('reminders', 'reminders_pkey reminders_booking_id_kind_key idx_reminders_due
            idx_reminders_company_booking idx_reminders_company_status idx_reminders_phone'),
        ('sync_status', 'sync_status_pkey sync_status_company_id_entity_key idx_sync_status_next_run
            idx_sync_status_failed'),
        ('messages', 'messages_pkey idx_messages_created_at idx_messages_company_created
            idx_messages_company_phone_created idx_messages_client_created idx_messages_external_id
            idx_messages_failed idx_messages_unsent')
    ) AS list (relation, names)
), standing AS (
    SELECT t.oid AS table_oid, t.relname AS relation, i.indexrelid, x.relname AS name,
           i.indisvalid AND i.indisready AS usable
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid IN (SELECT to_regclass('public.' || relation) FROM needed)
)
SELECT format('index %s on public.%s is missing', needed.name, needed.relation) AS failure
FROM needed
WHERE NOT EXISTS (SELECT FROM standing WHERE standing.relation = needed.relation AND standing.name = needed.name)
UNION ALL
SELECT format('index %s on public.%s is invalid: drop it and build it again', name, relation)
FROM standing
WHERE NOT usable
UNION ALL
SELECT format('partition %s has no copy of index %s', part.inhrelid::regclass, standing.name)
FROM standing
JOIN pg_catalog.pg_inherits part ON part.inhparent = standing.table_oid
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_inherits copy
    JOIN pg_catalog.pg_index i ON i.indexrelid = copy.inhrelid
    WHERE copy.inhparent = standing.indexrelid AND i.indrelid = part.inhrelid
)
UNION ALL
SELECT format('the eleven tables have %s indexes, fewer than 60', count(*))
FROM standing
HAVING count(*) < 60;
