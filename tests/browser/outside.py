"""What happens beyond the browser: calls to the proxy, the control API, the stand-in Stripe, our own commands."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

Given = dict[str, Any]


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def send(
    url: str, body: Any = None, *, method: str = "POST", headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Send JSON and read the answer, whatever its status."""
    data = None if method == "GET" else json.dumps(body if body is not None else {}).encode()
    request = urllib.request.Request(
        url, data, {"content-type": "application/json", **(headers or {})}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status), json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read() or b"null")


def call(given: Given, key: str, model: str = "sim-mini") -> tuple[int, str]:
    """Make a call as the snippet says; returns its status and the code of a refusal."""
    body = {"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": "Say hello"}]}
    authorization = {"authorization": f"Bearer {key}"}
    status, said = send(f"{given['proxy']}/v1/chat/completions", body, headers=authorization)
    return status, (said.get("error") or {}).get("code") or ""


def api(given: Given, method: str, path: str, body: Any = None) -> Any:
    """Use the control API as the tenant's own programs do; it must be taken."""
    authorization = {"authorization": f"Bearer {given['api_key']}"}
    status, said = send(f"{given['web']}/api/v1{path}", body, method=method, headers=authorization)
    assert status < 300, (method, path, status, said)
    return said


def sim(given: Given, path: str, **wanted: Any) -> Any:
    """Tell the stand-in Stripe something."""
    status, said = send(f"{given['stripe']}/_sim/{path}", wanted)
    assert status == 200, (path, wanted, said)
    return said


def ask_sim(given: Given, path: str) -> Any:
    """Ask the stand-in Stripe something."""
    return send(f"{given['stripe']}/_sim/{path}", method="GET")[1]


def later(given: Given, seconds: float, *command: str) -> str:
    """Run one of our commands on a clock that is ahead; returns what it printed."""
    line = [given["python"], "-m", "tests.browser.later", str(seconds), *command]
    done = subprocess.run(
        line, env=given["environment"], capture_output=True, check=False, text=True, timeout=60
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr[-3000:])
    return done.stdout
