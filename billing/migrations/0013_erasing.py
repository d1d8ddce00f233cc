"""What erasing a customer may change in tables that nobody may change: named leaves, and nothing else.

The functions are the owner's; the app may call them, for the tenant whose rows it sees. None can write a word of the
caller's choosing: what goes is replaced by a fixed mark.
"""

from __future__ import annotations

from django.db import migrations

from billing.migrations._names import APP, RECORDER

GUARD = """
    IF current_setting('farebox.tenant_id', true) IS DISTINCT FROM its_tenant
       AND current_setting('farebox.tenant_id', true) IS DISTINCT FROM '*' THEN
        RAISE EXCEPTION 'these rows are of another tenant' USING ERRCODE = 'insufficient_privilege';
    END IF;
"""

REDACTED = """
CREATE FUNCTION public.farebox_redacted(given jsonb, names text[], words text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found text;
    word text;
BEGIN
    CASE jsonb_typeof(given)
    WHEN 'object' THEN
        RETURN (SELECT coalesce(jsonb_object_agg(
                    key, CASE WHEN key = ANY(names) AND value <> 'null'::jsonb THEN '"[erased]"'::jsonb
                              ELSE public.farebox_redacted(value, names, words) END), '{}'::jsonb)
                FROM jsonb_each(given));
    WHEN 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(public.farebox_redacted(value, names, words)), '[]'::jsonb)
                FROM jsonb_array_elements(given));
    WHEN 'string' THEN
        found := given #>> '{}';
        FOREACH word IN ARRAY words LOOP
            -- A short word is a word of its own or nothing: it would be found in everything.
            IF found = word OR (length(word) >= 6 AND position(word IN found) > 0) THEN
                RETURN '"[erased]"'::jsonb;
            END IF;
        END LOOP;
        RETURN given;
    ELSE
        RETURN given;
    END CASE;
END $$;
"""

AUDIT = f"""
CREATE FUNCTION public.farebox_redact_audit(its_tenant text, ids text[], names text[], words text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    {GUARD}
    WITH said AS (
        SELECT id, public.farebox_redacted(before, names_of, words) AS was,
               public.farebox_redacted(after, names_of, words) AS is_now,
               CASE WHEN actor_name = ANY(words) THEN '[erased]' ELSE actor_name END AS who
        FROM (SELECT *, CASE WHEN object_id = ANY(ids) THEN names ELSE ARRAY[]::text[] END AS names_of
              FROM public.tenants_auditentry WHERE tenant_id = its_tenant) AS entries
    )
    UPDATE public.tenants_auditentry AS kept SET before = said.was, after = said.is_now, actor_name = said.who
    FROM said WHERE kept.id = said.id
      AND (kept.before, kept.after, kept.actor_name) IS DISTINCT FROM (said.was, said.is_now, said.who);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

CREATE FUNCTION public.farebox_forget_audit(its_tenant text, before_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept_days int;
    gone bigint;
BEGIN
    {GUARD}
    SELECT audit_kept_days INTO kept_days FROM public.tenants_tenant WHERE id = its_tenant;
    IF coalesce(kept_days, 0) = 0 OR before_at > now() - make_interval(days => kept_days) THEN
        RETURN 0;
    END IF;
    DELETE FROM public.tenants_auditentry WHERE tenant_id = its_tenant AND at < before_at;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
"""  # noqa: S608  # our own text

