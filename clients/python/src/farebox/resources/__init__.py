"""The resources of the API: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from farebox.resources.audit_log import AsyncAuditLog, AuditLog
from farebox.resources.billing_connection import AsyncBillingConnection, BillingConnection
from farebox.resources.billing_customer_maps import AsyncBillingCustomerMaps, BillingCustomerMaps
from farebox.resources.billing_dunning import AsyncBillingDunning, BillingDunning
from farebox.resources.billing_exchange_rates import AsyncBillingExchangeRates, BillingExchangeRates
from farebox.resources.billing_meters import AsyncBillingMeters, BillingMeters
from farebox.resources.billing_month_closes import AsyncBillingMonthCloses, BillingMonthCloses
from farebox.resources.billing_prepaid import AsyncBillingPrepaid, BillingPrepaid
from farebox.resources.billing_push_destinations import AsyncBillingPushDestinations, BillingPushDestinations
from farebox.resources.billing_pushes import AsyncBillingPushes, BillingPushes
from farebox.resources.billing_reconciliation import AsyncBillingReconciliation, BillingReconciliation
from farebox.resources.billing_statements import AsyncBillingStatements, BillingStatements
from farebox.resources.billing_top_ups import AsyncBillingTopUps, BillingTopUps
from farebox.resources.budgets import AsyncBudgets, Budgets
from farebox.resources.calibration import AsyncCalibration, Calibration
from farebox.resources.customers import AsyncCustomers, Customers
from farebox.resources.holds import AsyncHolds, Holds
from farebox.resources.keys import AsyncKeys, Keys
from farebox.resources.ledger import AsyncLedger, Ledger
from farebox.resources.margin import AsyncMargin, Margin
from farebox.resources.markup import AsyncMarkup, Markup
from farebox.resources.model_aliases import AsyncModelAliases, ModelAliases
from farebox.resources.prices import AsyncPrices, Prices
from farebox.resources.provider_accounts import AsyncProviderAccounts, ProviderAccounts
from farebox.resources.requests import AsyncRequests, Requests
from farebox.resources.retention import AsyncRetention, Retention
from farebox.resources.settings import AsyncSettings, Settings
from farebox.resources.stopped_models import AsyncStoppedModels, StoppedModels
from farebox.resources.tenant import AsyncTenant, Tenant
from farebox.resources.usage import AsyncUsage, Usage
from farebox.transport import AsyncSender, Sender


class Resources:
    """Every resource of the API."""

    def __init__(self, sender: Sender) -> None:
        self.audit_log = AuditLog(sender)
        self.billing_connection = BillingConnection(sender)
        self.billing_customer_maps = BillingCustomerMaps(sender)
        self.billing_dunning = BillingDunning(sender)
        self.billing_exchange_rates = BillingExchangeRates(sender)
        self.billing_meters = BillingMeters(sender)
        self.billing_month_closes = BillingMonthCloses(sender)
        self.billing_prepaid = BillingPrepaid(sender)
        self.billing_push_destinations = BillingPushDestinations(sender)
        self.billing_pushes = BillingPushes(sender)
        self.billing_reconciliation = BillingReconciliation(sender)
        self.billing_statements = BillingStatements(sender)
        self.billing_top_ups = BillingTopUps(sender)
        self.budgets = Budgets(sender)
        self.calibration = Calibration(sender)
        self.customers = Customers(sender)
        self.holds = Holds(sender)
        self.keys = Keys(sender)
        self.ledger = Ledger(sender)
        self.margin = Margin(sender)
        self.markup = Markup(sender)
        self.model_aliases = ModelAliases(sender)
        self.prices = Prices(sender)
        self.provider_accounts = ProviderAccounts(sender)
        self.requests = Requests(sender)
        self.retention = Retention(sender)
        self.settings = Settings(sender)
        self.stopped_models = StoppedModels(sender)
        self.tenant = Tenant(sender)
        self.usage = Usage(sender)


class AsyncResources:
    """Every resource of the API."""

    def __init__(self, sender: AsyncSender) -> None:
        self.audit_log = AsyncAuditLog(sender)
        self.billing_connection = AsyncBillingConnection(sender)
        self.billing_customer_maps = AsyncBillingCustomerMaps(sender)
        self.billing_dunning = AsyncBillingDunning(sender)
        self.billing_exchange_rates = AsyncBillingExchangeRates(sender)
        self.billing_meters = AsyncBillingMeters(sender)
        self.billing_month_closes = AsyncBillingMonthCloses(sender)
        self.billing_prepaid = AsyncBillingPrepaid(sender)
        self.billing_push_destinations = AsyncBillingPushDestinations(sender)
        self.billing_pushes = AsyncBillingPushes(sender)
        self.billing_reconciliation = AsyncBillingReconciliation(sender)
        self.billing_statements = AsyncBillingStatements(sender)
        self.billing_top_ups = AsyncBillingTopUps(sender)
        self.budgets = AsyncBudgets(sender)
        self.calibration = AsyncCalibration(sender)
        self.customers = AsyncCustomers(sender)
        self.holds = AsyncHolds(sender)
        self.keys = AsyncKeys(sender)
        self.ledger = AsyncLedger(sender)
        self.margin = AsyncMargin(sender)
        self.markup = AsyncMarkup(sender)
        self.model_aliases = AsyncModelAliases(sender)
        self.prices = AsyncPrices(sender)
        self.provider_accounts = AsyncProviderAccounts(sender)
        self.requests = AsyncRequests(sender)
        self.retention = AsyncRetention(sender)
        self.settings = AsyncSettings(sender)
        self.stopped_models = AsyncStoppedModels(sender)
        self.tenant = AsyncTenant(sender)
        self.usage = AsyncUsage(sender)
