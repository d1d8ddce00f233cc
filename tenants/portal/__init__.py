"""The portal: what members see and do in a browser.

Views translate between forms and ``tenants.actions``; they decide nothing. Every page stands under
``/portal/<tenant>/<mode>/``, so that a link, a tab or a bookmark says which tenant and which mode it is about. Pages
that show ledger rows live in ``billing.portal``, which may import this package.
"""
