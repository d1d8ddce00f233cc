"""Answering with a page: what all of them share, and what an action's outcome says to the person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django import forms
from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers

from tenants import reach
from tenants.errors import InvalidInput, TenantsError
from tenants.models import Member, Tenant
from tenants.portal.access import Desk
from tenants.publishing import publish_now

Row = TypeVar("Row", bound=Model)
Done = TypeVar("Done")


def page(
    request: HttpRequest,
    desk: Desk,
    template: str,
    context: dict[str, Any] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """Render a page of the portal."""
    shared = {"desk": desk, "may": desk.may, "other_tenants": lambda: _other_tenants(desk)}
    return render(request, template, {**shared, **(context or {})}, status=status)


def fragment(request: HttpRequest, desk: Desk, template: str, context: dict[str, Any]) -> HttpResponse:
    """Render a part of a page for htmx; nothing at all when the browser shows it as it is."""
    mark = context.get("mark")
    if mark and request.GET.get("seen") == mark:
        response = HttpResponse(status=204)
    else:
        response = page(request, desk, template, {**context, "is_fragment": True})
    patch_vary_headers(response, ["HX-Request"])
    return response


def is_htmx(request: HttpRequest) -> bool:
    """Tell whether htmx asks for a fragment (not for a page out of its history)."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


def attempt(form: forms.Form, action: Callable[[], Done]) -> Done | None:
    """Run an action with a form's values; what it cannot accept becomes the form's error and None is returned."""
    try:
        return action()
    except InvalidInput as error:
        form.add_error(error.field if error.field in form.fields else None, _sentence(error))
    except TenantsError as error:
        form.add_error(None, _sentence(error))
    return None


def put_in_force(request: HttpRequest, entries: Sequence[int], done: str) -> None:
    """Publish a change after its commit, and tell the person whether it is in force."""
    if publish_now(entries):
        messages.success(request, done)
    else:
        messages.warning(
            request, f"{done} It is saved and will be in force as soon as enforcement can be reached."
        )


def tell(request: HttpRequest, error: TenantsError) -> None:
    """Show an action's refusal above the next page."""
    messages.error(request, _sentence(error))


def go(desk: Desk, name: str, **ids: str | None) -> HttpResponse:
    """Lead to another page of the same desk."""
    return redirect(reverse(f"portal:{name}", kwargs={**desk.place, **ids}))


def row_or_404(rows: QuerySet[Row], **which: Any) -> Row:
    """Take the one row, or answer 404: somebody else's row does not exist."""
    row: Row | None = rows.filter(**which).first()
    if row is None:
        raise Http404("no such row")
    return row


def joined(parts: Iterable[str]) -> str:
    """Join words as a sentence does."""
    *head, last = list(parts)
    return f"{', '.join(head)} and {last}" if head else last


def _other_tenants(desk: Desk) -> list[Tenant]:
    memberships = (
        Member.objects.filter(user=desk.member.user).exclude(pk=desk.member.pk).select_related("tenant")
    )
    with reach.all_tenants(reach.Why.OWN_TENANTS):
        return [member.tenant for member in memberships.order_by("created_at")]


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