# A combination of tags goes when nobody else's rows, and none of the other mode, have it.
TAGS = f"""
CREATE FUNCTION public.farebox_erase_tags(its_tenant text, its_mode text, customer text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    {GUARD}
    UPDATE public.tag_set AS kept SET tags = '{{}}'::jsonb
    FROM (SELECT DISTINCT tag_set_id FROM public.ledger_row
          WHERE tenant_id = its_tenant AND mode = its_mode AND customer_id = customer) AS used
    WHERE kept.tenant_id = its_tenant AND kept.tag_set_id = used.tag_set_id AND kept.tags <> '{{}}'::jsonb
      AND NOT EXISTS (SELECT 1 FROM public.ledger_row AS other
                      WHERE other.tenant_id = its_tenant AND other.tag_set_id = used.tag_set_id
                        AND (other.customer_id, other.mode) IS DISTINCT FROM (customer, its_mode));
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

CREATE FUNCTION public.farebox_forget_tags(its_tenant text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept_days int;
    changed bigint;
BEGIN
    {GUARD}
    SELECT tags_kept_days INTO kept_days FROM public.tenants_tenant WHERE id = its_tenant;
    IF coalesce(kept_days, 0) = 0 THEN
        RETURN 0;
    END IF;
    UPDATE public.tag_set AS kept SET tags = '{{}}'::jsonb
    WHERE kept.tenant_id = its_tenant AND kept.tags <> '{{}}'::jsonb
      AND EXISTS (SELECT 1 FROM public.ledger_row AS any_row
                  WHERE any_row.tenant_id = its_tenant AND any_row.tag_set_id = kept.tag_set_id)
      AND NOT EXISTS (SELECT 1 FROM public.ledger_row AS late
                      WHERE late.tenant_id = its_tenant AND late.tag_set_id = kept.tag_set_id
                        AND late.started_at >= now() - make_interval(days => kept_days));
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;
"""  # noqa: S608  # our own text

# Bytes that nobody could read name no tenant for sure: those that hold the customer's own id are its.
LETTERS = f"""
CREATE FUNCTION public.farebox_recorded_until(its_shard int) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT stream_id FROM public.shard_mark WHERE shard = its_shard), '0-0')
$$;

CREATE FUNCTION public.farebox_erase_letters(its_tenant text, customer text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    {GUARD}
    IF NOT EXISTS (SELECT 1 FROM public.tenants_customer WHERE id = customer AND tenant_id = its_tenant) THEN
        RETURN 0;
    END IF;
    UPDATE public.dead_letter SET raw = ''::bytea, detail = '[erased]'
    WHERE position(convert_to(customer, 'UTF8') IN raw) > 0 OR position(customer IN detail) > 0;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

CREATE FUNCTION public.farebox_erase_credit_sources(its_tenant text, customer text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    {GUARD}
    UPDATE public.prepaid_entry AS kept SET source_id = 'erased_' || kept.id
    FROM public.prepaid_budget AS its
    WHERE its.id = kept.prepaid_id AND its.customer_id = customer AND kept.tenant_id = its_tenant;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;
"""  # noqa: S608  # our own text

# What a push says stays frozen; whom it names at Stripe may be taken away, never changed.
THAWED = """
DO $do$
DECLARE
    source text := pg_get_functiondef('public.farebox_push_is_frozen()'::regprocedure);
    wanted text := 'OLD.first_attempt_at IS NOT NULL AND';
BEGIN
    IF position(wanted IN source) = 0 THEN
        RAISE EXCEPTION 'farebox_push_is_frozen is not what it was';
    END IF;
    EXECUTE replace(source, wanted, wanted || ' NEW.stripe_customer_id <> ''erased'' AND');
END $do$;
"""

SIGNATURES = (
    "farebox_redact_audit(text, text[], text[], text[])",
    "farebox_forget_audit(text, timestamptz)",
    "farebox_erase_tags(text, text, text)",
    "farebox_forget_tags(text)",
    "farebox_recorded_until(int)",
    "farebox_erase_letters(text, text)",
    "farebox_erase_credit_sources(text, text)",
)
RIGHTS = "\n".join(
    f"REVOKE ALL ON FUNCTION public.{signature} FROM PUBLIC, {APP}, {RECORDER}; "
    f"GRANT EXECUTE ON FUNCTION public.{signature} TO {APP};"
    for signature in SIGNATURES
)
DROP = "\n".join(f"DROP FUNCTION public.{signature};" for signature in SIGNATURES)


class Migration(migrations.Migration):
    """Makes the functions."""

    dependencies = [("billing", "0012_secured_months"), ("tenants", "0010_life_of_data")]
    operations = [
        migrations.RunSQL(
            REDACTED + AUDIT + TAGS + LETTERS + THAWED + RIGHTS,
            DROP + "DROP FUNCTION public.farebox_redacted(jsonb, text[], text[]);",
        )
    ]
