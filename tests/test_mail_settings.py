from __future__ import annotations

import pytest

from config.env import EnvError
from config.mail import mail_settings


def test_smtp_speaks_starttls_unless_told_not_to() -> None:
    given = mail_settings("smtp://me%40x:p%2Fw@mail.internal")
    assert (given["EMAIL_HOST"], given["EMAIL_PORT"], given["EMAIL_USE_TLS"]) == ("mail.internal", 587, True)
    assert (given["EMAIL_HOST_USER"], given["EMAIL_HOST_PASSWORD"]) == ("me@x", "p/w")
    assert mail_settings("smtp://mail.internal:25?starttls=no")["EMAIL_USE_TLS"] is False


def test_smtps_is_encrypted_from_the_start() -> None:
    given = mail_settings("smtps://mail.internal")
    assert (given["EMAIL_PORT"], given["EMAIL_USE_SSL"], given["EMAIL_USE_TLS"]) == (465, True, False)


def test_a_folder_takes_mail_as_files() -> None:
    assert mail_settings("file:/var/lib/mail")["EMAIL_FILE_PATH"] == "/var/lib/mail"


@pytest.mark.parametrize("url", ["", "mailto:x@y", "smtp://", "file:"])
def test_another_url_stops_the_process_and_names_the_variable(url: str) -> None:
    with pytest.raises(EnvError, match="EMAIL_URL"):
        mail_settings(url)
