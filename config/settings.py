"""Django's settings: one file; the environment makes the difference."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

from config import env
from config.logging import logging_config
from config.mail import mail_settings

BASE_DIR = Path(__file__).resolve().parent.parent

FAREBOX_ENV = env.choice("FAREBOX_ENV", ("development", "production"), "production")
DEVELOPMENT = FAREBOX_ENV == "development"
DEBUG = False

FAREBOX_HOME = Path(env.text("FAREBOX_HOME", str(BASE_DIR / ".farebox")))
FAREBOX_BASE_URL = env.text("FAREBOX_BASE_URL", "http://127.0.0.1:8000" if DEVELOPMENT else None).rstrip("/")
FAREBOX_SECRET_KEYS = env.secret_words("FAREBOX_SECRET_KEYS")
FAREBOX_SIGNUP = env.choice("FAREBOX_SIGNUP", ("closed", "invite", "open"), "invite")
FAREBOX_TRUSTED_PROXIES = env.words("FAREBOX_TRUSTED_PROXIES")
FAREBOX_ALLOW_PRIVATE_UPSTREAMS = env.words("FAREBOX_ALLOW_PRIVATE_UPSTREAMS")
FAREBOX_DB_APP_ROLE = env.text("FAREBOX_DB_APP_ROLE", "farebox_app")
FAREBOX_DB_RECORDER_ROLE = env.text("FAREBOX_DB_RECORDER_ROLE", "farebox_recorder")
REDIS_URL = env.text("REDIS_URL")
FAREBOX_STRIPE_BASE = env.text("FAREBOX_STRIPE_BASE", "https://api.stripe.com").rstrip("/")
FAREBOX_STRIPE_EVENTS = env.choice("FAREBOX_STRIPE_EVENTS", ("v2", "v1"), "v2")
FAREBOX_STRIPE_FULL_KEYS = env.choice("FAREBOX_STRIPE_FULL_KEYS", ("refuse", "allow"), "refuse")
FAREBOX_METRICS_TOKEN = env.text("FAREBOX_METRICS_TOKEN", "")
# How often proxies renew their holds: a rebuild waits twice as long for them.
FAREBOX_RENEW_EVERY_MS = env.integer("FAREBOX_RENEW_EVERY_MS", 10_000)

_base = urlsplit(FAREBOX_BASE_URL)
if not _base.hostname:
    raise env.EnvError(
        "FAREBOX_BASE_URL", f"{FAREBOX_BASE_URL!r} is no address such as https://farebox.example"
    )

_stripe = urlsplit(FAREBOX_STRIPE_BASE)
_simulated = _stripe.scheme == "http" and _stripe.hostname in {"127.0.0.1", "localhost"}
if FAREBOX_STRIPE_BASE != "https://api.stripe.com" and not (_simulated and DEVELOPMENT):
    # A tenant's key must not leave for anywhere else, and no real invoice may come from a simulator.
    raise env.EnvError(
        "FAREBOX_STRIPE_BASE",
        f"{FAREBOX_STRIPE_BASE!r} is neither https://api.stripe.com nor, in development, this machine's",
    )

# Django signs sessions with a key of its own, derived so that there is one secret to keep and to rotate.
SECRET_KEY, *SECRET_KEY_FALLBACKS = (
    hashlib.sha256(f"django:{key}".encode()).hexdigest() for key in FAREBOX_SECRET_KEYS
)
ALLOWED_HOSTS = [_base.hostname, *(("localhost", "127.0.0.1", "testserver") if DEVELOPMENT else ())]
CSRF_TRUSTED_ORIGINS = [f"{_base.scheme}://{_base.netloc}"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "rest_framework",
    "drf_spectacular",
    "tenants",
    "billing",
]
MIDDLEWARE = [
    "tenants.reach.RequestReach",
    "tenants.origin.RequestOrigin",
    "billing.metrics_page.InternalMetrics",
    "django.middleware.security.SecurityMiddleware",
    "tenants.portal.middleware.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]


def database(variable: str) -> dict[str, Any]:
    """Turn a PostgreSQL URL into Django's form; host may be a socket's folder."""
    given = conninfo_to_dict(env.text(variable))
    known = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    settings: dict[str, Any] = {name: str(given.pop(key, "") or "") for key, name in known.items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        "OPTIONS": {"connect_timeout": 5, **given},
        **settings,
    }


# Three roles from the first migration on: app serves, owner migrates, recorder may only insert into the ledger.
DATABASES = {
    "default": database("DATABASE_URL"),
    "owner": database("DATABASE_OWNER_URL"),
    "recorder": database("DATABASE_RECORDER_URL"),
}
DATABASE_ROUTERS = ["tenants.dbroles.Router"]

AUTH_USER_MODEL = "tenants.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_ADAPTER = "tenants.accounts.AccountAdapter"
ACCOUNT_SIGNUP_FORM_CLASS = "tenants.accounts.CompanyForm"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Farebox: "
ACCOUNT_EMAIL_NOTIFICATIONS = True  # a changed password is told to its owner
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_CHANGE_EMAIL = True
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"

DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("EMAIL_FROM", f"Farebox <farebox@{_base.hostname}>")
globals().update(mail_settings(env.text("EMAIL_URL", f"file:{FAREBOX_HOME / 'mail'}")))

TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "static-collected"
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEVELOPMENT

SECURE_SSL_REDIRECT = False  # TLS ends before us; the cookies below follow the public address
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _base.scheme == "https"
SECURE_HSTS_SECONDS = 31_536_000 if _base.scheme == "https" else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # whether other names under the domain have TLS is not ours to promise
    "security.W008",  # TLS ends before us, and so does the redirect to it
    "security.W021",  # nor is the browsers' preload list
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenants.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "tenants.api.problems.problem_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Farebox",
    "DESCRIPTION": "Hard budgets and provable invoices for resold LLM calls.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # Enums stay where they are used: names made up for them would change with every new one.
    "POSTPROCESSING_HOOKS": [],
}

# Who judges the holds of the control API: the proxy's own admission, which apps must not import themselves.
FAREBOX_ADMITTER = "config.admitting.admit"

CELERY_BROKER_URL = env.text("CELERY_BROKER_URL", REDIS_URL)
LOGGING = logging_config(env.choice("FAREBOX_LOG_LEVEL", ("DEBUG", "INFO", "WARNING"), "INFO"))
