-- The session store of the messenger client: credentials and signal keys, one set per company.
--
-- On most servers these tables stand already. Nothing that stands is touched: only what is missing is created,
-- so a fresh database can be built, and a live one adopted with `baseline`.
DO $do$
BEGIN
    IF to_regclass('public.whatsapp_auth') IS NULL THEN
        CREATE TABLE public.whatsapp_auth (
            company_id text        NOT NULL,
            creds      jsonb       NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT whatsapp_auth_pkey PRIMARY KEY (company_id)
        );
        CREATE INDEX idx_whatsapp_auth_updated_at ON public.whatsapp_auth (updated_at);
    END IF;

    IF to_regclass('public.whatsapp_keys') IS NULL THEN
        CREATE TABLE public.whatsapp_keys (
            company_id text        NOT NULL,
            key_type   text        NOT NULL,
            key_id     text        NOT NULL,
            value      jsonb       NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz,
            CONSTRAINT whatsapp_keys_pkey PRIMARY KEY (company_id, key_type, key_id)
        );
        CREATE INDEX idx_whatsapp_keys_expires_at ON public.whatsapp_keys (expires_at) WHERE expires_at IS NOT NULL;
    END IF;
END
$do$;

-- CREATE OR REPLACE would overwrite a function that was mended on the live server, or fail where its
-- return type differs. A standing one is left as it is.
DO $do$
BEGIN
    IF to_regprocedure('public.cleanup_expired_whatsapp_keys()') IS NULL THEN
        CREATE FUNCTION public.cleanup_expired_whatsapp_keys() RETURNS integer
            LANGUAGE plpgsql SET search_path = pg_catalog, public
        AS $body$
        DECLARE
            deleted integer;
        BEGIN
            DELETE FROM public.whatsapp_keys WHERE expires_at <= now();
            GET DIAGNOSTICS deleted = ROW_COUNT;
            RETURN deleted;
        END
        $body$;
        COMMENT ON FUNCTION public.cleanup_expired_whatsapp_keys() IS
            'Deletes the keys whose time is over; returns how many.';
    END IF;

    IF to_regprocedure('public.get_whatsapp_auth_stats()') IS NULL THEN
        CREATE FUNCTION public.get_whatsapp_auth_stats()
            RETURNS TABLE (auth_records bigint, key_records bigint, expired_keys bigint, last_update timestamptz)
            LANGUAGE sql STABLE SET search_path = pg_catalog, public
        AS $body$
            SELECT (SELECT count(*) FROM public.whatsapp_auth),
                   (SELECT count(*) FROM public.whatsapp_keys),
                   (SELECT count(*) FROM public.whatsapp_keys WHERE expires_at <= now()),
                   (SELECT max(updated_at) FROM public.whatsapp_auth)
        $body$;
        COMMENT ON FUNCTION public.get_whatsapp_auth_stats() IS
            'How many sessions, keys and expired keys there are, and when a session last changed.';
    END IF;
END
$do$;
